"""Pictures of a result beside those of the real video: matched by time, cropped alike, streamed.

Protocol, the same for every metric and written into every result:

* the largest face of each shot, by the tracker that dubbing uses, found in both videos;
* a frame of the real video is compared with the frame of the result that is nearest in time, at
  most half a frame away; frames of either without a partner are left out;
* the crop is the smoothed similarity alignment of the **real** video's face, 224 px, in both;
* networks that think in 25 fps see the nearest frame to each n / 25 s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.evaluation.faces import FaceSeries, crop_transforms
from lipwright.faces.crop_pixels import warp
from lipwright.media.reader import VideoReader

CROP = 224
SYNC_SCALE = 0.4
MEDIAN = 13
GREY = 110
PROTOCOL = {
    "face": "largest track of each shot; Lipwright's detector and landmarks",
    "matching": "nearest frame by timestamp, at most half a frame away",
    "crop": f"smoothed similarity alignment of the real face, {CROP} px, bilinear or area",
    "rate": "25 fps by nearest timestamp where a network needs it",
}


@dataclass(frozen=True)
class Matched:
    """A pair of crops of one moment.

    Attributes:
        index: frame of the real video.
        partner: frame of the result.
        real: (S, S, 3) uint8 RGB.
        result: the same crop of the result.
        transform: 2x3, crop pixels to display pixels.
    """

    index: int
    partner: int
    real: NDArray[np.uint8]
    result: NDArray[np.uint8]
    transform: NDArray[np.float64]


def match_times(real: NDArray[np.float64], result: NDArray[np.float64]) -> NDArray[np.int64]:
    """(T,) for each real frame the frame of the result nearest in time, -1 without one."""
    if len(result) == 0 or len(real) == 0:
        return np.full(len(real), -1, np.int64)
    step = float(np.median(np.diff(real))) if len(real) > 1 else 0.04
    nearest = _nearest(result, real)
    far = np.abs(result[nearest] - real) > step / 2 + 1e-6
    return np.asarray(np.where(far, -1, nearest), np.int64)


def matched_crops(
    real: Path, result: Path, series: FaceSeries, partner: NDArray[np.int64], size: int = CROP
) -> Iterator[Matched]:
    """Crops of both videos for every real frame that has a face and a partner.

    Args:
        real: the real video.
        result: the result.
        series: faces of the real video.
        partner: as :func:`match_times` gives it (rising).
        size: side of the crops.
    """
    transforms = crop_transforms(series, size)
    with VideoReader(real) as first, VideoReader(result) as second:
        others = enumerate(second)
        at, other = -1, None
        for i, frame in enumerate(first):
            if i >= len(partner):
                return
            want = int(partner[i])
            m = transforms[i]
            if want < 0 or m is None:
                continue
            while at < want:
                step = next(others, None)
                if step is None:
                    return
                at = step[0]
                other = step[1].rgb() if at == want else None
            if other is None:
                continue
            ours = frame.rgb()
            if ours.shape != other.shape:
                raise LipwrightError(
                    f"{result} is {other.shape[1]} x {other.shape[0]} and its reference {real} "
                    f"{ours.shape[1]} x {ours.shape[0]}; compare videos of one size."
                )
            yield Matched(i, want, warp(ours, m, size), warp(other, m, size), m)


def at_25(times: NDArray[np.float64]) -> NDArray[np.int64]:
    """Frame nearest to each n / 25 s, up to the last frame's own time."""
    if len(times) == 0:
        return np.zeros(0, np.int64)
    grid = np.arange(int(np.floor(float(times[-1]) * 25 + 0.5)) + 1) / 25
    return _nearest(times, grid)


