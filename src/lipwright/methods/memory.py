"""Audio-Lip Memory: audio recalls lip features, a decoder draws them on this face.

Park et al., "SyncTalkFace" (AAAI 2022). See docs/methods/memory.md for what is theirs and what is
ours. Only audio and identity frames are needed; the lip encoder, with which the memory was filled,
is not loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lipwright.errors import LipwrightError
from lipwright.face_regions import MOUTH_ELLIPSE
from lipwright.geometry import smoothstep
from lipwright.media.mel import SILENCE
from lipwright.methods.base import (
    Array,
    Method,
    MethodInfo,
    ReferenceLips,
    Rendered,
    audio_of,
    in_full_batches,
)
from lipwright.methods.engine import Engine, build_engine
from lipwright.methods.memory_references import (
    choose_references,
    median_reference,
    nearest_reference,
    pose_of,
)
from lipwright.models.memory_talker import MemoryTalker
from lipwright.weights.checkpoint import Checkpoint, load_checkpoint

SOFT = 0.25
"""Share of the radius over which it fades into the frame."""


class MemoryDrawer(nn.Module):
    """The graph of inference: target, reference and speech in, the speaking face out.

    Args:
        talker: the trained network.
        articulation: how far from rest the mouth goes: ``rest + articulation (feature - rest)`` for
            the recalled lip feature and for the audio feature, rest being those of silence, or, of
            a talker that moves the reference, for the motion that it is moved by. 1 is the paper;
            what is recalled is an average over slots, and an average of mouths moves less than any
            of them.

    The networks draw half a face; shown is an ellipse about the mouth, the frame itself round it.
    """

    rest: Tensor
    quiet: Tensor
    mask: Tensor

    def __init__(self, talker: MemoryTalker, articulation: float = 1.0) -> None:
        super().__init__()
        self.talker, self.articulation = talker, articulation
        silent = torch.full((1, 80, talker.audio.steps), SILENCE)
        with torch.no_grad():
            quiet = talker.eval().audio(silent)
            rest, _ = talker.recall(quiet)
        self.register_buffer("rest", rest)
        self.register_buffer("quiet", quiet)
        self.register_buffer("mask", mouth_mask(talker.size))

    def forward(
        self,
        target: Tensor,
        reference: Tensor,
        mel: Tensor,
        where: Tensor | None = None,
        motion: Tensor | None = None,
    ) -> tuple[Tensor]:
        """Draw.

        Args:
            target: (B, 3, S, S) in [-1, 1], of whose lower half the networks see nothing.
            reference: (B, 3, S, S) in [-1, 1], other moments of this face.
            mel: (B, 80, steps).
            where: (B, P, 2) lip points of the references, for a talker that moves them.
            motion: (B, K) their lip motion.

        Returns:
            (B, 3, S, S) in [-1, 1], as a tuple of one.
        """
        talker = self.talker
        audio_features = talker.audio(mel)
        lips, _ = talker.recall(audio_features)
        moves = talker.mover is not None
        if self.articulation != 1.0 and not moves:
            lips = self.rest + self.articulation * (lips - self.rest)
            audio_features = self.quiet + self.articulation * (audio_features - self.quiet)
        further = self.articulation if moves else 1.0
        drawn = talker.draw(lips, audio_features, target, reference, where, motion, further)
        return (target + self.mask * (drawn - target),)


@dataclass(frozen=True)
class MemoryState:
    """What one face track needs: one look (1, 3, S, S) in [-1, 1].

    Where it is moved, R looks with their (R, P, 2) lip points and (R, K) lip motions, and their
    (R, D) poses.
    """

    reference: Array
    lips: tuple[Array, ...] = ()
    poses: Array | None = None


class MemoryMethod(Method):
    """The contract of :class:`lipwright.methods.base.Method` for the Audio-Lip Memory.

    Args:
        checkpoint: of the training stage ``memory``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        backend: ``auto``, ``torch`` or ``openvino``.
    """

    def __init__(self, checkpoint: Checkpoint, device: str = "auto", backend: str = "auto") -> None:
        header = checkpoint.header
        if header.get("method") != "memory":
            raise LipwrightError(
                f"{checkpoint.path} is a checkpoint of '{header.get('method')}', not of the "
                "Audio-Lip Memory; give one of 'lipwright train memory'."
            )
        talker = build_talker(checkpoint)
        self.mover = talker.mover
        drawer = MemoryDrawer(talker, checkpoint.fields.number("articulation", 0.0, 20.0, 1.0))
        drawer.eval().requires_grad_(False)
        self.engine: Engine = build_engine(drawer, device, backend, checkpoint.model_id)
        self.info = MethodInfo(
            name="memory",
            model_id=checkpoint.model_id,
            size=checkpoint.fields.whole("size", 16, 1024),
            audio=audio_of(checkpoint.fields),
            backend=self.engine.name,
        )

    def start(self, reference: Array, lips: ReferenceLips | None = None) -> MemoryState:
        """Choose of (R, 3, S, S) reference frames, R >= 1, that with the median opening.

        One for the whole face: a reference whose mouth went along with the source's would tell the
        source's speech. Without ``lips`` it is the middle one. Where references are moved, which
        takes their own mouths away, further ones serve other poses of the head.
        """
        if lips is not None and len(lips.openings) != len(reference):
            lips = None
        openings = [float(v) for v in lips.openings] if lips is not None else []
        index = [median_reference(openings) if openings else len(reference) // 2]
        if self.mover is None:
            return MemoryState(reference[index])
        space = self.mover.space.motions
        if lips is None:  # a closed mouth in the middle
            where = np.full((1, len(space.basis) // 2, 2), 0.64, np.float32)
            return MemoryState(reference[index], (where, np.zeros((1, space.dim), np.float32)))
        poses = pose_of(reference)
        index = choose_references(poses, openings)
        shapes = np.asarray(lips.shapes, np.float64)[index]
        motion = space.encode(np.asarray(lips.openings)[index], shapes, lips.rest)
        return MemoryState(reference[index], (shapes.astype(np.float32), motion), poses[index])

    def render(self, faces: Array, audio: Array, state: MemoryState) -> Rendered:
        """Draw (B, 3, S, S) faces with (B, 80, steps) speech.

        The baseline is the source itself, which is what there is outside the ellipse.
        """

        def draw(pictures: Array, mel: Array) -> tuple[Array, ...]:
            nearest = np.zeros(len(pictures), np.int64)
            if state.poses is not None:
                nearest = nearest_reference(pictures, state.poses)
            reference, *moved = (known[nearest] for known in (state.reference, *state.lips))
            inputs = (pictures, reference, mel, *moved)
            tensors = (torch.from_numpy(np.ascontiguousarray(x)) for x in inputs)
            return (self.engine(*tensors)[0].numpy(),)

        return Rendered(in_full_batches(draw, faces, audio)[0], faces)


def mouth_mask(size: int) -> Tensor:
    """(1, 1, S, S) in [0, 1]: 1 about the mouth, smoothly 0 at the rim of the ellipse."""
    x0, y0, rx, ry = MOUTH_ELLIPSE
    at = (torch.arange(size) + 0.5) / size
    radius = (((at - x0) / rx)[None, :] ** 2 + ((at - y0) / ry)[:, None] ** 2).sqrt()
    step = ((1.0 - radius) / SOFT).clamp(0.0, 1.0)
    return smoothstep(step)[None, None]


def build_talker(checkpoint: Checkpoint) -> MemoryTalker:
    """The talker of a checkpoint with its weights, in eval mode.

    Raises:
        LipwrightError: header or weights are damaged.
    """
    return checkpoint.build("talker", MemoryTalker)


def load_memory(path: Path, device: str = "auto", backend: str = "auto") -> MemoryMethod:
    """Load a checkpoint of the stage ``memory``.

    Raises:
        LipwrightError: missing, damaged, or of another kind.
    """
    return MemoryMethod(load_checkpoint(path, only="talker"), device, backend)
