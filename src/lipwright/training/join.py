"""Join the trained networks of VQ lip-sync to the one file that ``lipwright dub`` loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lipwright.errors import LipwrightError
from lipwright.models.generator import CodeGenerator
from lipwright.models.look_generator import LookGenerator
from lipwright.models.vq_pipeline import CodeEncoder
from lipwright.models.vqgan import VQGAN
from lipwright.weights.checkpoint import load_checkpoint, save_checkpoint


def join_vq(face: Path, pose: Path, generator: Path, out: Path, options: dict[str, Any]) -> None:
    """Write ``out``: networks ``face``, ``pose`` (encoder only) and ``generator``, in float16.

    Args:
        face: checkpoint of the stage ``vqgan``.
        pose: checkpoint of the stage ``pose-vqgan``.
        generator: checkpoint of the stage ``generator``.
        out: the joined checkpoint.
        options: ``snap`` (soft, raw or entry), default soft; ``articulation``, default 1 (see
            :class:`~lipwright.models.vq_pipeline.FrameRenderer`).

    Raises:
        LipwrightError: the generator was trained on codes of other VQGANs.
    """
    parts = {"face": load_checkpoint(face), "pose": load_checkpoint(pose)}
    drawn = load_checkpoint(generator)
    for name, part in parts.items():
        if drawn.header["parents"][name] != part.sha256:
            raise LipwrightError(
                f"the generator {generator} was trained on codes of another {name} VQGAN than "
                f"{part.path}; train it again on fresh codes."
            )
    models = {}
    for name, part in parts.items():
        models[name] = VQGAN(**part.header["networks"]["vqgan"])
        part.load_into("vqgan", models[name])
    arch = drawn.header["arch"]
    kind = LookGenerator if arch == "looks" else CodeGenerator
    network = kind(**drawn.header["networks"]["generator"])
    drawn.load_into("generator", network)
    header = {
        "method": "vq",
        "arch": arch,
        "size": drawn.header["size"],
        "audio": drawn.header["audio"],
        "snap": options.get("snap", "soft"),
        "articulation": float(options.get("articulation", 1.0)),
        "sigma": {n: float(m.quantiser.codebook.std()) for n, m in models.items()},
        "networks": {
            "face": parts["face"].header["networks"]["vqgan"],
            "pose": parts["pose"].header["networks"]["vqgan"],
            "generator": drawn.header["networks"]["generator"],
        },
        "training": {
            "vqgan": parts["face"].header["training"],
            "pose-vqgan": parts["pose"].header["training"],
            "generator": drawn.header["training"],
        },
        "parents": {**drawn.header["parents"], "generator": drawn.sha256},
        "licence": "research use only (see LICENSE_weights)",
    }
    modules = {"face": models["face"], "pose": CodeEncoder(models["pose"]), "generator": network}
    save_checkpoint(out, header, modules)
