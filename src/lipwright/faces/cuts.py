"""Scene cuts, found frame by frame while a video streams by.

The measure is close to that of PySceneDetect's content detector (mean change of hue, saturation and
brightness from one frame to the next), the decision to that of its adaptive detector (the change
must also stand out from the changes around it). That package is not used itself, because its
adaptive detector looks ahead and answers some frames late, while a tracker has to be told of a cut
before it sees the first frame of the new shot; so here only the frames before count. Three remedies
are added: hue and saturation count only as far as there is light and colour (in the dark they are
noise), dark pictures are held to a lower threshold, and a picture that keeps its structure while
its brightness jumps is a flash, not a cut.
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 96  # px; what a cut changes is seen at this size, and noise is averaged away
LIGHT = 80.0  # mean brightness from which on the threshold holds in full


class CutDetector:
    """Says whether a frame begins a new shot."""

    def __init__(
        self, *, threshold: float = 12.0, ratio: float = 3.0, similarity: float = 0.75
    ) -> None:
        """Set up.

        Args:
            threshold: least mean change (0 to 255) of a cut.
            ratio: least change as a multiple of the mean change of the last frames.
            similarity: correlation of the brightness patterns from which on it is the same shot.
        """
        self.threshold = threshold
        self.ratio = ratio
        self.similarity = similarity
        self.score = 0.0
        self._recent: deque[float] = deque(maxlen=8)
        self._last: NDArray[np.float32] | None = None

    def is_cut(self, image: NDArray[np.uint8]) -> bool:
        """Take the next frame.

        Args:
            image: (H, W, 3) RGB; the size may change from frame to frame.

        Returns:
            True if this frame begins a new shot; False for the first frame of all.
        """
        now = _features(image)
        last, self._last = self._last, now
        if last is None or last.shape != now.shape:
            self.score = 0.0
            return last is not None  # another picture format cannot be the same shot
        turn = np.abs(now[..., 0] - last[..., 0])
        turn = np.minimum(turn, 180.0 - turn)  # OpenCV counts hue in steps of two degrees
        hue = float((turn * np.minimum(now[..., 1], last[..., 1])).mean()) / 255.0
        colour = float(np.abs(now[..., 1] - last[..., 1]).mean())
        brightness = float(np.abs(now[..., 2] - last[..., 2]).mean())
        self.score = (hue + colour + brightness) / 3.0
        light = max(float(now[..., 2].mean()), float(last[..., 2].mean()))
        usual = float(np.mean(self._recent)) if self._recent else 0.0
        cut = (
            self.score >= self.threshold * min(1.0, max(0.25, light / LIGHT))
            and self.score >= self.ratio * usual
            and _correlation(now[..., 2], last[..., 2]) < self.similarity
        )
        if cut:
            self._recent.clear()
        else:
            self._recent.append(self.score)
        return cut


def _features(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Small picture of hue (0 to 180), colour (saturation times brightness) and brightness."""
    height, width = image.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Means over 2 x 2 pixels are several times cheaper than over any other area.
    while not (image.shape[0] % 2 or image.shape[1] % 2) and image.shape[1] >= 4 * size[0]:
        half = (image.shape[1] // 2, image.shape[0] // 2)
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.uint8)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    hsv = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2HSV), np.float32)
    hsv[..., 1] *= hsv[..., 2] * np.float32(1 / 255)
    return hsv


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    a, b = a - a.mean(), b - b.mean()
    power = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / power if power > 1e-6 else 0.0
