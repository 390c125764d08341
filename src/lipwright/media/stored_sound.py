"""Long recordings in a file instead of in memory.

A film of 30 minutes has 115 MB of sound at 16 kHz. Sound of more than a minute is kept in a
temporary file without a name, which the operating system removes with the process, and mapped into
memory: it is an array as any other, but its pages can be given back after each pass over it.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

IN_MEMORY = 60 * 16_000
"""Samples up to which a recording stays in memory."""
_BLOCK = 1 << 20


def collect(pieces: Iterator[Samples], check: Callable[[int], None] = lambda size: None) -> Samples:
    """One array (n,) of all pieces.

    Args:
        pieces: (m,) float32 each.
        check: is told how many samples there are before each piece is added; may raise.
    """
    held: list[Samples] = []
    size = 0
    for piece in pieces:
        size += piece.size
        check(size)
        held.append(piece)
        if size > IN_MEMORY:
            return _in_file(held, pieces, size, check)
    return np.concatenate([*held, np.zeros(0, np.float32)])


def _in_file(
    held: list[Samples], rest: Iterator[Samples], size: int, check: Callable[[int], None]
) -> Samples:
    with tempfile.TemporaryFile(prefix="lipwright-") as file:
        while held:
            file.write(np.ascontiguousarray(held.pop(0), np.float32).data)
        for piece in rest:
            size += piece.size
            check(size)
            file.write(np.ascontiguousarray(piece, np.float32).data)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 4 * size)
    return np.frombuffer(mapped, np.float32)


def release(samples: NDArray[np.float32]) -> None:
    """Give the pages of a recording that lies in a file back; they are read again when wanted."""
    mapped = mapping_of(samples)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def mapping_of(samples: NDArray[np.float32]) -> mmap.mmap | None:
    """The mapped file that holds a recording, or None: it is in memory."""
    base: object = samples.base
    while isinstance(base, np.ndarray):
        base = base.base
    held = base.obj if isinstance(base, memoryview) else base
    return held if isinstance(held, mmap.mmap) else None


def amplify(samples: Samples, decibels: float) -> None:
    """Raise or lower a recording in place."""
    for first in range(0, samples.size, _BLOCK):
        samples[first : first + _BLOCK] *= np.float32(10.0 ** (decibels / 20.0))
        release(samples)
