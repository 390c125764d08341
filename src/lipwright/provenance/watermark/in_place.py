"""A quick look at a file: the mark where it was put, without any network.

A copy that was not scaled, cropped or turned has the grid where the embedder put it: every block of
every frame votes for the same bit. So the votes are summed per *block* over the frames, and at the
end over windows of several sizes, one of which covers the marked region well enough wherever the
face was. No face has to be found for that, and nothing depends on what else is registered. Reading
stops as soon as the answer is certain, which takes some dozen frames of an intact output.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lipwright.media.info import VideoInfo
from lipwright.media.reader import VideoReader
from lipwright.provenance.watermark.alignment import Alignment
from lipwright.provenance.watermark.chroma import half_plane
from lipwright.provenance.watermark.collect import Picture, PictureSample, Thinning, stride_of
from lipwright.provenance.watermark.grid import CHIPS, chips
from lipwright.provenance.watermark.reading import READINGS, PlacedFrame
from lipwright.provenance.watermark.significance import Floats, Judge

Votes = npt.NDArray[np.floating]
Progress = Callable[[int, int | None], None]
"""Called with the number of frames that were read, and of how many, if that is known."""

CELL = 8
"""Windows begin at multiples of so many blocks (64 pixels)."""
WINDOWS = (4, 6, 8, 12, 16)
"""Sides of the windows in cells: 256 to 1024 pixels, and the whole picture besides."""
FIRST_CHECK = 8
"""After so many frames, and at every doubling, the votes are judged."""
CERTAIN = 6.0
"""Reading stops early when the bound on chance is so many powers of ten below the accepted one."""
_JUDGED = 16  # most promising windows of each reading that are judged exactly
_SAMPLES = 12
_SAMPLE_SIDE = 640


@dataclass(frozen=True)
class Window:
    """What one window of the grid says.

    Attributes:
        log10: bound on the probability of chance, all windows, readings and checks counted.
        number: of the id that it carries, None for the pilot alone.
        sums: (160,) sums of votes.
        counts: (160,) how many votes there were.
        alignment: with the way of reading.
        whole: whether the window is the whole picture.
    """

    log10: float
    number: int | None
    sums: Floats
    counts: Floats
    alignment: Alignment
    whole: bool


@dataclass
class InPlaceResult:
    """What reading a file in place found.

    Attributes:
        info: of the file.
        frames: how many were read.
        best: the strongest window; None if no frame has a block.
        samples: frames kept for a search, their pictures for finding faces; none if it ended early.
        warnings: what was wrong with the file.
    """

    info: VideoInfo
    frames: int = 0
    best: Window | None = None
    samples: list[PictureSample] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_in_place(
    path: str | Path,
    judge: Judge,
    limit: float,
    is_clear: Callable[[Window], bool],
    *,
    keep_samples: bool = False,
    progress: Progress | None = None,
) -> InPlaceResult:
    """Read a file until it is certain that it carries a mark in place, or to its end.

    Args:
        path: video or picture.
        judge: knows the ids that are looked for.
        limit: log10 of the largest accepted probability of chance.
        is_clear: whether the id of a window is known or can be read; reading goes on until then.
        keep_samples: keep some frames for a search.
        progress: told after every frame.

    Raises:
        LipwrightError: the file cannot be read.
    """
    with VideoReader(path) as reader:
        info = reader.info
        in_place = InPlaceResult(info)
        votes: Votes | None = None
        thinning = Thinning(info, _SAMPLES) if keep_samples else None
        stride = stride_of(info)
        check, checks = FIRST_CHECK, 0
        for frame in reader:
            if frame.index % stride:
                continue
            half = half_plane(frame.native, info)
            placed = PlacedFrame(half, Alignment(), READINGS)
            votes = placed.votes if votes is None else votes + placed.votes
            in_place.frames += 1
            if thinning and thinning.wants(in_place.samples):
                picture = Picture(*frame.thumbnail(_SAMPLE_SIDE))
                in_place.samples.append(PictureSample(half.astype(np.float16), picture))
            if progress:
                progress(frame.index + 1, info.frame_count)
            if in_place.frames == check:
                check, checks = 2 * check, checks + 1
                in_place.best = strongest_window(votes, in_place.frames, judge, checks + 1)
                if (
                    in_place.best
                    and in_place.best.log10 <= limit - CERTAIN
                    and is_clear(in_place.best)
                ):
                    in_place.samples.clear()
                    return in_place
        if votes is not None:
            in_place.best = strongest_window(votes, in_place.frames, judge, checks + 1)
        in_place.warnings += reader.warnings
    return in_place


def strongest_window(votes: Votes, frames: int, judge: Judge, checks: int) -> Window | None:
    """The window and reading with the least probability of chance.

    Args:
        votes: (G, R, C) votes of the blocks, summed over the frames, in each of ``READINGS``.
        frames: how many were summed.
        judge: knows the ids.
        checks: how often the file was judged so far, this time included.

    Returns:
        None for a picture without a block.
    """
    if not votes.size:
        return None
    rows, columns = votes.shape[1:]
    index = _cell_chips(rows, columns)
    blocks = _windows(np.ones(rows * columns), index, rows, columns)
    tried = math.log10(float(len(blocks)) * len(READINGS) * checks)
    best: Window | None = None
    for reading, summed in zip(READINGS, votes, strict=True):
        sums = _windows(summed.ravel().astype(np.float64), index, rows, columns)
        first = _promising(sums, judge)
        values = judge(sums[first]) + tried
        row, column = (int(v) for v in np.unravel_index(int(values.argmin()), values.shape))
        log10 = min(0.0, float(values[row, column]))
        if best is None or log10 < best.log10:
            chosen = int(first[row])
            best = Window(
                log10,
                judge.named(sums[chosen], column),
                sums[chosen],
                blocks[chosen] * frames,
                replace(Alignment(), gain=reading.gain, way=reading.way),
                chosen == 0,
            )
    return best


def _promising(sums: Floats, judge: Judge) -> npt.NDArray[np.intp]:
    """The windows whose votes agree best with the pilot or an id, by their plain correlation."""
    scores = judge.correlations(sums).max(axis=1)
    return np.argsort(-scores, kind="stable")[:_JUDGED]


def _cell_chips(rows: int, columns: int) -> npt.NDArray[np.intp]:
    """(R * C,) cell and bit of each block as one number."""
    across = -(-columns // CELL)
    cell = (np.arange(rows) // CELL)[:, None] * across + (np.arange(columns) // CELL)[None, :]
    return np.asarray((cell * CHIPS + chips(0, 0, rows, columns)).ravel(), np.intp)


def _windows(values: Floats, index: npt.NDArray[np.intp], rows: int, columns: int) -> Floats:
    """(H, 160) sums of the blocks' values over all windows; the first is the whole picture."""
    down, across = -(-rows // CELL), -(-columns // CELL)
    cells = np.bincount(index, values, down * across * CHIPS).reshape(down, across, CHIPS)
    total = np.zeros((down + 1, across + 1, CHIPS))
    total[1:, 1:] = cells.cumsum(axis=0).cumsum(axis=1)
    result = [total[-1:, -1]]
    for side in WINDOWS:
        if side < down or side < across:
            high, wide = min(side, down), min(side, across)
            part = total[high:, wide:] - total[:-high, wide:]
            part = part - (total[high:, :-wide] - total[:-high, :-wide])
            result.append(part.reshape(-1, CHIPS))
    return np.concatenate(result)
