"""Mouths for the tests of stage 2: a textured oval that opens, as filmed and as drawn softly."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.enhance.base import Context, References
from lipwright.face_regions import MOUTH_WINDOW
from lipwright.faces.measure import INNER_LIPS, OUTER_LIPS
from lipwright.faces.paste import OUTLINE_POINTS

SIDE = 320
"""Pixels a side of the mouth window; the crop has SIDE / 0.6."""
DRAWN = 128
Array = NDArray[np.float32]


def lips(opening: float = 0.03, dx: float = 0.0) -> NDArray[np.float64]:
    """(40, 2) two rings around (0.5, 0.65) in parts of the crop."""
    rings = []
    for count, wide, high in (
        (len(INNER_LIPS), 0.10, opening),
        (len(OUTER_LIPS), 0.14, opening + 0.04),
    ):
        turn = np.linspace(np.pi, 3 * np.pi, count, endpoint=False)
        rings.append(np.stack([0.5 + dx + wide * np.cos(turn), 0.65 + high * np.sin(turn)], 1))
    return np.concatenate(rings)


OUTLINE = np.random.default_rng(1).uniform(0.2, 0.8, (len(OUTLINE_POINTS), 2)).astype(np.float32)


def texture(seed: int, side: int = SIDE) -> Array:
    """(side, side) fine grain of mean 0 and a standard deviation of about 0.03."""
    rng = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(rng.normal(size=(side, side)).astype(np.float32), (0, 0), 1.0)
    return np.asarray(grain * (0.03 / grain.std()), np.float32)


def filmed(seed: int = 0, opening: float = 0.03, dx: float = 0.0, light: float = 1.0) -> Array:
    """(3, SIDE, SIDE) in [0, 1]: skin, lips and the dark between them, with this grain."""
    corner, extent = np.array(MOUTH_WINDOW[:2]), MOUTH_WINDOW[2] - MOUTH_WINDOW[0]
    ring = (lips(opening, dx) - corner) / extent * SIDE
    base = np.full((SIDE, SIDE), 0.6, np.float32)
    cv2.fillPoly(base, [np.rint(ring[len(INNER_LIPS) :]).astype(np.int32)], (0.45,))
    cv2.fillPoly(base, [np.rint(ring[: len(INNER_LIPS)]).astype(np.int32)], (0.15,))
    base = cv2.GaussianBlur(base, (0, 0), 2.0)
    shift = np.float32([[1, 0, dx / extent * SIDE], [0, 1, 0]])
    grain = cv2.warpAffine(texture(seed), shift, (SIDE, SIDE), borderMode=cv2.BORDER_WRAP)
    grey = light * (base + grain)
    return np.clip(np.stack([grey, 0.8 * grey, 0.7 * grey]), 0, 1).astype(np.float32)


def drawn(picture: Array) -> Array:
    """The same as the first stage draws it: of DRAWN pixels a side of the crop, enlarged."""
    sigma = 0.8 * SIDE / (MOUTH_WINDOW[2] - MOUTH_WINDOW[0]) / DRAWN
    return np.stack([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in picture])


def to_picture() -> NDArray[np.float64]:
    """(2, 3) unit crop to the pixels of a picture that is the mouth window."""
    left, top, right, _ = MOUTH_WINDOW
    scale = SIDE / (right - left)
    return np.array([[scale, 0, -left * scale - 0.5], [0, scale, -top * scale - 0.5]])


def context(source: Array | None = None, **of_lips: float) -> Context:
    """What is known of a picture."""
    return Context(to_picture(), source, lips(**of_lips), OUTLINE)


def references(*pictures: Array, shapes: list[dict[str, float]] | None = None) -> References:
    """References that show these pictures, with the lips that each has."""
    shapes = shapes or [{}] * len(pictures)
    return References(
        [np.rint(np.moveaxis(p, 0, 2) * 255).astype(np.uint8) for p in pictures],
        np.stack([lips(**shape) for shape in shapes]),
        np.stack([OUTLINE] * len(pictures)),
        DRAWN,
    )


def error(a: Array, b: Array, margin: int = 24) -> float:
    """Root mean square difference of the brightness inside the borders."""
    inside = np.s_[:, margin:-margin, margin:-margin]
    return float(np.sqrt(np.mean(np.square(a[inside] - b[inside]))))


def nbytes(state: Any) -> int:
    """Bytes of all arrays that a state holds."""
    if isinstance(state, np.ndarray):
        return state.nbytes
    if isinstance(state, (list, tuple)):
        return sum(nbytes(part) for part in state)
    if isinstance(state, dict):
        return nbytes(list(state.values()))
    return nbytes(vars(state)) if hasattr(state, "__dict__") else 0
