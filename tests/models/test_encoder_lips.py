"""Speech networks on top of a frozen encoder: frames, ends, members."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from lipwright.models.encoder_lips import EncoderToLips, by_frame
from lipwright.models.speech_lips import SpeechToLips
from lipwright.models.speech_networks import build_speech_network


def network(members: int = 2) -> EncoderToLips:
    torch.manual_seed(0)
    return EncoderToLips(3, 8, 2, 0.1, members, 16, 2, 1).eval()


def test_the_two_columns_of_a_frame_lie_one_after_another() -> None:
    features = torch.arange(10.0).view(1, 1, 10) + torch.tensor([0.0, 100.0]).view(1, 2, 1)
    found = by_frame(features)
    assert found.shape == (1, 4, 5)
    assert found[0, :, 1].tolist() == [2.0, 102.0, 3.0, 103.0]


def test_a_recording_tells_at_its_frames_what_training_sees() -> None:
    net = network()
    log_power = torch.rand(80, 41) * 6 - 8
    with torch.no_grad():
        found = net.dense(log_power)
        heard = net.encoder.recording(log_power)  # 21 columns: ten frames and a half
        heard = F.pad(heard[None], (4, 5), mode="replicate")
        frames = net.sequence(by_frame(heard[:, :, :28]))[0].T  # frames 0 .. 9
    assert found.shape == (3, 41)
    assert torch.allclose(found[:, 0:40:4], frames[:, :10], atol=1e-5)
    between = (found[:, 0:38:2] + found[:, 2:40:2]) / 2
    assert torch.allclose(found[:, 1:39:2], between, atol=1e-6)


def test_members_are_averaged_and_the_encoder_is_frozen() -> None:
    net = network()
    features = torch.randn(1, 32, 9)
    with torch.no_grad():
        each = [member(features) for member in net.members]
        assert torch.allclose(net.sequence(features), (each[0] + each[1]) / 2, atol=1e-6)
    assert not torch.allclose(each[0], each[1], atol=1e-3)
    assert not any(p.requires_grad for p in net.encoder.parameters())
    assert all(p.requires_grad for p in net.members.parameters())


def test_recordings_of_any_length() -> None:
    net = network(1)
    for columns in (1, 2, 3, 4, 5, 101):
        with torch.no_grad():
            found = net.dense(torch.full((80, columns), -10.0))
        assert found.shape == (3, columns)
        assert bool(found.isfinite().all())


def test_a_header_says_which_network_it_is() -> None:
    small = {"dim": 3, "width": 8, "layers": 1}
    assert isinstance(build_speech_network(**small), SpeechToLips)
    made = build_speech_network("encoder", **small, encoder_width=16)
    assert isinstance(made, EncoderToLips)
    with pytest.raises(ValueError, match="kind"):
        build_speech_network("other")
