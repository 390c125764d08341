"""Join the trained networks of VQ lip-sync to the one file that ``lipwright dub`` loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from lipwright.data.codes import load_vqgan
from lipwright.errors import LipwrightError
from lipwright.methods.graphs import export_graphs
from lipwright.models.gallery_generator import GalleryGenerator
from lipwright.models.generator import CodeGenerator
from lipwright.models.layers import fold_norms
from lipwright.models.lip_space import LipSpace
from lipwright.models.quantiser import codebook_sigma
from lipwright.models.speech_networks import build_speech_network
from lipwright.models.vq_pipeline import CodeEncoder
from lipwright.weights.checkpoint import RESEARCH_ONLY, Checkpoint, load_checkpoint, save_checkpoint


def join_vq(
    face: Path,
    pose: Path,
    generator: Path,
    out: Path,
    options: dict[str, Any],
    speech: Path | None = None,
    decoder: Path | None = None,
) -> None:
    """Write ``out`` in float16: ``face``, ``pose`` (encoder), ``generator``, ``speech``, ``space``.

    Args:
        face: checkpoint of the stage ``vqgan``.
        pose: checkpoint of the stage ``pose-vqgan``.
        generator: checkpoint of the stage ``generator``.
        out: the joined checkpoint.
        options: ``snap`` (soft, raw or entry), default soft; ``articulation``, default 1 (see
            :class:`~lipwright.models.vq_pipeline.FrameRenderer`); ``finer``, default 1: how many
            times the network's size the reference frames have; ``reference``, default ``same``, of
            the paper's generator.
        speech: checkpoint of the stage ``speech``, for a generator that follows lip motions.
        decoder: checkpoint of the stage ``decoder``: it has the better generator, and another
            decoder for the face VQGAN.

    Raises:
        LipwrightError: the generator was trained on codes of other VQGANs, or in another lip space
            than the speech network.
    """
    parts = {"face": load_checkpoint(face), "pose": load_checkpoint(pose)}
    drawn = load_checkpoint(decoder or generator)
    for name, part in parts.items():
        if drawn.header["parents"][name] != part.sha256:
            raise LipwrightError(
                f"the generator {drawn.path} was trained on codes of another {name} VQGAN than "
                f"{part.path}; train it again on fresh codes."
            )
    models = {name: load_vqgan(part) for name, part in parts.items()}
    arch = drawn.header["arch"]
    kind = GalleryGenerator if arch == "gallery" else CodeGenerator
    network = drawn.build("generator", kind)
    arguments = drawn.header["networks"]["generator"]
    if arch == "paper":
        fold_norms(network)
        arguments = {**arguments, "folded": True}
    if decoder is not None:
        drawn.load_into("vqgan", models["face"])
    modules = {"face": models["face"], "pose": CodeEncoder(models["pose"]), "generator": network}
    predicted = drawn
    if arch == "gallery":
        predicted = _speech(drawn, speech, modules)
    header = {
        "method": "vq",
        "arch": arch,
        "size": drawn.header["size"],
        "audio": predicted.header["audio"],
        "snap": options.get("snap", "soft"),
        "articulation": float(options.get("articulation", 1.0)),
        "finer": int(options.get("finer", 1)),
        **({"reference": options.get("reference", "same")} if arch == "paper" else {}),
        "sigma": drawn.header.get("sigma")
        or {n: codebook_sigma(m.quantiser.codebook) for n, m in models.items()},
        "networks": {
            "face": parts["face"].header["networks"]["vqgan"],
            "pose": parts["pose"].header["networks"]["vqgan"],
            "generator": arguments,
            **(
                {"speech": predicted.header["networks"]["speech"]} if predicted is not drawn else {}
            ),
        },
        "training": {
            "vqgan": parts["face"].header["training"],
            "pose-vqgan": parts["pose"].header["training"],
            "generator": load_checkpoint(generator).header["training"],
            **({"decoder": drawn.header["training"]} if decoder else {}),
            **({"speech": predicted.header["training"]} if predicted is not drawn else {}),
        },
        "parents": {**drawn.header["parents"], drawn.header["method"]: drawn.sha256},
        "licence": RESEARCH_ONLY,
    }
    save_checkpoint(out, header, modules)
    export_graphs(out)


def _speech(drawn: Checkpoint, path: Path | None, modules: dict[str, Any]) -> Checkpoint:
    """Add the networks ``speech`` and ``space``; both stages must mean the same motions."""
    if path is None:
        raise LipwrightError(
            "a generator of arch gallery needs the speech network; run the stage 'speech'."
        )
    speech = load_checkpoint(path)
    here, there = (c.network("space") for c in (drawn, speech))
    if any(not torch.allclose(here[k].float(), there[k].float(), atol=1e-3) for k in here):
        raise LipwrightError(
            f"{path} predicts lip motions of another corpus than the generator was trained on; "
            "train both on the same one."
        )
    modules["speech"] = speech.build("speech", build_speech_network)
    modules["space"] = LipSpace(drawn.header["networks"]["generator"]["lip_dim"])
    drawn.load_into("space", modules["space"])
    return speech
