"""Sync experts of any kind behind one face: what evaluation feeds them, and what they answer.

* a checkpoint of the stage ``expert`` sees VQGAN codes (the VQGAN it was trained on is needed too);
* a checkpoint of the stage ``pixel-expert`` sees lower halves of our aligned crop;
* Wav2Lip's published ``lipsync_expert.pth`` sees lower halves of what its detector would box.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from lipwright.data.codes import stored_sigma
from lipwright.data.encoded_speech import Encode
from lipwright.errors import LipwrightError
from lipwright.face_regions import lower_half, pixel_box
from lipwright.media.mel import SILENCE, STEPS_PER_FRAME, mel_spectrogram
from lipwright.models.expert import SyncExpert
from lipwright.models.pixel_expert import PixelExpert
from lipwright.models.published import wav2lip
from lipwright.models.vqgan import VQGAN
from lipwright.weights.checkpoint import Checkpoint, load_checkpoint
from lipwright.weights.published import load_into, load_state

BATCH = 16


class Expert(Protocol):
    """What evaluation needs of an expert.

    Attributes:
        size: side of the crops it wants.
        kind: for the result file.
    """

    size: int
    kind: str

    @property
    def window(self) -> int:
        """Frames of a window."""
        ...

    @property
    def columns(self) -> int:
        """Columns of speech per frame."""
        ...

    def frames(self, crops: Tensor) -> Tensor:
        """(B, 3, S, S) RGB aligned crops in [-1, 1] -> per-frame input, stacked by the caller."""
        ...

    def faces(self, windows: Tensor) -> Tensor:
        """(B, T, ...) per-frame inputs -> (B, D)."""
        ...

    def speech_input(self, wave: NDArray[np.float32]) -> Tensor:
        """(n,) speech at 16 kHz -> (C, columns of all frames)."""
        ...

    def speech(self, windows: Tensor) -> Tensor:
        """(B, C, T columns) of what :meth:`speech_input` gives -> (B, D)."""
        ...


@dataclass
class CodeExpert:
    """Our expert in code space; ``encode``: a speech encoder, where it stands for the mel."""

    network: SyncExpert
    vqgan: VQGAN
    sigma: float
    size: int
    kind: str = "code-space expert"
    encode: Encode | None = None

    @property
    def columns(self) -> int:
        """Columns of speech per frame."""
        return self.network.columns

    def speech_input(self, wave: NDArray[np.float32]) -> Tensor:
        """Log-mel, or the encoder's features."""
        if self.encode is None:
            return torch.from_numpy(mel_spectrogram(wave))
        return torch.from_numpy(self.encode(wave).T)

    @property
    def window(self) -> int:
        """Frames of a window."""
        return self.network.window

    def frames(self, crops: Tensor) -> Tensor:
        """Quantised codes of unit component variance."""
        return self.vqgan.quantiser.lookup(self.vqgan.indices(crops)) / self.sigma

    def faces(self, windows: Tensor) -> Tensor:
        """Embed codes."""
        return self.network.embed_faces(windows)

    def speech(self, windows: Tensor) -> Tensor:
        """Embed speech."""
        return self.network.embed_speech(windows)


@dataclass
class PixelSpaceExpert:
    """A pixel expert: trained here, or (``published``) Wav2Lip's, with its box, BGR and mel."""

    network: PixelExpert
    size: int
    published: bool = False
    kind: str = "pixel expert"
    columns: int = STEPS_PER_FRAME

    @property
    def window(self) -> int:
        """Frames of a window."""
        return self.network.window

    def frames(self, crops: Tensor) -> Tensor:
        """Lower halves in [0, 1]."""
        from lipwright.methods.pixel import PUBLISHED_BOX

        x = crops * 0.5 + 0.5
        if self.published:
            left, top, right, bottom = pixel_box(PUBLISHED_BOX, x.shape[-1])
            box = x[:, :, top:bottom, left:right].flip(1)
            n = self.network.size
            x = F.interpolate(box, (n, n), mode="bilinear", antialias=True, align_corners=False)
        return lower_half(x)

    def faces(self, windows: Tensor) -> Tensor:
        """Embed lower halves."""
        return self.network.embed_faces(windows)

    def speech_input(self, wave: NDArray[np.float32]) -> Tensor:
        """Log-mel."""
        return torch.from_numpy(mel_spectrogram(wave))

    def speech(self, windows: Tensor) -> Tensor:
        """Embed speech."""
        from lipwright.methods.pixel import published_mel

        return self.network.embed_speech(published_mel(windows) if self.published else windows)


