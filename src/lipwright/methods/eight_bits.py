"""Convolutions in 8-bit integers, on x86 processors.

Post-training quantisation after Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference" (CVPR 2018, section 2): what goes into a convolution is
brought to 256 levels between the least and the largest value that were seen in videos
(``tools/calibrate.py``), its kernels to levels of their own for every output channel. The graph of
the checkpoint stays as it is; OpenVINO is told of the levels when it compiles it, and computes such
convolutions in integers. The ranges stand in the header:

    "int8": {GRAPH: {LAYER: [low, high], ...}, ...}

All else is computed in bfloat16 where the processor has it, in float32 where not.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lipwright.openvino_core import cpu_abilities
from lipwright.weights.header import Header

Ranges = Mapping[str, tuple[float, float]]
"""Least and largest value of what goes into a convolution, by the name of the layer."""

HEADER = "int8"
LARGEST = 1e6
HEADROOM = 2.0
"""Kernels use half of their levels: without VNNI, processors add pairs of products in 16 bits,
which would overflow with all of them."""
LEAST = 1e-9


def ranges_of(header: dict[str, Any], path: Path) -> dict[str, Ranges]:
    """The ranges of a checkpoint by graph; none for one that was not calibrated.

    Raises:
        LipwrightError: they are no such table.
    """
    top = Header(header, path)
    found: dict[str, Ranges] = {}
    if not top.has(HEADER):
        return found
    sections = top.section(HEADER)
    for name in header[HEADER]:
        layers = sections.section(name)
        ranges = {}
        for layer in header[HEADER][name]:
            low, high = layers.numbers(layer, 2, -LARGEST, LARGEST)
            if low >= high:
                layers.fail(f"the range of {layer} is empty")
            ranges[layer] = (low, high)
        found[name] = ranges
    return found


def wanted() -> bool:
    """Whether this processor draws sooner with integers: x86, with bfloat16 or without.

    Measured on AVX2 and on AVX512 with bfloat16 (``benchmarks/network_cost.py``).
    """
    known = platform.machine().lower() in ("x86_64", "amd64")
    return known and "INT8" in cpu_abilities()


def quantise(model: Any, ranges: Ranges) -> None:
    """Tell a model, in place, of the levels of some of its convolutions.

    Args:
        model: an ``openvino.Model`` whose kernels are constants.
        ranges: of those that are to be computed in integers.
    """
    from openvino import opset13 as op

    for node in model.get_ordered_ops():
        if node.get_type_name() != "Convolution" or node.get_friendly_name() not in ranges:
            continue
        low, high = (np.float32(v) for v in ranges[node.get_friendly_name()])
        seen = op.fake_quantize(node.input_value(0), low, high, low, high, 256)
        node.input(0).replace_source_output(seen.output(0))
        kernel = _constant(node.input_value(1))
        each = np.abs(kernel).max(axis=(1, 2, 3), keepdims=True)
        most = np.maximum(HEADROOM * each, LEAST).astype(np.float32)
        levels = op.fake_quantize(op.constant(kernel), -most, most, -most, most, 255)
        node.input(1).replace_source_output(levels.output(0))
    model.validate_nodes_and_infer_types()


def _constant(port: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The values of a constant, which may be stored in 16 bits."""
    node = port.get_node()
    while node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return np.asarray(node.data, np.float32)
