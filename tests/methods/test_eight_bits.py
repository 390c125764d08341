"""Convolutions in 8 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipwright.errors import LipwrightError
from lipwright.methods import eight_bits
from lipwright.openvino_core import core


def network(kernel: np.ndarray[Any, Any]) -> Any:
    import openvino as ov
    from openvino import opset13 as op

    seen = op.parameter([1, kernel.shape[1], 1, 4], np.float32, "seen")
    halves = op.convert(op.constant(kernel.astype(np.float16)), np.float32)
    layer = op.convolution(seen, halves, [1, 1], [0, 0], [0, 0], [1, 1])
    layer.set_friendly_name("layer")
    return ov.Model([op.abs(layer)], [seen])


def run(model: Any, picture: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    compiled = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.asarray(compiled([picture])[0])


def test_levels_by_hand() -> None:
    """Between 0 and 255 there are 256 levels, the whole numbers; what lies beyond becomes 255.

    Of a kernel of 127 and 1 the largest uses 63.5 of 127 levels, so a level is 2: 1 lies between 0
    and 2, and 127 between 126 and 128.
    """
    model = network(np.array([[[[127.0]]], [[[8.0]]]]))
    eight_bits.quantise(model, {"layer": (0.0, 255.0)})
    made = run(model, np.array([[[[3.4, 3.6, 300.0, 0.0]]]], np.float32))
    times = made[0, 0, 0, 1] / 4
    assert times in (126.0, 128.0)
    assert np.array_equal(made[0, 0, 0], times * np.array([3.0, 4, 255, 0]))
    # The second channel has levels of its own: 8 is within a step of 16 / 127.
    assert made[0, 1, 0, 1] / 4 == pytest.approx(8.0, abs=0.07)


def test_layers_without_a_range_stay_as_they_are() -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 2, 1, 1)).astype(np.float16)
    picture = np.random.default_rng(1).normal(size=(1, 2, 1, 4)).astype(np.float32)
    model, plain = network(kernel), network(kernel)
    eight_bits.quantise(model, {"another": (0.0, 1.0)})
    assert np.array_equal(run(model, picture), run(plain, picture))


def test_no_sum_overflows() -> None:
    """Pairs of the largest products, added in 16 bits where there is no VNNI."""
    model = network(np.full((8, 64, 1, 1), 1.0))
    eight_bits.quantise(model, {"layer": (0.0, 1.0)})
    made = run(model, np.ones((1, 64, 1, 4), np.float32))
    assert made == pytest.approx(64.0, rel=0.01)


def test_ranges_of_a_header() -> None:
    header = {"int8": {"frames": {"a": [-1, 2.5]}}}
    assert eight_bits.ranges_of(header, Path("x")) == {"frames": {"a": (-1.0, 2.5)}}
    assert eight_bits.ranges_of({}, Path("x")) == {}


@pytest.mark.parametrize(
    "wrong",
    [{"frames": {"a": [1, 1]}}, {"frames": {"a": [0]}}, {"frames": [1]}, {"frames": 3}, [3]],
)
def test_wrong_ranges_are_refused(wrong: Any) -> None:
    with pytest.raises(LipwrightError, match="header of x"):
        eight_bits.ranges_of({"int8": wrong}, Path("x"))
