"""Faces in a picture: MediaPipe's BlazeFace networks with several passes for small faces.

Single-shot detection after Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on
Mobile GPUs" (2019): every anchor of a fixed grid proposes a box and six key points, and overlapping
proposals are blended by their scores rather than thinned out (section 3.3), which makes boxes
steadier from frame to frame. The short-range network sees faces that are at least about a sixth of
the picture; the full-range network sees smaller ones; for wide shots it also looks at tiles. Where
a thorough search finds nobody, the picture is searched again lying on either side and on its head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.faces.network import Float32, Network
from lipwright.faces.upright import upright
from lipwright.weights.fetch import resolve

SCORE_CLIP = 100.0  # logits are clipped before the sigmoid, as in training
TILE_OVERLAP = 0.25  # of the tile's side; a face smaller than this is whole in some tile

Effort = Literal["quick", "normal", "thorough"]


@dataclass(frozen=True)
class Detection:
    """One face.

    Attributes:
        box: (4,) x0, y0, x1, y1 in pixels of the picture (pixel centres at integers).
        keypoints: (6, 2) the person's right eye, left eye, nose tip, mouth, right and left ear.
        score: probability in [0, 1].
    """

    box: NDArray[np.float64]
    keypoints: NDArray[np.float64]
    score: float


@dataclass(frozen=True)
class AnchorLayout:
    """Where the anchors of a network lie.

    Attributes:
        side: input side in pixels.
        strides: one entry per output layer; equal neighbours share one grid.
        per_layer: anchors at each cell of each layer.
    """

    side: int
    strides: tuple[int, ...]
    per_layer: int

    def centres(self) -> Float32:
        """(N, 2) anchor centres in the unit square, in the network's order."""
        parts = []
        layer = 0
        while layer < len(self.strides):
            stride = self.strides[layer]
            same = 1
            while layer + same < len(self.strides) and self.strides[layer + same] == stride:
                same += 1
            cells = -(-self.side // stride)
            grid = (np.arange(cells, dtype=np.float32) + 0.5) / cells
            y, x = np.meshgrid(grid, grid, indexing="ij")
            centres = np.stack([x.ravel(), y.ravel()], axis=1)
            parts.append(np.repeat(centres, same * self.per_layer, axis=0))
            layer += same
        return np.concatenate(parts)


SHORT_RANGE = AnchorLayout(side=128, strides=(8, 16, 16, 16), per_layer=2)
FULL_RANGE = AnchorLayout(side=192, strides=(4,), per_layer=1)


def iou(boxes: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of every box (N, 4) with every other (M, 4), as (N, M)."""
    top_left = np.maximum(boxes[:, None, :2], other[None, :, :2])
    bottom_right = np.minimum(boxes[:, None, 2:], other[None, :, 2:])
    inner = np.prod(np.clip(bottom_right - top_left, 0.0, None), axis=2)
    area = np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None), axis=1)
    area_other = np.prod(np.clip(other[:, 2:] - other[:, :2], 0.0, None), axis=1)
    union = area[:, None] + area_other[None] - inner
    return np.asarray(np.where(union > 0, inner / np.where(union > 0, union, 1.0), 0.0))


def blend_overlapping(
    values: NDArray[np.float64], scores: NDArray[np.float64], threshold: float = 0.3
) -> list[tuple[NDArray[np.float64], float]]:
    """Weighted non-maximum suppression.

    Args:
        values: (N, K) with the box x0, y0, x1, y1 in the first four columns; the further columns
            (key points) are blended alike.
        scores: (N,) positive.
        threshold: proposals that overlap the best one by more are blended into it.

    Returns:
        Pairs of blended values (K,) and the best score, best first.
    """
    order = np.argsort(-scores, kind="stable")
    values, scores = values[order], scores[order]
    left = np.arange(len(scores))
    result = []
    while left.size:
        best = left[0]
        overlap = iou(values[best : best + 1, :4], values[left, :4])[0]
        group = overlap > threshold
        group[0] = True  # also when the box is degenerate
        weights = scores[left[group]]
        blended = weights @ values[left[group]] / weights.sum()
        result.append((blended, float(scores[best])))
        left = left[~group]
    return result


class _Pass:
    """One network with its anchors, applied to one region of the picture."""

    def __init__(self, network: Network, layout: AnchorLayout) -> None:
        self.network = network
        self.layout = layout
        self.anchors = layout.centres()
        if network.side != layout.side:
            raise LipwrightError("a face detector's input size is not the expected; fetch it anew")

    def __call__(
        self, image: NDArray[np.uint8], min_score: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Proposals (N, 16) in picture pixels: box, six key points; and scores (N,)."""
        side = self.layout.side
        height, width = image.shape[:2]
        scale = side / max(height, width)
        inner_w = min(side, max(1, round(width * scale)))
        inner_h = min(side, max(1, round(height * scale)))
        shrink = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(image, (inner_w, inner_h), interpolation=shrink)
        left, top = (side - inner_w) // 2, (side - inner_h) // 2
        canvas = np.full((side, side, 3), -1.0, np.float32)
        canvas[top : top + inner_h, left : left + inner_w] = small * np.float32(2 / 255) - 1.0
        outputs = list(self.network(canvas).values())
        raw = next(o for o in outputs if o.shape[-1] == 16)[0]
        logits = next(o for o in outputs if o.shape[-1] == 1)[0, :, 0]
        clipped = np.clip(logits.astype(np.float64), -SCORE_CLIP, SCORE_CLIP)
        scores = 1.0 / (1.0 + np.exp(-clipped))
        keep = scores >= min_score
        raw, scores = raw[keep].astype(np.float64), scores[keep]
        # All coordinates are offsets from the anchor's centre in input pixels.
        points = raw.reshape(-1, 8, 2) + self.anchors[keep, None] * side
        size = raw[:, 2:4]
        corners = np.stack([points[:, 0] - size / 2, points[:, 0] + size / 2], axis=1)
        everything = np.concatenate([corners, points[:, 2:]], axis=1)
        everything = (everything - (left, top)) * (width / inner_w, height / inner_h) - 0.5
        return everything.reshape(-1, 16), scores


class FaceDetector:
    """Finds all faces of a picture."""

    def __init__(self, *, threads: int = 1, min_score: float = 0.5, full_range: bool = True):
        """Load the networks.

        Args:
            threads: CPU threads per network call.
            min_score: proposals below are dropped.
            full_range: also load the network for small faces; without it (or where it cannot be
                had) tiles are searched by the short-range network.

        Raises:
            LipwrightError: no detector file can be had.
        """
        self.min_score = min_score
        self._short = _Pass(Network(resolve("detector-short"), threads=threads), SHORT_RANGE)
        self._full: _Pass | None = None
        if full_range:
            try:
                self._full = _Pass(Network(resolve("detector-full"), threads=threads), FULL_RANGE)
            except LipwrightError:
                self._full = None  # the tiles below stand in

    def detect(self, image: NDArray[np.uint8], effort: Effort = "normal") -> list[Detection]:
        """Find faces.

        Args:
            image: (H, W, 3) RGB, any size from 1x1 up.
            effort: ``quick`` looks at the whole picture for large faces, ``normal`` also for small
                ones, ``thorough`` searches overlapping tiles too.

        Returns:
            Detections, best first.
        """
        height, width = image.shape[:2]
        values, scores = self._short(image, self.min_score)
        found = [(values, scores)]
        if effort != "quick" and self._full is not None:
            found.append(self._full(image, self.min_score))
        if effort == "thorough" or (effort == "normal" and self._full is None):
            searcher = self._full or self._short
            for x0, y0, side_w, side_h in tiles(width, height):
                tile = image[y0 : y0 + side_h, x0 : x0 + side_w]
                inside, inside_scores = searcher(tile, self.min_score)
                # A box cut by the tile's inner edge is half a face; its whole is in the neighbour.
                cut = (
                    ((inside[:, 0] < 1) & (x0 > 0))
                    | ((inside[:, 1] < 1) & (y0 > 0))
                    | ((inside[:, 2] > side_w - 2) & (x0 + side_w < width))
                    | ((inside[:, 3] > side_h - 2) & (y0 + side_h < height))
                )
                shifted = inside[~cut] + np.tile([x0, y0], 8)
                found.append((shifted, inside_scores[~cut]))
        if effort == "thorough" and not any(scores.size for _, scores in found):
            found += self._in_turned_pictures(image)
        all_values = np.concatenate([v for v, _ in found])
        all_scores = np.concatenate([s for _, s in found])
        good = np.isfinite(all_values).all(axis=1)
        good &= (all_values[:, 2] > all_values[:, 0]) & (all_values[:, 3] > all_values[:, 1])
        return [
            Detection(box=v[:4], keypoints=v[4:].reshape(6, 2), score=score)
            for v, score in blend_overlapping(all_values[good], all_scores[good])
        ]

    def upright(self, detection: Detection, image: NDArray[np.uint8]) -> Detection:
        """The detection of a face that may hang upside down, with eyes and mouth where they are.

        Args:
            detection: in pixels of ``image``.
            image: (H, W, 3) RGB.
        """
        return upright(detection, image, lambda patch: self._short(patch, self.min_score / 2))

    def _in_turned_pictures(
        self, image: NDArray[np.uint8]
    ) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Proposals of all networks in the picture turned by one, two and three quarters."""
        height, width = image.shape[:2]
        found = []
        for quarters in (1, 2, 3):
            turned = np.ascontiguousarray(np.rot90(image, quarters))  # counter-clockwise
            for search in (self._short, self._full):
                if search is None:
                    continue
                values, scores = search(turned, self.min_score)
                points = values.reshape(-1, 8, 2)
                for done in range(quarters):  # a quarter back, clockwise
                    side = width if (quarters - done) % 2 else height
                    points = np.stack([side - 1 - points[..., 1], points[..., 0]], axis=-1)
                low, high = points[:, :2].min(axis=1), points[:, :2].max(axis=1)
                keypoints = points[:, 2:].reshape(-1, 12)
                found.append((np.concatenate([low, high, keypoints], axis=1), scores))
        return found


def tiles(width: int, height: int, smallest: int = 160) -> list[tuple[int, int, int, int]]:
    """Overlapping square tiles of a picture as (x, y, width, height).

    The side is half of the longer side of the picture but not more than the shorter one; pictures
    in which a tile would be smaller than ``smallest`` have none.
    """
    side = min(max(width, height) // 2, width, height)
    if side < smallest:
        return []

    def starts(length: int) -> list[int]:
        count = 1 + max(0, -(-(length - side) // round(side * (1 - TILE_OVERLAP))))
        return [round(i * (length - side) / max(1, count - 1)) for i in range(count)]

    return [(x, y, side, side) for y in starts(height) for x in starts(width)]
