"""Reading the arrays of a corpus, with one sentence for whatever is wrong with them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError


def read_array(path: Path, remedy: str, mmap_mode: Any = None) -> NDArray[Any]:
    """A ``.npy`` file.

    Args:
        path: the file.
        remedy: what to do when it cannot be read, as the end of a sentence.
        mmap_mode: as of :func:`numpy.load`.

    Raises:
        LipwrightError: missing or damaged.
    """
    try:
        loaded = np.load(path, mmap_mode=mmap_mode)
    except (OSError, ValueError, EOFError) as error:
        raise _damaged(path, remedy, error) from error
    if not isinstance(loaded, np.ndarray):
        raise _damaged(path, remedy, None)
    return loaded


def read_arrays(path: Path, names: tuple[str, ...], remedy: str) -> dict[str, NDArray[Any]]:
    """The named arrays of an ``.npz`` file; arguments and errors as of :func:`read_array`."""
    try:
        with np.load(path) as arrays:
            return {name: arrays[name] for name in names}
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise _damaged(path, remedy, error) from error


def read_header(path: Path, remedy: str) -> dict[str, Any]:
    """A JSON object; arguments and errors as of :func:`read_array`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path, remedy, error) from error
    if not isinstance(content, dict):
        raise _damaged(path, remedy, None)
    return content


def _damaged(path: Path, remedy: str, error: Exception | None) -> LipwrightError:
    reason = "is missing" if isinstance(error, FileNotFoundError) else "is damaged"
    return LipwrightError(f"{path} {reason}; {remedy}.")
