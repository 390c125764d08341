"""Reads the published speech embedding network (ONNX) into our own.

The file is ``embedding_model.onnx``, a conversion of Google's network that the package openWakeWord
carries, under Apache-2.0. Only its weights are read, in the order of its graph.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipwright.errors import LipwrightError
from lipwright.models.speech_embedding import CONVOLUTIONS

_EPSILON = 1e-3  # of its batch normalisation


def read_onnx(path: Path) -> dict[str, Tensor]:
    """State dict of :class:`~lipwright.models.speech_embedding.SpeechEmbedding`.

    Raises:
        LipwrightError: the file is missing or is not that network.
    """
    import openvino

    if not path.is_file():
        raise LipwrightError(f"there is no file {path}; check the path.")
    try:
        graph = openvino.Core().read_model(str(path))
        state = _collect(graph)
    except (RuntimeError, StopIteration) as error:
        line = str(error).strip().splitlines()[0][:160] if str(error).strip() else "damaged"
        raise LipwrightError(
            f"{path} cannot be read as the published speech embedding ({line})."
        ) from error
    if len(state) != 3 + 2 * (CONVOLUTIONS - 1):
        raise LipwrightError(f"{path} is an ONNX file, but not the published speech embedding.")
    return state


def _collect(graph: Any) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    count = -1
    for node in graph.get_ordered_ops():
        kind = node.get_type_name()
        if kind == "Convolution":
            count += 1
            if count == CONVOLUTIONS:  # the one behind the last tap
                break
            state["first.weight" if count == 0 else f"convs.{count - 1}.weight"] = _constant(
                node, 1
            )
        elif kind == "Add":
            state[f"convs.{count - 1}.bias"] = _constant(node, 1).flatten()
        elif kind == "BatchNormInference":
            gamma, beta, mean, variance = (_constant(node, i) for i in (1, 2, 3, 4))
            state["scale"] = gamma / (variance + _EPSILON).sqrt()
            state["shift"] = beta - mean * state["scale"]
    return state


def _constant(node: Any, index: int) -> Tensor:
    """The constant that enters a node, through whatever only reshapes it."""
    source = node.input_value(index).get_node()
    while source.get_type_name() in ("Reshape", "Unsqueeze", "Squeeze"):
        source = source.input_value(0).get_node()
    return torch.from_numpy(np.array(source.get_data(), dtype=np.float32))
