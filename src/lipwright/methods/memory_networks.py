"""The networks of the Audio-Lip Memory in PyTorch: for the export to graphs, and where PyTorch runs
them.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from lipwright.face_regions import MOUTH_ELLIPSE
from lipwright.geometry import smoothstep
from lipwright.methods.base import BATCH
from lipwright.methods.export import Export
from lipwright.methods.speech_graphs import speech_exports, speech_modules
from lipwright.models.memory_audio import AudioEncoder
from lipwright.models.memory_talker import MemoryTalker
from lipwright.models.whisper_encoder import BANDS
from lipwright.weights.checkpoint import Checkpoint, load_checkpoint

SOFT = 0.25
"""Share of the radius over which it fades into the frame."""


class SpeechRows(nn.Module):
    """What an audio encoder of the kind ``encoder`` makes of its frozen encoder's features.

    Silence is 0, as ``info.whole_speech`` wants it.
    """

    quiet: Tensor

    def __init__(self, audio: AudioEncoder) -> None:
        super().__init__()
        self.audio = audio
        self.register_buffer("quiet", audio.quiet())

    def forward(self, features: Tensor) -> Tensor:
        """(1, 2 C, n + 2 context) -> (1, n, dim)."""
        return self.audio.sequence(features) - self.quiet


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
        with torch.no_grad():
            quiet = talker.eval().audio.quiet()
            rest, _ = talker.recall(quiet)
        self.register_buffer("rest", rest)
        self.register_buffer("quiet", quiet)
        self.register_buffer("mask", mouth_mask(talker.size))

    def features(self, speech: Tensor) -> Tensor:
        """(B, 80, steps) log-mel, or (B, dim) rows of :class:`SpeechRows`, to audio features."""
        if speech.ndim == 2:
            return speech + self.quiet
        features: Tensor = self.talker.audio(speech)
        return features

    def forward(
        self,
        target: Tensor,
        reference: Tensor,
        speech: Tensor,
        where: Tensor | None = None,
        motion: Tensor | None = None,
    ) -> tuple[Tensor]:
        """Draw.

        Args:
            target: (B, 3, S, S) in [-1, 1], of whose lower half the networks see nothing.
            reference: (B, 3, S, S) in [-1, 1], other moments of this face.
            speech: (B, 80, steps) log-mel, or (B, dim) rows of :class:`SpeechRows`.
            where: (B, P, 2) lip points of the references, for a talker that moves them.
            motion: (B, K) their lip motion.

        Returns:
            (B, 3, S, S) in [-1, 1], as a tuple of one.
        """
        talker = self.talker
        audio_features = self.features(speech)
        lips, _ = talker.recall(audio_features)
        moves = talker.mover is not None
        if self.articulation != 1.0 and not moves:
            lips = self.rest + self.articulation * (lips - self.rest)
            audio_features = self.quiet + self.articulation * (audio_features - self.quiet)
        further = self.articulation if moves else 1.0
        drawn = talker.draw(
            lips, audio_features, target, reference, where, motion, further, self.rest
        )
        return (target + self.mask * (drawn - target),)


class SaidMotion(nn.Module):
    """The graph that tells which lip motion speech asks for; of a talker that moves the reference.

    Args:
        drawer: with whose networks.
    """

    def __init__(self, drawer: MemoryDrawer) -> None:
        super().__init__()
        self.drawer = drawer

    def forward(self, speech: Tensor) -> tuple[Tensor]:
        """(B, 80, steps) log-mel, or (B, dim) rows of :class:`SpeechRows`, to a tuple of (B, K)."""
        drawer = self.drawer
        mover = drawer.talker.mover
        assert mover is not None
        lips, _ = drawer.talker.recall(drawer.features(speech))
        return (mover.predicted(lips, drawer.articulation, drawer.rest),)


def modules_of(path: Path) -> dict[str, nn.Module]:
    """The networks of a checkpoint by the names of their graphs.

    Raises:
        LipwrightError: header or weights are damaged.
    """
    checkpoint = load_checkpoint(path, only="talker")
    further = checkpoint.fields.number("articulation", 0.0, 20.0, 1.0)
    talker = build_talker(checkpoint)
    drawer = MemoryDrawer(talker, further)
    found: dict[str, nn.Module] = {"draw": drawer}
    if talker.mover is not None:
        found["motion"] = SaidMotion(drawer)
    if talker.audio.encoder is not None:
        found |= speech_modules(talker.audio.encoder.encoder, SpeechRows(talker.audio))
    return {name: module.eval().requires_grad_(False) for name, module in found.items()}


def exports_of(path: Path, batch: int = BATCH) -> dict[str, Export]:
    """What becomes the graphs of a checkpoint."""
    modules = modules_of(path)
    drawer = modules["draw"]
    assert isinstance(drawer, MemoryDrawer)
    talker, size = drawer.talker, drawer.talker.size
    picture, encoder = torch.zeros(batch, 3, size, size), talker.audio.encoder
    speech = torch.zeros(batch, BANDS, talker.audio.steps)
    if encoder is not None:
        speech = torch.zeros(batch, len(drawer.quiet[0]))
    inputs = [picture, picture, speech]
    if talker.mover is not None:
        space = talker.mover.space
        where = torch.full((batch, len(space.basis) // 2, 2), 0.64)
        inputs += [where, torch.zeros(batch, space.dim)]
    exports = {"draw": Export(drawer, tuple(inputs), {})}
    if talker.mover is not None:
        exports["motion"] = Export(modules["motion"], (speech,), {})
    if encoder is not None:
        exports |= speech_exports(modules, encoder.encoder.width, encoder.layers)
    return exports


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
