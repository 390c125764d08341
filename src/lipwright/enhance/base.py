"""The contract of stage 2: a frame with a drawn mouth becomes one with a sharp mouth.

Gupta et al., "Towards Generating Ultra-High Resolution Talking-Face Videos with Lip
Synchronization" (WACV 2023), section 3.2: the second stage gets the crop of the source in which
only the lip region was replaced by what the first drew, and may be any network for faces. An
enhancer knows nothing of files, tracks and pasting; ``lipwright.dubbing`` calls it for every drawn
face, in order, and shows what it changed where the first stage had drawn.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.face_regions import MOUTH_WINDOW, Box

Array = NDArray[np.float32]
Need = Literal["references", "source", "lips"]

BRIGHTNESS = (0.299, 0.587, 0.114)
"""Weights of R, G and B where no video says otherwise (ITU-R BT.601)."""


@dataclass(frozen=True)
class EnhancerInfo:
    """What the pipeline has to know of an enhancer.

    Attributes:
        name: registry name.
        model_id: the same with a content hash where it has weights; for reports and manifests.
        scale: its result has so many times the pixels of its input along each side.
        size: side S of the square window that it takes, in pixels; 0: it works on the pixels of
            the video themselves, any rectangle of them.
        needs: what it uses beside the picture; the pipeline leaves the rest out.
        backend: runtime and arithmetic; equal backends give the same frames.
        window: the square of the aligned crop that it takes, in parts of it; may reach beyond.
        brightness: it changes brightness alone, so that pictures and sources have one channel,
            weighed as the video weighs R, G and B, and colour is not computed at all.
    """

    name: str
    model_id: str
    scale: int = 1
    size: int = 0
    needs: frozenset[Need] = frozenset()
    backend: str = "numpy"
    window: Box = MOUTH_WINDOW
    brightness: bool = False


@dataclass(frozen=True)
class References:
    """Mouths of the person, as fine as the video shows them.

    Attributes:
        pictures: R pictures (S, S, 3) uint8 RGB of the mouth window; their sides may differ.
        lips: (R, 40, 2) lip contours in parts of the aligned crop.
        outlines: (R, K, 2) landmarks of the face's outline in parts of the aligned crop.
        drawn: pixels a side of the crop that the first stage draws.
        weights: of R, G and B in the brightness of the video.
    """

    pictures: Sequence[NDArray[np.uint8]]
    lips: NDArray[np.floating]
    outlines: NDArray[np.floating]
    drawn: int
    weights: tuple[float, float, float] = BRIGHTNESS


@dataclass(frozen=True)
class Context:
    """What is known of one picture.

    Attributes:
        to_picture: (2, 3) from the unit square of the aligned crop to pixels of the picture.
        source: (C, H, W) float32 in [0, 1], the picture before anything was drawn, or None.
        lips: (40, 2) contours of the drawn lips in parts of the aligned crop, or None.
        outline: (K, 2) landmarks of the face's outline in this frame, or None.
        shown: (H, W), 0 where what is made of the picture will not be shown, so that it may stay
            there as it is; None: all of it may be.
    """

    to_picture: NDArray[np.float64]
    source: Array | None = None
    lips: NDArray[np.floating] | None = None
    outline: NDArray[np.floating] | None = None
    shown: Array | None = None


class Enhancer(ABC):
    """Sharpens drawn mouths. Sets ``info`` when it is made."""

    info: EnhancerInfo

    def start(self, references: References) -> Any:
        """Prepare one face; what it gives is passed to :meth:`enhance` for each of its pictures.

        The state does not change from frame to frame: a frame depends on nothing but itself and
        the references, whatever came before it and in whatever batch.
        """
        return references

    @abstractmethod
    def enhance(self, pictures: Array, contexts: Sequence[Context], state: Any) -> Array:
        """Sharpen what was drawn.

        Args:
            pictures: (B, C, H, W) float32 in [0, 1], C = 3 for RGB, or 1 where ``info.brightness``
                says so; H = W = ``info.size`` unless that is 0.
            contexts: B.
            state: what :meth:`start` gave.

        Returns:
            (B, C, k H, k W) float32 in [0, 1], k = ``info.scale``.
        """

    def close(self) -> None:
        """Let go of what is held; may be called twice."""
        return


def brightness(picture: Array, weights: tuple[float, float, float] = BRIGHTNESS) -> Array:
    """(H, W, 3) RGB -> (H, W)."""
    return np.asarray(cv2.transform(picture, np.array([weights], np.float32)), np.float32)