def load_expert(path: Path, vqgan: Path | None = None) -> Expert:
    """Load an expert of any kind.

    Args:
        path: a safetensors checkpoint of ours, or Wav2Lip's published ``.pth``.
        vqgan: the VQGAN that made the codes of a code-space expert.

    Raises:
        LipwrightError: not an expert, or its VQGAN is missing or another.
    """
    if path.suffix != ".safetensors":
        network = wav2lip.published_expert()
        state = wav2lip.expert_state(load_state(path))
        load_into(network, state, path, "the Wav2Lip expert")
        return PixelSpaceExpert(network.eval(), 128, True, "Wav2Lip's published expert")
    checkpoint = load_checkpoint(path)
    method = checkpoint.header.get("method")
    if method == "pixel-expert":
        pixel = checkpoint.build("expert", PixelExpert)
        return PixelSpaceExpert(pixel, pixel.size)
    if method != "expert":
        raise LipwrightError(f"{path} is a checkpoint of '{method}', not of a sync expert.")
    parent = checkpoint.header["parents"]["vqgan"]
    if vqgan is None:
        raise LipwrightError(
            f"the expert {path} judges codes; give the VQGAN with --weights vqgan=FILE "
            f"(sha256 {parent[:12]})."
        )
    book = load_checkpoint(vqgan)
    if book.sha256 != parent:
        raise LipwrightError(
            f"the expert {path} was trained on codes of another VQGAN ({parent[:12]}) than "
            f"{vqgan} ({book.sha256[:12]}); give that one."
        )
    expert, model = checkpoint.build("expert", SyncExpert), book.build("vqgan", VQGAN)
    sigma = stored_sigma(checkpoint, model.quantiser.codebook)
    size, encode = int(book.header["size"]), encoder_of(checkpoint)
    return CodeExpert(expert, model, sigma, size, encode=encode)


def encoder_of(checkpoint: Checkpoint) -> Encode | None:
    """The speech encoder that an expert in code space was trained with; None for the mel.

    Raises:
        LipwrightError: its weights are not here.
    """
    if not checkpoint.header.get("encoder"):
        return None
    from lipwright.training.speech_encoding import frame_encoder, load_whisper

    return frame_encoder(load_whisper())


@torch.no_grad()
def expert_features(
    expert: Expert, crops: Iterable[NDArray[np.uint8]], audio: Tensor
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features of every window of a clip.

    Args:
        expert: of any kind.
        crops: (S, S, 3) uint8 RGB aligned crops at 25 fps from the clip's start.
        audio: (C, columns) what ``expert.speech_input`` gave; where that ends early, silence is
            added to log-mel, and the last column of an encoder repeated.

    Returns:
        Visual and speech features (N, D), N = frames - T + 1; window i begins at frame i and with
        log-mel at column 4i.

    Raises:
        LipwrightError: fewer frames than a window.
    """
    kept: list[Tensor] = []
    buffer: list[NDArray[np.uint8]] = []

    def flush() -> None:
        if buffer:
            x = torch.from_numpy(np.stack(buffer)).permute(0, 3, 1, 2).float() / 127.5 - 1.0
            if x.shape[-1] != expert.size:
                side = (expert.size, expert.size)
                x = F.interpolate(x, side, mode="bilinear", antialias=True, align_corners=False)
            kept.append(expert.frames(x))
            buffer.clear()

    for crop in crops:
        buffer.append(crop)
        if len(buffer) == BATCH:
            flush()
    flush()
    frames = torch.cat(kept) if kept else torch.zeros(0)
    n = len(frames) - expert.window + 1
    if n < 1:
        raise LipwrightError(
            f"the expert judges windows of {expert.window} frames, this clip has {len(frames)}; "
            "leave it out."
        )
    each = expert.columns
    width = each * expert.window
    missing = max(0, each * (n - 1) + width - audio.shape[1])
    if missing:
        last = audio[:, -1:] if each == 1 else torch.full_like(audio[:, :1], SILENCE)
        audio = torch.cat([audio, last.expand(-1, missing)], dim=1)
    visual, speech = [], []
    for start in range(0, n, BATCH):
        index = range(start, min(start + BATCH, n))
        visual.append(expert.faces(torch.stack([frames[i : i + expert.window] for i in index])))
        windows = torch.stack([audio[:, each * i : each * i + width] for i in index])
        speech.append(expert.speech(windows))
    return torch.cat(visual).double().numpy(), torch.cat(speech).double().numpy()
