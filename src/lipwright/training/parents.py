"""What a stage needs of the stages before it."""

from __future__ import annotations

from pathlib import Path

from lipwright.errors import LipwrightError


def needed_expert(out: Path, stage: str, weight: float) -> Path | None:
    """The checkpoint of the expert that a sync loss of this weight needs; None without the loss.

    Args:
        out: the run folder.
        stage: that trains the expert.
        weight: of the sync loss.

    Raises:
        LipwrightError: the stage has not run.
    """
    if weight <= 0:
        return None
    expert = out / stage / f"{stage}.safetensors"
    if not expert.is_file():
        raise LipwrightError(
            f"the sync loss needs the expert {expert}; run the stage '{stage}' first, or set "
            "loss.sync=0."
        )
    return expert
