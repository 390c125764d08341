"""Identity: cosine of face embeddings, real against result (often called CSIM).

The embedding network is pluggable: any ONNX file that maps (1, 3, 112, 112) RGB in [-1, 1] to a
vector, as the ArcFace family does. Lipwright ships none (their licences forbid it).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.evaluation.metrics.base import MeanMetric, MetricInfo, Moment
from lipwright.openvino_core import core

SIDE = 112
INFO = MetricInfo(
    "identity",
    "identity cosine",
    "ArcFace convention (Deng et al., CVPR 2019)",
    "adapted",
    "high",
    "our aligned crop resized to 112 px instead of the five-point template; network as given",
    digits=3,
    needs=("identity",),
)


class OnnxEmbedder:
    """An ONNX network run by OpenVINO.

    Raises:
        LipwrightError: not a network, or of another input shape.
    """

    def __init__(self, path: Path) -> None:
        import openvino as ov

        try:
            model = core().read_model(str(path))
            model.reshape({model.inputs[0]: ov.PartialShape([1, 3, SIDE, SIDE])})
            # In bfloat16, which processors that have it would take, cosines move by some 0.01.
            hints = {"INFERENCE_PRECISION_HINT": "f32"}
            self._run: Any = core().compile_model(model, "CPU", hints)
        except Exception as error:
            line = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
            raise LipwrightError(
                f"{path} is not an ONNX network of 112 x 112 faces ({line[:160]})."
            ) from error

    def __call__(self, crop: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Embed one face."""
        small = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        x = (small.astype(np.float32) / 127.5 - 1.0).transpose(2, 0, 1)[None]
        return np.asarray(self._run([x])[0], np.float64).reshape(-1)


def cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Cosine of two vectors; NaN when one is zero."""
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / length if length > 1e-12 else float("nan")


class Identity(MeanMetric):
    """Cosine of the embeddings of both crops, every fifth frame."""

    infos = (INFO,)
    every = 5

    def value(self, moment: Moment) -> float:
        """See :func:`cosine`."""
        embed = self.clip.networks.loaded["identity"]
        return cosine(embed(moment.crops.real), embed(moment.crops.result))
