"""Hard subtitles over the mouth: is there text in the lower half of a face crop?

Letters are thin strokes of nearly one brightness, nearly white or coloured on dark or outlined:
along a line of text, brightness jumps up and down every few pixels. Skin, lips and beards have
neither the contrast nor the regularity; teeth have one bright stretch. Counted are rows of the
picture in which many strong jumps of both signs follow each other closely.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.runs import runs_of

WORK_SIDE = 256
JUMP = 70
"""Change of brightness over two pixels that counts as the edge of a stroke."""
JUMPS = 8
"""Edges that a row of letters has inside the lower face; of 300 real faces none had 6 rows of 6."""
ROWS = 6
"""So many rows, one below the other, must look like letters."""


def has_burned_in_text(crop: NDArray[np.uint8]) -> bool:
    """Whether the lower half of an aligned face crop (S, S, 3) RGB is written over."""
    gray = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    if gray.shape[0] != WORK_SIDE:
        gray = cv2.resize(gray, (WORK_SIDE, WORK_SIDE), interpolation=cv2.INTER_AREA)
    part = np.asarray(gray[WORK_SIDE // 2 : WORK_SIDE * 15 // 16], np.int16)
    step = part[:, 2:] - part[:, :-2]
    sign = np.where(step > JUMP, 1, np.where(step < -JUMP, -1, 0)).astype(np.int8)
    counts = np.array([_alternations(row) for row in sign])
    lengths = np.diff(runs_of(counts >= JUMPS))
    return bool(lengths.size and lengths.max() >= ROWS)


def _alternations(sign: NDArray[np.int8]) -> int:
    """How often strong rises and falls take turns along a row."""
    strong = sign[sign != 0]
    return int(1 + np.count_nonzero(np.diff(strong))) if strong.size else 0
