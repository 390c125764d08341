"""Palms in a picture: MediaPipe's BlazePalm network.

Fingers overlap and bend, a palm hardly does, so hands are found by their palms (Zhang et al.,
"MediaPipe Hands: On-device Real-time Hand Tracking", CVPR workshops 2020, section 2.1). The anchors
and the blending of overlapping proposals are those of the face detector.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipwright.faces.detector import SCORE_CLIP, AnchorLayout, blend_overlapping
from lipwright.faces.network import Network

LAYOUT = AnchorLayout(side=192, strides=(8, 16, 16, 16), per_layer=2)
PACKED = (11, 2_341_291)
"""Where the network lies in the file of packed assets."""
MIN_SCORE = 0.25
"""Low, for the landmark network has the last word; palms that are cut by the picture's edge get no
more."""
WRIST, MIDDLE = 0, 2
"""Of the seven points of a palm: the wrist, and where the middle finger begins."""


@dataclass(frozen=True)
class Palm:
    """One palm in pixels of the patch that was searched.

    Attributes:
        box: (4,) x0, y0, x1, y1.
        points: (7, 2) wrist, beginnings of the fingers, thumb.
        score: probability in [0, 1].
    """

    box: NDArray[np.float64]
    points: NDArray[np.float64]
    score: float


class PalmDetector:
    """Finds the palms of a square patch."""

    side = LAYOUT.side

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        """Load.

        Args:
            path: the file ``palm-detector`` of the registry.
            threads: CPU threads per call.
        """
        self._network = Network(path, threads=threads, part=PACKED)
        self._anchors = LAYOUT.centres()

    def __call__(self, patch: NDArray[np.uint8]) -> list[Palm]:
        """Search.

        Args:
            patch: (192, 192, 3) RGB.

        Returns:
            Palms, best first.
        """
        outputs = list(self._network(patch.astype(np.float32) * np.float32(1 / 255)).values())
        raw = next(o for o in outputs if o.shape[-1] == 18)[0]
        logits = next(o for o in outputs if o.shape[-1] == 1)[0, :, 0].astype(np.float64)
        scores = 1.0 / (1.0 + np.exp(-np.clip(logits, -SCORE_CLIP, SCORE_CLIP)))
        keep = scores >= MIN_SCORE
        if not keep.any():
            return []
        # Offsets from the anchor's centre in pixels; those of the box's size are no offsets.
        values = raw[keep].astype(np.float64).reshape(-1, 9, 2)
        points = values + self._anchors[keep, None] * self.side
        half = values[:, 1] / 2
        corners = np.stack([points[:, 0] - half, points[:, 0] + half], axis=1)
        everything = np.concatenate([corners, points[:, 2:]], axis=1) - 0.5
        return [
            Palm(each[:4], each[4:].reshape(7, 2), score)
            for each, score in blend_overlapping(everything.reshape(-1, 18), scores[keep])
        ]
