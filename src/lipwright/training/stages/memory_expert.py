"""Stage ``memory-expert``: the audio-visual sync module of the Audio-Lip Memory.

Park et al. (AAAI 2022) judge sync by a pretrained module of five frames in Wav2Lip's manner, which
is what stage ``pixel-expert`` trains; this is that stage under its own name and config. It may look
at smaller pictures than are drawn.
"""

from __future__ import annotations

from lipwright.errors import LipwrightError
from lipwright.training.stages.pixel_expert import PixelExpertConfig, PixelExpertStage
from lipwright.training.stages.run import StageRun

FRAMES = 5


class MemoryExpertStage(PixelExpertStage):
    """Trains the expert on windows of five frames."""

    name = "memory-expert"


def build(run: StageRun[PixelExpertConfig]) -> MemoryExpertStage:
    """The stage ``memory-expert``.

    Raises:
        LipwrightError: the config has another window.
    """
    if run.config.window != FRAMES:
        raise LipwrightError(f"the expert of this method sees {FRAMES} frames: set window=5.")
    return MemoryExpertStage(run.config, run.corpus)
