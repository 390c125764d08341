"""Export of a checkpoint's networks to graphs, which go into the checkpoint itself.

Done once, where the checkpoint is joined; see ``weights/container.py`` for what is stored.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from lipwright.methods.eight_bits import HEADER as RANGES
from lipwright.weights.container import GRAPH, Graph, pack_graphs, read_header, rewrite


@dataclass(frozen=True)
class Export:
    """One network to be exported.

    Attributes:
        module: in eval mode.
        inputs: examples of the right shapes.
        free: number of an input -> its dimension that is not known beforehand.
    """

    module: nn.Module
    inputs: tuple[Tensor, ...]
    free: Mapping[int, int]


def make_graph(name: str, export: Export) -> Graph:
    """Trace and convert a network; constants in 16 bits, as checkpoints store them."""
    import openvino as ov

    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the tracer warns of, the tests compare
        traced = torch.jit.trace(export.module, export.inputs, check_trace=False)  # type: ignore[no-untyped-call]
        model = ov.convert_model(traced, example_input=export.inputs)
    shapes: dict[Any, Any] = {}
    for index, (port, example) in enumerate(zip(model.inputs, export.inputs, strict=True)):
        shape = list(example.shape)
        if index in export.free:
            shape[export.free[index]] = -1
        shapes[port] = ov.PartialShape(shape)
    model.reshape(shapes)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.xml"
        ov.save_model(model, path, compress_to_fp16=True)
        return Graph(name, _named(path.read_bytes(), name), path.with_suffix(".bin").read_bytes())


def _named(xml: bytes, name: str) -> bytes:
    """The description with names that depend on nothing but the network.

    The converter numbers models and layers through the whole life of a process; the same network
    would be another file, with another hash, each time. Edges go by the layers' ids.
    """
    xml = re.sub(rb'<net name="[^"]*"', b'<net name="%s"' % name.encode(), xml, count=1)
    layer = rb'<layer id="(\d+)" name="[^"]*" type="([^"]*)"'
    return re.sub(layer, rb'<layer id="\1" name="\2_\1" type="\2"', xml)


def add_graphs(path: Path, exports: Mapping[str, Export]) -> None:
    """Put graphs into a checkpoint, in the place of those that it holds; written whole or not.

    What the graphs share with the weights is stored once (``weights/container.py``).
    """
    header = read_header(path)
    with safe_open(str(path), framework="np") as file:
        arrays = {n: file.get_tensor(n) for n in file.keys() if not n.startswith(GRAPH)}  # noqa: SIM118
    made, table = pack_graphs(arrays, [make_graph(n, export) for n, export in exports.items()])
    header["graphs"] = table
    header.pop(RANGES, None)  # of the graphs before; tools/calibrate.py makes them again
    rewrite(path, header, {**arrays, **made})
