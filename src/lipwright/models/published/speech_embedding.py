"""Reads the published speech embedding network (ONNX) into our own.

The file is ``embedding_model.onnx``, a conversion of Google's network that the package openWakeWord
carries, under Apache-2.0. Only its weights are read, in the order of its graph.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from lipwright.errors import LipwrightError
from lipwright.models.published.onnx_weights import Node, read_nodes
from lipwright.models.speech_embedding import CONVOLUTIONS

_EPSILON = 1e-3  # of its batch normalisation


def read_onnx(path: Path) -> dict[str, Tensor]:
    """State dict of :class:`~lipwright.models.speech_embedding.SpeechEmbedding`.

    Raises:
        LipwrightError: the file is missing or is not that network.
    """
    if not path.is_file():
        raise LipwrightError(f"there is no file {path}; check the path.")
    try:
        nodes = read_nodes(path.read_bytes())
        convolutions = [n for n in nodes if n.kind == "Conv"]
        (norm,) = [n for n in nodes if n.kind == "BatchNormalization"]
        return _state(convolutions, norm)
    except ValueError as error:
        raise LipwrightError(
            f"{path} cannot be read as the published speech embedding ({error}); get it with "
            "'lipwright weights fetch speech-embedding'."
        ) from error


def _state(convolutions: list[Node], norm: Node) -> dict[str, Tensor]:
    if len(convolutions) != CONVOLUTIONS + 1:  # one more, behind the last tap
        raise ValueError(f"{len(convolutions)} convolutions instead of {CONVOLUTIONS + 1}")
    state = {"first.weight": _tensors(convolutions[0], 1)[0]}
    for i, node in enumerate(convolutions[1:CONVOLUTIONS]):
        state[f"convs.{i}.weight"], state[f"convs.{i}.bias"] = _tensors(node, 2)
    gamma, beta, mean, variance = _tensors(norm, 4)
    state["scale"] = gamma / (variance + _EPSILON).sqrt()
    state["shift"] = beta - mean * state["scale"]
    return state


def _tensors(node: Node, count: int) -> list[Tensor]:
    if len(node.constants) != count:
        raise ValueError(f"a {node.kind} with {len(node.constants)} constants instead of {count}")
    return [torch.from_numpy(array.copy()) for array in node.constants]
