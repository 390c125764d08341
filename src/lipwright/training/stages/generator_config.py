"""Config of the stage ``generator``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from lipwright.training.config import OptimiserConfig, RunConfig, Section
from lipwright.training.lips_first import SpeechLips


class GeneratorLoss(Section):
    """Weights of the terms.

    Attributes:
        l1: code vectors, the paper's term. cross_entropy: code indices (``arch: gallery`` only).
        sync: of the expert, in a convex combination with the rest, once the gate is open.
        sync_gate: the gate opens when the validation sync loss falls below.
        min_accuracy: an expert with less validation accuracy is refused.
        pixel: L1 between the decoded prediction and the decoded target, mouth-weighted, on
            ``pixel_frames`` frames of the batch.
        mouth, lower, upper: weights of the code cells.
    """

    l1: float = 0.5
    cross_entropy: float = 1.0
    sync: float = 0.03
    sync_gate: float = 0.75
    min_accuracy: float = 0.85
    pixel: float = 0.0
    pixel_frames: int = 8
    mouth: float = 4.0
    lower: float = 1.5
    upper: float = 0.25


class GeneratorConfig(Section):
    """Config of the stage ``generator``.

    Attributes:
        arch: ``gallery`` or ``paper``.
        window: frames of one clip that share their references; with the sync loss, as many in a
            row as the expert sees. scattered: take them from all over the clip.
        references: most reference frames; each step draws ``min_references`` to so many.
        min_distance: frames between a target and any reference of the same clip.
        other_clip: probability that the references come from another clip of the person.
        silence: probability that a frame with a resting mouth is shown with silent speech
            (``arch: paper``).
        lip_dim: length of a lip motion; lip_noise: deviation of the noise added to motions, so
            that neither speech nor a landmark network has to be exact (``arch: gallery``).
        initial: a generator's checkpoint to start from; layers that it lacks start afresh.
        gain, floor: jitter of the speech level and of its noise floor, in mel units (0.08 = 1 dB).
        singles_first: up to this step the batch is of single frames of so many clips, which tell
            more than windows in a row do; after it come windows, and with them the sync loss.
        lips: how a generator with speech input learns what lips do, see :class:`SpeechLips`.
    """

    arch: Literal["gallery", "paper"] = "gallery"
    model: dict[str, Any] = Field(default_factory=dict)
    audio: dict[str, int] = Field(default_factory=dict)
    loss: GeneratorLoss = GeneratorLoss()
    optimiser: OptimiserConfig = OptimiserConfig(lr=5e-4)
    run: RunConfig = RunConfig(batch=32)
    window: int = 1
    scattered: bool = False
    references: int = 4
    min_references: int = 1
    min_distance: int = 3
    other_clip: float = 0.25
    silence: float = 0.06
    lip_dim: int = 8
    lip_noise: float = 0.15
    gain: float = 0.4
    floor: float = 1.0
    balance: float = 0.5
    singles_first: int = 0
    lips: SpeechLips = SpeechLips()
    initial: Path | None = None
