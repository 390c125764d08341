"""Checkpoint files without PyTorch: their header, arrays and the graphs that run them.

A checkpoint of a dubbing method holds, beside its weights, the graphs of its networks as OpenVINO
reads them, so that nothing is traced or converted on a user's machine and PyTorch is not needed to
dub. A graph is two arrays of bytes, ``graph/NAME.xml`` and ``graph/NAME.bin``; the header's table
``graphs`` has the SHA-256 of both together.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from lipwright.errors import LipwrightError
from lipwright.weights.header import Header, check_container, check_header

FORMAT = 1
ARCHITECTURES = {"looks": "gallery"}
"""Former names of architectures in headers, and their names today."""
GRAPH = "graph/"
"""Names of arrays that belong to graphs begin so."""
MOST_GRAPH_TEXT = 16 << 20
_TAG = re.compile(rb'<layer [^>]*type="([A-Za-z0-9_]{1,64})"')
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

    @property
    def digest(self) -> str:
        """SHA-256 of description and constants."""
        return hashlib.sha256(self.xml + self.weights).hexdigest()


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a checkpoint.

    Raises:
        LipwrightError: not a safetensors file, or not one of ours, or of a newer format.
    """
    if not path.is_file():
        raise LipwrightError(
            f"there is no checkpoint at {path}; check the path given by --weights."
        )
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


def read_graphs(path: Path, header: dict[str, Any]) -> dict[str, Graph]:
    """The graphs of a checkpoint by name; none for one that holds none.

    Raises:
        LipwrightError: a graph is not the one that the header names, or no plain description.
    """
    table = header.get("graphs", {})
    if not isinstance(table, dict) or len(table) > 16:
        Header(header, path).fail("graphs is no table of at most 16")
    found = {}
    for name, digest in table.items():
        xml, weights = read_arrays(path, [f"{GRAPH}{name}.xml", f"{GRAPH}{name}.bin"])
        graph = Graph(name, xml.astype(np.uint8).tobytes(), weights.astype(np.uint8).tobytes())
        plain = len(graph.xml) <= MOST_GRAPH_TEXT and not any(w in graph.xml for w in _NOT_PLAIN)
        if graph.digest != digest or not plain or not _TAG.search(graph.xml):
            Header(header, path).fail(f"the graph '{name}' is not the one that it names")
        found[name] = graph
    return found
