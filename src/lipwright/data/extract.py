"""One source video to aligned 25 fps face crops with their sound: the heart of preparation.

Gupta et al. (WACV 2023, section 2) detect faces on frames reduced by 4 and cut face crops; we add
what a small corpus needs: landmarks, a similarity alignment that holds the crop still while the
mouth moves, a crop margin for jitter, and a written reason for everything that is left out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.faces import alignment, measure
from lipwright.faces.cuts import CutDetector
from lipwright.faces.detector import FaceDetector
from lipwright.faces.landmarks import LandmarkNetwork
from lipwright.faces.tracker import FaceObservation, FaceTracker
from lipwright.media.reader import VideoReader

MODEL_FPS = 25


@dataclass(frozen=True)
class ExtractSettings:
    """What is cut, and what is turned away.

    Attributes:
        size: crop side in px.
        margin: px round the crop on every side, for jitter.
        detect_side: longest side of the picture in which faces are looked for.
        min_face: faces lower than this (display px) are rejected.
        min_frames: shorter pieces are rejected.
        max_frames: longer pieces are cut in parts of this length.
        max_yaw: median absolute yaw in degrees above which a piece is a profile.
        min_motion: standard deviation of the mouth opening below which the mouth is still.
    """

    size: int = 128
    margin: int = 8
    detect_side: int = 640
    min_face: float = 60.0
    min_frames: int = 20
    max_frames: int = 750
    max_yaw: float = 40.0
    min_motion: float = 0.004


@dataclass(frozen=True)
class Piece:
    """One accepted or rejected piece of a source: a face track inside one shot.

    Times in seconds from the first frame of the source; ``reason`` is empty when accepted.
    """

    clip: str
    source: str
    start: float
    frames: int
    face_height: float
    reason: str = ""

    def row(self) -> dict[str, Any]:
        """As a manifest row."""
        return asdict(self)


@dataclass
class _Shot:
    times: list[Fraction]
    faces: list[list[FaceObservation]]


@dataclass
class _Wanted:
    """An accepted piece: its 25 fps time grid, crop transforms (T, 2, 3), landmarks (T, P, 3)."""

    piece: Piece
    grid: list[Fraction]
    transforms: NDArray[np.float64]
    points: NDArray[np.float32]


def extract(source: Path, clip: str, out: Path, settings: ExtractSettings) -> list[Piece]:
    """Cut the pieces of one source file.

    Writes ``out/<clip>-<n>.mp4`` (crops, 25 fps, near lossless) and ``out/<clip>-<n>.npz``
    (``mel`` (80, columns) float16, ``opening``, ``lips``) for each accepted piece.

    Raises:
        LipwrightError: the source cannot be read, has no sound, or no face.
    """
    from lipwright.media.audio import load_speech

    wave = load_speech(source)
    shots = _find_faces(source, settings)
    pieces: list[Piece] = []
    wanted: list[_Wanted] = []
    for shot in shots:
        for times, faces in _pieces(shot, settings):
            name = f"{clip}-{len(pieces):02d}"
            piece, grid = _judge(name, source, times, faces, settings)
            pieces.append(piece)
            if not piece.reason:
                transforms = _transforms(grid, times, faces, settings)
                points = np.stack([faces[i].landmarks for i in _nearest(times, grid)])
                wanted.append(_Wanted(piece, grid, transforms, points))
    if not pieces:
        raise LipwrightError(f"no face was found in {source}.")
    all_times = [t for shot in shots for t in shot.times]
    _write(source, all_times, wanted, wave, out, settings)
    return pieces


@cache
def _detector() -> FaceDetector:
    """One detector per process: compiling it costs as much as a short clip."""
    return FaceDetector(threads=1)


@cache
def _landmarker() -> LandmarkNetwork:
    return LandmarkNetwork(threads=1)


def _find_faces(source: Path, settings: ExtractSettings) -> list[_Shot]:
    tracker = FaceTracker(detector=_detector(), landmarker=_landmarker())
    cuts = CutDetector()
    shots = [_Shot([], [])]
    with VideoReader(source) as reader:
        for frame in reader:
            image, scale = frame.thumbnail(settings.detect_side)
            if cuts.is_cut(image) and shots[-1].times:
                shots.append(_Shot([], []))
                tracker.reset()
            shots[-1].times.append(frame.time)
            shots[-1].faces.append(tracker.update(image, scale))
    return shots


def _pieces(
    shot: _Shot, settings: ExtractSettings
) -> list[tuple[list[Fraction], list[FaceObservation]]]:
    """The largest face of a shot as unbroken runs of at most ``max_frames`` model frames."""
    area: dict[int, float] = {}
    for faces in shot.faces:
        for f in faces:
            area[f.track] = area.get(f.track, 0.0) + float(np.prod(f.box[2:] - f.box[:2]))
    if not area:
        return []
    main = max(area, key=lambda t: area[t])
    longest = Fraction(settings.max_frames, MODEL_FPS)
    runs: list[tuple[list[Fraction], list[FaceObservation]]] = []
    open_run = False
    for time, faces in zip(shot.times, shot.faces, strict=True):
        face = next((f for f in faces if f.track == main), None)
        if face is None:
            open_run = False
            continue
        if not open_run or time - runs[-1][0][0] >= longest:
            runs.append(([], []))
            open_run = True
        runs[-1][0].append(time)
        runs[-1][1].append(face)
    return runs


def _judge(
    name: str,
    source: Path,
    times: list[Fraction],
    faces: list[FaceObservation],
    settings: ExtractSettings,
) -> tuple[Piece, list[Fraction]]:
    """Accept or reject a run; also its 25 fps time grid."""
    first = -(-times[0] * MODEL_FPS // 1)
    count = int((times[-1] * MODEL_FPS) // 1 - first) + 1
    grid = [(first + n) / Fraction(MODEL_FPS) for n in range(max(count, 0))]
    height = float(np.median([f.box[3] - f.box[1] for f in faces]))
    points = np.stack([f.landmarks for f in faces])
    reason = ""
    if len(grid) < settings.min_frames:
        reason = f"too short: {len(grid)} frames at 25 fps"
    elif height < settings.min_face:
        reason = f"face too small: {height:.0f} px high"
    elif float(np.median(np.abs(measure.yaw(points)))) > settings.max_yaw:
        reason = "profile view"
    elif float(np.std(measure.mouth_opening(points))) < settings.min_motion:
        reason = "the mouth stays still"
    start = float(grid[0]) if grid else float(times[0])
    return Piece(name, str(source), start, len(grid), round(height, 1), reason), grid


def _transforms(
    grid: list[Fraction],
    times: list[Fraction],
    faces: list[FaceObservation],
    settings: ExtractSettings,
) -> NDArray[np.float64]:
    """(T, 2, 3) smoothed maps from pixels of the crop with margin to display pixels."""
    chosen = _nearest(times, grid)
    raw = np.stack([alignment.estimate(faces[i].landmarks) for i in chosen])
    smooth = alignment.smooth(list(raw))
    inner = np.stack([alignment.to_pixels(m, settings.size) for m in smooth])
    shift = np.array([[1.0, 0.0, -settings.margin], [0.0, 1.0, -settings.margin]])
    return np.stack([_compose(m, shift) for m in inner])


def _compose(outer: NDArray[np.float64], inner: NDArray[np.float64]) -> NDArray[np.float64]:
    full = np.vstack([inner, [0.0, 0.0, 1.0]])
    return np.asarray(outer @ full)


def _nearest(times: list[Fraction], grid: list[Fraction]) -> list[int]:
    """Index of the frame shown nearest to each grid time (both ascending)."""
    seconds = np.array([float(t) for t in times])
    wanted = np.array([float(t) for t in grid])
    right = (
        np.clip(np.searchsorted(seconds, wanted), 1, len(seconds) - 1) if len(seconds) > 1 else 0
    )
    if len(seconds) == 1:
        return [0] * len(grid)
    left = right - 1
    nearer = np.where(wanted - seconds[left] <= seconds[right] - wanted, left, right)
    return [int(i) for i in nearer]


def _write(
    source: Path,
    times: list[Fraction],
    wanted: list[_Wanted],
    wave: NDArray[np.float32],
    out: Path,
    settings: ExtractSettings,
) -> None:
    """Second pass: warp the crops and write them with mel and mouth measures."""
    side = settings.size + 2 * settings.margin
    needed: dict[int, list[tuple[int, int]]] = {}
    for p, item in enumerate(wanted):
        for n, i in enumerate(_nearest(times, item.grid)):
            needed.setdefault(i, []).append((p, n))
    crops = [np.zeros((len(w.grid), side, side, 3), np.uint8) for w in wanted]
    with VideoReader(source) as reader:
        for i, frame in enumerate(reader):
            if i in needed:
                image, _ = frame.thumbnail(1 << 20)
                for p, n in needed[i]:
                    crops[p][n] = warp(image, wanted[p].transforms[n], side)
    for item, pictures in zip(wanted, crops, strict=True):
        _write_clip(out / item.piece.clip, pictures, item, wave)


def warp(image: NDArray[np.uint8], to_display: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    """Sample a (side, side, 3) crop; much smaller crops go through an area average first."""
    shrink = float(np.sqrt(abs(np.linalg.det(to_display[:, :2]))))
    k = int(shrink // 1.5)
    if k >= 2:
        # Warp at k times the size, then average k x k blocks: an exact box prefilter.
        fine = to_display.copy()
        fine[:, :2] /= k
        fine[:, 2] -= to_display[:, :2] @ np.full(2, 0.5 - 0.5 / k)
        big = cv2.warpAffine(
            image,
            fine,
            (side * k, side * k),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(cv2.resize(big, (side, side), interpolation=cv2.INTER_AREA))
    return np.asarray(
        cv2.warpAffine(
            image,
            to_display,
            (side, side),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def _write_clip(
    stem: Path, crops: NDArray[np.uint8], item: _Wanted, wave: NDArray[np.float32]
) -> None:
    import torch

    from lipwright.media.mel import SILENCE, STEPS_PER_FRAME, column_at, mel_spectrogram

    first = column_at(item.grid[0])
    mel = mel_spectrogram(torch.from_numpy(wave))
    columns = STEPS_PER_FRAME * len(item.grid)
    part = torch.full((mel.shape[0], columns), SILENCE)
    have = mel[:, first : first + columns]
    part[:, : have.shape[1]] = have
    write_crops(stem.with_suffix(".mp4"), crops)
    temporary = stem.with_name(f".{stem.name}.npz")
    with temporary.open("wb") as file:
        np.savez(
            file,
            mel=part.numpy().astype(np.float16),
            opening=measure.mouth_opening(item.points).astype(np.float32),
            lips=measure.lip_shape(item.points).reshape(len(item.grid), -1).astype(np.float32),
        )
    temporary.replace(stem.with_suffix(".npz"))


def write_crops(path: Path, crops: NDArray[np.uint8]) -> None:
    """Store (T, C, C, 3) RGB crops as near-lossless H.264 4:4:4 at 25 fps, atomically."""
    temporary = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        with av.open(str(temporary), "w") as container:
            stream = container.add_stream("libx264", rate=MODEL_FPS)
            stream.width, stream.height = crops.shape[2], crops.shape[1]
            stream.pix_fmt = "yuv444p"
            stream.options = {"crf": "10", "preset": "veryfast"}
            for crop in crops:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(crop), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_crops(path: Path) -> NDArray[np.uint8]:
    """(T, C, C, 3) RGB crops that :func:`write_crops` stored."""
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
