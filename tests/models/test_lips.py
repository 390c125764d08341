"""Lip space and speech network: rest is zero, units, windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lipwright.lip_motion import BOUND, NeutralMouth
from lipwright.models.lip_space import LipSpace
from lipwright.models.speech_lips import SpeechToLips


def moving_lips(n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Openings, shapes of 6 points that open along one direction, and what drives them."""
    rng = np.random.default_rng(0)
    drive = np.abs(rng.standard_normal(n))
    drive[: n // 4] = 0.0  # a quarter of the frames rests
    opening = 0.01 + 0.05 * drive
    shape = np.tile(rng.random((1, 6, 2)), (n, 1, 1))
    shape[:, :3, 1] -= 0.02 * drive[:, None]
    shape[:, 3:, 1] += 0.04 * drive[:, None]
    return opening, shape, drive


def test_rest_is_zero_and_the_first_component_follows_the_opening() -> None:
    opening, shape, drive = moving_lips()
    rest = NeutralMouth.of(opening, shape)
    assert rest.opening == pytest.approx(0.01)
    space = LipSpace(3, 6)
    space.fit(opening - rest.opening, shape - rest.shape)
    motion = space.encode(opening, shape, rest)
    assert motion[:100] == pytest.approx(0.0, abs=1e-5)
    assert np.sqrt(np.mean(motion[:, 0] ** 2)) == pytest.approx(1.0, abs=1e-3)
    assert abs(np.corrcoef(motion[:, 1], drive)[0, 1]) == pytest.approx(1.0, abs=1e-4)
    far = space.encode(opening + 100.0, shape, rest)
    assert far.max() == BOUND


def test_shifting_a_face_is_no_motion() -> None:
    opening, shape, _ = moving_lips()
    rest = NeutralMouth.of(opening, shape)
    space = LipSpace(3, 6)
    space.fit(opening - rest.opening, shape - rest.shape)
    there = space.encode(opening, shape + np.array([0.3, -0.2]), rest)
    assert there == pytest.approx(space.encode(opening, shape, rest), abs=1e-4)


def test_two_fits_agree_in_sign() -> None:
    opening, shape, _ = moving_lips()
    first, second = LipSpace(3, 6), LipSpace(3, 6)
    first.fit(opening, shape - shape[0])
    second.fit(opening[::-1], (shape - shape[0])[::-1])
    assert torch.allclose(first.basis[:, 0], second.basis[:, 0], atol=1e-5)


@pytest.mark.parametrize("layers", [1, 3])
def test_over_a_clip_or_window_by_window(layers: int) -> None:
    torch.manual_seed(0)
    net = SpeechToLips(3, (4, 4, 8), 16, layers).eval()
    mel = torch.randn(2, 80, net.steps + 4 * 5)
    whole = net.sequence(mel)
    assert whole.shape == (2, 6, 3)
    for n in range(6):
        assert torch.allclose(net(mel[:, :, 4 * n :][:, :, : net.steps]), whole[:, n], atol=1e-5)
    assert 0 < net.before < net.steps


@pytest.mark.parametrize(
    ("embedding", "columns"), [(False, 130), (True, 75), (False, 3), (True, 1)]
)
def test_a_whole_recording_at_once_tells_what_every_window_tells(
    embedding: bool, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fractions import Fraction

    from lipwright.media.mel import AudioSpec, windows
    from lipwright.models import speech_lips

    monkeypatch.setattr(speech_lips, "_BLOCK", 48)  # so that there are several
    torch.manual_seed(0)
    net = SpeechToLips(3, (4, 4, 8), 16, 2, embedding=embedding).eval()
    mel = torch.rand(80, columns) * 6 - 4
    with torch.no_grad():
        whole = net.dense(mel)
        times = [Fraction(c, 100) for c in range(columns)]
        each = net(windows(mel, times, AudioSpec(net.steps, net.before)))
    assert whole.shape == (3, columns)
    assert torch.allclose(whole, each.T, atol=1e-4)
