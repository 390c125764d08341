"""Dense flow between two small pictures, and moving a picture along one.

Kroeger et al., "Fast Optical Flow using Dense Inverse Search" (ECCV 2016), as OpenCV has it.
"""

from __future__ import annotations

import threading
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Code = TypeVar("Code", np.uint8, np.float32)


def dense_flow(first: NDArray[np.uint8], second: NDArray[np.uint8], *, fast: bool = False) -> Array:
    """The flow f with ``first(x) ~ second(x + f(x))``.

    Args:
        first: (h, w) grey, at least 32 pixels a side.
        second: the same size.
        fast: fewer patches and steps for half of the time; enough for a flow that is smoothed.

    Returns:
        (h, w, 2) in pixels (x, y).
    """
    return np.asarray(_solver(fast).calc(first, second, None), np.float32)


def move(
    picture: NDArray[Code],
    flow: Array,
    corner: tuple[int, int] = (0, 0),
    how: int = cv2.INTER_CUBIC,
) -> NDArray[Code]:
    """``picture(x + flow(x))``; exactly the picture where the flow is 0. Edges are repeated.

    Args:
        picture: (H, W) or (H, W, C).
        flow: (h, w, 2) in its pixels, of the whole picture or a rectangle of it.
        corner: (x, y) of the rectangle in the picture.
        how: OpenCV's interpolation.

    Returns:
        (h, w) or (h, w, C).
    """
    height, width = flow.shape[:2]
    x = flow[..., 0] + np.arange(corner[0], corner[0] + width, dtype=np.float32)
    y = flow[..., 1] + np.arange(corner[1], corner[1] + height, dtype=np.float32)[:, None]
    moved = cv2.remap(picture, x, y, how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, picture.dtype)


def _solver(fast: bool) -> cv2.DISOpticalFlow:
    solvers: dict[bool, cv2.DISOpticalFlow] = _own.__dict__.setdefault("solvers", {})
    if fast not in solvers:
        solver = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        solver.setFinestScale(0)  # faces are small: a lip moves by a few pixels
        if fast:
            solver.setPatchStride(4)
            solver.setGradientDescentIterations(12)
            solver.setVariationalRefinementIterations(1)
        solvers[fast] = solver
    return solvers[fast]


_own = threading.local()  # a solver keeps buffers: every thread has its own
