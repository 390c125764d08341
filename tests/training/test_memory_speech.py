"""An audio encoder that begins as a trained speech network predicts its motions from the start."""

from __future__ import annotations

import pytest
import torch

from lipwright.errors import LipwrightError
from lipwright.methods.registry import shipped
from lipwright.models.encoder_lips import EncoderToLips
from lipwright.models.speech_networks import build_speech_network
from lipwright.training.stages.memory_speech import begin_as_speech_network
from lipwright.weights.checkpoint import load_checkpoint


def test_the_first_numbers_of_the_audio_feature_are_the_predicted_motions() -> None:
    trained = load_checkpoint(shipped("vq")).build("speech", build_speech_network).eval()
    assert isinstance(trained, EncoderToLips)
    audio = EncoderToLips(dim=12, width=160, layers=5, dropout=0.1, members=3).eval()
    features = torch.randn(1, 768, 13, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = trained.sequence(features)
        assert not torch.allclose(audio.sequence(features)[..., :8], wanted, atol=1e-2)
        begin_as_speech_network(audio, "vq")
        made = audio.sequence(features)
    assert made.shape == (1, 3, 12)
    torch.testing.assert_close(made[..., :8], wanted)
    assert made[..., 8:].std() > 0  # the other numbers are left as they were drawn


@pytest.mark.parametrize(
    ("source", "arguments", "words"),
    [
        ("vq", {"members": 1, "layers": 5}, "audio.members=3"),
        ("vq", {"members": 3, "layers": 6}, "audio.layers=5"),
        ("memory", {"members": 3, "layers": 5}, "no speech network on a speech encoder"),
        ("nowhere.safetensors", {"members": 3, "layers": 5}, "audio_from=nowhere.safetensors"),
    ],
)
def test_other_networks_are_refused(source: str, arguments: dict[str, int], words: str) -> None:
    with pytest.raises(LipwrightError, match=words):
        begin_as_speech_network(EncoderToLips(dim=8, width=160, **arguments), source)
