"""One pass over a file: what all its frames say about the bits, at a few given alignments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lipwright.media.info import VideoInfo
from lipwright.media.reader import VideoReader
from lipwright.media.region import storage_box
from lipwright.provenance.watermark.alignment import Alignment, FloatBox
from lipwright.provenance.watermark.chroma import Half, half_plane
from lipwright.provenance.watermark.grid import CHIPS, ID_BITS, id_bits
from lipwright.provenance.watermark.marker import FaceFinder
from lipwright.provenance.watermark.reading import PlacedFrame, Reading
from lipwright.provenance.watermark.significance import errors_allowed

_UNTAGGED = 2  # code of H.273 for a matrix that is not known
_SAMPLE_BYTES = 96 * 2**20
_MOST_SAMPLES = 48
_GUESSED_LENGTH = 250
_LARGEST_STRIDE = 50
MOST_FRAMES = 3000
"""Of longer videos every second, third, ... frame is looked at, so that about so many are."""


@dataclass(frozen=True)
class Sample:
    """A frame kept for the search: its U plane (float16) and its faces in 2-pixel samples."""

    half: npt.NDArray[np.float16]
    faces: list[FloatBox]


@dataclass(frozen=True)
class Picture:
    """A small upright picture: (h, w, 3) uint8 RGB, and display pixels per pixel of it."""

    image: npt.NDArray[np.uint8]
    scale: float


@dataclass(frozen=True)
class PictureSample:
    """A frame kept for the search whose faces were not looked for yet."""

    half: npt.NDArray[np.float16]
    picture: Picture


@dataclass
class Collected:
    """What a pass found.

    Attributes:
        info: of the file.
        alignments: A alignments, each tried with the same G readings; A G hypotheses in all.
        readings: the ways to read.
        sums: (A G, 2, 160) sums of votes, [:, 0] around the faces, [:, 1] over whole frames.
        counts: (A, 2, 160) how many votes went into the sums.
        matches: (A G, N) frames in which a face carries id n.
        frames: number of frames that were looked at.
        frames_with_face: of them with a face.
        faces: per frame, boxes in 2-pixel samples; given to a second pass.
        samples: frames kept for the search.
        warnings: what was wrong with the file.
    """

    info: VideoInfo
    alignments: list[Alignment]
    readings: tuple[Reading, ...]
    sums: npt.NDArray[np.float64]
    counts: npt.NDArray[np.float64]
    matches: npt.NDArray[np.int64]
    frames: int = 0
    frames_with_face: int = 0
    faces: list[list[FloatBox]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def alignment(self, hypothesis: int) -> Alignment:
        """The alignment of a row of ``sums``, its way of reading included."""
        base = self.alignments[hypothesis // len(self.readings)]
        reading = self.readings[hypothesis % len(self.readings)]
        return replace(base, gain=base.gain * reading.gain, way=reading.way)


def collect(
    path: str | Path,
    alignments: Callable[[VideoInfo], list[Alignment]],
    readings: tuple[Reading, ...],
    mark_ids: list[int],
    *,
    find_faces: FaceFinder | None = None,
    known_faces: list[list[FloatBox]] | None = None,
    keep_samples: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
) -> Collected:
    """Read a file once.

    Args:
        path: video or picture.
        alignments: gives the alignments to be tried, from the facts about the file.
        readings: ways to read, tried at each of them.
        mark_ids: ids that frames are compared with, one by one.
        find_faces: finds the faces; None looks at whole frames only.
        known_faces: the ``faces`` of an earlier pass, instead of looking for them again.
        keep_samples: keep some frames for the search.
        progress: called with the number of frames that were read, and of how many.

    Raises:
        LipwrightError: the file cannot be read.
    """
    words = np.array([id_bits(i) for i in mark_ids], np.int64).reshape(len(mark_ids), ID_BITS)
    with VideoReader(path) as reader:
        tried = alignments(reader.info)
        hypotheses = len(tried) * len(readings)
        result = Collected(
            reader.info,
            tried,
            readings,
            np.zeros((hypotheses, 2, CHIPS)),
            np.zeros((len(tried), 2, CHIPS)),
            np.zeros((hypotheses, len(mark_ids)), np.int64),
        )
        allowed = _allowed_errors(2.0 * hypotheses * max(1, len(mark_ids)))
        thinning = Thinning(reader.info) if keep_samples else None
        infos = {m: _read_as(reader.info, m) for m in ("", *(a.matrix for a in tried))}
        stride = stride_of(reader.info)
        for frame in reader:
            if frame.index % stride:
                continue
            halves = {m: half_plane(frame.native, i) for m, i in infos.items()}
            if known_faces is not None:
                faces = known_faces[result.frames] if result.frames < len(known_faces) else []
            else:
                found = find_faces(frame) if find_faces else []
                faces = [f for f in (box_in_samples(reader.info, b) for b in found) if f]
            result.faces.append(faces)
            result.frames += 1
            result.frames_with_face += bool(faces)
            if thinning and thinning.wants(result.samples):
                result.samples.append(Sample(halves[""].astype(np.float16), faces))
            _add_frame(result, halves, faces, words, allowed)
            if progress:
                progress(frame.index + 1, reader.info.frame_count)
        result.warnings += reader.warnings
    return result


def _add_frame(
    result: Collected,
    halves: dict[str, Half],
    faces: list[FloatBox],
    words: npt.NDArray[np.int64],
    allowed: npt.NDArray[np.int64],
) -> None:
    for number, alignment in enumerate(result.alignments):
        rows = slice(number * len(result.readings), (number + 1) * len(result.readings))
        placed = PlacedFrame(halves[alignment.matrix], alignment, result.readings)
        whole = placed.whole()
        result.sums[rows, 1] += whole[:-1]
        result.counts[number, 1] += whole[-1]
        carried = np.zeros_like(result.matches[rows], dtype=bool)
        for face in faces:
            sums = placed.face(face)
            result.sums[rows, 0] += sums[:-1]
            result.counts[number, 0] += sums[-1]
            carried |= _carries(sums[:-1], words, allowed)
        result.matches[rows] += carried


def _carries(
    sums: npt.NDArray[np.float64], words: npt.NDArray[np.int64], allowed: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """(G, N) whether the bits read from one region are an id, but for a few wrong ones."""
    read = sums[:, None, :ID_BITS]
    covered = read != 0
    wrong = (covered & ((read > 0) != (words[None] == 1))).sum(axis=2)
    result: npt.NDArray[np.bool_] = wrong <= allowed[covered.sum(axis=2)]
    return result


def stride_of(info: VideoInfo) -> int:
    """Every which frame is looked at; a damaged header may claim any number of them."""
    return min(max(1, (info.frame_count or 1) // MOST_FRAMES), _LARGEST_STRIDE)


def other_matrix(info: VideoInfo) -> str | None:
    """The other matrix that a file without a tag may have, None if there is a tag or no matrix.

    Without a tag it is guessed from the size, and wrongly for a copy of another size.
    """
    guesses = {"bt601": "bt709", "bt709": "bt601"}
    return guesses.get(info.colour.name) if info.colour.matrix == _UNTAGGED else None


def _read_as(info: VideoInfo, matrix: str) -> VideoInfo:
    return replace(info, colour=replace(info.colour, name=matrix)) if matrix else info


def _allowed_errors(attempts: float) -> npt.NDArray[np.int64]:
    """(33,) wrong bits allowed when 0..32 bits could be read."""
    return np.array([errors_allowed(n, attempts) for n in range(ID_BITS + 1)], np.int64)


def box_in_samples(info: VideoInfo, box: tuple[float, float, float, float]) -> FloatBox | None:
    """A display box in 2-pixel samples of the stored picture; None outside of it."""
    x0, y0, x1, y1 = storage_box(info, (box[0], box[1], box[2], box[3]))
    return (x0 / 2, y0 / 2, x1 / 2, y1 / 2) if x0 < x1 and y0 < y1 else None


class Thinning:
    """Chooses frames spread evenly over a video of unknown length, in bounded memory."""

    def __init__(self, info: VideoInfo, most: int = _MOST_SAMPLES) -> None:
        one = max(1, info.width * info.height // 2)
        self._most = int(min(most, max(4, _SAMPLE_BYTES // one)))
        self._stride = max(1, (info.frame_count or _GUESSED_LENGTH) // self._most)
        self._seen = 0

    def wants(self, samples: list[Any]) -> bool:
        """Whether the next frame is to be kept; every second of those kept so far may go."""
        wanted = self._seen % self._stride == 0
        if wanted and len(samples) >= self._most:
            del samples[1::2]
            self._stride *= 2
            wanted = self._seen % self._stride == 0
        self._seen += 1
        return wanted
