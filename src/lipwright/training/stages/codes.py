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
    """

    flip: bool = False
    batch: int = 64


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
    )
