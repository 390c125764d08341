"""VQ lip-sync: the default method.

Gupta et al., "Towards Generating Ultra-High Resolution Talking-Face Videos with Lip
Synchronization" (WACV 2023). See docs/methods/vq.md for what is theirs and what is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.errors import LipwrightError
from lipwright.media.mel import AudioSpec
from lipwright.methods.base import ReferenceLips, Rendered
from lipwright.methods.engine import Engine, build_engine
from lipwright.models.gallery_generator import GalleryGenerator
from lipwright.models.generator import CodeGenerator
from lipwright.models.lip_space import LipSpace, compensate_dead_zone
from lipwright.models.speech_lips import SpeechToLips
from lipwright.models.vq_pipeline import CodeEncoder, FrameRenderer, ReferenceEncoder
from lipwright.models.vqgan import VQGAN
from lipwright.weights.checkpoint import Checkpoint, load_checkpoint

BATCH = 8
"""Frames per call of the network; smaller batches are filled up, so that every frame is computed by
the same kernels whatever batch it came in."""


@dataclass(frozen=True)
class VQState:
    """What one face track needs: the encoded reference looks."""

    references: tuple[Tensor, ...]
    rest: NDArray[np.float64] | None = None


class VQMethod:
    """The contract of :class:`lipwright.methods.base.Method` for VQ lip-sync.

    Args:
        checkpoint: a joined checkpoint (training stage ``vq``).
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        backend: ``auto``, ``torch`` or ``openvino``.
    """

    name = "vq"
    stateless = True

    def __init__(self, checkpoint: Checkpoint, device: str = "auto", backend: str = "auto") -> None:
        header = checkpoint.header
        if header["method"] != "vq":
            raise LipwrightError(
                f"{checkpoint.path} is a checkpoint of '{header['method']}', not of a dubbing "
                "method; join the stages with 'lipwright train vq' first."
            )
        self.size = int(header["size"])
        self.reference_size = self.size * int(header.get("finer", 1))
        self.audio = AudioSpec(**header["audio"])
        self.model_id = checkpoint.model_id
        references, frames, self.speech, self.space = build_networks(checkpoint)
        # Looks are encoded once per face: compiling a graph for them would take longer than that.
        self.references: Engine = build_engine(references, device, "torch", fast=backend != "torch")
        self.frames: Engine = build_engine(frames, device, backend, f"{self.model_id} frames")
        self.backend = self.frames.name

    def start(self, reference: Tensor, lips: ReferenceLips | None = None) -> VQState:
        """Encode looks (R, 3, S', S') in [-1, 1], S' = ``reference_size``, R >= 1.

        Without ``lips`` all are taken to rest.
        """
        motions = torch.zeros(len(reference), self.space.dim)
        if lips is not None:
            motions = torch.from_numpy(self.space.encode(lips.openings, lips.shapes, lips.rest))
        side = self.reference_size
        if reference.shape[-1] != side:
            reference = F.interpolate(
                reference, size=(side, side), mode="bilinear", align_corners=False, antialias=True
            )
        rest = None if lips is None else np.asarray(lips.rest.shape, np.float64)
        return VQState(self.references(reference, motions), rest)

    @property
    def listens(self) -> bool:
        """Whether :meth:`listen` is there; the paper's generator hears the mel itself."""
        return self.speech is not None

    @torch.inference_mode()
    def listen(self, mel: Tensor) -> Tensor:
        """(80, T) log-mel of the whole speech -> (K, T), what the lips do at every column.

        0 is rest. In float32, whatever the pictures are drawn in: in bfloat16 the motions tremble.
        """
        assert self.speech is not None
        return self.speech.dense(mel.float())

    @torch.inference_mode()
    def _audio_features(self, audio: Tensor) -> Tensor:
        if self.speech is None or audio.ndim == 2:
            return audio
        return torch.cat([self.speech(window[None].float()) for window in audio])

    def render(self, faces: Tensor, audio: Tensor, state: VQState) -> Rendered:
        """Draw (B, 3, S, S) faces with (B, 80, steps) speech, or (B, K) that was listened to."""
        n = len(faces)
        audio = self._audio_features(audio)
        parts: list[tuple[Tensor, ...]] = []
        for start in range(0, n, BATCH):
            x, mel = faces[start : start + BATCH], audio[start : start + BATCH]
            missing = BATCH - len(x)
            if missing:
                x = torch.cat([x, x[-1:].expand(missing, -1, -1, -1)])
                mel = torch.cat([mel, mel[-1:].expand(missing, *mel.shape[1:])])
            drawn = self.frames(x, mel, *state.references)
            parts.append(tuple(picture[: BATCH - missing] for picture in drawn))
        made = tuple(torch.cat(p) for p in zip(*parts, strict=True))
        if len(made) == 2:  # the paper's generator: speaking faces, and the baseline
            return Rendered(*made)
        speaking, restored = made[:2]
        wanted, shown, weights = (m.float().cpu().double().numpy() for m in made[2:])
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
    header = checkpoint.header
    try:
        networks = header["networks"]
        face = VQGAN(**networks["face"])
        pose = CodeEncoder(VQGAN(**networks["pose"]))
        generator: GalleryGenerator | CodeGenerator
        speech: SpeechToLips | None = None
        if header["arch"] == "gallery":
            generator = GalleryGenerator(**networks["generator"])
            speech = SpeechToLips(**networks["speech"])
            space = LipSpace(generator.lip_dim)
        else:
            generator, space = CodeGenerator(**networks["generator"]), LipSpace()
        sigma, finer = header["sigma"], int(header.get("finer", 1))
    except (KeyError, TypeError, ValueError) as error:
        raise LipwrightError(
            f"the header of {checkpoint.path} is incomplete or wrong ({error}); the file is "
            "damaged or from another version."
        ) from error
    checkpoint.load_into("face", face)
    checkpoint.load_into("pose", pose)
    checkpoint.load_into("generator", generator)
    if speech is not None:
        checkpoint.load_into("speech", speech)
        speech.eval().requires_grad_(False)
        checkpoint.load_into("space", space)
    references = ReferenceEncoder(
        face, pose, generator, float(sigma["face"]), float(sigma["pose"]), finer
    )
    frames = FrameRenderer(
        face,
        pose,
        generator,
        float(sigma["face"]),
        float(sigma["pose"]),
        header["snap"],
        float(header.get("articulation", 1.0)),
        finer,
    )
    for graph in (references, frames):
        graph.eval().requires_grad_(False)
    return references, frames, speech, space


def load_vq(path: Path, device: str = "auto", backend: str = "auto") -> VQMethod:
    """Load a joined checkpoint.

    Raises:
        LipwrightError: missing, damaged, or of another kind.
    """
    return VQMethod(load_checkpoint(path), device, backend)
