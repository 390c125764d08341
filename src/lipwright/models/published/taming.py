"""taming-transformers VQGAN checkpoints in our VQGAN (Esser et al., CVPR 2021).

The published ``.ckpt`` files hold ``state_dict`` with the tensors of the autoencoder and of its
loss; the latter (``loss.*``) are left out. Works for any channel list with attention at the
coarsest level only, as the f = 16 models have; the entries' order is kept, so code grids agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lipwright.errors import LipwrightError
from lipwright.models.vqgan import VQGAN

_RESIDUAL = {"nin_shortcut": "skip"}
_ATTENTION = {"proj_out": "project"}


def infer_arguments(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Constructor arguments of our VQGAN for a published state dict.

    Raises:
        LipwrightError: not such a state dict, or attention at a level that ours does not have.
    """
    try:
        levels = 1 + max(int(k.split(".")[2]) for k in state if k.startswith("encoder.down."))
        channels = [
            int(state[f"encoder.down.{i}.block.0.conv1.weight"].shape[0]) for i in range(levels)
        ]
        blocks = 1 + max(
            int(k.split(".")[4]) for k in state if k.startswith("encoder.down.0.block")
        )
        n_codes, dim = state["quantize.embedding.weight"].shape
        z = int(state["encoder.conv_out.weight"].shape[0])
    except (KeyError, ValueError, IndexError) as error:
        raise LipwrightError(
            f"this is no VQGAN of taming-transformers ({error}); give the published .ckpt file."
        ) from error
    attended = {
        int(k.split(".")[2]) for k in state if k.startswith("encoder.down.") and ".attn." in k
    }
    if attended - {levels - 1}:
        raise LipwrightError(
            "this VQGAN has attention above its coarsest level, which ours has not; use an f = 16 "
            "model."
        )
    return {
        "channels": channels,
        "blocks": blocks,
        "z_channels": z,
        "dim": int(dim),
        "n_codes": int(n_codes),
        "attention": bool(attended),
    }


def _chain(prefix: str, levels: range, blocks: int, step: str, attention: bool) -> dict[str, str]:
    """Published module name -> place in our flat sequence, for ``down`` or ``up``."""
    names: dict[str, str] = {}
    place = 0
    top = max(levels)
    for n, level in enumerate(levels):
        for i in range(blocks):
            names[f"{prefix}.{level}.block.{i}"] = str(place)
            place += 1
            if attention and level == top:
                names[f"{prefix}.{level}.attn.{i}"] = str(place)
                place += 1
        if n < len(levels) - 1:
            names[f"{prefix}.{level}.{step}"] = str(place)
            place += 1
    return names


def convert(state: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Arguments for :class:`VQGAN` and the state dict that fits it.

    Raises:
        LipwrightError: see :func:`infer_arguments`; or a tensor without a place.
    """
    arguments = infer_arguments(state)
    n, blocks = len(arguments["channels"]), arguments["blocks"]
    attention = arguments["attention"]
    places: dict[str, str] = {"quantize.embedding": "quantiser.embedding"}
    places |= {"quant_conv": "pre", "post_quant_conv": "post"}
    down = _chain("encoder.down", range(n), blocks, "downsample", attention)
    up = _chain("decoder.up", range(n - 1, -1, -1), blocks + 1, "upsample", attention)
    places |= {k: f"encoder.down.{v}" for k, v in down.items()}
    places |= {k: f"decoder.up.{v}" for k, v in up.items()}
    for side in ("encoder", "decoder"):
        places |= {
            f"{side}.conv_in": f"{side}.stem",
            f"{side}.conv_out": f"{side}.head",
            f"{side}.norm_out": f"{side}.norm",
            f"{side}.mid.block_1": f"{side}.middle.0",
            f"{side}.mid.attn_1": f"{side}.middle.1",
            f"{side}.mid.block_2": f"{side}.middle.2",
        }
    out: dict[str, Tensor] = {}
    for key, value in state.items():
        if key.startswith("loss."):
            continue
        parts = key.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            head = ".".join(parts[:cut])
            if head in places:
                rest = [(_RESIDUAL | _ATTENTION).get(p, p) for p in parts[cut:]]
                out[".".join([places[head], *rest])] = value
                break
        else:
            raise LipwrightError(f"the tensor '{key}' has no place in our VQGAN.")
    return arguments, out


def load_taming(state: Mapping[str, Tensor]) -> VQGAN:
    """Our VQGAN with published weights, in eval mode."""
    arguments, ours = convert(state)
    model = VQGAN(**arguments)
    try:
        model.load_state_dict(ours, strict=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:300]
        raise LipwrightError(f"this VQGAN does not fit ({detail}).") from error
    return model.eval().requires_grad_(False)
