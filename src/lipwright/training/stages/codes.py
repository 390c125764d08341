"""Stage ``codes``: the code grids of every frame, cached once for the stages in code space."""

from __future__ import annotations

import torch

from lipwright.data.codes import cache_codes
from lipwright.training.config import Section
from lipwright.training.devices import check_device
from lipwright.training.stages.run import StageRun


class CodesConfig(Section):
    """Config of the stage ``codes``.

    Attributes:
        flip: cache the mirrored frames as well.
        batch: frames that are encoded at once.
        min_frames: shorter clips are left out here and in all stages that read the codes; 0 for
            none. A generator at T = 25 with references 25 frames away cannot use them anyway.
    """

    flip: bool = False
    batch: int = 64
    min_frames: int = 0


def build(run: StageRun[CodesConfig]) -> None:
    """Cache the codes in ``RUN/codes``; nothing is done where they are there already."""
    cache_codes(
        run.corpus,
        run.made("vqgan"),
        run.made("pose-vqgan"),
        run.folder,
        torch.device(check_device(run.device)),
        run.config.flip,
        run.config.batch,
        run.config.min_frames,
    )
