"""What the occlusion network says, cleaned; and the network that comes with the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipwright.errors import LipwrightError
from lipwright.faces.occlusion import MAP_SIDE, OcclusionFinder, things
from lipwright.methods.registry import shipped

EVERYWHERE = np.ones((MAP_SIDE, MAP_SIDE), bool)


def likely(*boxes: tuple[slice, slice, float]) -> np.ndarray:
    out = np.full((MAP_SIDE, MAP_SIDE), 0.05, np.float32)
    for rows, columns, value in boxes:
        out[rows, columns] = value
    return out


def test_a_thing_reaches_from_where_it_is_sure_as_far_as_it_is_likely() -> None:
    found = things(
        likely((slice(30, 50), slice(10, 20), 0.5), (slice(34, 38), slice(10, 14), 0.9)),
        EVERYWHERE,
        seed=0.8,
        least=0.4,
        area=12,
    )
    assert (found[30:50, 10:20] >= 0.5).all()
    assert np.count_nonzero(found) == 200


def test_small_unsure_or_distant_things_are_none() -> None:
    small = likely((slice(30, 33), slice(10, 13), 0.9))
    unsure = likely((slice(30, 50), slice(10, 20), 0.7))
    beside = likely((slice(30, 50), slice(10, 20), 0.9))
    right_half = EVERYWHERE.copy()
    right_half[:, :32] = False
    for found, where in ((small, EVERYWHERE), (unsure, EVERYWHERE), (beside, right_half)):
        assert not things(found, where, seed=0.8, least=0.4, area=12).any()


def test_a_checkpoint_of_something_else_is_refused() -> None:
    with pytest.raises(LipwrightError, match="no checkpoint of the occlusion network"):
        OcclusionFinder(shipped("vq"))
    with pytest.raises(LipwrightError, match="no checkpoint"):
        OcclusionFinder(Path("nowhere.safetensors"))
