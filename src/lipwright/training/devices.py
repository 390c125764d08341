"""Which device trains, checked before any work."""

from __future__ import annotations

from collections.abc import Callable

import torch

from lipwright.errors import LipwrightError

PRESENT: dict[str, Callable[[], bool]] = {
    "cpu": lambda: True,
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
}


def check_device(name: str) -> str:
    """The device that a name stands for: ``cpu``, ``cuda`` or ``mps``.

    ``auto`` is a GPU of NVIDIA where there is one and the processor else; the GPU of a Mac has to
    be asked for, since not every layer runs on it.

    Raises:
        LipwrightError: unknown, or not on this machine.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in PRESENT:
        raise LipwrightError(f"there is no device '{name}'; use auto, cpu, cuda or mps.")
    if not PRESENT[name]():
        raise LipwrightError(f"the device '{name}' is not available here; use --device cpu.")
    return name
