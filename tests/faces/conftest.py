"""Network files and pictures for the tests of this room."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.errors import LipwrightError


def _load(make):
    try:
        return make()
    except LipwrightError as error:
        pytest.skip(f"network files cannot be had: {error}")


@pytest.fixture(scope="session")
def detector():
    """The real detector."""
    from lipwright.faces.detector import FaceDetector

    return _load(FaceDetector)


@pytest.fixture(scope="session")
def landmarker():
    """The best real landmark network at hand."""
    from lipwright.faces.landmarks import LandmarkNetwork

    return _load(LandmarkNetwork)


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """(512, 512, 3) uint8 RGB: a public-domain portrait, face about 130 px high."""
    data = pytest.importorskip("skimage.data")
    return np.asarray(data.astronaut(), np.uint8)
