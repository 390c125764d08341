"""The talking face of a video as numbers: landmarks and aligned crops, frame by frame.

Protocol of every measure that uses this: the face with the largest total area, landmarks by the
same tracker that dubbing uses, in every frame of the file; crops by the similarity alignment of the
*reference* video, so that two videos of the same head motion are compared at the same place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.faces import alignment, measure
from lipwright.faces.crop_pixels import warp
from lipwright.faces.cuts import CutDetector
from lipwright.faces.tracker import FaceObservation, FaceTracker
from lipwright.media.reader import VideoReader


@dataclass(frozen=True)
class FaceSeries:
    """One face over a whole video.

    Attributes:
        times: (T,) seconds from the first frame.
        landmarks: (T, P, 3) display pixels; NaN where the face was not found.
        shots: (T,) number of the shot.
    """

    times: NDArray[np.float64]
    landmarks: NDArray[np.float32]
    shots: NDArray[np.int64]

    @property
    def found(self) -> NDArray[np.bool_]:
        """(T,) whether the face was found."""
        return np.asarray(np.isfinite(self.landmarks[:, 0, 0]))

    @property
    def opening(self) -> NDArray[np.float64]:
        """(T,) inner-lip gap over face height; NaN where unknown."""
        return np.asarray(measure.mouth_opening(self.landmarks))

    @property
    def lips(self) -> NDArray[np.float64]:
        """(T, 40, 2) lip contours in parts of the aligned crop; NaN where unknown."""
        return np.asarray(measure.lip_shape(self.landmarks))


def watch(path: Path, tracker: FaceTracker | None = None) -> FaceSeries:
    """Follow the largest face of a video.

    Args:
        path: the video.
        tracker: a tracker to be used again (it is reset).

    Raises:
        LipwrightError: unreadable, or no face in any frame.
    """
    tracker = tracker or FaceTracker()
    tracker.reset()
    cuts = CutDetector()
    times: list[float] = []
    shots: list[int] = []
    seen: list[dict[int, FaceObservation]] = []
    shot = 0
    with VideoReader(path) as reader:
        for frame in reader:
            image, scale = frame.thumbnail(960)
            if cuts.is_cut(image) and times:
                shot += 1
                tracker.reset()
            times.append(float(frame.time))
            shots.append(shot)
            seen.append({f.track: f for f in tracker.update(image, scale)})
    area: dict[int, float] = {}
    for faces in seen:
        for track, f in faces.items():
            area[track] = area.get(track, 0.0) + float(np.prod(f.box[2:] - f.box[:2]))
    if not area:
        raise LipwrightError(f"no face was found in {path}, so it cannot be measured.")
    # Tracks of later shots are other numbers of, most likely, the same person: largest per shot.
    points = max((f.landmarks for faces in seen for f in faces.values()), key=len).shape
    landmarks = np.full((len(seen), *points), np.nan, np.float32)
    for s in range(shot + 1):
        here = [i for i in range(len(seen)) if shots[i] == s]
        tracks = {t for i in here for t in seen[i]}
        if not tracks:
            continue
        main = max(tracks, key=lambda t: area[t])
        for i in here:
            if main in seen[i]:
                landmarks[i] = seen[i][main].landmarks
    return FaceSeries(np.array(times), landmarks, np.array(shots))


def crop_transforms(series: FaceSeries, size: int) -> list[NDArray[np.float64] | None]:
    """Per frame the smoothed map from crop pixels to display pixels, None without a face."""
    out: list[NDArray[np.float64] | None] = [None] * len(series.times)
    for shot in np.unique(series.shots):
        index = [int(i) for i in np.flatnonzero((series.shots == shot) & series.found)]
        raw = [alignment.estimate(series.landmarks[i]) for i in index]
        for i, m in zip(index, alignment.smooth(raw), strict=True):
            out[i] = alignment.to_pixels(m, size)
    return out


def crops(
    path: Path, transforms: list[NDArray[np.float64] | None], size: int
) -> Iterator[NDArray[np.uint8] | None]:
    """Aligned (size, size, 3) RGB crops of a video, one per frame, None without a face."""
    with VideoReader(path) as reader:
        for frame, m in zip(reader, transforms, strict=False):
            yield None if m is None else warp(frame.rgb(), m, size)
