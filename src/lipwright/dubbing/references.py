"""A few good reference frames of every face, chosen while the video is read for the first time.

A method wants to see what it shall draw: these teeth, this beard, these lips, open and closed. The
candidates of a face are sorted into bins by how far the mouth is open; each bin keeps its best
few, sharp and frontal and not all from one second. At the end of the track the references are
taken so that their openings cover the range that this person showed.

Only the crops are kept, not the frames; a face costs at most ``BINS * PER_BIN`` small pictures. Of
a face that is larger in the video than these, the surroundings of the mouth are kept as fine as
they are there, as JPEG: what a drawn face lacks is found in them (``lipwright.enhance``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.covering import HIDDEN_REFERENCE

BINS = 16
OPENING_RANGE = 0.24
"""Mouth openings from 0 to this are spread over the bins; wider ones share the last."""
PER_BIN = 6
APART_SECONDS = 0.2
"""References of one bin are at least this far apart; of closer ones the better is kept."""
COUNT = 32
"""Reference frames per face."""
DETAIL_QUALITY = 95
"""Of the JPEG that keeps the detail of a mouth: what it loses is less than what codecs of videos
lose."""


@dataclass(frozen=True)
class Reference:
    """One candidate.

    Attributes:
        frame: source frame.
        seconds: its time.
        opening: of the mouth, as ``faces.measure.mouth_opening`` gives it.
        quality: the higher the better, comparable inside one track.
        crop: (S, S, 3) uint8 RGB.
        lips: (40, 2) lip contours, as ``faces.measure.lip_shape`` gives them.
        hidden: share of the lower face that is covered or outside the picture.
        detail: JPEG of the mouth window (``face_regions.MOUTH_WINDOW``) as fine as in the video;
            empty where the crop holds all there is.
    """

    frame: int
    seconds: float
    opening: float
    quality: float
    crop: NDArray[np.uint8]
    lips: NDArray[np.floating]
    hidden: float = 0.0
    detail: bytes = b""


def encode_detail(picture: NDArray[np.uint8]) -> bytes:
    """(S, S, 3) uint8 RGB as JPEG."""
    options = [cv2.IMWRITE_JPEG_QUALITY, DETAIL_QUALITY]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    return data.tobytes()


def sharpness(crop: NDArray[np.uint8]) -> float:
    """Energy of the finest structures in the middle of the face, after taking out contrast."""
    size = crop.shape[0]
    inner = crop[size // 5 : size - size // 10, size // 5 : size - size // 5]
    grey = cv2.cvtColor(inner, cv2.COLOR_RGB2GRAY).astype(np.float32)
    contrast = float(grey.std()) + 4.0
    return float(cv2.Laplacian(grey, cv2.CV_32F).std()) / contrast


def quality(crop: NDArray[np.uint8], yaw: float, score: float) -> float:
    """Sharp, frontal and surely a face.

    Args:
        crop: (S, S, 3) uint8 RGB.
        yaw: degrees that the head is turned by.
        score: probability of a face.
    """
    frontal = max(0.0, float(np.cos(np.radians(min(90.0, abs(yaw)))))) ** 2
    return sharpness(crop) * frontal * score


class ReferenceSelector:
    """The candidates of one track."""

    def __init__(self) -> None:
        self._bins: list[list[Reference]] = [[] for _ in range(BINS)]

    def __len__(self) -> int:
        return sum(map(len, self._bins))

    def wants(self, opening: float, seconds: float) -> bool:
        """Whether a frame is worth keeping: its bin is not yet full, or it is time for a better."""
        bin_ = self._bins[_bin(opening)]
        return len(bin_) < PER_BIN or all(
            abs(reference.seconds - seconds) >= APART_SECONDS / 2 for reference in bin_
        )

    def add(self, reference: Reference, detail: Callable[[], bytes] = bytes) -> None:
        """Keep the frame if it is among the best of its bin.

        Args:
            reference: the reference frame.
            detail: gives its ``detail``; called if it is kept.
        """
        bin_ = self._bins[_bin(reference.opening)]
        self._sort_in(bin_, reference)
        bin_[:] = [replace(r, detail=detail()) if r is reference else r for r in bin_]

    def _sort_in(self, bin_: list[Reference], reference: Reference) -> None:
        close = [other for other in bin_ if abs(other.seconds - reference.seconds) < APART_SECONDS]
        if close:
            if all(reference.quality > other.quality for other in close):
                for other in close:
                    bin_.remove(other)
                bin_.append(reference)
            return
        bin_.append(reference)
        bin_.sort(key=lambda kept: -kept.quality)
        del bin_[PER_BIN:]

    def choose(self, count: int = COUNT, avoid: Collection[int] = frozenset()) -> list[Reference]:
        """Up to ``count`` reference frames, from the most closed to the most open mouth.

        Args:
            count: at most so many.
            avoid: source frames that are taken only if there are no others.
        """
        found = [reference for bin_ in self._bins for reference in bin_]
        references = _shown([r for r in found if r.frame not in avoid] or found)
        if len(references) <= count:
            return sorted(references, key=lambda reference: (reference.opening, reference.frame))
        openings = np.array([reference.opening for reference in references])
        qualities = np.array([reference.quality for reference in references])
        rank = qualities / max(1e-9, float(qualities.max()))
        spread = max(1e-6, float(openings.max() - openings.min()))
        chosen: list[int] = []
        for target in np.linspace(openings.min(), openings.max(), count):
            # A better picture may stand in for one whose opening fits a little better.
            cost = np.abs(openings - target) / spread - 0.15 * rank
            cost[chosen] = np.inf
            chosen.append(int(cost.argmin()))
        return sorted(
            (references[i] for i in chosen),
            key=lambda reference: (reference.opening, reference.frame),
        )


def _shown(references: list[Reference]) -> list[Reference]:
    """Those of which no more is hidden than of most: what hides a mouth must not be drawn."""
    if not references:
        return references
    least = float(np.percentile([reference.hidden for reference in references], 25))
    return [r for r in references if r.hidden <= least + HIDDEN_REFERENCE]


def _bin(opening: float) -> int:
    return int(np.clip(opening / OPENING_RANGE * BINS, 0, BINS - 1))
