"""Stage ``vq``: joins the trained networks of VQ lip-sync to the one file that dubbing loads."""

from __future__ import annotations

from typing import Literal

from lipwright.training.config import Section
from lipwright.training.join import join_vq
from lipwright.training.stages.run import StageRun


class JoinConfig(Section):
    """Config of the stage ``vq``.

    Attributes:
        snap: what is decoded: ``soft``, ``raw`` or ``entry`` (see
            :class:`~lipwright.models.vq_pipeline.FrameRenderer`).
        articulation: gain of the lip motion at inference.
        finer: how many times the network's side the reference frames have.
        reference: what the paper's generator draws a frame from unless told otherwise: ``same``,
            ``fixed`` or ``gallery`` (docs/methods/vq.md).
    """

    snap: Literal["soft", "raw", "entry"] = "soft"
    articulation: float = 1.0
    finer: int = 1
    reference: Literal["same", "fixed", "gallery"] = "same"


def build(run: StageRun[JoinConfig]) -> None:
    """Write ``RUN/vq.safetensors``."""
    optional = {name: run.out / name / f"{name}.safetensors" for name in ("speech", "decoder")}
    join_vq(
        run.made("vqgan"),
        run.made("pose-vqgan"),
        run.made("generator"),
        run.result,
        run.config.model_dump(),
        **{name: path if path.is_file() else None for name, path in optional.items()},
    )
