"""ONNX weights without a runtime, against messages written by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipwright.models.published.onnx_weights import read_nodes


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name: str, array: np.ndarray, *, packed: bool = False, kind: int = 1) -> bytes:
    dims = b"".join(varint(d) for d in array.shape)
    shape = field(1, dims) if packed else b"".join(field(1, d) for d in array.shape)
    values = field(4 if packed else 9, array.astype("<f4").tobytes())
    return field(5, shape + field(2, kind) + field(8, name.encode()) + values)


def node(kind: str, *inputs: str) -> bytes:
    names = b"".join(field(1, name.encode()) for name in inputs)
    return field(1, names + field(2, b"out") + field(4, kind.encode()))


def model(*parts: bytes) -> bytes:
    fixed = varint(9 << 3 | 5) + bytes(4) + varint(10 << 3 | 1) + bytes(8)  # fields of other sizes
    return field(1, 300) + fixed + field(7, b"".join(parts))


A = np.arange(300, dtype=np.float32).reshape(2, 150)
B = np.array([0.5, -2.0], np.float32)
WHOLE = model(
    node("Conv", "x", "b", "a"),
    tensor("a", A),
    tensor("b", B, packed=True),
    node("Relu", "y"),
    tensor("shape", B, kind=7),
    node("Reshape", "z", "shape"),
)


def test_operations_in_order_with_their_constants() -> None:
    nodes = read_nodes(WHOLE)
    assert [n.kind for n in nodes] == ["Conv", "Relu", "Reshape"]
    assert np.array_equal(nodes[0].constants[0], B)
    assert np.array_equal(nodes[0].constants[1], A)
    assert nodes[1].constants == nodes[2].constants == []  # integers are no weights


@pytest.mark.parametrize("data", [b"", field(1, 3), b"\xff" * 30, b"no network", WHOLE[:-3]])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"it is|there is no graph"):
        read_nodes(data)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_damaged_file_gives_an_error_or_other_numbers(place: int, byte: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[place] = byte
    try:
        nodes = read_nodes(bytes(damaged))
    except ValueError:
        return
    assert len(nodes) <= 3
