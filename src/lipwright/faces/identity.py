"""Who a face is: 128 numbers that are near for pictures of one person.

The network is dlib's ResNet of 29 layers (King, dlib.net, 2017: residual blocks after He et al.,
CVPR 2016, half as wide), in the port of face-api, whose weights are bytes with a scale and an
offset per tensor. Two faces are taken for one person when the distance of their numbers is small;
dlib's own threshold is 0.6 for single pictures. That is no proof of
identity: twins, children and strong make-up confuse it.
"""

from __future__ import annotations

import json
import threading
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.faces.alignment import EYE_DISTANCE, EYE_LINE
from lipwright.openvino_core import core

SIDE = 150
"""Side of the network's input in pixels."""
DIMENSIONS = 128
EYES = (0.493, 0.309)
"""In the network's input: distance of the outer eye corners, and their height, in parts of the side
(dlib's mean face with a padding of 0.25)."""
MEAN_RGB = (122.782, 117.001, 104.298)

_STAGES = (
    ("conv32", 3, False),
    ("conv64", 3, True),
    ("conv128", 2, True),
    ("conv256", 2, True),
)
"""Name, number of residual blocks, and whether a strided block comes first."""

Weights = dict[str, NDArray[np.float32]]


class IdentityNetwork:
    """Aligned crops to embeddings, on a CPU with OpenVINO.

    Calls from several threads are made one after the other.
    """

    def __init__(self, weights: Path, layers: Path) -> None:
        """Args:
        weights: ``face_recognition_model.bin``.
        layers: its manifest, names, shapes and ranges.

        Raises:
            LipwrightError: the two files do not belong together.
        """
        try:
            self._run = _compile(_read(weights, layers))
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise LipwrightError(
                f"the network files {weights} and {layers.name} do not fit each other; remove "
                "them, they will be fetched anew."
            ) from error
        self._lock = threading.Lock()

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed aligned crops (see ``faces.alignment``), (N, S, S, 3) uint8 RGB -> (N, 128)."""
        faces = np.stack([_face(crop) for crop in crops])
        with self._lock:
            return np.array(self._run(faces)[0], np.float32)


@cache
def identity_network() -> IdentityNetwork:
    """The network from the registry, loaded once.

    Raises:
        LipwrightError: its files cannot be had.
    """
    from lipwright.weights.fetch import resolve

    return IdentityNetwork(resolve("face-identity"), resolve("face-identity-layers"))


def _face(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(S, S, 3) crop -> (3, 150, 150), the eyes where the network expects them."""
    side = len(crop) * EYE_DISTANCE / EYES[0]
    scale = SIDE / side
    x = len(crop) / 2 - side / 2
    y = len(crop) * EYE_LINE - EYES[1] * side
    # Pixel centres lie at whole numbers, so a scale moves them by half of what it changes.
    shift = 0.5 * scale - 0.5
    matrix = np.array([[scale, 0.0, -x * scale + shift], [0.0, scale, -y * scale + shift]])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    if scale < 0.5:  # warpAffine does not average
        crop = np.asarray(cv2.resize(crop, None, fx=0.5, fy=0.5, interpolation=how), np.uint8)
        return _face(crop)
    face = cv2.warpAffine(
        crop, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.ascontiguousarray(face.transpose(2, 0, 1), np.float32)


def _read(weights: Path, layers: Path) -> Weights:
    data, place = weights.read_bytes(), 0
    tensors: Weights = {}
    for group in json.loads(layers.read_text()):
        for entry in group["weights"]:
            shape = tuple(int(n) for n in entry["shape"])
            count = int(np.prod(shape))
            if coded := entry.get("quantization"):
                levels = np.frombuffer(data, np.uint8, count, place).astype(np.float32)
                values = levels * np.float32(coded["scale"]) + np.float32(coded["min"])
                place += count
            else:
                values = np.frombuffer(data, "<f4", count, place).astype(np.float32)
                place += 4 * count
            tensors[entry["name"]] = values.reshape(shape)
    if place != len(data):
        raise ValueError("the weights are longer than their manifest")
    return tensors


def _compile(weights: Weights) -> Any:
    from openvino import Model, opset13

    graph = _Graph(weights, opset13)
    picture = opset13.parameter([-1, 3, SIDE, SIDE], np.float32)
    mean = np.asarray(MEAN_RGB, np.float32).reshape(1, 3, 1, 1)
    x = opset13.multiply(opset13.subtract(picture, opset13.constant(mean)), np.float32(1 / 256))
    x = opset13.relu(graph.convolve(x, "conv32_down", stride=2))
    x = opset13.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [3, 3], "floor").output(0)
    for name, blocks, strided in _STAGES:
        x = graph.halve(x, f"{name}_down") if strided else x
        for number in range(blocks):
            x = graph.residual(x, f"{name}_{number + 1}")
    x = graph.halve(x, "conv256_down_out")
    x = opset13.reduce_mean(x, opset13.constant(np.array([2, 3], np.int64)), False)
    x = opset13.matmul(x, opset13.constant(weights["fc"]), False, False)
    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    return core().compile_model(Model([x], [picture], "identity"), "CPU", settings)


class _Graph:
    """The blocks of the network as OpenVINO operations."""

    def __init__(self, weights: Weights, ops: Any) -> None:
        self._weights, self._ops = weights, ops

    def convolve(self, x: Any, name: str, stride: int = 1, padded: bool = False) -> Any:
        """Convolution and the scale and bias per channel behind it."""
        ops, tensor = self._ops, self._weights
        kernel = np.ascontiguousarray(tensor[f"{name}/conv/filters"].transpose(3, 2, 0, 1))
        pad = [kernel.shape[2] // 2 if padded else 0] * 2
        scale = tensor[f"{name}/scale/weights"]
        bias = tensor[f"{name}/conv/bias"] * scale + tensor[f"{name}/scale/biases"]
        # The scale goes into the kernel: the same numbers, one operation less.
        kernel = kernel * scale.reshape(-1, 1, 1, 1)
        x = ops.convolution(x, ops.constant(kernel), [stride] * 2, pad, pad, [1, 1])
        return ops.add(x, ops.constant(bias.reshape(1, -1, 1, 1).astype(np.float32)))

    def residual(self, x: Any, name: str) -> Any:
        """Two convolutions and the input."""
        inner = self._ops.relu(self.convolve(x, f"{name}/conv1", padded=True))
        return self._ops.relu(self._ops.add(self.convolve(inner, f"{name}/conv2", padded=True), x))

    def halve(self, x: Any, name: str) -> Any:
        """A residual block of half the side and more channels.

        The average-pooled input has fewer channels and may be a pixel larger; zeros fill both up.
        """
        ops = self._ops
        inner = ops.relu(self.convolve(x, f"{name}/conv1", stride=2))
        inner = self.convolve(inner, f"{name}/conv2", padded=True)
        pooled = ops.avg_pool(x, [2, 2], [0, 0], [0, 0], [2, 2], True, "floor")
        shapes = [
            [d.get_length() for d in list(t.get_output_partial_shape(0))[1:]]
            for t in (inner, pooled)
        ]
        full = np.max(shapes, axis=0)
        return ops.relu(
            ops.add(
                *(self._padded(t, full - s) for t, s in zip((inner, pooled), shapes, strict=True))
            )
        )

    def _padded(self, x: Any, more: NDArray[np.int64]) -> Any:
        ops = self._ops
        begin = ops.constant(np.zeros(4, np.int64))
        end = ops.constant(np.array([0, *more], np.int64))
        return ops.pad(x, begin, end, "constant", ops.constant(np.float32(0)))
