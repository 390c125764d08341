"""A 68-point face that opens its mouth, for tests without a network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def face(opening: float = 0.0, width: float = 1.0, turn: float = 0.0) -> Tensor:
    """(68, 2) points of a schematic face, about 1 wide, y down.

    Args:
        opening: how far the lower lip and the chin are down.
        width: of the mouth, relative.
        turn: shift of outline against nose, as a turned head has it.
    """
    p = np.zeros((68, 2))
    a = np.linspace(np.pi, 0.0, 17)
    p[:17] = np.stack([0.5 * np.cos(a) + turn, 0.1 + 0.7 * np.sin(a)], 1)
    p[4:13, 1] += opening * np.sin(np.linspace(0, np.pi, 9))
    p[17:27, 0] = np.concatenate([np.linspace(-0.42, -0.1, 5), np.linspace(0.1, 0.42, 5)])
    p[17:27, 1] = -0.15
    p[27:31, 1] = np.linspace(0.0, 0.25, 4)
    p[31:36] = np.stack([np.linspace(-0.1, 0.1, 5), np.full(5, 0.3)], 1)
    for start, x in ((36, -0.25), (42, 0.25)):
        t = np.linspace(np.pi, -np.pi, 6, endpoint=False)
        p[start : start + 6] = np.stack([x + 0.09 * np.cos(t), -0.03 * np.sin(t)], 1)
    t = np.linspace(np.pi, -np.pi, 12, endpoint=False)
    p[48:60] = np.stack([0.2 * width * np.cos(t), 0.52 - 0.07 * np.sin(t)], 1)
    t = np.linspace(np.pi, -np.pi, 8, endpoint=False)
    p[60:68] = np.stack([0.15 * width * np.cos(t), 0.52 - 0.01 * np.sin(t)], 1)
    p[[55, 56, 57, 58, 59, 65, 66, 67], 1] += opening
    return torch.from_numpy(p)


def moved(points: Tensor, scale: float, degrees: float, shift: tuple[float, float]) -> Tensor:
    """Points after a similarity transform."""
    angle = np.radians(degrees)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    matrix = torch.tensor([[c, -s], [s, c]], dtype=points.dtype)
    return points @ matrix.T + points.new_tensor(shift)


def clips(count: int = 12, frames: int = 20, seed: int = 0) -> list[Tensor]:
    """Clips (T, 68, 2) of different faces in different places, mouths opening."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        own = rng.normal(0, 0.01, (68, 2))
        own[[*range(27, 48)]] *= 0.2
        place = (
            float(rng.uniform(50, 80)),
            float(rng.uniform(-15, 15)),
            (float(rng.uniform(40, 90)), 60.0),
        )
        phase = rng.uniform(0, 6)
        shapes = []
        for n in range(frames):
            opening = 0.06 * (1 + np.sin(0.7 * n + phase))
            width = 1 + 0.1 * np.sin(0.45 * n + 2 * phase)
            turn = 0.02 * np.sin(0.2 * n + phase)
            shapes.append(moved(face(opening, width, turn) + torch.from_numpy(own), *place))
        made.append(torch.stack(shapes))
    return made
