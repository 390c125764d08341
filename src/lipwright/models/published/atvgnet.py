"""Key names of ATVGnet's published checkpoints (Chen et al., CVPR 2019).

``atnet_lstm_18.pth`` and ``generator_23.pth`` hold plain state dicts, some with the prefix
``module.``. Their convolutions come as ``N.0`` (convolution), ``N.1`` (batch normalisation); the
ConvGRU holds bare tensors. A convolution without a bias there gets zeros here.

The published networks think in the published landmark space: its mean and components belong to the
files ``mean_*.npy`` and ``U_*.npy`` of that release, which are given as arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lipwright.errors import LipwrightError

AUDIO_ARGUMENTS: dict[str, Any] = {"components": 6, "features": "mfcc", "steps": 28, "bands": 12}
VIDEO_ARGUMENTS: dict[str, Any] = {"size": 128, "norm_kind": "batch"}
"""The defaults of our networks are the published sizes."""

_AUDIO = {
    "lmark_encoder": "example",
    "audio_eocder": "sound",  # spelt so in the files
    "audio_eocder_fc": "sound_dense",
    "lstm": "lstm",
    "lstm_fc.0": "head",
}
_VIDEO = {
    "image_encoder1": "picture1",
    "image_encoder2": "picture2",
    "landmark_encoder": "landmark",
    "landmark_encoder_stage2.0": "landmark_q",
    "lmark_feature.0": "landmark_r",
    "lmark_att": "attention",
    "bottle_neck.0": "bottleneck",
    "generator1": "generator",
    "base": "base",
    "generator_color": "head_colour",
    "generator_attention": "head_alpha",
}
_GRU = {
    "convGRU.weight_ih_l0": "gru.from_input.weight",
    "convGRU.bias_ih_l0": "gru.from_input.bias",
    "convGRU.weight_hh_l0": "gru.from_state.weight",
    "convGRU.bias_hh_l0": "gru.from_state.bias",
}


def audio_state(state: Mapping[str, Tensor], ours: nn.Module) -> dict[str, Tensor]:
    """State dict of the published AT-net for a :class:`LandmarkAudio`."""
    return _converted(state, _AUDIO, ours, "AT-net")


def video_state(state: Mapping[str, Tensor], ours: nn.Module) -> dict[str, Tensor]:
    """State dict of the published VG-net for a :class:`LandmarkVideo`."""
    return _converted(state, _VIDEO, ours, "VG-net")


def _converted(
    state: Mapping[str, Tensor], names: Mapping[str, str], ours: nn.Module, what: str
) -> dict[str, Tensor]:
    """Published names to ours; every tensor of ours must be there and fit.

    Raises:
        LipwrightError: a tensor that does not belong here, is missing, or has another shape.
    """
    wanted = ours.state_dict()
    out: dict[str, Tensor] = {}
    for key, value in state.items():
        plain = key.removeprefix("module.")
        name = _GRU.get(plain) or _renamed(plain, names)
        if name is None or name not in wanted:
            raise LipwrightError(
                f"the checkpoint has a tensor '{key}', which {what} does not have; give the "
                "published file."
            )
        if wanted[name].shape != value.shape:
            raise LipwrightError(
                f"the tensor '{key}' has the shape {tuple(value.shape)}, {what} needs "
                f"{tuple(wanted[name].shape)}; give the published file."
            )
        out[name] = value
    for name in _missing(wanted, out):
        if not name.endswith((".bias", ".num_batches_tracked")):
            raise LipwrightError(f"the checkpoint of {what} has nothing for '{name}'.")
        out[name] = torch.zeros_like(wanted[name])
    return out


def _renamed(key: str, names: Mapping[str, str]) -> str | None:
    """Our name of a published tensor."""
    # The longest prefix first: 'lstm_fc.0' before 'lstm'.
    for old in sorted(names, key=len, reverse=True):
        if key.startswith(old + "."):
            return names[old] + _inside(names[old], key[len(old) :])
    return None


def _inside(module: str, rest: str) -> str:
    """Residual blocks call their layers ``conv_block`` there."""
    return rest.replace(".conv_block.", ".layers.") if module == "generator" else rest


def _missing(wanted: Iterable[str], have: Mapping[str, Tensor]) -> list[str]:
    return [name for name in wanted if name not in have]
