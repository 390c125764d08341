"""ATVGnet's published checkpoints: random weights under their names and in their shapes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lipwright.errors import LipwrightError
from lipwright.models.landmark_audio import LandmarkAudio
from lipwright.models.landmark_discriminator import LandmarkDiscriminator
from lipwright.models.landmark_video import LandmarkVideo
from lipwright.models.published.atvgnet import audio_state, video_state

DISCRIMINATOR = {
    "image_encoder_dis": "picture",
    "img_fc": "picture_dense",
    "encoder": "example",
    "lstm_fc": "head_landmarks",
    "lstm": "lstm",
    "decision.0": "head_real",
}
"""Its layers as published, and ours."""
Layout = dict[str, tuple[int, ...]]


def conv(name: str, c_out: int, c_in: int, kernel: int = 3, *, normal: bool = True) -> Layout:
    out: Layout = {f"{name}.0.weight": (c_out, c_in, kernel, kernel), f"{name}.0.bias": (c_out,)}
    return out | (batch_norm(f"{name}.1", c_out) if normal else {})


def batch_norm(name: str, channels: int) -> Layout:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (channels,) for part in parts} | {f"{name}.num_batches_tracked": ()}


def linear(name: str, wide_out: int, wide_in: int) -> Layout:
    return {f"{name}.weight": (wide_out, wide_in), f"{name}.bias": (wide_out,)}


def lstm(first: int, hidden: int = 256, layers: int = 3) -> Layout:
    out: Layout = {}
    for k in range(layers):
        out[f"lstm.weight_ih_l{k}"] = (4 * hidden, first if k == 0 else hidden)
        out[f"lstm.weight_hh_l{k}"] = (4 * hidden, hidden)
        out |= {f"lstm.bias_{x}_l{k}": (4 * hidden,) for x in ("ih", "hh")}
    return out


def audio_layout() -> Layout:
    return {
        **linear("lmark_encoder.0", 256, 6),
        **linear("lmark_encoder.2", 512, 256),
        **conv("audio_eocder.0", 64, 1),
        **conv("audio_eocder.1", 128, 64),
        **conv("audio_eocder.3", 256, 128),
        **conv("audio_eocder.4", 256, 256),
        **conv("audio_eocder.5", 512, 256),
        **linear("audio_eocder_fc.0", 2048, 12_288),
        **linear("audio_eocder_fc.2", 256, 2048),
        **lstm(768),
        **linear("lstm_fc.0", 6, 256),
    }


def video_layout() -> Layout:
    out: Layout = {
        **conv("image_encoder1.1", 64, 3, 7),
        **conv("image_encoder1.2", 64, 64),
        **conv("image_encoder1.3", 128, 64),
        **conv("image_encoder2.0", 256, 128),
        **conv("image_encoder2.1", 512, 256),
        **linear("landmark_encoder.0", 64, 136),
        **conv("landmark_encoder_stage2.0", 256, 1),
        **conv("lmark_feature.0", 512, 256),
        **conv("lmark_att.6", 1, 128, normal=False),
        **conv("bottle_neck.0", 128, 1024),
        "convGRU.weight_ih_l0": (1536, 128, 3, 3),
        "convGRU.weight_hh_l0": (1536, 512, 3, 3),
        "convGRU.bias_ih_l0": (1536,),
        "convGRU.bias_hh_l0": (1536,),
        **conv("generator_color", 3, 32, 7, normal=False),
        **conv("generator_attention", 1, 32, 7, normal=False),
    }
    for place, c_in, c_out in ((0, 512, 256), (3, 256, 128)):
        out[f"lmark_att.{place}.weight"] = (c_in, c_out, 3, 3)
        out[f"lmark_att.{place}.bias"] = (c_out,)
        out |= batch_norm(f"lmark_att.{place + 1}", c_out)
        out[f"generator1.{9 + place}.weight"] = (c_in, c_out, 3, 3)
        out |= batch_norm(f"generator1.{10 + place}", c_out)
    for place, c_in, c_out in ((0, 128, 64), (3, 64, 32)):
        out[f"base.{place}.weight"] = (c_in, c_out, 3, 3)
        out |= batch_norm(f"base.{place + 1}", c_out)
    for k in range(9):
        for conv_place, norm_place in ((0, 1), (4, 5)):
            out[f"generator1.{k}.conv_block.{conv_place}.weight"] = (512, 512, 3, 3)
            out |= batch_norm(f"generator1.{k}.conv_block.{norm_place}", 512)
    return out


def discriminator_layout() -> Layout:
    """Without its ``decoder``, which is built there and never used."""
    return {
        **conv("image_encoder_dis.0", 64, 3, normal=False),
        **conv("image_encoder_dis.1", 128, 64),
        **conv("image_encoder_dis.2", 256, 128),
        **conv("image_encoder_dis.3", 512, 256),
        **linear("encoder.0", 256, 136),
        **linear("encoder.2", 512, 256),
        **linear("img_fc.0", 512, 32_768),
        **lstm(1024),
        **linear("lstm_fc.0", 136, 256),
        **linear("decision.0", 1, 256),
    }


def filled(layout: Layout) -> dict[str, Tensor]:
    """A different number in every tensor; nothing is allocated that is not needed."""
    return {
        name: torch.tensor(float(i)).expand(shape) if shape else torch.tensor(i)
        for i, (name, shape) in enumerate(layout.items())
    }


@pytest.mark.parametrize(
    ("make", "convert", "layout"),
    [
        (LandmarkAudio, audio_state, audio_layout()),
        (LandmarkVideo, video_state, video_layout()),
    ],
)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_tensor_finds_its_place(make, convert, layout: Layout, prefix: str) -> None:
    network = plain(make)
    state = {prefix + name: value for name, value in filled(layout).items()}
    ours = convert(state, network)
    wanted = network.state_dict()
    assert set(ours) == set(wanted)
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in wanted.items()}
    given = {float(v.flatten()[0]) for v in state.values()}
    assert {float(v.flatten()[0]) for v in ours.values()} == given  # none twice, none lost


def test_the_discriminator_has_the_published_layers() -> None:
    wanted = plain(LandmarkDiscriminator).state_dict()
    found = {}
    for name, shape in discriminator_layout().items():
        there = next(there for there in DISCRIMINATOR if name.startswith(f"{there}."))
        found[DISCRIMINATOR[there] + name.removeprefix(there)] = shape
    assert found == {name: tuple(value.shape) for name, value in wanted.items()}


def plain(make: type[nn.Module]) -> nn.Module:
    """The network without memory for its weights, where its constructor allows that."""
    if make is LandmarkAudio:
        return make()
    with torch.device("meta"):
        return make()


def test_the_same_places_in_the_same_order() -> None:
    """Layers that lie beside one another there lie beside one another here."""
    ours = video_state(filled(video_layout()), plain(LandmarkVideo))
    numbers = {name: i for i, name in enumerate(video_layout())}
    for there, here in (
        ("image_encoder1.2.0.weight", "picture1.2.0.weight"),
        ("generator1.8.conv_block.4.weight", "generator.8.layers.4.weight"),
        ("generator1.12.weight", "generator.12.weight"),
        ("lmark_att.6.0.bias", "attention.6.0.bias"),
        ("convGRU.weight_hh_l0", "gru.from_state.weight"),
        ("generator_attention.0.bias", "head_alpha.0.bias"),
    ):
        assert float(ours[here].flatten()[0]) == numbers[there]


def test_what_does_not_fit_is_refused() -> None:
    network = plain(LandmarkVideo)
    state = filled(video_layout())
    with pytest.raises(LipwrightError, match="'more'"):
        video_state({**state, "more": torch.zeros(1)}, network)
    with pytest.raises(LipwrightError, match="shape"):
        video_state({**state, "landmark_encoder.0.weight": torch.zeros(1, 9)}, network)
    state.pop("bottle_neck.0.0.weight")
    with pytest.raises(LipwrightError, match="bottleneck"):
        video_state(state, network)


def test_a_convolution_without_a_bias_gets_zeros() -> None:
    state = filled(video_layout())
    state.pop("image_encoder1.3.0.bias")
    ours = video_state(state, plain(LandmarkVideo))
    assert ours["picture1.3.0.bias"].shape == (128,)
