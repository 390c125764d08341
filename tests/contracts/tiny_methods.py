"""A checkpoint of random weights for every registered method, as small as its networks allow.

A new method with weights adds one function to :data:`CHECKPOINTS`; one without any is found in the
registry. The contract suite then holds it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lipwright.methods.registry import METHODS
from lipwright.models.gallery_generator import GalleryGenerator
from lipwright.models.generator import CodeGenerator
from lipwright.models.lip_space import LipSpace
from lipwright.models.speech_lips import SpeechToLips
from lipwright.models.vq_pipeline import CodeEncoder
from lipwright.models.vqgan import VQGAN
from lipwright.weights.checkpoint import save_checkpoint
from tests.methods.test_landmark import save as save_landmark
from tests.methods.test_memory import write as save_memory
from tests.methods.test_pixel import checkpoint as save_pixel
from tests.methods.test_pixel import encoded as save_encoded
from tests.methods.test_vq import FACE, GENERATOR, SPEECH
from tests.models.test_memory_networks import ENCODED, TINY


def gallery(folder: Path) -> Path:
    """The default architecture of ``vq``."""
    torch.manual_seed(0)
    face, pose, generator = VQGAN(**FACE), VQGAN(**FACE), GalleryGenerator(**GENERATOR)
    for parameter in generator.parameters():
        if not parameter.any():  # layers that are silent before training
            torch.nn.init.normal_(parameter, 0.0, 0.1)
    networks = {
        "face": face,
        "pose": CodeEncoder(pose),
        "generator": generator,
        "speech": SpeechToLips(**SPEECH),
        "space": LipSpace(3),
    }
    arguments = {"face": FACE, "pose": FACE, "generator": GENERATOR, "speech": SPEECH}
    return _vq(folder / "gallery.safetensors", "gallery", arguments, networks)


def paper(folder: Path) -> Path:
    """The paper's architecture of ``vq``."""
    torch.manual_seed(0)
    face, pose = VQGAN(**FACE), VQGAN(**FACE)
    generator: dict[str, Any] = {
        **{"code_dim": 8, "channels": [8] * 5, "blocks": [1] * 4, "dim": 8},
        **{"audio_steps": 20, "audio_channels": [4, 4, 8, 8]},
    }
    networks = {"face": face, "pose": CodeEncoder(pose), "generator": CodeGenerator(**generator)}
    arguments = {"face": FACE, "pose": FACE, "generator": generator}
    return _vq(folder / "paper.safetensors", "paper", arguments, networks)


def _vq(path: Path, arch: str, arguments: dict[str, Any], networks: dict[str, Any]) -> Path:
    header = {
        "method": "vq",
        "arch": arch,
        "size": 64,
        "audio": {"steps": 20, "before": 8},
        "snap": "soft" if arch == "gallery" else "raw",
        "sigma": {"face": 1.0, "pose": 1.0},
        "networks": arguments,
    }
    save_checkpoint(path, header, networks)
    return path


CHECKPOINTS: dict[str, tuple[str, Callable[[Path], Path] | None]] = {
    "vq gallery": ("vq", gallery),
    "vq-paper": ("vq-paper", paper),
    "memory": ("memory", lambda folder: save_memory(folder / "memory.safetensors")),
    "memory moving": (
        "memory",
        lambda folder: save_memory(
            folder / "moving.safetensors", {**TINY, "move": {"motions": 3, "points": 40}}
        ),
    ),
    "memory encoder": (
        "memory",
        lambda folder: save_memory(folder / "memory-encoded.safetensors", ENCODED),
    ),
    "landmark": ("landmark", lambda folder: save_landmark(folder / "landmark.safetensors")),
    "landmark encoder": (
        "landmark",
        lambda folder: save_landmark(folder / "landmark-encoded.safetensors", "whisper"),
    ),
    "wav2lip": ("wav2lip", lambda folder: save_pixel(folder, "wav2lip")),
    "lipgan": ("lipgan", lambda folder: save_pixel(folder, "lipgan")),
    "speech2vid": ("speech2vid", lambda folder: save_pixel(folder, "speech2vid")),
    "speech2vid encoder": ("speech2vid", save_encoded),
    **{name: (name, None) for name, entry in METHODS.items() if entry.weightless},
}
"""Name of the variant -> registered method, and what writes its checkpoint (None: it has none)."""
