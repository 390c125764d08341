"""Pixel baselines behind the contract: Wav2Lip, LipGAN and Speech2Vid.

All three draw with :class:`~lipwright.models.pixel_unet.PixelUNet`; they differ in what is stacked
at its input:

* ``wav2lip``: masked target, then reference (Prajwal et al., ACM MM 2020);
* ``lipgan``: reference, then masked target (KR et al., ACM MM 2019);
* ``speech2vid``: five still pictures of the person, no target (Chung et al., BMVC 2017).

Where the published code takes the frame itself as reference at inference (Wav2Lip, LipGAN), so does
this. Wav2Lip's published files work too: they see the part of the aligned crop that its own face
detector would have boxed, at 96 px, in BGR, and a window of 200 ms that begins at the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.face_regions import pixel_box
from lipwright.files.whole import file_sha256
from lipwright.media.mel import AudioSpec
from lipwright.methods.base import (
    Array,
    MethodInfo,
    ReferenceLips,
    Rendered,
    audio_of,
    in_full_batches,
)
from lipwright.methods.encoded_method import EncodedMethod
from lipwright.methods.engine import ArrayEngine, build_engine
from lipwright.methods.speech_graphs import SpeechRows, speech_modules
from lipwright.models.pixel_unet import STILLS, PixelUNet, stack_input
from lipwright.models.published import wav2lip as published
from lipwright.weights.checkpoint import load_checkpoint
from lipwright.weights.published import load_into, load_state

KINDS = ("wav2lip", "lipgan", "speech2vid")
PUBLISHED_SIZE = 128
PUBLISHED_BOX = (0.12, 0.0, 0.88, 0.98)
"""Left, top, right, bottom in parts of our crop: what S3FD with 10 px of padding would box."""


class PixelDrawer(nn.Module):
    """The graph for one batch: stack, draw, back to [-1, 1].

    Args:
        network: the U-Net.
        kind: one of :data:`KINDS`.
        published: BGR, box and resampled mel of Wav2Lip's published files.
    """

    quiet: Tensor

    def __init__(self, network: PixelUNet, kind: str, published: bool = False) -> None:
        super().__init__()
        self.network, self.kind, self.published = network, kind, published
        encoded = network.encoded
        quiet = torch.zeros(1, 1) if encoded is None else encoded.eval().silence()
        self.register_buffer("quiet", quiet, persistent=False)

    def forward(self, pictures: Tensor, mel: Tensor) -> tuple[Tensor]:
        """Draw.

        Args:
            pictures: (B, 3, S, S) faces in [-1, 1]; for ``speech2vid`` (B, 15, S, S) stills in
                [0, 1].
            mel: (B, 80, steps), or (B, dim) on top of a speech encoder, silence being 0.

        Returns:
            (B, 3, S, S) in [-1, 1], as a tuple of one.
        """
        if self.network.encoded is not None:
            mel = mel + self.quiet
        if self.kind == "speech2vid":
            return (self.network(pictures, mel) * 2.0 - 1.0,)
        x = pictures * 0.5 + 0.5
        if self.published:
            return (self._published(pictures, x, mel),)
        return (self.network(stack_input(self.kind, x, x), mel) * 2.0 - 1.0,)

    def _published(self, faces: Tensor, x: Tensor, mel: Tensor) -> Tensor:
        side = PUBLISHED_SIZE  # a plain number, so that the graph can be traced
        left, top, right, bottom = pixel_box(PUBLISHED_BOX, side)
        box = x[:, :, top:bottom, left:right].flip(1)
        n = self.network.size
        small = F.interpolate(box, (n, n), mode="bilinear", antialias=True, align_corners=False)
        drawn = self.network(stack_input("wav2lip", small, small), published_mel(mel))
        large = F.interpolate(
            drawn.flip(1), (bottom - top, right - left), mode="bilinear", align_corners=False
        )
        out = F.pad(large * 2.0 - 1.0, (left, side - right, top, side - bottom), value=-2.0)
        return torch.where(out < -1.5, faces, out)


def published_mel(mel: Tensor) -> Tensor:
    """(B, 80, 20) columns every 10 ms -> (B, 80, 16) every 12.5 ms, linear in between.

    Both front ends have the same 50 ms windows, so neighbouring columns share most of their sound.
    """
    at = torch.arange(16, device=mel.device) * 1.25
    low = at.floor().long()
    part = (at - low).to(mel.dtype)
    return mel[..., low] * (1.0 - part) + mel[..., (low + 1).clamp(max=19)] * part


@dataclass(frozen=True)
class PixelState:
    """Stills of one face, (1, 15, S, S) in [0, 1]."""

    stills: Array


class PixelMethod(EncodedMethod):
    """A pixel baseline; ``name`` is its kind."""

    def __init__(
        self,
        drawer: PixelDrawer,
        size: int,
        audio: AudioSpec,
        model_id: str,
        device: str = "auto",
        backend: str = "auto",
    ) -> None:
        encoded = drawer.network.encoded
        drawer.eval().requires_grad_(False)
        self.engine = build_engine(drawer, device, backend, model_id)
        whole = encoded is not None
        self.info = MethodInfo(
            drawer.kind, model_id, size, audio, self.engine.name, whole_speech=whole
        )
        if encoded is not None:
            modules = speech_modules(encoded.encoder, SpeechRows(encoded))
            self.context = encoded.layers
            self.speech = tuple(
                ArrayEngine(build_engine(m.eval(), device, backend, f"{model_id} {n}", exact=True))
                for n, m in modules.items()
            )

    def start(self, reference: Array, lips: ReferenceLips | None = None) -> PixelState:
        """Keep five of (R, 3, S, S) reference frames, spread evenly; fewer are repeated."""
        index = np.round(np.linspace(0, len(reference) - 1, STILLS)).astype(int)
        chosen = reference[index]
        return PixelState(
            chosen.reshape(1, -1, *chosen.shape[2:]) * np.float32(0.5) + np.float32(0.5)
        )

    def render(self, faces: Array, audio: Array, state: PixelState) -> Rendered:
        """Draw (B, 3, S, S) faces with (B, 80, steps) speech; no baseline, as published."""

        def draw(pictures: Array, mel: Array) -> tuple[Array, ...]:
            if self.info.name == "speech2vid":
                pictures = np.repeat(state.stills, len(mel), axis=0)
            inputs = (torch.from_numpy(np.ascontiguousarray(x)) for x in (pictures, mel))
            return (self.engine(*inputs)[0].numpy(),)

        return Rendered(in_full_batches(draw, faces, audio, size=self.batch)[0])


def load_pixel(kind: str, path: Path, device: str = "auto", backend: str = "auto") -> PixelMethod:
    """Load a baseline: a checkpoint trained here, or a published Wav2Lip file.

    Raises:
        LipwrightError: not a checkpoint of this kind.
    """
    if kind == "wav2lip" and path.suffix != ".safetensors":
        network = published.published_generator()
        load_into(
            network, published.generator_state(load_state(path)), path, "the Wav2Lip generator"
        )
        audio = AudioSpec(steps=20, before=0)
        model_id = f"wav2lip-published-{file_sha256(path)[:12]}"
        drawer = PixelDrawer(network, kind, published=True)
        return PixelMethod(drawer, PUBLISHED_SIZE, audio, model_id, device, backend)
    checkpoint = load_checkpoint(path)
    checkpoint.fields.check_method(kind, f", not of '{kind}'")
    network = checkpoint.build("generator", PixelUNet)
    size, audio = checkpoint.fields.whole("size", 16, 1024), audio_of(checkpoint.fields)
    drawer = PixelDrawer(network, kind)
    return PixelMethod(drawer, size, audio, checkpoint.model_id, device, backend)


load_wav2lip = partial(load_pixel, "wav2lip")
load_lipgan = partial(load_pixel, "lipgan")
load_speech2vid = partial(load_pixel, "speech2vid")
