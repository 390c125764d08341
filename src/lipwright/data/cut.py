"""Step ``cut``: one source to aligned 25 fps face crops, in one pass over its frames.

Gupta et al. (WACV 2023, section 2) detect faces on frames reduced by 4 in each side and cut face
crops; we add what a small corpus needs: landmarks, a similarity alignment that holds the crop still
while the mouth moves, and a crop margin for jitter. Every face of a shot becomes a piece of its own
(who of them speaks is decided later, by the sound). The alignment of a frame needs a few frames
after it, so that crops are written with a short delay; memory does not grow with the video.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipwright.data.burned_in_text import has_burned_in_text
from lipwright.data.extract import sample_face
from lipwright.data.grid import on_grid
from lipwright.data.rows import PrepareSettings, Row, StepContext
from lipwright.data.storage import CropWriter, save_arrays
from lipwright.errors import LipwrightError
from lipwright.faces import alignment, measure
from lipwright.faces.cuts import CutDetector
from lipwright.faces.detector import FaceDetector
from lipwright.faces.landmarks import LandmarkNetwork
from lipwright.faces.tracker import FaceObservation, FaceTracker, TrackerOptions
from lipwright.media.mel import MODEL_FPS
from lipwright.media.reader import Frame, VideoReader
from lipwright.media.region import sample_crop
from lipwright.provenance.watermark.grid import chips, code_word, parse_id
from lipwright.provenance.watermark.scheme import BLOCK, mark_blocks

DETECT_SIDE = 400
"""Faces are looked for in pictures of at least this longer side, reduced by a whole number."""
LARGEST_REDUCTION = 6
FACES = 4
"""So many faces, the largest, are followed at a time."""
BEFORE, AFTER, BLOCK_FRAMES = 8, 4, 8
"""Frames that smoothing sees before and after those it settles, and how many it settles at once."""
SAMPLE_EVERY = 5
"""Burned-in text is searched for in every n-th frame."""
TRACKING = TrackerOptions(detect_every=25, idle_every=5, sharp_below=0.5)


def cut(row: Row, work: StepContext) -> Row:
    """Cut the pieces of a source.

    Writes ``clips/<clip>.mp4`` (crops with margin), ``clips/<clip>.hd.mp4`` where the face is large
    enough, and ``scratch/<clip>.npz`` (mouth measures and landmarks) for every piece that is long
    and large enough to be worth it.

    Raises:
        LipwrightError: the source cannot be read, or shows no face.
    """
    runs: list[_Run] = []
    with VideoReader(Path(row["source"]), threads=1) as reader:
        longest = max(reader.info.square_size)
        side = math.ceil(longest / min(max(1, longest // DETECT_SIDE), LARGEST_REDUCTION))
        tracker = FaceTracker(TRACKING, detector=_detector(), landmarker=_landmarker())
        cuts = CutDetector()
        running: dict[int, _Run] = {}
        expected = 0
        try:
            for n, frame in on_grid(reader):
                image, scale = frame.thumbnail(side)
                if cuts.is_cut(image):
                    tracker.reset()
                    _finish(running)
                elif n != expected:  # a hole in the pictures
                    _finish(running)
                expected = n + 1
                patch = partial(sample_crop, frame.native, frame.info)
                faces = _largest(tracker.update(image, scale, patch))
                _finish(running, keep={f.track for f in faces})
                for face in faces:
                    run = running.get(face.track)
                    if run is None or run.frames >= work.settings.max_frames:
                        if run is not None:
                            run.finish()
                        run = _Run(f"{row['name']}-{len(runs):03d}", n, work)
                        running[face.track] = run
                        runs.append(run)
                    run.add(frame, face, _overlapped(face, faces))
            _finish(running)
        except BaseException:
            for run in running.values():
                run.discard()
            raise
        warnings = list(reader.warnings)
    if not runs:
        raise LipwrightError("no face was found.")
    return {**row, "pieces": [run.piece() for run in runs], "warnings": warnings}


@cache
def _detector() -> FaceDetector:
    """One detector per process: compiling it costs as much as a short clip."""
    return FaceDetector(threads=1)


@cache
def _landmarker() -> LandmarkNetwork:
    return LandmarkNetwork(threads=1)


def _largest(faces: list[FaceObservation]) -> list[FaceObservation]:
    return sorted(faces, key=lambda f: -float(np.prod(f.box[2:] - f.box[:2])))[:FACES]


def _overlapped(face: FaceObservation, faces: Iterable[FaceObservation]) -> bool:
    """Whether another face covers more than a tenth of this one's lower half."""
    x0, y0, x1, y1 = face.box
    y0 = (y0 + y1) / 2
    area = max((x1 - x0) * (y1 - y0), 1e-6)
    for other in faces:
        if other.track != face.track:
            a0, b0, a1, b1 = other.box
            wide, high = min(x1, a1) - max(x0, a0), min(y1, b1) - max(y0, b0)
            if wide > 0 and high > 0 and wide * high > 0.1 * area:
                return True
    return False


def _finish(running: dict[int, _Run], keep: set[int] | None = None) -> None:
    for track in [t for t in running if keep is None or t not in keep]:
        running.pop(track).finish()


def mark_crop(crop: NDArray[np.uint8], mark: str) -> NDArray[np.uint8]:
    """The crop with the corpus' invisible watermark; as it is when ``mark`` is empty."""
    if not mark:
        return crop
    rows, columns = crop.shape[0] // BLOCK, crop.shape[1] // BLOCK
    return mark_blocks(crop, code_word(parse_id(mark))[chips(0, 0, rows, columns)])


