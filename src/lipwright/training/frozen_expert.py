"""A trained pixel expert as a loss: in eval mode, without gradients of its own."""

from __future__ import annotations

from pathlib import Path

from lipwright.errors import LipwrightError
from lipwright.models.pixel_expert import PixelExpert
from lipwright.weights.checkpoint import load_checkpoint


def frozen_expert(
    path: Path | None, least_accuracy: float = 0.0, sees: tuple[int, int] | None = None
) -> tuple[PixelExpert | None, str]:
    """The expert of a checkpoint and the checkpoint's sha256.

    Args:
        path: of the checkpoint; None gives no expert.
        least_accuracy: an expert with less validation accuracy is left out.
        sees: size of the pictures in pixels and number of frames that it has to judge, if that
            matters.

    Raises:
        LipwrightError: it judges other pictures, or the checkpoint cannot be read.
    """
    if path is None:
        return None, ""
    checkpoint = load_checkpoint(path)
    accuracy = checkpoint.header.get("training", {}).get("validation", {}).get("accuracy", 0.0)
    if accuracy < least_accuracy:
        return None, ""
    arguments = checkpoint.header["networks"]["expert"]
    if sees is not None and (arguments["size"], arguments["window"]) != sees:
        raise LipwrightError(
            f"the expert {path} judges {arguments['window']} frames of {arguments['size']} px, not "
            f"{sees[1]} of {sees[0]}; train one with the same size and window."
        )
    return checkpoint.build("expert", PixelExpert), checkpoint.sha256
