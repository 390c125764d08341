"""Checkpoint files without PyTorch: their header, arrays and the graphs that run them.

A checkpoint of a dubbing method holds, beside its weights, the graphs of its networks as OpenVINO
reads them, so that nothing is traced or converted on a user's machine and PyTorch is not needed to
dub. Weights are stored once. Of a graph the file has

* ``graph/NAME.xml``, its description, compressed (zlib);
* ``graph/NAME.parts``, a JSON list, compressed: the graph's constants are these parts one after
  another. A part ``[array, first, count]`` is so many bytes of an array of the file;

and the bytes that no weight has (folded layers, positions, shapes), of all graphs together, are the
array ``graph/rest``. The header's table ``graphs`` has the SHA-256 of every graph's description and
constants as they are when put together.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from lipwright.errors import LipwrightError
from lipwright.files.whole import written_whole
from lipwright.weights.header import Header, check_container, check_header

FORMAT = 1
ARCHITECTURES = {"looks": "gallery"}
"""Former names of architectures in headers, and their names today."""
GRAPH = "graph/"
"""Names of arrays that belong to graphs begin so."""
REST = f"{GRAPH}rest"
"""Bytes of graphs that no weight has."""
MOST_GRAPH_TEXT = 16 << 20
MOST_PARTS = 1 << 20
"""Bytes of a list of parts."""
MOST_CONSTANTS = 2
"""The constants of a graph take at most so many times the bytes of the file."""
_TAG = re.compile(rb'<layer [^>]*type="([A-Za-z0-9_]{1,64})"')
_OFFSET = re.compile(rb'<data [^>]*offset="(\d{1,18})"')
_NOT_PLAIN = (b"<!DOCTYPE", b"<!ENTITY", b"<?xml-stylesheet")


@dataclass(frozen=True)
class Graph:
    """A network as OpenVINO reads it.

    Attributes:
        name: as in the checkpoint.
        xml: the description.
        weights: its constants.
        digest: SHA-256 of both, hexadecimal.
    """

    name: str
    xml: bytes
    weights: bytes

    @cached_property
    def digest(self) -> str:
        """SHA-256 of description and constants."""
        found = hashlib.sha256(self.xml)
        found.update(self.weights)
        return found.hexdigest()


@dataclass(frozen=True)
class StoredGraph:
    """A graph of a checkpoint; its constants stay in the file until they are wanted.

    Attributes:
        name: as in the checkpoint.
        xml: the description.
        digest: SHA-256 of description and constants, hexadecimal, checked when it was read.
        path: of the checkpoint.
        parts: where its constants lie.
    """

    name: str
    xml: bytes
    digest: str
    path: Path
    parts: list[list[Any]]

    @property
    def weights(self) -> bytes:
        """The constants, read again.

        Raises:
            LipwrightError: the file was changed meanwhile.
        """
        try:
            with safe_open(str(self.path), framework="np") as file:
                most = MOST_CONSTANTS * self.path.stat().st_size
                graph = Graph(self.name, self.xml, _Bytes(file, most).join(self.parts))
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise LipwrightError(f"{self.path} cannot be read any more ({error}).") from error
        if graph.digest != self.digest:
            raise LipwrightError(f"{self.path} was changed while it was in use; start again.")
        return graph.weights


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a checkpoint.

    Raises:
        LipwrightError: not a safetensors file, or not one of ours, or of a newer format.
    """
    if not path.is_file():
        raise LipwrightError(f"there is no checkpoint at {path}; check the path.")
    check_container(path)
    try:
        with safe_open(str(path), framework="np") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise LipwrightError(
            f"{path} is not a readable safetensors checkpoint ({error}); it may be damaged or of "
            "another kind."
        ) from error
    try:
        header: dict[str, Any] = json.loads(metadata["lipwright"])
        version = int(header["format"])
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise LipwrightError(
            f"{path} was not written by lipwright (no header); give a lipwright checkpoint."
        ) from error
    if version > FORMAT:
        raise LipwrightError(
            f"{path} has checkpoint format {version}, this lipwright reads up to {FORMAT}; "
            "upgrade lipwright."
        )
    if version < 1:
        Header(header, path).fail(f"format is {version}")
    check_header(header, path)
    if isinstance(header.get("arch"), str) and header["arch"] in ARCHITECTURES:
        header["arch"] = ARCHITECTURES[header["arch"]]
    return header


def read_arrays(path: Path, names: list[str]) -> list[NDArray[Any]]:
    """Arrays of a checkpoint by their full names, as stored.

    Raises:
        LipwrightError: one is missing.
    """
    with safe_open(str(path), framework="np") as file:
        there = set(file.keys())
        missing = [name for name in names if name not in there]
        if missing:
            raise LipwrightError(
                f"{path} lacks '{missing[0]}'; the file is damaged or from another version."
            )
        return [np.asarray(file.get_tensor(name)) for name in names]


