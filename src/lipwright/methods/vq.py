"""VQ lip-sync: the default method.

Gupta et al., "Towards Generating Ultra-High Resolution Talking-Face Videos with Lip
Synchronization" (WACV 2023). See docs/methods/vq.md for what is theirs and what is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lipwright.errors import LipwrightError
from lipwright.lip_motion import compensate_dead_zone
from lipwright.methods.base import (
    Array,
    Method,
    MethodInfo,
    ReferenceLips,
    Rendered,
    audio_of,
    in_full_batches,
    resized,
)
from lipwright.methods.engine import Engine, build_engine
from lipwright.models.gallery_generator import GalleryGenerator
from lipwright.models.generator import CodeGenerator
from lipwright.models.lip_space import LipSpace
from lipwright.models.speech_lips import SpeechToLips
from lipwright.models.vq_pipeline import CodeEncoder, FrameRenderer, ReferenceEncoder
from lipwright.models.vqgan import VQGAN
from lipwright.weights.checkpoint import Checkpoint, load_checkpoint


@dataclass(frozen=True)
class VQState:
    """What one face track needs: the encoded reference looks."""

    references: tuple[Tensor, ...]
    rest: NDArray[np.float64] | None = None


class VQMethod(Method):
    """The contract of :class:`lipwright.methods.base.Method` for VQ lip-sync.

    Args:
        checkpoint: a joined checkpoint (training stage ``vq``).
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        backend: ``auto``, ``torch`` or ``openvino``.
    """

    def __init__(self, checkpoint: Checkpoint, device: str = "auto", backend: str = "auto") -> None:
        header = checkpoint.header
        if header["method"] != "vq":
            raise LipwrightError(
                f"{checkpoint.path} is a checkpoint of '{header['method']}', not of a dubbing "
                "method; join the stages with 'lipwright train vq' first."
            )
        references, frames, self.speech, self.space = build_networks(checkpoint)
        # Looks are encoded once per face: compiling a graph for them would take longer than that.
        self.references: Engine = build_engine(references, device, "torch", fast=backend != "torch")
        self.frames: Engine = build_engine(frames, device, backend, f"{checkpoint.model_id} frames")
        size = checkpoint.fields.whole("size", 16, 1024)
        self.info = MethodInfo(
            name="vq",
            model_id=checkpoint.model_id,
            size=size,
            audio=audio_of(checkpoint.fields),
            backend=self.frames.name,
            reference_size=size * checkpoint.fields.whole("finer", 1, 8, 1),
            whole_speech=self.speech is not None,  # the paper's generator hears the mel itself
        )

    def start(self, reference: Array, lips: ReferenceLips | None = None) -> VQState:
        """Encode reference frames; without ``lips`` all are taken to rest."""
        motions = np.zeros((len(reference), self.space.dim), np.float32)
        if lips is not None:
            motions = self.space.encode(lips.openings, lips.shapes, lips.rest)
        rest = None if lips is None else np.asarray(lips.rest.shape, np.float64)
        inputs = torch.from_numpy(resized(reference, self.info.reference_size))
        return VQState(self.references(inputs, torch.from_numpy(motions)), rest)

    @torch.inference_mode()
    def speech_features(self, wave: Array) -> Array:
        """(n,) samples -> (K, T), what the lips do at every column; 0 is rest.

        In float32, whatever the pictures are drawn in: in bfloat16 the motions tremble.
        """
        mel = super().speech_features(wave)
        if self.speech is None:
            return mel
        return np.asarray(self.speech.dense(torch.from_numpy(mel)).numpy(), np.float32)

    def render(self, faces: Array, audio: Array, state: VQState) -> Rendered:
        """Draw (B, 3, S, S) faces by (B, K) motions, the paper's generator by (B, 80, steps)."""

        def draw(*inputs: Array) -> tuple[Array, ...]:
            tensors = [torch.from_numpy(np.ascontiguousarray(x)) for x in inputs]
            return tuple(made.numpy() for made in self.frames(*tensors, *state.references))

        made = in_full_batches(draw, faces, audio)
        if len(made) == 2:  # the paper's generator: speaking faces, and the baseline
            return Rendered(*made)
        speaking, restored = made[:2]
        wanted, shown, weights = (m.astype(np.float64) for m in made[2:])
        if state.rest is None:
            return Rendered(speaking, restored=restored, weights=weights)
        lips = state.rest + self.space.contours(shown)
        step = self.space.contours(compensate_dead_zone(wanted - shown))
        return Rendered(speaking, None, restored, lips, step, weights)


def build_networks(
    checkpoint: Checkpoint,
) -> tuple[nn.Module, nn.Module, SpeechToLips | None, LipSpace]:
    """The two inference graphs of a joined checkpoint with its weights, its speech network where it
    has one, and its lip space.

    Raises:
        LipwrightError: header or weights are damaged.
    """
    fields = checkpoint.fields
    face = checkpoint.build("face", VQGAN)
    pose = checkpoint.build("pose", lambda **arguments: CodeEncoder(VQGAN(**arguments)))
    generator: GalleryGenerator | CodeGenerator
    speech: SpeechToLips | None = None
    space = LipSpace()
    if fields.choice("arch", ("gallery", "paper")) == "gallery":
        generator = checkpoint.build("generator", GalleryGenerator)
        speech = checkpoint.build("speech", SpeechToLips)
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


def load_vq(path: Path, device: str = "auto", backend: str = "auto") -> VQMethod:
    """Load a joined checkpoint.

    Raises:
        LipwrightError: missing, damaged, or of another kind.
    """
    return VQMethod(load_checkpoint(path), device, backend)