def _nearest(times: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places of the times that are nearest to those wanted, the earlier one of two."""
    right = np.clip(np.searchsorted(times, wanted), 0, len(times) - 1)
    left = np.maximum(right - 1, 0)
    near = np.abs(times[left] - wanted) <= np.abs(times[right] - wanted)
    return np.asarray(np.where(near, left, right), np.int64)


def sync_boxes(series: FaceSeries) -> NDArray[np.float64]:
    """(T, 3) centre x, y and half side of the mesh's box; gaps filled, median filter of 13."""
    points = series.landmarks[..., :2].astype(np.float64)
    known = series.found
    low, high = points.min(axis=1), points.max(axis=1)
    boxes = np.concatenate([(low + high) / 2, (high - low).max(axis=1, keepdims=True) / 2], axis=1)
    index = np.flatnonzero(known)
    filled = np.stack(
        [np.interp(np.arange(len(boxes)), index, boxes[index, k]) for k in range(3)], axis=1
    )
    half = MEDIAN // 2
    padded = np.pad(filled, ((half, half), (0, 0)))  # zeros, as scipy's medfilt pads
    windows = np.lib.stride_tricks.sliding_window_view(padded, MEDIAN, axis=0)
    smooth = np.median(windows, axis=-1)
    # The filter's zeros would pull the first and last boxes to the corner: keep those as found.
    smooth[:half], smooth[len(smooth) - half :] = filled[:half], filled[len(filled) - half :]
    return np.asarray(smooth)


def sync_crop(image: NDArray[np.uint8], box: NDArray[np.float64]) -> NDArray[np.uint8]:
    """SyncNet's crop: rows -s to s (1 + 2c), columns +-s (1 + c) with c = 0.4, grey outside."""
    x, y, s = box
    side = s * (2 + 2 * SYNC_SCALE)
    scale = side / CROP
    m = np.array([[scale, 0, x - side / 2 + scale / 2 - 0.5], [0, scale, y - s + scale / 2 - 0.5]])
    if scale > 1.5:
        k = 1 / scale
        image = cv2.resize(image, None, fx=k, fy=k, interpolation=cv2.INTER_AREA)
        m = np.array([[1.0, 0, (x - side / 2) * k], [0, 1.0, (y - s) * k]])
    return np.asarray(
        cv2.warpAffine(
            image,
            m,
            (CROP, CROP),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(GREY, GREY, GREY),
        )
    )


def sync_pictures(path: Path, series: FaceSeries, front: str) -> Iterator[NDArray[np.uint8]]:
    """(224, 224, 3) RGB pictures at 25 fps for SyncNet.

    Args:
        path: the video.
        series: its faces.
        front: ``tracked`` (box of the face) or ``whole`` (the whole picture is a face crop).
    """
    boxes = sync_boxes(series) if front == "tracked" else None

    def made(i: int, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if boxes is not None:
            return sync_crop(image, boxes[i])
        return np.asarray(cv2.resize(image, (CROP, CROP)), np.uint8)

    return _each_at_25(path, series, made)


def aligned_25(path: Path, series: FaceSeries, size: int) -> Iterator[NDArray[np.uint8]]:
    """Aligned crops of a video at 25 fps; where the face is lost, the crop stays where it was."""
    transforms = crop_transforms(series, size)
    known = np.flatnonzero([m is not None for m in transforms])

    def made(i: int, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        m = transforms[int(known[np.abs(known - i).argmin()])]
        assert m is not None
        return warp(image, m, size)

    return _each_at_25(path, series, made)


def _each_at_25(
    path: Path, series: FaceSeries, made: Callable[[int, NDArray[np.uint8]], NDArray[np.uint8]]
) -> Iterator[NDArray[np.uint8]]:
    """What is made of the number and the picture of the frames of a video, at 25 fps."""
    wanted = at_25(series.times)
    n = 0
    with VideoReader(path) as reader:
        for i, frame in enumerate(reader):
            if n >= len(wanted):
                return
            if wanted[n] != i:
                continue
            picture = made(i, frame.rgb())
            while n < len(wanted) and wanted[n] == i:
                yield picture
                n += 1
