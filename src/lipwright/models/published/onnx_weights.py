"""Weights of an ONNX file, in the order of its graph, with nothing but numpy.

Training machines need not have a runtime for ONNX, and of a published file only the weights are of
interest. ONNX is protobuf; of its messages the few fields are read that nodes and constants need
(onnx.proto: ModelProto.graph 7; GraphProto.node 1, initializer 5; NodeProto.input 1, op_type 4;
TensorProto.dims 1, data_type 2, float_data 4, name 8, raw_data 9).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_FLOAT = 1  # TensorProto.DataType


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        kind: ``Conv``, ``Relu``, ...
        constants: float32 arrays among its inputs, in their order.
    """

    kind: str
    constants: list[NDArray[np.float32]]


def read_nodes(data: bytes) -> list[Node]:
    """The operations of a model, in order.

    Raises:
        ValueError: the bytes are no ONNX model.
    """
    try:
        graphs = [value for number, value in _fields(data) if number == 7]
        if len(graphs) != 1 or not isinstance(graphs[0], bytes):
            raise ValueError("there is no graph in it")
        parts = list(_fields(graphs[0]))
        constants = dict(_tensor(v) for n, v in parts if n == 5 and isinstance(v, bytes))
        return [_node(v, constants) for n, v in parts if n == 1 and isinstance(v, bytes)]
    except (IndexError, OverflowError, UnicodeDecodeError) as error:
        raise ValueError("it is cut off or damaged") from error


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a message's fields."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == 2:
            length, at = _varint(data, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError("it is no protobuf")
        if at + length > len(data):
            raise ValueError("it is cut off")
        yield number, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
        if shift > 63:
            raise ValueError("it is no protobuf")


def _tensor(data: bytes) -> tuple[str, NDArray[np.float32] | None]:
    """Name and values; None where they are no float32."""
    name, kind, dims, raw = "", 0, [], b""
    for number, value in _fields(data):
        if number == 1:
            dims += [value] if isinstance(value, int) else _packed(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 8 and isinstance(value, bytes):
            name = value.decode()
        elif number in (4, 9) and isinstance(value, bytes):
            raw += value
    if kind != _FLOAT:
        return name, None
    return name, np.frombuffer(raw, "<f4").reshape(dims)


def _packed(data: bytes) -> list[int]:
    at, values = 0, []
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values


def _node(data: bytes, constants: dict[str, NDArray[np.float32] | None]) -> Node:
    kind, inputs = "", []
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            inputs.append(value.decode())
        elif number == 4 and isinstance(value, bytes):
            kind = value.decode()
    found = (constants.get(name) for name in inputs)
    return Node(kind, [array for array in found if array is not None])
