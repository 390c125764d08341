"""Things painted before faces: what the network learns from that says what hides a face.

Nobody marks hands in films by hand. Networks for hidden faces learn as well from faces before
which objects are painted (Voo et al., "Delving into high-quality synthetic face occlusion
segmentation datasets", CVPRW 2022: hands and other real textures, and shapes at random). Here
they are hands (:mod:`lipwright.data.painted_hands`), microphones, cups, sheets and random shapes,
with colours or with pieces of other pictures, and letters.
"""

from __future__ import annotations

import string

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.data.painted_hands import hand

Picture = NDArray[np.uint8]
Array = NDArray[np.float32]

SHADOW = 0.35
"""The darkest shadow that a thing throws on the face behind it."""


def paint(face: Picture, other: Picture, rng: np.random.Generator) -> tuple[Picture, Array]:
    """Put something before a face.

    Args:
        face: (S, S, 3) RGB, an aligned crop.
        other: (T, T, 3) RGB, the aligned crop of somebody else, whose skin or surroundings are
            used.
        rng: decides everything.

    Returns:
        (S, S, 3) the picture, and (S, S) in [0, 1] how far the thing covers each pixel.
    """
    size = len(face)
    kind = rng.random()
    if kind < 0.5:
        shape, fill = hand(face, other, rng)
    elif kind < 0.9:
        outline = (_microphone, _cup, _sheet, _blob)[int(rng.integers(4))]
        shape = outline(size, rng).astype(np.float32)
        fill = _surface(size, other, rng)
    else:
        shape = _letters(size, rng).astype(np.float32)
        fill = np.broadcast_to(_colour(rng), (size, size, 3)).astype(np.float32)
    soft = float(rng.uniform(0.3, 1.1)) * size / 128
    cover = np.asarray(cv2.GaussianBlur(shape, (0, 0), soft).clip(0, 1), np.float32)
    behind = face.astype(np.float32)
    if kind < 0.9 and rng.random() < 0.6:
        moved = np.array([[1, 0, rng.uniform(-4, 4)], [0, 1, rng.uniform(-4, 4)]], np.float32)
        dark = cv2.GaussianBlur(cv2.warpAffine(cover, moved, (size, size)), (0, 0), size / 32)
        behind = behind * (1 - float(rng.uniform(0, SHADOW)) * dark[:, :, None])
    mixed = behind * (1 - cover[:, :, None]) + np.clip(fill, 0, 255) * cover[:, :, None]
    return np.rint(mixed).astype(np.uint8), cover


def _surface(size: int, other: Picture, rng: np.random.Generator) -> Array:
    """(S, S, 3): a colour with a gradient and some pattern, or a piece of another picture."""
    if rng.random() < 0.35:
        height, width = other.shape[:2]
        side = int(rng.integers(height // 5, height // 2))
        top, left = int(rng.integers(height - side)), int(rng.integers(width - side))
        piece = other[top : top + side, left : left + side]
        piece = cv2.resize(piece, (size, size)) * np.float32(rng.uniform(0.5, 1.4))
        return np.asarray(piece, np.float32)
    y, x = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    angle = float(rng.uniform(0, 2 * np.pi))
    across = x * np.cos(angle) + y * np.sin(angle)
    fill = _colour(rng)[None, None] * (1 + float(rng.uniform(-0.8, 0.8)) * across[:, :, None])
    if rng.random() < 0.5:  # grille, weave, stripes
        wave = np.sin(across * float(rng.uniform(20, 200)))
        if rng.random() < 0.5:
            wave = wave * np.sin((x * np.sin(angle) - y * np.cos(angle)) * rng.uniform(20, 200))
        fill = fill + float(rng.uniform(3, 40)) * wave[:, :, None]
    grain = rng.normal(0, float(rng.uniform(0, 4)), (size, size, 1))
    return np.asarray(fill + grain, np.float32)


def _colour(rng: np.random.Generator) -> Array:
    """(3,) any colour, often grey or dark."""
    colour = rng.uniform(0, 255, 3)
    if rng.random() < 0.4:
        colour = colour.mean() + 0.1 * (colour - colour.mean())
    return np.asarray(colour * (0.3 if rng.random() < 0.3 else 1.0), np.float32)


def _turned(
    size: int, rng: np.random.Generator, steepest: float
) -> tuple[Array, Array, Array, Array]:
    """Pixels in the frame of an object near the mouth: x and y in parts of S, and plain ones."""
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    cx, cy = rng.uniform(0.25, 0.75), rng.uniform(0.55, 0.95)
    angle = float(rng.uniform(-steepest, steepest))
    u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    v = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
    return u.astype(np.float32), v.astype(np.float32), x, y


def _microphone(size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    u, v, _, _ = _turned(size, rng, 1.2)
    wide, high = rng.uniform(0.05, 0.16), rng.uniform(0.06, 0.2)
    ball = (u / wide) ** 2 + (v / high) ** 2 < 1
    return np.asarray(ball | ((np.abs(u) < wide * rng.uniform(0.2, 0.9)) & (v > 0)))


def _cup(size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    u, v, _, _ = _turned(size, rng, 0.6)
    wide = rng.uniform(0.08, 0.25)
    return np.asarray((np.abs(u) < wide * (1 - rng.uniform(0, 0.4) * v)) & (v > 0))


def _sheet(size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    u, v, _, _ = _turned(size, rng, np.pi)
    wide, high = rng.uniform(0.05, 0.4, 2)
    return np.asarray((np.abs(u) < wide) & (np.abs(v) < high))


def _blob(size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """A polygon or a smooth shape around a place near the mouth."""
    count = int(rng.integers(3, 9))
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    reach = rng.uniform(0.05, 0.3, count)[:, None]
    middle = np.array([rng.uniform(0.25, 0.75), rng.uniform(0.5, 1.0)])
    corners = (middle + reach * np.stack([np.cos(angles), np.sin(angles)], axis=1)) * size
    filled = np.zeros((size, size), np.float32)
    cv2.fillPoly(filled, [corners.round().astype(np.int32)[:, None]], 1.0)
    if rng.random() < 0.5:
        filled = cv2.GaussianBlur(filled, (0, 0), size / 24)
    return np.asarray(filled > 0.5)


def _letters(size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """One or two lines of text."""
    canvas = np.zeros((size, size), np.uint8)
    scale, thick = float(rng.uniform(0.3, 1.0)) * size / 128, int(rng.integers(1, 3))
    base = int(rng.uniform(0.55, 0.95) * size)
    for line in range(int(rng.integers(1, 3))):
        text = "".join(rng.choice(list(string.ascii_letters + string.digits + "   "), 14))
        place = (int(rng.uniform(-0.1, 0.3) * size), base + int(line * 32 * scale))
        cv2.putText(canvas, text, place, int(rng.integers(0, 5)), scale, 255, thick, cv2.LINE_AA)
    return np.asarray(canvas > 127)
