"""Stage ``memory-expert``: the audio-visual sync module of the Audio-Lip Memory.

Park et al. (AAAI 2022) judge sync by a pretrained module of five frames in Wav2Lip's manner, which
is what stage ``pixel-expert`` trains; this is that stage under its own name and config. It may look
at smaller pictures than are drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lipwright.data.packed import PackedCorpus
from lipwright.errors import LipwrightError
from lipwright.training.config import parse
from lipwright.training.parents import needed_expert
from lipwright.training.stages.pixel_expert import PixelExpertConfig, PixelExpertStage

FRAMES = 5


class MemoryExpertStage(PixelExpertStage):
    """Trains the expert on windows of five frames."""

    name = "memory-expert"


def run_memory_stage(
    stage: str, data: Path, values: dict[str, Any], out: Path, device: str, where: str
) -> None:
    """Run ``memory-expert`` or ``memory``; arguments as in ``training.stages.run_stage``.

    Raises:
        LipwrightError: wrong config, or the sync loss lacks its expert.
    """
    from lipwright.training.trainer import train

    corpus = PackedCorpus(data)
    if stage == "memory-expert":
        expert_config = parse(PixelExpertConfig, values, where)
        if expert_config.window != FRAMES:
            raise LipwrightError(f"the expert of this method sees {FRAMES} frames: set window=5.")
        train(MemoryExpertStage(expert_config, corpus), out / stage, device)
        return
    from lipwright.training.stages.memory import MemoryStage
    from lipwright.training.stages.memory_config import MemoryConfig

    config = parse(MemoryConfig, values, where)
    expert = needed_expert(out, "memory-expert", config.loss.sync)
    train(MemoryStage(config, corpus, expert), out / stage, device)
