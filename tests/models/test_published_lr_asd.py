"""LR-ASD: size, key conversion, and parity with a literal transcription of its definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lipwright.errors import LipwrightError
from lipwright.methods import speaker_network
from lipwright.models.published.lr_asd import LrAsd, convert
from tests.models.sizes import count_parameters
from tests.models.test_published import State, norm_shapes, normed, random_state

WIDTHS = ((1, 32), (32, 64), (64, 128))


def published_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for encoder, first in (("visualEncoder", "s"), ("audioEncoder", "m")):
        for number, (c_in, c_out) in enumerate(WIDTHS, 1):
            layers = (
                (f"{first}_1", c_in, c_out // 2, 5, False),
                (f"{first}_2", c_out // 2, c_out, 3, False),
                ("t_1", c_out, c_out, 5, True),
                ("t_2", c_out, c_out, 3, True),
            )
            for layer, narrow, wide, size, time in layers:
                start = f"model.{encoder}.block{number}"
                if first == "s":
                    kernel = (size, 1, 1) if time else (1, size, size)
                else:
                    kernel = (1, size) if time else (size, 1)  # type: ignore[assignment]
                shapes[f"{start}.{layer}.weight"] = (wide, narrow, *kernel)
                kind, place = layer.split("_")
                shapes |= norm_shapes(f"{start}.{kind}_norm_{place}", wide)
    for name, wide in (("model.fusion", 256), ("model.detector.attention", 128)):
        shapes[f"{name}.attention.weight"] = (wide, wide, 1)
        shapes |= norm_shapes(f"{name}.bn", wide)
    for way in ("forward", "backward"):
        name = f"model.detector.gru_{way}"
        shapes[f"{name}.weight_ih_l0"] = (192, 256)
        shapes[f"{name}.weight_hh_l0"] = (192, 64)
        shapes[f"{name}.bias_ih_l0"] = shapes[f"{name}.bias_hh_l0"] = (192,)
    for head in ("lossAV", "lossV"):
        shapes[f"{head}.FC.weight"], shapes[f"{head}.FC.bias"] = (2, 128), (2,)
    return shapes


@pytest.fixture(scope="module")
def state() -> State:
    return random_state(published_shapes())


def norm(s: State, name: str, x: Tensor) -> Tensor:
    return normed(s, name, x, 1e-3)


def encoded(s: State, x: Tensor, pictures: bool) -> Tensor:
    """(1, 1, T, H, W) or (1, 1, 13, 4 T) -> (1, 128, T)."""
    first, encoder = ("s", "visualEncoder") if pictures else ("m", "audioEncoder")
    for number in (1, 2, 3):
        start = f"model.{encoder}.block{number}"
        for kind in (first, "t"):
            for place, half in ((1, 2), (2, 1)):
                weight = s[f"{start}.{kind}_{place}.weight"]
                padding = [0 if k == 1 else half for k in weight.shape[2:]]
                if pictures:
                    down = number == 1 and kind == "s" and place == 1
                    x = F.conv3d(x, weight, None, (1, 2, 2) if down else 1, padding)
                else:
                    x = F.conv2d(x, weight, None, 1, padding)
                x = F.relu(norm(s, f"{start}.{kind}_norm_{place}", x))
        if number < 3:
            # The published code pools sound with a 3-D pooling whose first window is 1.
            x = (
                F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
                if pictures
                else F.max_pool3d(x, (1, 1, 3), (1, 1, 2), (0, 0, 1))
            )
    return x.amax(dim=(3, 4)) if pictures else x.mean(dim=2)


def gate(s: State, name: str, x: Tensor) -> Tensor:
    return x * torch.sigmoid(norm(s, f"{name}.bn", F.conv1d(x, s[f"{name}.attention.weight"])))


def recurrent(s: State, name: str, x: Tensor) -> Tensor:
    """(T, 256) -> (T, 64), the equations of a gated recurrent unit."""
    h = torch.zeros(64)
    out = []
    for step in x:
        i = s[f"{name}.weight_ih_l0"] @ step + s[f"{name}.bias_ih_l0"]
        k = s[f"{name}.weight_hh_l0"] @ h + s[f"{name}.bias_hh_l0"]
        reset, update = torch.sigmoid(i[:64] + k[:64]), torch.sigmoid(i[64:128] + k[64:128])
        new = torch.tanh(i[128:] + reset * k[128:])
        h = (1 - update) * new + update * h
        out.append(h)
    return torch.stack(out)


def test_it_computes_what_the_published_definition_says(state: State) -> None:
    torch.manual_seed(3)
    faces, mfcc = torch.rand(1, 6, 112, 112) * 255, torch.randn(1, 24, 13) * 5
    ours = LrAsd().eval()
    ours.load_state_dict(convert(state), strict=False)
    with torch.no_grad():
        found = ours(faces, mfcc)
        seen = encoded(state, ((faces / 255 - 0.4161) / 0.1688)[:, None], True)
        heard = encoded(state, mfcc[:, None].transpose(2, 3), False)
        both = gate(state, "model.fusion", torch.cat([heard, seen], 1))[0].T
        ways = [
            recurrent(state, "model.detector.gru_forward", both),
            recurrent(state, "model.detector.gru_backward", both.flip(0)).flip(0),
        ]
        last = gate(state, "model.detector.attention", torch.cat(ways, 1).T[None])[0].T
        expected = (last @ state["lossAV.FC.weight"].T + state["lossAV.FC.bias"])[:, 1]
    assert found.shape == (1, 6)
    assert expected.std() > 1e-3
    assert torch.allclose(found[0], expected, atol=1e-4, rtol=1e-4)


def test_every_tensor_of_the_file_has_its_place(state: State) -> None:
    ours = LrAsd().state_dict()
    found = convert({f"module.{key}": value for key, value in state.items()})
    assert set(found) == {key for key in ours if not key.endswith("num_batches_tracked")}
    assert all(found[key].shape == ours[key].shape for key in found)
    assert count_parameters(LrAsd()) == 836_898
    with pytest.raises(LipwrightError, match=r"'model\.other'"):
        convert({"model.other": torch.zeros(1)})
    with pytest.raises(LipwrightError, match="block4"):
        convert({"model.audioEncoder.block4.m_1.weight": torch.zeros(1)})


def test_a_network_that_is_not_here_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LIPWRIGHT_MODELS", str(tmp_path))
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(tmp_path))
    speaker_network.speaker_network.cache_clear()
    with pytest.raises(LipwrightError, match=r"lr_asd_pretrain_ava\.model is not here.*MIT"):
        speaker_network.speaker_network("lr-asd")
    with pytest.raises(LipwrightError, match="no speaker network 'loud'"):
        speaker_network.speaker_network("loud")
    assert speaker_network.speaker_network("lips") is None


def test_scores_of_pictures_and_a_wave(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: State
) -> None:
    path = tmp_path / "lr_asd_pretrain_ava.model"
    torch.save(state, path)
    monkeypatch.setattr("lipwright.weights.published.find_published", lambda *a, **k: path)
    network = speaker_network.LrAsdNetwork()
    faces = np.random.default_rng(0).integers(0, 255, (10, 112, 112)).astype(np.uint8)
    wave = np.random.default_rng(1).standard_normal(6400).astype(np.float32) * 0.1
    whole = network(faces, wave)
    assert whole.shape == (10,)
    assert np.isfinite(whole).all()
    assert network(faces[:0], wave).shape == (0,)
    assert network(faces, wave[:100]).shape == (10,)  # the sound ends before the picture
    assert (network.evidence(whole) > 0).tolist() == (whole > speaker_network.ZERO).tolist()
