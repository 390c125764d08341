"""Networks of the Audio-Lip Memory: what they may see, shapes, and stretches against windows."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lipwright.face_regions import blank_lower_half
from lipwright.models.memory_audio import AudioEncoder
from lipwright.models.memory_face import FaceDecoder, IdentityEncoder
from lipwright.models.memory_lips import LipEncoder, lower_halves
from lipwright.models.memory_talker import MemoryTalker
from lipwright.models.running_mean import RunningMean

TINY: dict[str, Any] = {
    "size": 32,
    "lip_dim": 8,
    "audio_dim": 6,
    "memory": {"slots": 5},
    "audio": {"kind": "context", "channels": [4, 4, 4], "width": 8, "layers": 1},
    "identity": {"channels": [8, 8, 16], "patch": 2, "groups": 4},
    "decoder": {"channels": [8, 8, 16], "modulate": True, "lower": True},
}
ENCODED: dict[str, Any] = {
    **TINY,
    "audio": {
        **{"kind": "encoder", "width": 8, "layers": 2, "centred": True},
        **{"encoder_width": 16, "encoder_heads": 2, "encoder_layers": 1},
    },
}
"""The same on top of a speech encoder."""


@pytest.mark.parametrize("grey", [False, True])
def test_the_lip_encoder_sees_no_upper_face(grey: bool) -> None:
    torch.manual_seed(0)
    encoder = LipEncoder(32, 8, (8, 16), patch=2, grey=grey, groups=4).eval()
    frames = torch.rand(2, 5, 3, 32, 32) * 2 - 1
    other = frames.clone()
    other[..., :16, :] = torch.rand_like(other[..., :16, :])
    assert torch.equal(encoder(frames), encoder(other))
    other[..., 20, :] += 0.5
    assert not torch.allclose(encoder(frames), encoder(other))
    assert encoder(frames).min() < 0  # signed, for the cosine


def test_frames_become_channels_in_their_order() -> None:
    frames = torch.zeros(1, 5, 3, 4, 4)
    frames[0, 3, 1] = 7.0
    assert lower_halves(frames, grey=False).shape == (1, 15, 2, 4)
    assert (lower_halves(frames, grey=False)[0, 3 * 3 + 1] == 7.0).all()
    assert torch.allclose(lower_halves(frames, grey=True)[0, 3], torch.tensor(7.0 * 0.587))


def test_the_identity_encoder_sees_no_mouth_of_the_target() -> None:
    torch.manual_seed(0)
    encoder = IdentityEncoder(32, (8, 16), groups=4).eval()
    target, reference = torch.rand(2, 2, 3, 32, 32) * 2 - 1
    other = target.clone()
    other[:, :, 16:] = torch.rand_like(other[:, :, 16:])
    maps, same = encoder(target, reference), encoder(other, reference)
    assert all(torch.equal(a, b) for a, b in zip(maps, same, strict=True))
    assert [m.shape[-1] for m in maps] == [32, 16]
    changed = reference.clone()
    changed[:, :, 20] += 0.5
    assert not torch.allclose(maps[-1], encoder(target, changed)[-1])
    assert (blank_lower_half(target)[:, :, 16:] == -1).all()
    assert torch.equal(blank_lower_half(target)[:, :, :16], target[:, :, :16])


def test_a_blind_encoder_sees_no_mouth_of_the_reference_either() -> None:
    torch.manual_seed(0)
    encoder = IdentityEncoder(32, (8, 16), groups=4, blind=True).eval()
    target, reference = torch.rand(2, 2, 3, 32, 32) * 2 - 1
    other = reference.clone()
    other[:, :, 16:30, 7:25] = 0.3
    maps, same = encoder(target, reference), encoder(target, other)
    assert all(torch.equal(a, b) for a, b in zip(maps, same, strict=True))
    other[:, :, 4] = 0.3
    assert not torch.allclose(maps[-1], encoder(target, other)[-1])


@pytest.mark.parametrize("modulate", [False, True])
@pytest.mark.parametrize("lower", [False, True])
def test_decoder(modulate: bool, lower: bool) -> None:
    torch.manual_seed(0)
    encoder = IdentityEncoder(32, (8, 8, 16), patch=2, groups=4)
    decoder = FaceDecoder(
        32, 8, 6, (8, 8, 16), (8, 8, 8), 2, 2, groups=4, modulate=modulate, lower=lower
    )
    maps = encoder(*(torch.rand(2, 2, 3, 32, 32) * 2 - 1))
    lips, audio = torch.randn(2, 8), torch.randn(2, 6)
    face = torch.rand(2, 3, 32, 32) * 2 - 1
    drawn = decoder(lips, audio, maps, face)
    assert drawn.shape == (2, 3, 16 if lower else 32, 32)
    assert drawn.abs().max() <= 1
    assert not torch.allclose(drawn, decoder(lips + 1, audio, maps, face))
    assert not torch.allclose(drawn, decoder(lips, audio + 1, maps, face))


def test_a_residual_decoder_begins_with_the_reference() -> None:
    torch.manual_seed(0)
    encoder = IdentityEncoder(32, (8, 16), patch=2, groups=4)
    decoder = FaceDecoder(32, 8, 6, (8, 16), (8, 8), 2, groups=4, lower=True, residual=True)
    target, reference = torch.rand(2, 2, 3, 32, 32) * 2 - 1
    maps = encoder(target, reference)
    drawn = decoder(torch.randn(2, 8), torch.randn(2, 6), maps, reference)
    assert torch.allclose(drawn, reference[:, :, 16:], atol=0.1)


def test_centring_follows_what_it_sees_in_training_only() -> None:
    torch.manual_seed(0)
    running_mean = RunningMean(3)
    x = torch.randn(4000, 3) * 5 + torch.tensor([10.0, -20.0, 0.0])
    assert torch.equal(running_mean.eval()(x), x / (1 + 1e-4) ** 0.5)  # knows nothing yet
    for part in running_mean.train()(x).split(1000):
        assert part.mean().abs() < 0.2
    for _ in range(20):
        running_mean(x)
    y = running_mean.eval()(x)
    assert torch.allclose(y.mean(0), torch.zeros(3), atol=0.05)
    assert torch.allclose(y.std(0), torch.ones(3), atol=0.05)
    assert torch.equal(running_mean(x[:1]), y[:1])  # whatever else is in the batch


def test_levels_must_fit() -> None:
    with pytest.raises(ValueError, match="equally many levels"):
        FaceDecoder(32, 8, 8, (8, 8), (8, 8, 8))
    with pytest.raises(ValueError, match="cannot be halved"):
        FaceDecoder(32, 8, 8, [8] * 7, [8] * 7)


@pytest.mark.parametrize("kind", ["window", "context"])
def test_a_stretch_is_heard_like_its_windows(kind: Any) -> None:
    torch.manual_seed(0)
    options = {"channels": [4, 4, 4], "width": 8, "layers": 1}
    if kind == "window":
        options = {"channels": [4, 4, 4, 4], "blocks": 1}
    encoder = AudioEncoder(6, kind, **options).eval()
    assert kind == "context" or (encoder.steps, encoder.before) == (20, 8)
    mel = torch.randn(2, 80, encoder.steps + 4 * 3)
    whole = encoder.sequence(mel)
    assert whole.shape == (2, 4, 6)
    for i in range(4):
        alone = encoder(mel[:, :, 4 * i : 4 * i + encoder.steps])
        assert torch.allclose(whole[:, i], alone, atol=1e-5)


def test_the_talker_draws_below_what_it_is_given() -> None:
    torch.manual_seed(0)
    talker = MemoryTalker(**TINY).eval()
    target, reference = torch.rand(2, 2, 3, 32, 32) * 2 - 1
    mel = torch.randn(2, 80, talker.audio.steps)
    drawn = talker(target, reference, mel)
    assert drawn.shape == target.shape
    assert torch.equal(drawn[:, :, :16], target[:, :, :16])
    other = target.clone()
    other[:, :, 16:] = 0
    assert torch.equal(talker(other, reference, mel), drawn)  # the target's mouth leaks nowhere
    assert not torch.allclose(talker(target, reference, mel + 1)[:, :, 16:], drawn[:, :, 16:])


def test_the_ablation_goes_round_the_memory() -> None:
    torch.manual_seed(0)
    talker = MemoryTalker(**TINY, recall="audio").eval()
    audio_features = torch.randn(3, 6)
    before, _ = talker.recall(audio_features)
    with torch.no_grad():
        talker.memory.value.add_(1.0)
    assert torch.equal(talker.recall(audio_features)[0], before)
    with pytest.raises(ValueError, match="recall"):
        MemoryTalker(**TINY, recall="nothing")
