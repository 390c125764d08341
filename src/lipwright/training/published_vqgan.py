"""Published checkpoints of networks that training here can go on from, as checkpoints of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lipwright.files.whole import file_sha256
from lipwright.models.published.taming import convert, load_taming
from lipwright.weights.checkpoint import save_checkpoint
from lipwright.weights.published import load_state


def convert_vqgan(source: Path, out: Path, size: int = 256) -> dict[str, Any]:
    """Write a VQGAN of taming-transformers as a checkpoint of the stage ``vqgan``.

    Put it at ``RUN/vqgan/vqgan.safetensors`` and the later stages use it instead of training one.

    Args:
        source: published ``.ckpt``; nothing in it is run.
        out: the safetensors file to write, in float32.
        size: side of the pictures that it is meant for.

    Returns:
        The constructor arguments of the VQGAN.

    Raises:
        LipwrightError: not such a file.
    """
    state = load_state(source)
    arguments, _ = convert(state)
    header = {
        "method": "vqgan",
        "size": size,
        "networks": {"vqgan": arguments},
        "training": {"published": source.name, "sha256": file_sha256(source)},
        "licence": "as the publisher states it",
    }
    save_checkpoint(out, header, {"vqgan": load_taming(state)}, half=False)
    return arguments