class _Run:
    """One face followed without a gap through one shot."""

    def __init__(self, clip: str, first: int, work: StepContext) -> None:
        self.clip, self.first, self.work = clip, first, work
        self.frames = 0
        self._pending: list[Frame] = []  # not yet cut
        self._raw: list[alignment.Affine] = []
        self._points: list[NDArray[np.float32]] = []  # of pending frames
        self._heights: list[float] = []
        self._yaw: list[float] = []
        self._opening: list[float] = []
        self._lips: list[NDArray[np.float32]] = []
        self._landmarks: list[NDArray[np.float16]] = []
        self._overlapped = self._with_text = self._references = 0
        self._writers: dict[int, CropWriter] | None = None
        self._settled = 0
        self._done = False

    def add(self, frame: Frame, face: FaceObservation, overlapped: bool) -> None:
        """Take the face of the next grid time."""
        try:
            self._raw.append(alignment.estimate(face.landmarks))
        except ValueError:  # landmarks that fell into a point; hold the crop
            self._raw.append(self._raw[-1] if self._raw else np.array([[1.0, 0, 0], [0, 1.0, 0]]))
        self.frames += 1
        self._pending.append(frame)
        self._points.append(face.landmarks)
        self._heights.append(float(face.box[3] - face.box[1]))
        self._yaw.append(float(measure.yaw(face.landmarks)))
        self._opening.append(float(measure.mouth_opening(face.landmarks)))
        self._lips.append(measure.lip_shape(face.landmarks).reshape(-1).astype(np.float32))
        self._overlapped += overlapped
        if len(self._pending) >= BLOCK_FRAMES + AFTER:
            self._settle(len(self._pending) - AFTER)

    def _settle(self, count: int) -> None:
        """Smooth, sample and write the oldest ``count`` pending frames."""
        if self._writers is None:
            self._writers = self._open()
        if count and self._writers:
            start = max(0, self._settled - BEFORE)
            smooth = alignment.smooth(self._raw[start:])
            for i in range(count):
                crop = smooth[self._settled - start + i]
                frame, points = self._pending[i], self._points[i]
                for size, writer in self._writers.items():
                    self._write(frame, crop, size, writer, self._settled + i)
                centred = alignment.apply(alignment.invert(crop), points) - 0.5
                self._landmarks.append(centred.astype(np.float16))
        self._settled += count
        del self._pending[:count], self._points[:count]

    def _open(self) -> dict[int, CropWriter]:
        """Writers by crop size; none for a face that is far too small."""
        settings = self.work.settings
        if np.median(self._heights) < 0.75 * settings.min_face:
            return {}
        sizes = [settings.size]
        side = float(np.median([np.hypot(m[0, 0], m[1, 0]) for m in self._raw]))
        if settings.hd and side >= settings.hd:
            sizes.append(settings.hd)
        return {
            s: CropWriter(crop_path(self.work.clips, self.clip, s, settings), _outer(s, settings))
            for s in sizes
        }

    def _write(
        self, frame: Frame, crop: alignment.Affine, size: int, writer: CropWriter, index: int
    ) -> None:
        settings = self.work.settings
        to_display = alignment.to_pixels(crop, size)
        to_display[:, 2] -= to_display[:, :2] @ np.full(2, float(settings.margin(size)))
        picture = sample_face(frame.native, frame.info, to_display, _outer(size, settings))
        if size == settings.size and index % SAMPLE_EVERY == 0:
            self._references += 1
            self._with_text += has_burned_in_text(picture)
        writer.add(mark_crop(picture, settings.mark))

    def finish(self) -> None:
        """Write the rest and close the files, or drop them when the piece is too short."""
        if self.frames < self.work.settings.min_frames:
            self.discard()
            self._pending.clear()
            return
        self._settle(len(self._pending))
        if self._writers:
            for writer in self._writers.values():
                writer.close()
            save_arrays(
                self.work.scratch / f"{self.clip}.npz",
                opening=np.array(self._opening, np.float32),
                lips=np.stack(self._lips),
                yaw=np.array(self._yaw, np.float32),
                landmarks=np.stack(self._landmarks),
            )
        self._done = True

    def discard(self) -> None:
        """Leave no file behind."""
        if not self._done:
            for writer in (self._writers or {}).values():
                writer.discard()
        self._writers, self._done = {}, True

    def piece(self) -> Row:
        """What is known of the piece; nothing is judged yet."""
        return {
            "clip": self.clip,
            "first": self.first,
            "start": self.first / MODEL_FPS,
            "frames": self.frames,
            "face_height": round(float(np.median(self._heights)), 1),
            "yaw": round(float(np.median(np.abs(self._yaw))), 1),
            "motion": round(float(np.std(self._opening)), 5),
            "overlap": round(self._overlapped / self.frames, 3),
            "text": round(self._with_text / max(self._references, 1), 3),
            "sizes": sorted(self._writers or ()),
            "reason": "",
        }


def _outer(size: int, settings: PrepareSettings) -> int:
    return size + 2 * settings.margin(size)


def crop_path(clips: Path, clip: str, size: int, settings: PrepareSettings) -> Path:
    """Where the crops of a clip lie."""
    return clips / (f"{clip}.mp4" if size == settings.size else f"{clip}.hd.mp4")
