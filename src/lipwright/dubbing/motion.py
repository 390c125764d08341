"""Where the pixels of the drawn face come from in the method's copy of the source face.

A jaw that drops takes chin, beard and lower lip along: the texture is all there in the source, only
somewhere else. The dense flow between the copy B and the speaking face G, both drawn by the same
network and equally soft, says where; the full-resolution source can then be moved the same way, and
what is left to be drawn is what motion does not explain: teeth, the inside of the mouth.

The flow (``media.flow``) is kept only where the face was edited and where moving B really brings it
nearer to G.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.geometry import smoothstep
from lipwright.media.flow import dense_flow, move

__all__ = ["flow_between", "move"]

Array = NDArray[np.float32]

SMOOTH = 0.015
"""Standard deviation, as a share of S, over which the flow is averaged."""
LONGEST = 0.12
"""Nothing on a face moves further than this share of S."""
GAIN_FROM, GAIN_FULL = 0.25, 0.55
"""Share of the difference that the motion has to explain: below the first it is not used."""
SMALLEST = 32
"""Side of the smallest rectangle in which a flow is looked for, in crop pixels."""
LEAST = 1e-4
"""Where all of the flow is weaker than this, in crop pixels, there is none."""


def flow_between(generated: Array, baseline: Array, edited: Array) -> Array | None:
    """The flow f with ``generated(x) ~ baseline(x + f(x))``.

    Args:
        generated: (S, S, 3) the speaking face, RGB in [0, 1].
        baseline: (S, S, 3) the copy of the source face.
        edited: (S, S) in [0, 1], 0 where nothing was edited; the flow is 0 there.

    Returns:
        (S, S, 2) in crop pixels (x, y), or None where nothing moves.
    """
    if not edited.any():
        return None
    size = generated.shape[0]
    place = _surroundings(edited, round(LONGEST * size))
    first, second = (_grey(picture[place]) for picture in (generated, baseline))
    flow = np.zeros((size, size, 2), np.float32)
    flow[place] = dense_flow(first, second)
    flow = np.asarray(cv2.GaussianBlur(flow, (0, 0), max(0.5, SMOOTH * size)), np.float32)
    length = np.hypot(flow[..., 0], flow[..., 1])
    flow *= np.minimum(1.0, LONGEST * size / np.maximum(length, 1e-6))[..., None]
    flow *= (edited * _gain(generated, baseline, flow))[..., None]
    return flow if float(np.abs(flow).max()) > LEAST else None


def _surroundings(edited: Array, margin: int) -> tuple[slice, slice]:
    """The rectangle around what was edited, in which matches are looked for."""
    size = edited.shape[0]
    spans = []
    for axis in (1, 0):
        touched = np.flatnonzero(edited.any(axis=axis))
        low, high = int(touched[0]) - margin, int(touched[-1]) + 1 + margin
        # The solver's pyramid needs some room.
        missing = max(0, SMALLEST - (high - low))
        spans.append(slice(max(0, low - missing), min(size, high + missing)))
    return spans[0], spans[1]


def _gain(generated: Array, baseline: Array, flow: Array) -> Array:
    """(S, S) in [0, 1]: how surely the motion explains the difference."""
    width = max(0.7, SMOOTH * generated.shape[0])

    def unlikeness(picture: Array) -> Array:
        difference = np.abs(generated - picture).max(axis=2)
        return np.asarray(cv2.GaussianBlur(difference, (0, 0), width), dtype=np.float32)

    before, after = unlikeness(baseline), unlikeness(move(baseline, flow))
    share = (before - after) / np.maximum(before, 1e-3)
    step = np.clip((share - GAIN_FROM) / (GAIN_FULL - GAIN_FROM), 0.0, 1.0)
    smooth = cv2.GaussianBlur(smoothstep(step), (0, 0), width)
    return np.asarray(smooth, dtype=np.float32)


def _grey(picture: Array) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.convertScaleAbs(grey, alpha=255.0), dtype=np.uint8)
