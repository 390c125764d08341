"""Reads the tensors of a CTranslate2 model file (``model.bin``) without that library.

The format (version 6 of the binary): little-endian; a version, the name of the model, its revision,
then the variables: name, rank, dimensions, type, bytes. Names are stored with their length and a
closing zero. Nothing in the file is executed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

BINARY_VERSION = 6
_TYPES: dict[int, type[np.generic]] = {
    0: np.float32,
    1: np.int8,
    2: np.int16,
    3: np.int32,
    4: np.float16,
}
_LARGEST_NAME, _HIGHEST_RANK = 512, 4


def read_variables(
    content: bytes, wanted: Callable[[str], bool] = lambda name: True
) -> dict[str, NDArray[np.generic]]:
    """The variables whose name is ``wanted``, as views of ``content``.

    Raises:
        ValueError: the content is not such a file, or it is cut off.
    """
    reader = _Reader(content)
    version = reader.number("I")
    if version != BINARY_VERSION:
        raise ValueError(f"binary version {version} instead of {BINARY_VERSION}")
    reader.name()
    reader.number("I")
    found = {}
    for _ in range(reader.number("I")):
        name = reader.name()
        rank = reader.number("B")
        if rank > _HIGHEST_RANK:
            raise ValueError(f"a variable of rank {rank}")
        shape = tuple(reader.number("I") for _ in range(rank))
        kind, size = reader.number("B"), reader.number("I")
        data = reader.take(size)
        if wanted(name):
            dtype = np.dtype(_TYPES[kind]) if kind in _TYPES else None
            if dtype is None or size != dtype.itemsize * int(np.prod(shape, dtype=np.int64)):
                raise ValueError(f"the variable {name} has a type or a size that does not fit")
            found[name] = np.frombuffer(data, dtype).reshape(shape)
    return found


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)
        self._at = 0

    def take(self, count: int) -> memoryview:
        """The next bytes."""
        end = self._at + count
        if end > len(self._content):
            raise ValueError("the file is cut off")
        part = self._content[self._at : end]
        self._at = end
        return part

    def number(self, kind: str) -> int:
        """One unsigned integer, ``kind`` as ``struct`` names it."""
        (value,) = struct.unpack("<" + kind, self.take(struct.calcsize("<" + kind)))
        return int(value)

    def name(self) -> str:
        """A string."""
        length = self.number("H")
        if length > _LARGEST_NAME:
            raise ValueError(f"a name of {length} bytes")
        return bytes(self.take(length)).rstrip(b"\0").decode("utf-8", "replace")