def rewrite(path: Path, header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Write a checkpoint anew with this header and these arrays, whole or not at all."""
    with written_whole(path) as temporary:
        save_file(arrays, str(temporary), metadata={"lipwright": json.dumps(header)})
        temporary.chmod(0o644)  # the library writes owner-only files


def read_graphs(path: Path, header: dict[str, Any]) -> dict[str, StoredGraph]:
    """The graphs of a checkpoint by name; none for one that holds none.

    Raises:
        LipwrightError: a graph is not the one that the header names, or no plain description.
    """
    table = header.get("graphs", {})
    if not isinstance(table, dict) or len(table) > 16:
        Header(header, path).fail("graphs is no table of at most 16")
    if not table:
        return {}
    found = {}
    with safe_open(str(path), framework="np") as file:
        bytes_of = _Bytes(file, MOST_CONSTANTS * path.stat().st_size)
        for name, digest in table.items():
            try:
                xml = _expand(bytes_of.whole(f"{GRAPH}{name}.xml"), MOST_GRAPH_TEXT)
                parts = json.loads(_expand(bytes_of.whole(f"{GRAPH}{name}.parts"), MOST_PARTS))
                graph = Graph(name, xml, bytes_of.join(parts))
            except (KeyError, ValueError, TypeError, RecursionError, zlib.error):
                _refuse(header, path, name)
            plain = not any(word in xml for word in _NOT_PLAIN)
            if graph.digest != digest or not plain or not _TAG.search(xml):
                _refuse(header, path, name)
            found[name] = StoredGraph(name, xml, digest, path, parts)
    return found


def pack_graphs(
    arrays: dict[str, NDArray[Any]], graphs: list[Graph]
) -> tuple[dict[str, NDArray[np.uint8]], dict[str, str]]:
    """What a checkpoint has to hold beside its arrays for these graphs, and the header's table.

    Args:
        arrays: of the checkpoint, without those of graphs.
        graphs: of its networks.
    """
    known = {_key(array.tobytes()): (name, 0) for name, array in sorted(arrays.items())}
    rest = bytearray()
    made = {}
    for graph in graphs:
        parts: list[list[Any]] = []
        for piece in _pieces(graph):
            key = _key(piece)
            if key not in known:
                known[key] = (REST, len(rest))
                rest += piece
            name, first = known[key]
            last = parts[-1] if parts else None
            if last is not None and last[0] == name == REST and last[1] + last[2] == first:
                last[2] += len(piece)
            else:
                parts.append([name, first, len(piece)])
        for kind, data in (("xml", graph.xml), ("parts", json.dumps(parts).encode())):
            packed = np.frombuffer(zlib.compress(data, 9), np.uint8)
            made[f"{GRAPH}{graph.name}.{kind}"] = packed
    made[REST] = np.frombuffer(bytes(rest), np.uint8)
    return made, {graph.name: graph.digest for graph in graphs}


class _Bytes:
    """The arrays of a file as bytes; no more than ``most`` of them in one go."""

    def __init__(self, file: Any, most: int) -> None:
        self._file, self._most = file, most
        self._names = set(file.keys())
        self._rest: memoryview | None = None

    def whole(self, name: str) -> memoryview:
        """All bytes of an array.

        Raises:
            KeyError: there is none of this name.
        """
        if name == REST and self._rest is not None:
            return self._rest
        if name not in self._names:
            raise KeyError(name)
        array: Any = np.ascontiguousarray(self._file.get_tensor(name))
        found = memoryview(array.reshape(-1).view(np.uint8))
        if name == REST:  # graphs refer to it hundreds of times, and each reading copies all of it
            self._rest = found
        return found

    def join(self, parts: Any) -> bytes:
        """Parts ``[array, first, count]`` one after another.

        Raises:
            KeyError, TypeError, ValueError: they are no such list, or outside their arrays.
        """
        counts = [count for _, _, count in parts]
        if not all(type(count) is int and count > 0 for count in counts):
            raise ValueError("a part has no length")
        if sum(counts) > self._most:
            raise ValueError("more constants than the file can have")
        pieces = []
        for name, first, count in parts:
            data = self.whole(name)
            if type(first) is not int or not 0 <= first <= len(data) - count:
                raise ValueError("a part lies outside its array")
            pieces.append(data[first : first + count])
        return b"".join(pieces)


def _pieces(graph: Graph) -> list[bytes]:
    """The constants of a graph, cut where its description says that one begins."""
    size = len(graph.weights)
    cuts = {0, size, *(int(found) for found in _OFFSET.findall(graph.xml))}
    ends = sorted(cut for cut in cuts if cut <= size)
    return [graph.weights[a:b] for a, b in pairwise(ends)]


def _key(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _expand(data: memoryview, most: int) -> bytes:
    """Raises: ValueError, zlib.error: damaged, or more than ``most`` bytes."""
    expander = zlib.decompressobj()
    found = expander.decompress(data, most)
    if not expander.eof:
        raise ValueError("too long")
    return found


def _refuse(header: dict[str, Any], path: Path, name: str) -> NoReturn:
    Header(header, path).fail(f"the graph '{name}' is not the one that it names")
