"""Sample sheets as PNG, with the image library that every training machine has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor


def write_sheet(rows: Sequence[Tensor], path: Path) -> None:
    """Write rows of (N, 3, S, S) images in [-1, 1], one under another, as one PNG."""
    from PIL import Image

    lines = []
    for row in rows:
        x = ((row.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round().byte()
        lines.append(np.concatenate(list(x.permute(0, 2, 3, 1).numpy()), axis=1))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(lines, axis=0)).save(path)
