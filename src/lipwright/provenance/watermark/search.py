"""Finding the grid in a file that was cropped, zoomed, turned or mirrored.

The votes of *all* possible block positions are computed at once: for an even block the singular
value is 8 times the block's mean, so a box filter and a sine per sample give them. Because the
grid repeats every 32 blocks, the votes of a picture, then of all frames, fold into one tile of
128x128 samples. Correlating that tile with the pilot by a Fourier transform judges all its 16,384
shifts together; turning and mirroring the tile instead of the video judges those cases too.
Votes are kept as complex phases, so that a shift of hue, or of colour contrast on a face of even
colour, is only a rotation to be tried.

The candidates are then judged with real singular values, on the frames that were kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lipwright.provenance.watermark.alignment import PERIOD, Alignment, turned
from lipwright.provenance.watermark.chroma import Half
from lipwright.provenance.watermark.collect import Sample
from lipwright.provenance.watermark.grid import CHIPS, ID_BITS, TILE, pilot_bits, tile_chips
from lipwright.provenance.watermark.reading import PLAIN, PlacedFrame, Reading, Sums
from lipwright.provenance.watermark.scheme import SIDE, STEP
from lipwright.provenance.watermark.significance import Judge

Tile = npt.NDArray[np.complex64]
"""(128, 128) sums of phases, one for each sample at which a block may begin."""
Shape = tuple[int, int]
Scale = tuple[float, float]
"""(x, y): pixels of the marked original per pixel of the file."""

STEPS = (1.0, 2.0, 1.5, 4 / 3, 3.0, 2.25, 2.5, 0.75, 2 / 3, 0.5)
"""The usual scales between video sizes, each tried in all eight orientations."""
ZOOMS = tuple(z for k in range(41) if (z := round(0.90 + 0.005 * k, 3)) != 1.0)
"""0.90 to 1.10 in steps of half a percent, each tried as it is and mirrored."""
_ZOOM_STEP = 0.005
_EVERY = tuple(range(8))  # orientations: four quarter turns, then the same mirrored
_UPRIGHT = (0, 4)  # as it is, and mirrored
_TINTS = 8
_REGIONS = 2  # around the faces, whole frames
_NEIGHBOURS = 3 * 9  # scales and shifts that a refinement chooses from

_PER_TILE = 6  # best shifts that are judged
_KEPT = 6  # best places of each region that are judged by real singular values,
_FEW = 8  # on about so many frames
_FINALISTS = 2  # of them that are refined


@dataclass(frozen=True)
class Candidate:
    """A place where the grid may lie.

    Attributes:
        alignment: the place.
        log10: bound on the probability of chance for this one place.
        region: 0 around the faces, 1 whole frames.
    """

    alignment: Alignment
    log10: float
    region: int


@dataclass(frozen=True)
class Found:
    """Result of a search.

    Attributes:
        rescaled: the best place of a copy that was scaled and nothing else; empty without samples.
        moved: the best places of any other copy, best first.
    """

    rescaled: list[Candidate]
    moved: list[Candidate]


def hypotheses(steps: Sequence[Scale]) -> tuple[float, float]:
    """How many alignments are judged for ``rescaled`` and for ``moved``, refinement included."""
    tiles = len(steps) * len(_EVERY) + len(ZOOMS) * len(_UPRIGHT)
    rescaled = (len(steps) + len(ZOOMS)) * _REGIONS
    return float(rescaled), float(tiles * PERIOD**2 * _TINTS * _REGIONS * _NEIGHBOURS)


def find_grid(
    samples: Sequence[Sample],
    steps: Sequence[Scale],
    judge: Judge,
    regions: Sequence[int] = tuple(range(_REGIONS)),
    worth: float = 0.0,
) -> Found:
    """Look for the grid at all shifts, orientations and tints of some scales.

    Args:
        samples: frames of the file.
        steps: scales to be tried, besides ``ZOOMS``.
        judge: knows the ids that are looked for.
        regions: 0 looks around the faces, 1 at whole frames; for a copy that was scaled and nothing
            else both are looked at anyway.
        worth: log10 of a bound; places that fit worse are neither refined nor given.
    """
    if not samples:
        return Found([], [])
    rescaled: list[_Place] = []
    moved: list[_Place] = []
    shape = (samples[0].half.shape[0], samples[0].half.shape[1])
    for scale, orientations in [
        *((step, _EVERY) for step in steps),
        *(((zoom, zoom), _UPRIGHT) for zoom in ZOOMS),
    ]:
        for region, tile in enumerate(_tiles(samples, scale)):
            if not np.any(tile):
                continue
            sums = _sums(_by_phase(tile)[0, 0], 0, 0)
            rescaled.append(_Place(Alignment(*scale), region, sums))
            if region in regions:
                moved += _in_tile(tile, scale, region, shape, orientations)
    best = _judged(moved, judge)
    best = [c for k in range(_REGIONS) for c in [b for b in best if b.region == k][:_KEPT]]
    placed = sorted((replace(c, log10=_fit(c, samples, judge)) for c in best), key=_by_log10)
    finalists = [c for c in placed[:_FINALISTS] if c.log10 <= worth]
    refined = sorted((_refine(c, samples, judge) for c in finalists), key=_by_log10)
    return Found(_judged(rescaled, judge)[:1], refined)


@dataclass(frozen=True)
class _Place:
    """A place that is still to be judged, with its (160,) sums of votes."""

    alignment: Alignment
    region: int
    sums: Sums


def _judged(places: Sequence[_Place], judge: Judge) -> list[Candidate]:
    """All places, best first."""
    if not places:
        return []
    log10 = judge(np.array([p.sums for p in places])).min(axis=1)
    found = [Candidate(p.alignment, float(v), p.region) for p, v in zip(places, log10, strict=True)]
    return sorted(found, key=_by_log10)


def _by_log10(candidate: Candidate) -> float:
    return candidate.log10


def _tiles(samples: Sequence[Sample], scale: Scale) -> list[Tile]:
    """Phases of all frames folded into a tile: around the faces, and everywhere."""
    plain = Alignment(*scale)
    tiles = [np.zeros((PERIOD, PERIOD), np.complex64) for _ in range(_REGIONS)]
    for sample in samples:
        half = sample.half.astype(np.float32)
        phase = _phases(plain.place(half, cv2.INTER_LINEAR))
        if phase.size == 0:
            continue
        tiles[1] += _folded(phase, 0, 0)
        shape = (half.shape[0], half.shape[1])
        for face in sample.faces:
            x0, y0, x1, y1 = (max(0, int(v)) for v in plain.marked_window(face, shape))
            part = phase[y0 : max(y0, y1 - SIDE + 1), x0 : max(x0, x1 - SIDE + 1)]
            tiles[0] += _folded(part, x0, y0)
    return tiles


def _phases(half: Half) -> Tile:
    """exp(i angle) of the block that begins at each sample, as far as it lies in the picture."""
    height, width = half.shape
    if height < SIDE or width < SIDE:
        return np.zeros((0, 0), np.complex64)
    mean = cv2.boxFilter(half, -1, (SIDE, SIDE), anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
    angle = mean[: height - SIDE + 1, : width - SIDE + 1] * np.float32(2 * SIDE * 2 * np.pi / STEP)
    parts = cv2.merge(cv2.polarToCart(np.ones_like(angle), angle))
    return np.asarray(parts.view(np.complex64)[..., 0])


def _folded(part: Tile, x0: int, y0: int) -> Tile:
    """Sum of a window of the plane over all tiles that it touches."""
    left, top = x0 % PERIOD, y0 % PERIOD
    height, width = part.shape
    full = (-(-(top + height) // PERIOD) * PERIOD, -(-(left + width) // PERIOD) * PERIOD)
    padded = np.zeros(full, np.complex64)
    padded[top : top + height, left : left + width] = part
    rows, columns = padded.shape[0] // PERIOD, padded.shape[1] // PERIOD
    folded: Tile = padded.reshape(rows, PERIOD, columns, PERIOD).sum(axis=(0, 2))
    return folded


@lru_cache(maxsize=1)
def _pilot_spectrum() -> Tile:
    signs = np.zeros(CHIPS)
    signs[ID_BITS:] = pilot_bits().astype(np.float64) * 2.0 - 1.0
    return np.conj(np.fft.fft2(signs[tile_chips()])).astype(np.complex64)


@lru_cache(maxsize=1)
def _id_rows_spectrum() -> Tile:
    rows = (tile_chips()[:, 0] < ID_BITS).astype(np.float64)
    return np.conj(np.fft.fft(rows)).astype(np.complex64)


@lru_cache(maxsize=len(_EVERY))
def _places(turns: int, mirrored: bool) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Row and column in the tile of each element of the turned tile, by phase."""
    rows, columns = np.indices((PERIOD, PERIOD))
    return _by_phase(turned(rows, turns, mirrored)), _by_phase(turned(columns, turns, mirrored))


