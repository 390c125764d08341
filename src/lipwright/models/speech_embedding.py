"""Google's speech embedding network, as a front end of the networks that listen.

Lin, Kilgour, Roblek, Sharifi, "Training Keyword Spotters with Limited and Synthesized Speech Data"
(ICASSP 2020): five blocks of 1x3 and 3x1 convolutions, trained to tell some five thousand spoken
keywords apart in a very large collection of speech of thousands of people. It was trained on far
more voices than any corpus of aligned faces holds. Its own output lies 80 ms apart; here it is
tapped where one column is 40 ms, a frame of 25 fps, at two depths.

The published network hears 32 bands of *power*, 60 to 3800 Hz, from a 25 ms window. Ours hears the
80 bands that every method here gets (``media.mel``), and :class:`Bands` turns them
into such 32 bands, by the constants of both transforms alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MEL_BANDS, MEL_LOW, MEL_HIGH = 80, 55.0, 7_600.0
"""The mel spectrogram that comes in, as ``media.mel`` makes it (a test compares the two)."""
MEL_RATE, MEL_FFT, PRE_EMPHASIS = 16_000, 800, 0.97
MEL_LIMIT, MEL_FLOOR_DB, MEL_REFERENCE_DB = 4.0, -100.0, 20.0
COLUMNS_PER_FRAME = 4

BANDS, LOW, HIGH = 32, 60.0, 3_800.0
"""The published front end: Slaney bands of unit area over power, in hertz."""
_RATE, _WINDOW, _FFT, _FULL_SCALE = 16_000, 400, 512, 32_767.0  # Hann window; 16 bit samples
SLOPE, LEAST = 0.2, -0.4  # the activation: max(leaky ReLU, -0.4)

# (1x3 or 3x1, input channels, output channels); "across" or "both" halve bands, or bands and time.
_PLAN: tuple[tuple[str, int, int], ...] = (
    *(("bands", 24, 24), ("time", 24, 24), ("both", 0, 0)),
    *(("bands", 24, 48), ("time", 48, 48), ("bands", 48, 48), ("time", 48, 48), ("across", 0, 0)),
    *(("bands", 48, 72), ("time", 72, 72), ("bands", 72, 72), ("time", 72, 72), ("both", 0, 0)),
    *(("bands", 72, 96), ("time", 96, 96), ("bands", 96, 96), ("time", 96, 96), ("tap", 0, 0)),
    ("across", 0, 0),
    *(("bands", 96, 96), ("time", 96, 96), ("bands", 96, 96), ("time", 96, 96), ("tap", 0, 0)),
)
CONVOLUTIONS = 1 + sum(kind in ("bands", "time") for kind, _, _ in _PLAN)
"""Those that are used; the published network has one more, behind the last tap."""
FEATURES = 96 * 4 + 96 * 2
"""Numbers per frame: both taps, channels times bands."""
FIELD = 56
"""Mel columns that the features of one frame depend on; the next frame's lie four further on."""
_SHALLOW_FIELD = 40


class Bands(nn.Module):
    """From (B, 80, T) log-mel in [-4, 4] to (B, 1, T, 32), what the published network hears.

    Magnitudes of our transform become power per hertz (its window's energy, the mean of a Rayleigh
    variable, the area of its bands, and pre-emphasis are taken out); triangles over our bands'
    centres then gather what falls into each of the 32. Exact for noise, near for voices.
    """

    gather: Tensor

    def __init__(self) -> None:
        super().__init__()
        ours = _edges(MEL_BANDS, MEL_LOW, MEL_HIGH)[1:-1]
        edges = _edges(BANDS, LOW, HIGH)
        low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
        triangle = torch.minimum((ours - low) / (centre - low), (high - ours) / (high - centre))
        triangle = triangle.clamp_min(0.0)
        turn = 2.0 * math.pi * ours / MEL_RATE
        emphasis = torch.hypot(1.0 - PRE_EMPHASIS * turn.cos(), PRE_EMPHASIS * turn.sin())
        energy = 0.375 * MEL_FFT  # of a Hann window
        gain = (MEL_RATE / MEL_FFT / emphasis).square() / (energy * math.pi / 4.0)
        gather = triangle / triangle.sum(1, keepdim=True) * gain
        self.register_buffer("gather", gather.float(), persistent=False)
        level = 0.375 * _WINDOW * (_FFT / _RATE) * _FULL_SCALE**2
        self.level = math.log10(level) + 2.0  # the published network's input is log10(power) + 2

    def forward(self, x: Tensor) -> Tensor:
        """See the class. Digital silence, -4, becomes 3.7 (high bands) to 6.4 (low ones)."""
        decibel = (x.float() + MEL_LIMIT) * (-MEL_FLOOR_DB / (2.0 * MEL_LIMIT)) + MEL_FLOOR_DB
        power = torch.pow(10.0, (decibel + MEL_REFERENCE_DB) / 10.0)
        audio_features = torch.log10(power.transpose(1, 2) @ self.gather.T) + self.level
        return audio_features.unsqueeze(1)


class SpeechEmbedding(nn.Module):
    """(B, 80, T) -> (B, 576, n): both taps, one column per frame, n = (T - 56) // 4 + 1.

    Column i depends on mel columns 4 i to 4 i + 55 alone, whatever T is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bands = Bands()
        self.first = nn.Conv2d(1, 24, 3, padding=(0, 1), bias=False)
        self.scale, self.shift = nn.Parameter(torch.ones(24)), nn.Parameter(torch.zeros(24))
        kernels = {"bands": ((1, 3), (0, 1)), "time": ((3, 1), (0, 0))}
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, kernels[kind][0], padding=kernels[kind][1])
            for kind, a, b in _PLAN
            if kind in kernels
        )

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        h = self.first(self.bands(x)).relu()
        h = _activate(h * self.scale[:, None, None] + self.shift[:, None, None])
        convs, taps = iter(self.convs), []
        for kind, _, _ in _PLAN:
            if kind == "tap":
                taps.append(h)
            elif kind in ("both", "across"):
                h = F.max_pool2d(h, (2, 2) if kind == "both" else (1, 2))
            else:
                h = _activate(next(convs)(h))
        beside = (FIELD - _SHALLOW_FIELD) // COLUMNS_PER_FRAME // 2
        taps[0] = taps[0][:, :, beside:-beside]
        return torch.cat([tap.transpose(2, 3).flatten(1, 2) for tap in taps], dim=1)


def _activate(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE).clamp_min(LEAST)


def _edges(count: int, low: float, high: float) -> Tensor:
    """Edges and centres of ``count`` Slaney bands, in hertz, (count + 2,)."""
    # Slaney's scale: linear (3/200 mel per Hz) to 1 kHz, then 27 mel per factor of 6.4.
    a, b = (
        3.0 * f / 200.0 if f < 1000.0 else 15.0 + 27.0 * math.log(f / 1000.0) / math.log(6.4)
        for f in (low, high)
    )
    mel = torch.linspace(a, b, count + 2, dtype=torch.float64)
    above = 1000.0 * ((mel - 15.0) * (math.log(6.4) / 27.0)).exp()
    return torch.where(mel < 15.0, mel * (200.0 / 3.0), above)
