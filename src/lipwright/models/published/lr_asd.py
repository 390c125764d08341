"""LR-ASD (Liao et al., "LR-ASD: Lightweight and Robust Network for Active Speaker Detection",
IJCV 2025): does this face speak? 0.84 million parameters.

Two encoders of three blocks each, whose convolutions are split into one over space (pictures) or
over coefficients (sound) and one over time; a gate over both together; a recurrent network in each
direction, and a gate over these. The published file is a plain state dict, with a head for training
besides (``lossV``), which is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from lipwright.errors import LipwrightError

WIDTHS = (1, 32, 64, 128)
KERNELS = (5, 3)
SIDE = 112
"""Side of the grey pictures of faces."""
COLUMNS = 4
"""Columns of MFCC per picture, 100 and 25 a second."""
MEAN, DEVIATION = 0.4161, 0.1688
"""Of the grey values in [0, 1]."""
EPSILON = 1e-3
"""Of the normalisations."""
_UNITS = {"1": 0, "2": 1}


class LrAsd(nn.Module):
    """The network."""

    def __init__(self) -> None:
        super().__init__()
        self.faces = nn.ModuleList(
            _block(narrow, wide, _over_space, nn.BatchNorm3d, stride=2 if narrow == 1 else 1)
            for narrow, wide in pairwise(WIDTHS)
        )
        self.speech = nn.ModuleList(
            _block(narrow, wide, _over_coefficients, nn.BatchNorm2d)
            for narrow, wide in pairwise(WIDTHS)
        )
        both = 2 * WIDTHS[-1]
        self.gate = _Gate(both)
        self.forward_in_time = nn.GRU(both, both // 4, batch_first=True)
        self.backward_in_time = nn.GRU(both, both // 4, batch_first=True)
        self.last_gate = _Gate(both // 2)
        self.head = nn.Linear(both // 2, 2)
        self.space_pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.time_pool = nn.MaxPool2d((1, 3), (1, 2), (0, 1))

    def forward(self, faces: Tensor, mfcc: Tensor) -> Tensor:
        """How much speaks for each face speaking.

        Args:
            faces: (B, T, 112, 112) grey in 0..255 at 25 a second.
            mfcc: (B, 4 T, 13) as :func:`lipwright.media.mfcc13.mfcc13` gives it.

        Returns:
            (B, T) scores; above 0 it speaks.
        """
        seen = ((faces / 255.0 - MEAN) / DEVIATION).unsqueeze(1)
        heard = mfcc.transpose(1, 2).unsqueeze(1)
        for place, (see, hear) in enumerate(zip(self.faces, self.speech, strict=True)):
            if place:
                seen, heard = self.space_pool(seen), self.time_pool(heard)
            seen, heard = see(seen), hear(heard)
        together = self.gate(torch.cat([heard.mean(dim=2), seen.amax(dim=(3, 4))], dim=1))
        steps = together.transpose(1, 2)
        onward, _ = self.forward_in_time(steps)
        back, _ = self.backward_in_time(steps.flip(1))
        out = self.last_gate(torch.cat([onward, back.flip(1)], dim=2).transpose(1, 2))
        scores: Tensor = self.head(out.transpose(1, 2))[..., 1]
        return scores


class _Gate(nn.Module):
    """Channels, each times a number in [0, 1] that all of them at that time decide."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv1d(channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm1d(channels, EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> the same shape."""
        gated: Tensor = x * torch.sigmoid(self.norm(self.mix(x)))
        return gated


def _over_space(c_in: int, c_out: int, size: int, stride: int, time: bool) -> nn.Module:
    half = size // 2
    if time:
        return nn.Conv3d(c_in, c_out, (size, 1, 1), padding=(half, 0, 0), bias=False)
    strides, padding = (1, stride, stride), (0, half, half)
    return nn.Conv3d(c_in, c_out, (1, size, size), strides, padding, bias=False)


def _over_coefficients(c_in: int, c_out: int, size: int, stride: int, time: bool) -> nn.Module:
    half = size // 2
    kernel, padding = ((1, size), (0, half)) if time else ((size, 1), (half, 0))
    return nn.Conv2d(c_in, c_out, kernel, stride, padding, bias=False)


def _block(
    c_in: int,
    c_out: int,
    convolution: Callable[[int, int, int, int, bool], nn.Module],
    normalisation: Callable[[int, float], nn.Module],
    stride: int = 1,
) -> nn.Sequential:
    """Two convolutions over space or coefficients, two over time, each normalised and rectified."""
    widths = ((c_in, c_out // 2), (c_out // 2, c_out), (c_out, c_out), (c_out, c_out))
    layers: list[nn.Module] = []
    for place, (narrow, wide) in enumerate(widths):
        step = stride if place == 0 else 1
        layers += [
            convolution(narrow, wide, KERNELS[place % 2], step, place >= 2),
            normalisation(wide, EPSILON),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published names -> ours.

    Raises:
        LipwrightError: a name that LR-ASD does not have.
    """
    found = {}
    for key, value in state.items():
        plain = key.removeprefix("module.")
        if plain.startswith("lossV."):
            continue
        name = _renamed(plain)
        if name is None:
            raise LipwrightError(
                f"the checkpoint has a tensor '{key}', which LR-ASD does not have; give the "
                "published file."
            )
        found[name] = value
    return found


_PLAIN = {
    "lossAV.FC.": "head.",
    "model.fusion.attention.": "gate.mix.",
    "model.fusion.bn.": "gate.norm.",
    "model.detector.gru_forward.": "forward_in_time.",
    "model.detector.gru_backward.": "backward_in_time.",
    "model.detector.attention.attention.": "last_gate.mix.",
    "model.detector.attention.bn.": "last_gate.norm.",
}
_ENCODERS = {"visualEncoder": ("faces", "s"), "audioEncoder": ("speech", "m")}


def _renamed(key: str) -> str | None:
    for theirs, ours in _PLAIN.items():
        if key.startswith(theirs):
            return ours + key.removeprefix(theirs)
    parts = key.split(".")
    if len(parts) != 5 or parts[0] != "model" or parts[1] not in _ENCODERS:
        return None
    part, first = _ENCODERS[parts[1]]
    block, layer, leaf = parts[2], parts[3], parts[4]
    kind, _, number = layer.rpartition("_")
    places = {first: 0, f"{first}_norm": 1, "t": 6, "t_norm": 7}
    if block not in ("block1", "block2", "block3") or kind not in places or number not in _UNITS:
        return None
    return f"{part}.{int(block[-1]) - 1}.{places[kind] + 3 * _UNITS[number]}.{leaf}"