def _in_tile(
    tile: Tile,
    scale: Scale,
    region: int,
    shape: Shape,
    orientations: Sequence[int],
) -> list[_Place]:
    """The most promising shifts of a tile in some of its eight orientations."""
    places: list[tuple[float, Alignment]] = []
    blocks: list[tuple[npt.NDArray[Any], int, int]] = []
    for orientation in orientations:
        turns, mirrored = orientation % 4, orientation >= 4
        view = _by_phase(turned(tile, turns, mirrored))
        at_row, at_column = _places(turns, mirrored)
        pilot = np.fft.ifft2(np.fft.fft2(view) * _pilot_spectrum())
        rows = np.fft.ifft(np.fft.fft(view, axis=2) * _id_rows_spectrum()[:, None], axis=2)
        for number in range(_TINTS // 2):
            turn = 2 * np.pi * number / _TINTS
            cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
            # How clearly the rows of the id agree on any id, and how well the pilot fits. Half a
            # turn of the tint changes the sign of the latter and nothing else.
            agreement = np.abs(rows.imag * cosine - rows.real * sine).sum(axis=3, keepdims=True)
            fit = pilot.imag * cosine - pilot.real * sine
            for half_turn, score in ((0, agreement - fit), (1, agreement + fit)):
                at = np.unravel_index(int(score.argmax()), score.shape)
                x, y = float(at_column[at]), float(at_row[at])
                where = _with_corner_at(x, y, scale, turns, mirrored, shape)
                angle = turn + np.pi * half_turn
                places.append((float(score[at]), replace(where, tint=angle)))
                phases = view[at[0], at[1]] * np.exp(-1j * angle)
                blocks.append((phases, int(at[2]), int(at[3])))
    first = sorted(range(len(places)), key=lambda k: -places[k][0])[:_PER_TILE]
    return [_Place(places[k][1], region, _sums(*blocks[k])) for k in first]


def _by_phase(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(128, 128) -> (4, 4, 32, 32): offset inside a block, then block."""
    return plane.reshape(TILE, SIDE, TILE, SIDE).transpose(1, 3, 0, 2)


def _with_corner_at(
    x: float, y: float, scale: Scale, turns: int, mirrored: bool, shape: Shape
) -> Alignment:
    """The alignment that puts the block at (x, y) of the scaled file at the grid's corner."""
    # The file is turned before it is scaled: its two scales change places with each quarter.
    scale_x, scale_y = scale if turns % 2 == 0 else (scale[1], scale[0])
    plain = Alignment(scale_x, scale_y, turns=turns, mirrored=mirrored)
    block = (x / scale[0], y / scale[1], (x + SIDE) / scale[0], (y + SIDE) / scale[1])
    left, top, _, _ = plain.place_box(block, shape)
    return replace(plain, shift_x=-left, shift_y=-top)


def _sums(blocks: npt.NDArray[Any], row: int, column: int) -> Sums:
    """(160,) sums of votes if the grid begins at a block of a (32, 32) tile of phases."""
    moved = np.roll(blocks, (-row, -column), axis=(0, 1))
    return np.asarray(np.bincount(tile_chips().ravel(), -moved.imag.ravel(), CHIPS), np.float64)


def _refine(candidate: Candidate, samples: Sequence[Sample], judge: Judge) -> Candidate:
    """Climb to a better neighbour, first in scale, then in shift."""
    shape = (samples[0].half.shape[0], samples[0].half.shape[1])
    best = candidate
    for neighbours in (_scale_neighbours, _shift_neighbours):
        for alignment in neighbours(best.alignment, shape):
            other = replace(candidate, alignment=alignment)
            log10 = _fit(other, samples, judge)
            if log10 < best.log10:
                best = replace(other, log10=log10)
    return best


def _scale_neighbours(alignment: Alignment, shape: Shape) -> list[Alignment]:
    """Half a step smaller and larger, about the middle of the picture."""
    box = (0.0, 0.0, float(shape[1]), float(shape[0]))
    x0, y0, x1, y1 = replace(alignment, shift_x=0.0, shift_y=0.0).place_box(box, shape)
    return [
        replace(
            alignment,
            scale_x=alignment.scale_x * (1 + change),
            scale_y=alignment.scale_y * (1 + change),
            shift_x=alignment.shift_x - change * (x0 + x1) / 2,
            shift_y=alignment.shift_y - change * (y0 + y1) / 2,
        )
        for change in (-_ZOOM_STEP / 2, _ZOOM_STEP / 2)
    ]


def _shift_neighbours(alignment: Alignment, shape: Shape) -> list[Alignment]:
    """Half a sample, which is one pixel, to all sides."""
    return [
        replace(alignment, shift_x=alignment.shift_x + dx, shift_y=alignment.shift_y + dy)
        for dx in (-0.5, 0.0, 0.5)
        for dy in (-0.5, 0.0, 0.5)
        if dx or dy
    ]


def fit(
    candidate: Candidate,
    samples: Sequence[Sample],
    judge: Judge,
    readings: Sequence[Reading] = PLAIN,
) -> float:
    """How well a place fits frames, by real singular values: log10 of a bound, of the best reading.

    Neither the number of readings nor that of places is counted.
    """
    sums = np.zeros((len(readings), CHIPS))
    for sample in samples:
        placed = PlacedFrame(sample.half.astype(np.float32), candidate.alignment, readings)
        parts = [placed.face(f) for f in sample.faces] if candidate.region == 0 else None
        for part in [placed.whole()] if parts is None else parts:
            sums += part[:-1]
    return float(judge(sums).min())


def _fit(candidate: Candidate, samples: Sequence[Sample], judge: Judge) -> float:
    """:func:`fit` on some of the samples."""
    return fit(candidate, samples[:: max(1, len(samples) // _FEW)], judge)
