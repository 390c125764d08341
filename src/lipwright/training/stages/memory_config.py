"""Configuration of the stage ``memory``."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from lipwright.data.vary_speech import SpeechVariation
from lipwright.training.config import OptimiserConfig, RunConfig, Section
from lipwright.training.speech_jitter import SpeechJitter


class MemoryLossConfig(Section):
    """Weights of the losses, and when they come on.

    Attributes:
        recalled, taught: of the reconstruction of I_g and of I_G; 1 and 1 in the paper's sum.
        mouth_weight: of the mouth box in it; gradient: of an L1 of image gradients beside it.
        perceptual: ours; ``none`` or ``efficientnet``, on the mouth box, with its weight.
        store, align: of the memory; 1 and 1 as in VAM.
        usage, entropy: ours; of the usage balance and of the entropy of both addresses.
        visual, sync, discriminator: of visual-visual sync, the expert and the discriminator.
        visual_start, sync_start, critic_start: steps at which they come on.
        sync_gate: validation sync loss below which the expert comes on (Wav2Lip: 0.75).
        least_accuracy: held-out accuracy below which an expert is not listened to.
        motion, correlation: ours; squared error, and one minus correlation over the stretch, of
            the lip motion that linear probes predict from recalled, true and audio features.
    """

    recalled: float = 1.0
    teacher_forced: float = 1.0
    mouth_weight: float = 1.0
    gradient: float = 0.0
    perceptual: str = "none"
    perceptual_weight: float = 0.0
    store: float = 1.0
    align: float = 1.0
    usage: float = 0.0
    entropy: float = 0.0
    visual: float = 0.01
    visual_start: int = 0
    sync: float = 0.03
    sync_start: int = 0
    sync_gate: float = 0.75
    least_accuracy: float = 0.0
    discriminator: float = 0.07
    discriminator_start: int = 0
    motion: float = 0.0
    correlation: float = 0.0


class MemoryConfig(Section):
    """Config of the stage.

    Attributes:
        model: arguments of :class:`~lipwright.models.memory_talker.MemoryTalker`; the size is that
            of the corpus.
        lips: arguments of :class:`~lipwright.models.memory_lips.LipEncoder`.
        discriminator: arguments of
        :class:`~lipwright.models.pixel_discriminators.QualityDiscriminator`.
        speech_jitter: how speech is varied; none by default.
        stretch: frames whose speech is encoded at once, 5 or more.
        more: further lip windows per stretch.
        lips_first: ours; so many steps at the beginning teach features the motion of lips and
            nothing else; then both memories are filled with clusters of them.
        lips_frozen: ours; the lip encoder learns in these steps only.
        draw_start: ours; step before which nothing is drawn.
        first_more: further lip windows per stretch before that.
        audio_from: ours; a joined checkpoint of VQ lip-sync, or a method that ships one (``vq``),
            as whose speech network the audio encoder begins; with ``audio.kind: encoder``.
        variants: varied copies of the speech, with ``audio.kind: encoder``.
        variation: how far they are varied; pace has to stay.
        min_distance: of the reference from every target, in frames.
        window_every: on every so many steps five frames are drawn; 0 for never.
        silence: share of silent stretches added, with lips at rest; needs ``loss.motion``.
        lip_dim: length of a lip motion.
        articulation: written to the checkpoint: by how much inference exaggerates what is recalled.
    """

    model: dict[str, Any] = Field(default_factory=dict)
    lips: dict[str, Any] = Field(default_factory=dict)
    discriminator: dict[str, Any] = Field(default_factory=dict)
    loss: MemoryLossConfig = MemoryLossConfig()
    jitter: dict[str, float] = Field(default_factory=dict)
    speech_jitter: SpeechJitter | None = None
    optimiser: OptimiserConfig = OptimiserConfig(
        name="adam", lr=1e-4, betas=(0.5, 0.999), schedule="constant"
    )
    run: RunConfig = RunConfig(batch=16)
    stretch: int = Field(default=5, ge=5)
    more: int = 0
    lips_first: int = Field(default=0, ge=0)
    lips_frozen: bool = False
    draw_start: int = Field(default=0, ge=0)
    first_more: int = Field(default=0, ge=0)
    audio_from: str = ""
    variants: int = Field(default=2, ge=0)
    variation: SpeechVariation = SpeechVariation(pace=0.0)
    window_every: int = 1
    min_distance: int = 6
    balance: float = 0.5
    silence: float = 0.0
    lip_dim: int = 8
    articulation: float = 1.0
