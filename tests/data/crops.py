"""Stored crops for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lipwright.data.storage import CropWriter


def write_crops(path: Path, crops: np.ndarray) -> None:
    """Store (T, C, C, 3) RGB crops as a preparation does."""
    writer = CropWriter(path, crops.shape[1])
    for crop in crops:
        writer.add(crop)
    writer.close()
