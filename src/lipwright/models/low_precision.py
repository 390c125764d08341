"""Whether a device computes in bfloat16.

PyTorch runs bfloat16 everywhere, but a processor without instructions for it (none of AVX512,
AVX-NE-CONVERT or their like) converts every number forth and back: convolutions take 5 to 30 times
as long as in float32.
"""

from __future__ import annotations

import torch

PROBES = ("_is_mkldnn_bf16_supported", "_is_mkldnn_bf16_device_supported")
"""What PyTorch calls the question to oneDNN, from 2.13 on and before."""


def computes_bfloat16(device: torch.device | str) -> bool:
    """True where bfloat16 is quicker than float32, or as quick."""
    kind = torch.device(device).type
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if kind != "cpu":
        return True
    for name in PROBES:
        try:
            return bool(getattr(torch.ops.mkldnn, name)())
        except (AttributeError, RuntimeError):  # another PyTorch, or one without oneDNN
            continue
    return False
