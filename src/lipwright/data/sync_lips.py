"""The shipped speech network as a judge of offsets: predicted against measured lip motion.

It knows many people already, so that it judges a corpus of a single clip, and clips too short for a
fit to the corpus; see :mod:`lipwright.lip_agreement`.
"""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipwright.data.rows import Row, StepContext
from lipwright.data.sources import FULL_SCALE, sound_path
from lipwright.errors import LipwrightError
from lipwright.lip_agreement import agreement_curve, rows_around
from lipwright.lip_motion import NeutralMouth
from lipwright.methods.base import Method, predicted_motion


def lips_curve(row: Row, piece: Row, work: StepContext) -> NDArray[np.float64]:
    """Agreement of a piece's lips with its sound, for sound that comes -REACH .. REACH late."""
    space = predictor().motions
    assert space is not None
    with np.load(work.scratch / f"{piece['clip']}.npz") as stored:
        opening = stored["opening"].astype(np.float64)
        shapes = stored["lips"].astype(np.float64).reshape(len(opening), -1, 2)
    measured = space.encode(opening, shapes, NeutralMouth.of(opening, shapes)).astype(np.float64)
    predicted = _predicted(sound_path(work, row))
    # Outside the recording nobody speaks: lips rest.
    around = rows_around(predicted, piece["first"], piece["frames"], 0.0)
    return np.nan_to_num(agreement_curve(measured, around))


@cache
def predictor() -> Method:
    """The shipped default method.

    Raises:
        LipwrightError: its speech network predicts no lip motion.
    """
    from lipwright.methods.registry import load_method

    method = load_method("vq", "cpu")
    if method.motions is None:
        raise LipwrightError("the shipped checkpoint predicts no lip motion; leave out --lips.")
    return method


@lru_cache(maxsize=2)
def _predicted(path: Path) -> NDArray[np.float64]:
    """(N, K) at 25 fps of a whole source; its pieces come one after another."""
    wave = np.load(path).astype(np.float32) / np.float32(FULL_SCALE)
    return predicted_motion(predictor(), wave)
