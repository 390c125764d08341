"""The generator that needs no training: a kernel regression over reference frames.

With ``model.correct: false`` a :class:`~lipwright.models.gallery_generator.GalleryGenerator` holds
the widths of its kernel only, which the config gives. The lip space is fitted here. No code has to
be cached.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lipwright.data.codes import lip_motions
from lipwright.data.packed import PackedCorpus
from lipwright.models.gallery_generator import GalleryGenerator
from lipwright.weights.checkpoint import RESEARCH_ONLY, load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    from lipwright.training.stages.generator_config import GeneratorConfig


def is_kernel(config: GeneratorConfig) -> bool:
    """Whether a config asks for the generator without anything to train."""
    return config.arch == "gallery" and config.model.get("correct") is False


def write_kernel(
    config: GeneratorConfig, packed: PackedCorpus, face: Path, pose: Path, out: Path
) -> None:
    """Write the checkpoint ``out`` of such a generator; the header is that of the stage.

    Args:
        config: see :class:`~lipwright.training.stages.generator_config.GeneratorConfig`.
        packed: the corpus on whose training split the lip space is fitted.
        face: checkpoint of the Face-VQGAN.
        pose: checkpoint of the Pose-VQGAN.
        out: file to write.
    """
    parents = {"face": load_checkpoint(face), "pose": load_checkpoint(pose)}
    dims = {n: int(c.header["networks"]["vqgan"]["dim"]) for n, c in parents.items()}
    arguments = {
        "code_dim": dims["face"],
        "pose_dim": dims["pose"],
        "lip_dim": config.lip_dim,
        **config.model,
    }
    space, _ = lip_motions(packed, config.lip_dim)
    header = {
        "method": "generator",
        "arch": "gallery",
        "size": packed.size,
        "networks": {"generator": arguments},
        "training": {"steps": 0, "data": packed.summary(), "validation": {}},
        "parents": {n: c.sha256 for n, c in parents.items()},
        "licence": RESEARCH_ONLY,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(out, header, {"generator": GalleryGenerator(**arguments), "space": space})
