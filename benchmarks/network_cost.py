"""What one call of each network of a method costs, alone: processor time by frame or picture.

    python benchmarks/network_cost.py [--weights CHECKPOINT] [--references 32]

The graphs of a joined checkpoint run on random numbers, in float32 and as a dub runs them on this
processor (bfloat16, or convolutions in 8 bits). Figures are the least of several calls, divided by
the rows of a batch. Networks of earlier versions have other inputs; they are taken as they are.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from clips import machine
from lipwright.methods.eight_bits import ranges_of
from lipwright.methods.registry import shipped
from lipwright.methods.runtime import GraphEngine
from lipwright.openvino_core import core
from lipwright.weights.container import StoredGraph, read_graphs, read_header

CALLS = 5
DRAWING = ("norms", "references", "frames")


def inputs_of(graph: StoredGraph, references: int) -> list[Any]:
    """Random arrays of the shapes that a graph wants; free dimensions are the references."""
    import openvino as ov

    weights = ov.Tensor(np.frombuffer(graph.weights, np.uint8))
    rng = np.random.default_rng(0)
    shapes = [
        [length.get_length() if length.is_static else references for length in port.partial_shape]
        for port in core().read_model(graph.xml, weights).inputs
    ]
    return [rng.uniform(-0.5, 0.5, shape).astype(np.float32) for shape in shapes]


def milliseconds(engine: GraphEngine, inputs: list[Any]) -> float:
    """Processor time of a call by row of its first input."""
    spent = []
    for _ in range(CALLS + 1):
        began = time.process_time()
        engine(*inputs)
        spent.append(time.process_time() - began)
    return 1000 * min(spent[1:]) / len(inputs[0])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="a joined checkpoint (default: the default's)")
    parser.add_argument("--references", type=int, default=32, help="of a face (default 32)")
    args = parser.parse_args()
    path = args.weights or shipped("vq")
    header = read_header(path)
    graphs, ranges = read_graphs(path, header), ranges_of(header, path)
    print(machine())
    print("| network | CPU ms a row, float32 | as in a dub | runs as |")
    print("|---|---|---|---|")
    for name in (name for name in DRAWING if name in graphs):
        inputs = inputs_of(graphs[name], args.references)
        fused = "norms" in graphs or name == "frames"
        plain = GraphEngine(graphs[name], exact=True, fused=fused)
        usual = GraphEngine(graphs[name], fused=fused, ranges=ranges.get(name))
        figures = [milliseconds(engine, inputs) for engine in (plain, usual)]
        print(f"| {name} | {figures[0]:.1f} | {figures[1]:.1f} | {usual.name} |", flush=True)


if __name__ == "__main__":
    main()
