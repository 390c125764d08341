"""Run one stage of the pixel baselines: their own expert, or a generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lipwright.data.packed import PackedCorpus
from lipwright.errors import LipwrightError
from lipwright.training.config import parse
from lipwright.training.parents import needed_expert
from lipwright.training.trainer import train


def run_pixel_stage(
    stage: str, data: Path, values: dict[str, Any], out: Path, device: str, where: str
) -> None:
    """Train ``pixel-expert``, ``wav2lip``, ``lipgan`` or ``speech2vid`` in ``out/<stage>``.

    Raises:
        LipwrightError: wrong config, or the sync loss lacks its expert.
    """
    from lipwright.training.stages.pixel import KINDS, PixelConfig, PixelStage
    from lipwright.training.stages.pixel_expert import PixelExpertConfig, PixelExpertStage

    corpus = PackedCorpus(data)
    if stage == "pixel-expert":
        expert_stage = PixelExpertStage(parse(PixelExpertConfig, values, where), corpus)
        train(expert_stage, out / stage, device)
        return
    config = parse(PixelConfig, values, where)
    expert = needed_expert(out, "pixel-expert", config.loss.sync)
    kind = KINDS.get(stage)
    if kind is None:
        raise LipwrightError(f"there is no pixel baseline '{stage}'; use {', '.join(KINDS)}.")
    train(PixelStage(kind, config, corpus, expert), out / stage, device)
