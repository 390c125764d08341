"""VQGANs taken from a joined checkpoint, so that only what follows them is trained.

A joined checkpoint (training stage ``vq``) holds the whole Face-VQGAN, but of the Pose-VQGAN only
the encoding half: nothing that is drawn ever passes its decoder.
"""

from __future__ import annotations

from pathlib import Path

from torch import nn

from lipwright.errors import LipwrightError
from lipwright.methods.registry import METHODS, shipped
from lipwright.models.vq_pipeline import CodeEncoder
from lipwright.models.vqgan import VQGAN
from lipwright.weights.checkpoint import load_checkpoint, save_checkpoint


def joined_path(source: str, key: str = "taken_from") -> Path:
    """The joined checkpoint that the key of a config names: a method's shipped one, or a file.

    Raises:
        LipwrightError: there is none.
    """
    path = shipped(source) if source in METHODS else Path(source)
    if not path.is_file():
        raise LipwrightError(
            f"{key}={source}: there is no such file; give a joined checkpoint, or a method "
            "that ships one."
        )
    return path


def take_vqgan(source: str, stage: str, size: int, out: Path) -> None:
    """Write one of the two VQGANs of a joined checkpoint as its own stage would have.

    Args:
        source: see :func:`joined_path`.
        stage: ``vqgan`` or ``pose-vqgan``.
        size: side of the crops that it is to see.
        out: the stage's checkpoint.

    Raises:
        LipwrightError: no such file, no joined checkpoint of VQ lip-sync, or of another size.
    """
    checkpoint = load_checkpoint(joined_path(source))
    header = checkpoint.header
    name = "pose" if stage == "pose-vqgan" else "face"
    if header["method"] != "vq" or name not in header.get("networks", {}):
        raise LipwrightError(
            f"taken_from={source}: {checkpoint.path} is a checkpoint of '{header['method']}', not "
            "a joined one of VQ lip-sync."
        )
    if header["size"] != size:
        raise LipwrightError(
            f"taken_from={source}: its networks see faces of {header['size']} pixels, but the "
            f"corpus was packed at {size}."
        )
    network: nn.Module
    if name == "face":
        network = checkpoint.build(name, VQGAN)
    else:
        network = checkpoint.build(name, lambda **arguments: CodeEncoder(VQGAN(**arguments)))
    made = {
        "method": stage,
        "size": size,
        "networks": {"vqgan": header["networks"][name]},
        "encoder_only": name == "pose",
        "training": header["training"][stage],
        # The checkpoint of its stage, as the joined one knows it; the file itself is gone.
        "parents": {"taken": header["parents"][name]},
        "licence": header["licence"],
    }
    save_checkpoint(out, made, {"vqgan": network})
