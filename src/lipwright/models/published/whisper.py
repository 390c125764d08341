"""Reads the published Whisper encoder (as converted for CTranslate2) into our own.

The file is the ``model.bin`` of Systran's ``faster-whisper-tiny.en``, float16, a conversion of
OpenAI's ``tiny.en`` (MIT); the registry's entry ``whisper-tiny-en`` says where it comes from. Only
the front and the lower layers of the encoder are read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lipwright.errors import LipwrightError
from lipwright.models.published.ctranslate2_weights import read_variables
from lipwright.models.whisper_encoder import WhisperEncoder, positions

_FRONT = {"encoder/conv1": "conv1", "encoder/conv2": "conv2"}
_LAYER = {
    "self_attention/layer_norm": "attention_norm",
    "self_attention/linear_0": "query_key_value",
    "self_attention/linear_1": "attention_out",
    "ffn/layer_norm": "mlp_norm",
    "ffn/linear_0": "mlp_in",
    "ffn/linear_1": "mlp_out",
}
_SUFFIX = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}


def read_whisper(path: Path, layers: int = 2) -> dict[str, Tensor]:
    """State dict of a :class:`~lipwright.models.whisper_encoder.WhisperEncoder`, float32.

    Args:
        path: the CTranslate2 file.
        layers: how many of its encoder layers to take.

    Raises:
        LipwrightError: the file is missing or is not that network.
    """
    if not path.is_file():
        raise LipwrightError(f"there is no file {path}; check the path.")
    try:
        found = read_variables(path.read_bytes(), lambda name: name.startswith("encoder/"))
        state = {}
        for theirs, ours in _names(layers).items():
            if theirs not in found:
                raise ValueError(f"there is no {theirs}")
            state[ours] = torch.from_numpy(found[theirs].astype(np.float32))
        _compare_positions(found)
        WhisperEncoder(layers=layers).load_state_dict(state)
    except (ValueError, RuntimeError) as error:
        reason = str(error).split("\n")[0]
        raise LipwrightError(
            f"{path} cannot be read as the published Whisper tiny.en encoder ({reason}); get it "
            "with 'lipwright weights fetch whisper-tiny-en'."
        ) from error
    return state


def _names(layers: int) -> dict[str, str]:
    """Their name of every tensor that is needed, and ours."""
    parts = dict(_FRONT)
    for i in range(layers):
        parts |= {f"encoder/layer_{i}/{a}": f"blocks.{i}.{b}" for a, b in _LAYER.items()}
    return {
        f"{theirs}/{end}": f"{ours}.{_SUFFIX[end]}"
        for theirs, ours in parts.items()
        for end in (("gamma", "beta") if theirs.endswith("norm") else ("weight", "bias"))
    }


def _compare_positions(found: dict[str, np.typing.NDArray[np.generic]]) -> None:
    """Positions are computed, not stored; a file with others is another network."""
    theirs = found.get("encoder/position_encodings/encodings")
    if theirs is not None:
        ours = positions(*theirs.shape).numpy()
        if not np.allclose(theirs.astype(np.float32), ours, atol=2e-3):
            raise ValueError("its positions are not sinusoidal")
