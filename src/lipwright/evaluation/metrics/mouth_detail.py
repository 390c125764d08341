"""Sharpness of the mouth at the resolution of the video, against the same person's real mouth.

The mouth box of the aligned crop is sampled with as many pixels as it has in the real video, the
same way in both videos, and its brightness is looked at in three octaves of spatial frequency:
0.25 to 0.5 cycles per pixel (the finest that the video can hold), 0.125 to 0.25 and 0.0625 to
0.125. The energy of an octave, summed over the clip, result over real: 1 is as sharp as the real
mouth, below it is soft, above it is overdone or noisy. The box has a Hann window, so that its
borders do not count as edges.

A mouth may have the right sharpness in every frame and still boil. The flicker of the high band is
the mean absolute second difference in time of what is finer than 0.125 cycles per pixel or so
(brightness less its Gaussian mean of sigma 2 pixels), result over real.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.evaluation.faces import FaceSeries, crop_transforms
from lipwright.evaluation.metrics.base import ClipResult, Metric, MetricInfo, mean
from lipwright.evaluation.metrics.cpbd import BLOCK, cpbd
from lipwright.evaluation.metrics.flicker import FlickerMeter
from lipwright.evaluation.sampling import matched_crops
from lipwright.face_regions import MOUTH_BOX, pixel_box

EDGES = (0.5, 0.25, 0.125, 0.0625)
"""Borders of the octaves in cycles per pixel, finest first."""
HIGH_BAND_SIGMA = 2.0
LEAST_SIDE = 32
"""A mouth box of fewer pixels holds no octaves worth telling apart."""
MOST_SIDE = 2048
"""Crops are sampled with no more pixels a side than this."""
CPBD_EVERY = 5

_BOX = "in the mouth box at the video's own resolution, result over real (1 is right)"
INFOS = (
    *(
        MetricInfo(
            f"mouth_octave_{n}",
            f"mouth energy, {low:g} to {high:g} cycles/px",
            "this project",
            "own",
            "real",
            f"energy of brightness {_BOX}",
            aim=1.0,
        )
        for n, (high, low) in enumerate(pairwise(EDGES), 1)
    ),
    MetricInfo(
        "mouth_high_flicker",
        "flicker of the high band",
        "this project",
        "own",
        "real",
        f"mean absolute second difference in time of the high band {_BOX}",
        aim=1.0,
    ),
)
CPBD_INFO = MetricInfo(
    "mouth_cpbd",
    "CPBD of the mouth",
    "Narvekar and Karam, IEEE TIP 2011",
    "adapted",
    "real",
    "as cpbd, in the mouth box at the video's own resolution, every fifth frame",
    digits=3,
    paired=False,
)


@lru_cache(maxsize=8)
def _octave_masks(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(3, h, w // 2 + 1) which frequencies belong to each octave, and the (h, w) window."""
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    radius = np.hypot(down, across)
    # All but the first and the last column of a real transform stand for two frequencies.
    twice = np.where((across == 0) | (across == 0.5), 1.0, 2.0)
    masks = [(radius < high) & (radius >= low) for high, low in pairwise(EDGES)]
    window = np.outer(np.hanning(height), np.hanning(width))
    return np.stack(masks) * twice, window


def octave_energies(grey: NDArray[np.floating]) -> NDArray[np.float64]:
    """(h, w) brightness -> (3,) energies of the octaves, finest first, under a Hann window."""
    masks, window = _octave_masks(*grey.shape)
    spectrum = np.fft.rfft2((grey - grey.mean()) * window)
    energy = np.asarray(np.abs(spectrum) ** 2 / grey.size)
    return np.asarray((masks * energy).sum(axis=(1, 2)))


def high_band(grey: NDArray[np.generic]) -> NDArray[np.float32]:
    """(h, w) brightness less what is coarser than about 0.125 cycles per pixel."""
    sharp = grey.astype(np.float32)
    return np.asarray(sharp - cv2.GaussianBlur(sharp, (0, 0), HIGH_BAND_SIGMA), np.float32)


