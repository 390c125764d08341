"""AT-net, VG-net, its ConvGRU and the discriminator."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lipwright.models.landmark_audio import LandmarkAudio
from lipwright.models.landmark_discriminator import LandmarkDiscriminator
from lipwright.models.landmark_gru import ConvGRU
from lipwright.models.landmark_video import FLOW_LIMIT, Drawn, LandmarkVideo

AUDIO: dict[str, Any] = {
    "channels": (4, 4, 6, 6, 8),
    "dense": 24,
    "hidden": 16,
    "layers": 2,
    "example": (8, 12),
}
VIDEO: dict[str, Any] = {
    "size": 32,
    "down": (4, 6, 8),
    "deep": (10, 12),
    "landmark": 6,
    "bottleneck": 6,
    "blocks": 1,
    "up_channels": (6, 4),
    "dropout": 0.5,
}
DISCRIMINATOR: dict[str, Any] = {
    "size": 32,
    "channels": (4, 6, 8),
    "dense": 16,
    "hidden": 12,
    "layers": 2,
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def video() -> LandmarkVideo:
    return LandmarkVideo(**VIDEO).eval()


def inputs(b: int = 2, t: int = 3, size: int = 32) -> tuple[Tensor, Tensor, Tensor]:
    return torch.rand(b, 3, size, size) * 2 - 1, torch.randn(b, t, 136), torch.randn(b, 136)


class Constant(nn.Module):
    """Gives the same number everywhere, with the right shape."""

    def __init__(self, value: float, channels: int = 1, like: int = 1) -> None:
        super().__init__()
        self.value, self.channels, self.like = value, channels, like

    def forward(self, x: Tensor) -> Tensor:
        side = x.shape[-1] * self.like
        return x.new_full((len(x), self.channels, side, side), self.value)


# -- ConvGRU


def test_conv_gru_against_a_step_by_step_reference() -> None:
    gru = ConvGRU(3, 4, dilation=2).double()
    x = torch.randn(2, 5, 3, 6, 6, dtype=torch.float64)
    states, last = gru(x)
    wi, wh = gru.from_input.weight.chunk(3), gru.from_state.weight.chunk(3)
    bi, bh = gru.from_input.bias.chunk(3), gru.from_state.bias.chunk(3)
    h = torch.zeros(2, 4, 6, 6, dtype=torch.float64)

    def conv(v: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return nn.functional.conv2d(v, w, b, padding=2, dilation=2)

    for t in range(5):
        r = torch.sigmoid(conv(x[:, t], wi[0], bi[0]) + conv(h, wh[0], bh[0]))
        z = torch.sigmoid(conv(x[:, t], wi[1], bi[1]) + conv(h, wh[1], bh[1]))
        n = torch.tanh(conv(x[:, t], wi[2], bi[2]) + r * conv(h, wh[2], bh[2]))
        h = (1 - z) * n + z * h
        assert torch.allclose(states[:, t], h)
    assert torch.equal(last, states[:, -1])


def test_conv_gru_of_one_pixel_is_torchs_gru() -> None:
    gru, plain = ConvGRU(3, 4, kernel=1, dilation=1), nn.GRU(3, 4, batch_first=True)
    with torch.no_grad():
        plain.weight_ih_l0.copy_(gru.from_input.weight[:, :, 0, 0])
        plain.weight_hh_l0.copy_(gru.from_state.weight[:, :, 0, 0])
        plain.bias_ih_l0.copy_(gru.from_input.bias)
        plain.bias_hh_l0.copy_(gru.from_state.bias)
        x = torch.randn(2, 6, 3)
        assert torch.allclose(gru(x[..., None, None])[0][..., 0, 0], plain(x)[0], atol=1e-6)


def test_conv_gru_in_pieces() -> None:
    gru = ConvGRU(2, 3)
    x = torch.randn(1, 6, 2, 5, 5)
    whole, _ = gru(x)
    first, state = gru(x[:, :2])
    rest, _ = gru(x[:, 2:], state)
    assert torch.allclose(torch.cat([first, rest], 1), whole, atol=1e-6)


# -- AT-net


@pytest.mark.parametrize(("features", "bands"), [("mfcc", 12), ("mel", 80)])
def test_audio_follows_any_length_and_goes_on(features: str, bands: int) -> None:
    net = LandmarkAudio(features=features, **AUDIO).eval()
    sound, example = torch.randn(2, 7, bands, 28), torch.randn(2, 6)
    whole, _ = net(example, sound)
    assert whole.shape == (2, 7, 6)
    state, pieces = None, []
    for part in sound.split([1, 4, 2], dim=1):
        out, state = net(example, part, state)
        pieces.append(out)
    assert torch.allclose(torch.cat(pieces, 1), whole, atol=1e-5)


def test_audio_of_the_published_size() -> None:
    net = LandmarkAudio()
    assert net.sound_dense[0].in_features == 12_288  # 512 maps of 12 x 2
    assert net.lstm.input_size == 768


def test_mel_front_end_starts_as_a_cosine_transform() -> None:
    net = LandmarkAudio(features="mel", **AUDIO)
    rows = net.front.weight.detach()
    assert torch.allclose(rows @ rows.T, torch.eye(12), atol=1e-5)
    assert torch.allclose(rows.sum(1), torch.zeros(12), atol=1e-5)  # loudness is left out


def test_unknown_features_are_refused() -> None:
    with pytest.raises(ValueError, match="mfcc, mel or whisper"):
        LandmarkAudio(features="plp")


# -- VG-net


def test_shapes_ranges_and_the_blend(video: LandmarkVideo) -> None:
    picture, landmarks, example = inputs()
    d = video(picture, landmarks, example)
    assert isinstance(d, Drawn)
    assert d.frames.shape == d.colour.shape == (2, 3, 3, 32, 32)
    assert d.alpha.shape == (2, 3, 1, 32, 32)
    assert d.attention.shape == (2, 3, 1, 8, 8)
    for x in (d.alpha, d.attention):
        assert 0.0 <= float(x.detach().min()) <= float(x.detach().max()) <= 1.0
    assert float(d.colour.detach().abs().max()) <= 1.0
    blend = d.alpha * d.colour + (1 - d.alpha) * picture[:, None]
    assert torch.allclose(d.frames, blend, atol=1e-6)


def test_alpha_zero_is_the_example_and_alpha_one_what_was_drawn(video: LandmarkVideo) -> None:
    picture, landmarks, example = inputs()
    video.head_alpha = Constant(0.0)
    assert torch.equal(
        video(picture, landmarks, example).frames, picture[:, None].expand(-1, 3, -1, -1, -1)
    )
    video.head_alpha = Constant(1.0)
    drawn = video(picture, landmarks, example)
    assert torch.equal(drawn.frames, drawn.colour)


def test_attention_zero_lets_only_the_picture_through(video: LandmarkVideo) -> None:
    picture, landmarks, example = inputs()
    seen: list[Tensor] = []
    video.base.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    video.attention = Constant(0.0, like=4)
    video(picture, landmarks, example)
    fine, _ = video.encode(picture)
    assert torch.equal(seen[0], fine[:, None].expand(-1, 3, -1, -1, -1).flatten(0, 1))


def test_no_motion_is_zero(video: LandmarkVideo) -> None:
    picture, _, example = inputs()
    seen: list[Tensor] = []
    video.bottleneck.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    video(picture, example[:, None].expand(-1, 4, -1), example)
    motion = seen[0][:, VIDEO["deep"][-1] :]
    assert motion.shape[1] == VIDEO["deep"][-1]
    # Up to rounding: some processors add up a batch of four in another order than one of one.
    assert motion.abs().max() < 1e-5


def test_a_sequence_in_pieces_and_a_picture_for_each_frame(video: LandmarkVideo) -> None:
    picture, landmarks, example = inputs(1, 5)
    whole = video(picture, landmarks, example).frames
    state, pieces = None, []
    for part in landmarks.split([2, 1, 2], dim=1):
        drawn = video(picture, part, example, state)
        state = drawn.state
        pieces.append(drawn.frames)
    assert torch.allclose(torch.cat(pieces, 1), whole, atol=1e-5)
    each = video(
        picture[:, None].expand(-1, 5, -1, -1, -1), landmarks, example[:, None].expand(-1, 5, -1)
    )
    assert torch.allclose(each.frames, whole, atol=1e-5)


def test_landmarks_of_later_frames_do_not_reach_back(video: LandmarkVideo) -> None:
    picture, landmarks, example = inputs(1, 4)
    other = landmarks.clone()
    other[:, 2:] += 1.0
    a, b = video(picture, landmarks, example).frames, video(picture, other, example).frames
    assert torch.equal(a[:, :2], b[:, :2])
    assert not torch.equal(a[:, 2], b[:, 2])


@pytest.mark.parametrize("kind", ["batch", "group"])
def test_the_larger_variant(kind: str) -> None:
    given = {**VIDEO, "size": 64, "down": (4, 4, 6, 8), "up_channels": (6, 4, 4)}
    net = LandmarkVideo(norm_kind=kind, **given).eval()
    assert net.side == 2
    d = net(*inputs(1, 2, 64))
    assert d.frames.shape == (1, 2, 3, 64, 64)
    assert d.attention.shape[-1] == 8


def test_the_published_size() -> None:
    with torch.device("meta"):
        net = LandmarkVideo()
    assert net.side == 8
    shapes = {k: tuple(v.shape) for k, v in net.state_dict().items()}
    assert shapes["gru.from_state.weight"] == (1536, 512, 3, 3)
    assert shapes["landmark.0.weight"] == (64, 136)
    assert shapes["head_alpha.0.weight"] == (1, 32, 7, 7)
    with torch.device("meta"):
        large = LandmarkVideo(size=256, down=(32, 64, 64, 128), up_channels=(64, 32, 16))
    assert large.side == 8


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="doublings"):
        LandmarkVideo(**{**VIDEO, "size": 40})


# -- discriminator


@pytest.mark.parametrize("t", [1, 5, 16])
def test_discriminator_of_any_length(t: int) -> None:
    discriminator = LandmarkDiscriminator(**DISCRIMINATOR).eval()
    frames, example = torch.rand(3, t, 3, 32, 32) * 2 - 1, torch.randn(3, 136)
    with torch.no_grad():
        real, found = discriminator(frames, example)
    assert real.shape == (3,)
    assert 0.0 < float(real.min()) <= float(real.max()) < 1.0
    assert found.shape == (3, t, 136)
    assert float((found - example[:, None]).abs().max()) <= 1.0


def test_discriminator_turns_with_the_batch() -> None:
    discriminator = LandmarkDiscriminator(**DISCRIMINATOR).eval()
    frames, example = torch.rand(3, 4, 3, 32, 32), torch.randn(3, 136)
    order = torch.tensor([2, 0, 1])
    real, found = discriminator(frames, example)
    turned_real, turned_found = discriminator(frames[order], example[order])
    assert torch.allclose(turned_real, real[order], atol=1e-6)
    assert torch.allclose(turned_found, found[order], atol=1e-6)


def test_the_score_is_the_mean_before_the_sigmoid() -> None:
    discriminator = LandmarkDiscriminator(**DISCRIMINATOR).eval()
    frames, example = torch.rand(1, 6, 3, 32, 32), torch.randn(1, 136)
    scores: list[Tensor] = []
    discriminator.head_real.register_forward_hook(lambda *x: scores.append(x[2]))
    real, _ = discriminator(frames, example)
    assert torch.allclose(real, torch.sigmoid(scores[0].mean()))


def points(b: int = 2, t: int = 3) -> tuple[Tensor, Tensor]:
    here = torch.rand(b, 68, 2) - 0.5
    return here, here[:, None].expand(-1, t, -1, -1)


def smooth_picture() -> Tensor:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    return torch.stack([x, y, x * y])[None].repeat(2, 1, 1, 1) * 0.8


def test_a_moved_picture_begins_as_the_example_where_nothing_moves() -> None:
    network = LandmarkVideo(**VIDEO, colour="moved").eval()
    picture, landmarks, example = inputs()
    drawn = network(picture, landmarks, example, None, *points())
    assert torch.allclose(drawn.colour, picture[:, None].expand_as(drawn.colour), atol=1e-5)
    assert torch.allclose(drawn.frames, drawn.colour, atol=1e-5)


def test_a_moved_picture_follows_its_points() -> None:
    """All points go 4 of 32 pixels to the left: so does what lies between them."""
    network = LandmarkVideo(**VIDEO, colour="moved").eval()
    _, landmarks, example = inputs()
    picture = smooth_picture()
    here, there = points()
    drawn = network(picture, landmarks, example, None, here, there - torch.tensor([0.25, 0.0]))
    expected = picture[:, None, :, 12:20, 16:24].expand(-1, 3, -1, -1, -1)
    assert torch.allclose(drawn.colour[..., 12:20, 12:20], expected, atol=0.05)


def test_the_flow_of_landmarks_fades_and_is_corrected() -> None:
    """Far from all points the picture comes from one pixel to the right, as the network says."""
    network = LandmarkVideo(**VIDEO, colour="moved").eval()
    bias = network.head_flow[0].bias
    assert isinstance(bias, Tensor)
    bias.data[0] = torch.tensor(2 / 32 / FLOW_LIMIT).atanh()
    _, landmarks, example = inputs()
    picture = smooth_picture()
    here, there = points()
    drawn = network(picture, landmarks, example, None, 0.1 * here, 0.1 * there + 0.2)
    expected = picture[:, None, :, 28:, 29:].expand(-1, 3, -1, -1, -1)
    assert torch.allclose(drawn.colour[..., 28:, 28:-1], expected, atol=1e-3)


def test_corrections_learn_from_the_first_step() -> None:
    network = LandmarkVideo(**VIDEO, colour="moved")
    picture, landmarks, example = inputs()
    network(picture, landmarks, example, None, *points()).frames.square().mean().backward()
    for head in (network.head_flow, network.head_colour):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


def test_nothing_is_moved_without_points() -> None:
    with pytest.raises(ValueError, match="points"):
        LandmarkVideo(**VIDEO, colour="moved")(*inputs())
