"""Bars around a film leave its faces where they are."""

from __future__ import annotations

from importlib.resources import as_file, files

import cv2
import numpy as np
import pytest

from lipwright.faces.tracker import FaceTracker

LIPS = (61, 291, 13, 14, 0, 17)
"""Corners, inner and outer middle of both lips, of MediaPipe's mesh."""


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    """(h, w, 3) RGB, 320 lines."""
    with as_file(files("lipwright") / "assets" / "portrait.jpg") as path:
        picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    height, width = picture.shape[:2]
    return cv2.resize(picture, (round(320 * width / height), 320), interpolation=cv2.INTER_AREA)


def points(picture: np.ndarray) -> np.ndarray:
    (face,) = FaceTracker().update(picture)
    return np.asarray(face.landmarks[:, :2])


@pytest.mark.parametrize(
    ("left", "right", "top", "bottom"),
    [(0, 0, 200, 200), (160, 160, 0, 0), (300, 0, 0, 60)],
)
def test_the_mouth_is_found_where_it_is(
    portrait: np.ndarray, left: int, right: int, top: int, bottom: int
) -> None:
    plain = points(portrait)
    barred = points(np.pad(portrait, ((top, bottom), (left, right), (0, 0))))
    height = np.ptp(plain[:, 1])
    moved = barred - plain - (left, top)
    assert np.abs(moved[list(LIPS)]).max() < 0.02 * height
    assert np.abs(moved).mean() < 0.02 * height