class DetailMeter:
    """The numbers of one video's mouth, frame after frame, in bounded memory."""

    def __init__(self) -> None:
        self.energies = np.zeros(len(EDGES) - 1)
        self._flicker = FlickerMeter()
        self._cpbd: list[float] = []
        self._count = 0

    def add(self, mouth: NDArray[np.uint8], after_gap: bool) -> None:
        """The next frame: (h, w, 3) uint8 RGB of the mouth box, always of one size."""
        grey = np.asarray(cv2.cvtColor(mouth, cv2.COLOR_RGB2GRAY), np.uint8)
        self.energies += octave_energies(grey.astype(np.float64))
        if after_gap:
            self._flicker.add(None)
        # The meter counts in whole steps; a hundredth of a level is fine enough.
        self._flicker.add(np.rint(100 * high_band(grey)).clip(-8000, 8000))
        if self._count % CPBD_EVERY == 0 and min(grey.shape) >= BLOCK:
            self._cpbd.append(cpbd(grey))
        self._count += 1

    @property
    def flicker(self) -> float:
        """Of the high band, in levels of 8 bits."""
        return self._flicker.value() / 100

    @property
    def cpbd(self) -> float:
        """Mean over the frames that were looked at."""
        return mean(self._cpbd)


def native_side(series: FaceSeries) -> int:
    """Side of the aligned crop in pixels of the video: median over the frames."""
    sides = [float(np.hypot(m[0, 0], m[1, 0])) for m in crop_transforms(series, 1) if m is not None]
    return min(MOST_SIDE, round(float(np.median(sides)))) if sides else 0


def measure_detail(
    real: Path, result: Path, series: FaceSeries, partner: NDArray[np.int64]
) -> tuple[DetailMeter, DetailMeter] | None:
    """Meters of the real and the resulting mouth; None where it is too small.

    Args:
        real: the real video.
        result: the result.
        series: faces of the real video.
        partner: (T,) for each real frame the frame of the result, -1 without one.

    Raises:
        LipwrightError: videos of different sizes.
    """
    side = native_side(series)
    left, top, right, bottom = pixel_box(MOUTH_BOX, side)
    if min(right - left, bottom - top) < LEAST_SIDE:
        return None
    meters = DetailMeter(), DetailMeter()
    last = -1
    for crops in matched_crops(real, result, series, partner, side):
        for meter, crop in zip(meters, (crops.real, crops.result), strict=True):
            meter.add(crop[top:bottom, left:right], crops.index != last + 1)
        last = crops.index
    return meters


def detail_ratios(real: DetailMeter, result: DetailMeter) -> dict[str, float]:
    """The numbers of :data:`INFOS`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        octaves = result.energies / real.energies
        flicker = np.float64(result.flicker) / real.flicker
    values = [*octaves, flicker]
    return {
        info.name: float(value) if np.isfinite(value) else float("nan")
        for info, value in zip(INFOS, values, strict=True)
    }


class MouthDetail(Metric):
    """Octaves, flicker of the high band and CPBD of the mouth at the video's own resolution."""

    infos = (*INFOS, CPBD_INFO)

    def finish(self, out: ClipResult) -> None:
        """Both videos are read once more, at their own resolution."""
        clip = self.clip
        meters = measure_detail(clip.real.path, clip.result.path, clip.real.series, clip.partner)
        if meters is None:
            out.result |= {info.name: float("nan") for info in self.infos}
            out.real[CPBD_INFO.name] = float("nan")
            out.notes.append(
                f"{clip.real.path.name}: the mouth is too small to measure its sharpness"
            )
            return
        real, result = meters
        out.result |= detail_ratios(real, result)
        out.real[CPBD_INFO.name], out.result[CPBD_INFO.name] = real.cpbd, result.cpbd
