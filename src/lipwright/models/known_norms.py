"""Group normalisation with statistics that are known before a picture is drawn.

A group normalisation takes mean and variance from the picture that passes it, so the picture has to
be there as a whole, and runtimes for CPUs leave their fast memory layout for it. But the frames of
one face in one shot resemble the person's reference frames so much that statistics of the
references serve as well. What is left of a normalisation then is a scale and a shift of every
channel, and a network may compute only the part of a picture that is shown
(:mod:`lipwright.models.region_decoder`, :mod:`lipwright.models.pose_cells`).
docs/methods/vq.md says how far the pictures differ.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def scale_and_shift(layer: nn.GroupNorm, x: Tensor) -> tuple[Tensor, Tensor]:
    """What a group normalisation does to maps (B, C, h, w): scale and shift, (B, C) each."""
    # By way of channels: maps keep the layout in which a CPU's convolutions leave them.
    each = layer.num_channels // layer.num_groups
    mean = _of_groups(x.mean((2, 3)), each)
    variance = _of_groups((x - mean[:, :, None, None]).square().mean((2, 3)), each)
    scale = (variance + layer.eps).rsqrt() * layer.weight
    return scale, layer.bias - mean * scale


def _of_groups(channels: Tensor, each: int) -> Tensor:
    """(B, C) -> (B, C), the mean over groups of so many channels."""
    means = channels.reshape(len(channels), -1, each).mean(2)
    return means.repeat_interleave(each, 1)


class RecordedNorms:
    """Normalises as the layers do, and keeps what came out.

    Call it in the place of a layer: ``recorded(layer, x)``.
    """

    def __init__(self) -> None:
        self._parts: list[Tensor] = []

    def __call__(self, layer: nn.GroupNorm, x: Tensor) -> Tensor:
        """(B, C, h, w) -> the same, normalised."""
        scale, shift = scale_and_shift(layer, x)
        self._parts += [scale, shift]
        return _applied(x, scale, shift)

    def vector(self) -> Tensor:
        """(B, N): scale and shift of every layer in the order in which they were called."""
        return torch.cat(self._parts, 1)


class KnownNorms:
    """Normalises by numbers that :class:`RecordedNorms` has kept; for one pass of a network.

    Args:
        vector: (1, N) or (B, N), scale and shift of every layer in the order of the calls.
    """

    def __init__(self, vector: Tensor) -> None:
        self._vector = vector
        self._next = 0

    def __call__(self, layer: nn.GroupNorm, x: Tensor) -> Tensor:
        """(B, C, h, w) -> the same, normalised."""
        c, start = layer.num_channels, self._next
        self._next += 2 * c
        scale = self._vector[:, start : start + c]
        return _applied(x, scale, self._vector[:, start + c : start + 2 * c])


def _applied(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return x * scale[:, :, None, None] + shift[:, :, None, None]
