"""The networks of VQ lip-sync in PyTorch: for its export to graphs, and where PyTorch runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lipwright.methods.base import BATCH
from lipwright.methods.encoded_speech import ENCODER
from lipwright.methods.export import Export
from lipwright.methods.speech_graphs import speech_exports, speech_modules
from lipwright.methods.vq import REFERENCE_ROWS
from lipwright.models.encoder_lips import EncoderToLips
from lipwright.models.gallery_generator import GalleryGenerator
from lipwright.models.generator import CodeGenerator
from lipwright.models.lip_space import LipSpace
from lipwright.models.speech_lips import SpeechToLips
from lipwright.models.speech_networks import SpeechNetwork, build_speech_network
from lipwright.models.vq_pipeline import CodeEncoder, FrameRenderer, ReferenceEncoder
from lipwright.models.vqgan import VQGAN
from lipwright.weights.checkpoint import Checkpoint, load_checkpoint


class ReferenceRows(nn.Module):
    """The encoder of reference frames with rows as the leading dimension, so that its outputs for
    several batches can be laid behind each other.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, reference: Tensor, motions: Tensor, *norms: Tensor) -> tuple[Tensor, ...]:
        """(R, 3, kS, kS), (R, K), with a gallery also (1, N) -> tensors of R rows."""
        made: tuple[Tensor, ...] = self.encoder(reference, motions, *norms)
        if isinstance(self.encoder.generator, CodeGenerator):
            return made
        *known, _, residual = made
        return *(each[0] for each in known), residual[0]


class ReferenceNorms(nn.Module):
    """What the group normalisations do to reference frames, by rows."""

    def __init__(self, encoder: ReferenceEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, reference: Tensor) -> tuple[Tensor]:
        """(R, 3, kS, kS) -> (R, N)."""
        return (self.encoder.norms(reference),)


class FramesByRows(nn.Module):
    """The renderer of frames, given what :class:`ReferenceRows` made."""

    def __init__(self, renderer: nn.Module) -> None:
        super().__init__()
        self.renderer = renderer

    def forward(self, faces: Tensor, audio: Tensor, *references: Tensor) -> tuple[Tensor, ...]:
        """See :class:`FrameRenderer`."""
        paper = isinstance(self.renderer.generator, CodeGenerator)
        rows = references if paper else tuple(r[None] for r in references)
        made: tuple[Tensor, ...] = self.renderer(faces, audio, *rows)
        return made


class SpeechRows(nn.Module):
    """The speech network over a stretch of a recording."""

    def __init__(self, network: SpeechToLips) -> None:
        super().__init__()
        self.network = network

    def forward(self, mel: Tensor) -> tuple[Tensor]:
        """(1, 80, steps + 4 (n - 1)) -> (n, K)."""
        return (self.network.sequence(mel)[0],)


class MembersMean(nn.Module):
    """The mean of the networks on top of a speech encoder."""

    def __init__(self, speech: EncoderToLips) -> None:
        super().__init__()
        self.members = speech.members

    def forward(self, features: Tensor) -> Tensor:
        """(B, 2 C, n + 2 layers) -> (B, n, K)."""
        return torch.stack([member(features) for member in self.members]).mean(0)


def modules_of(path: Path) -> dict[str, nn.Module]:
    """The networks of a joined checkpoint by the names of its graphs."""
    references, frames, speech, _ = build_networks(load_checkpoint(path))
    found: dict[str, nn.Module] = {
        "references": ReferenceRows(references),
        "frames": FramesByRows(frames),
    }
    if isinstance(references.generator, GalleryGenerator):
        found["norms"] = ReferenceNorms(references)
    if isinstance(speech, SpeechToLips):
        found["speech"] = SpeechRows(speech)
    elif speech is not None:
        found |= speech_modules(speech.encoder, MembersMean(speech))
    return {name: module.eval() for name, module in found.items()}


def exports_of(path: Path, batch: int = BATCH, rows: int = REFERENCE_ROWS) -> dict[str, Export]:
    """What becomes the graphs of a joined checkpoint: modules, example inputs, free dimensions."""
    checkpoint = load_checkpoint(path)
    modules, fields = modules_of(path), checkpoint.fields
    size = fields.whole("size", 16, 1024)
    side, steps = size * fields.whole("finer", 1, 8, 1), checkpoint.header["audio"]["steps"]
    dim = checkpoint.header["networks"].get("speech", {}).get("dim", 8)
    gallery = fields.choice("arch", ("gallery", "paper")) == "gallery"
    reference: tuple[Tensor, ...] = (torch.zeros(rows, 3, side, side), torch.zeros(rows, dim))
    found = {}
    with torch.inference_mode():
        if gallery:
            found["norms"] = Export(modules["norms"], reference[:1], {})
            reference = (*reference, modules["norms"](*reference[:1])[0][:1])
        encoded = modules["references"](*reference)
    # The residual is mixed by the method; the paper's generator has a reference for every frame.
    if gallery:
        encoded = (*encoded[:-1], reference[-1])
    else:
        encoded = (encoded[0][:1].expand(batch, -1, -1, -1),)
    audio = torch.zeros(batch, dim) if gallery else torch.zeros(batch, 80, steps)
    found |= {
        "references": Export(modules["references"], reference, {}),
        "frames": Export(
            modules["frames"],
            (torch.zeros(batch, 3, size, size), audio, *encoded),
            dict.fromkeys(range(2, 1 + len(encoded)), 0) if gallery else {},
        ),
    }
    if ENCODER in modules:
        speech = checkpoint.header["networks"]["speech"]
        width, layers = int(speech.get("encoder_width", 384)), int(speech.get("layers", 6))
        found |= speech_exports(modules, width, layers)
    if "speech" in modules:
        found["speech"] = Export(modules["speech"], (torch.zeros(1, 80, steps + 40),), {0: 2})
    return found


def build_networks(
    checkpoint: Checkpoint,
) -> tuple[ReferenceEncoder, FrameRenderer, SpeechNetwork | None, LipSpace]:
    """The two inference graphs of a joined checkpoint with its weights, its speech network where it
    has one, and its lip space.

    Raises:
        LipwrightError: header or weights are damaged.
    """
    fields = checkpoint.fields
    face = checkpoint.build("face", VQGAN)
    pose = checkpoint.build("pose", lambda **arguments: CodeEncoder(VQGAN(**arguments)))
    generator: GalleryGenerator | CodeGenerator
    speech: SpeechNetwork | None = None
    space = LipSpace()
    if fields.choice("arch", ("gallery", "paper")) == "gallery":
        generator = checkpoint.build("generator", GalleryGenerator)
        speech = checkpoint.build("speech", build_speech_network)
        space = LipSpace(generator.lip_dim)
        checkpoint.load_into("space", space)
    else:
        generator = checkpoint.build("generator", CodeGenerator)
    finer = fields.whole("finer", 1, 8, 1)
    sigma = fields.section("sigma")
    of_face, of_pose = sigma.number("face", 1e-6, 1e6), sigma.number("pose", 1e-6, 1e6)
    references = ReferenceEncoder(face, pose, generator, of_face, of_pose, finer)
    snap: Any = fields.choice("snap", ("soft", "raw", "entry"))
    articulation = fields.number("articulation", 0.0, 20.0, 1.0)
    frames = FrameRenderer(face, pose, generator, of_face, of_pose, snap, articulation, finer)
    for graph in (references, frames):
        graph.eval().requires_grad_(False)
    return references, frames, speech, space
