"""Freed memory stays with the process: a step of training asks for the same large blocks again.

The allocator of glibc hands large blocks back to the system as soon as they are free, and every
page of a block is then fetched and cleared anew, thousands of times a step on the CPU.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # mallopt(3)
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Keep what is freed, in this process, until it ends; True where the allocator can do so.

    That is glibc's; with others (macOS, Windows, musl) nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))
