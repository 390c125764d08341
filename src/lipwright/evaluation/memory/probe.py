"""Run an Audio-Lip Memory for analysis: addresses of clips, pictures of slots and of mixtures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from lipwright.data.encoded_speech import clip_wave
from lipwright.data.packed import ClipRow, PackedCorpus
from lipwright.data.talking import REACH
from lipwright.errors import LipwrightError
from lipwright.lip_motion import NeutralMouth
from lipwright.media.mel import AudioSpec
from lipwright.media.whisper_mel import whisper_log_power
from lipwright.methods.memory_networks import build_talker
from lipwright.models.encoder_lips import by_frame
from lipwright.models.memory_lips import LipEncoder, fold_time
from lipwright.weights.checkpoint import load_checkpoint


@dataclass(frozen=True)
class ProbedClip:
    """What a memory makes of a clip of n frames.

    Attributes:
        row: the clip.
        audio, lips: (n, S) addresses from speech and from the true lips.
        features: (n, C_aud) audio features.
    """

    row: ClipRow
    audio: NDArray[np.float32]
    lips: NDArray[np.float32]
    features: NDArray[np.float32]


@dataclass(frozen=True)
class Face:
    """A face that speaks.

    Attributes:
        picture: (1, 3, S, S) in [-1, 1].
        lips: its lip points (1, P, 2) and lip motion (1, K), where the talker moves the reference.
    """

    picture: Tensor
    lips: tuple[Tensor, ...] = ()


class Probe:
    """A checkpoint of the stage ``memory`` with its lip encoder.

    Raises:
        LipwrightError: another kind of checkpoint, or crops of another size than the corpus'.
    """

    def __init__(self, path: Path, corpus: PackedCorpus) -> None:
        checkpoint = load_checkpoint(path)
        checkpoint.fields.check_method("memory", "; give one of 'lipwright train memory'")
        self.model_id, self.header = checkpoint.model_id, checkpoint.header
        self.talker = build_talker(checkpoint)
        if self.talker.size != corpus.size:
            raise LipwrightError(
                f"{path} draws {self.talker.size} px, but the corpus holds crops of {corpus.size} "
                "px; prepare one of that size."
            )
        self.lips = checkpoint.build("lips", LipEncoder)
        self.corpus = corpus

    @property
    def slots(self) -> int:
        """How many slots the memory has."""
        return self.talker.memory.slots

    @torch.inference_mode()
    def of_clip(self, row: ClipRow) -> ProbedClip:
        """Addresses of every frame of a clip."""
        features = self._audio_features(row)
        probed = self.talker.memory.address_audio(features)
        whole = self.corpus.frames[row.start : row.start + row.frames]
        half = self.corpus.crops(whole)[:, self.corpus.size // 2 :].transpose(0, 3, 1, 2)
        place = np.arange(row.frames)[:, None] + np.arange(-REACH, REACH + 1)
        windows = torch.from_numpy(half.copy())[place.clip(0, row.frames - 1)]
        pictures = windows.float() / 127.5 - 1.0
        seen = self.lips.encode(fold_time(pictures, self.lips.grey))
        lips = self.talker.memory.address_lips(seen)
        return ProbedClip(row, probed.numpy(), lips.numpy(), features.numpy())

    def _audio_features(self, row: ClipRow) -> Tensor:
        """(n, C_aud) of every frame of a clip."""
        audio = self.talker.audio
        if audio.encoder is not None:
            log_power = torch.from_numpy(whisper_log_power(clip_wave(self.corpus, row)))
            columns = by_frame(audio.encoder.encoder.recording(log_power)[None])
            padded = F.pad(columns, (audio.context, audio.context + 1), mode="replicate")
            return audio.sequence(padded)[0, : row.frames]
        spec = AudioSpec(audio.steps, audio.before)
        return audio.sequence(self.corpus.heard(row, spec, 0, row.frames)[None])[0]

    def face(self, row: ClipRow, frame: int) -> Face:
        """One frame of a clip."""
        first = row.start + frame
        picture = self.corpus.crops(self.corpus.frames[first : first + 1]).transpose(0, 3, 1, 2)
        tensor = torch.from_numpy(picture.copy()).float() / 127.5 - 1.0
        if self.talker.mover is None:
            return Face(tensor)
        part = slice(row.start, row.start + row.frames)
        shapes, openings = (
            self.corpus.lips[part].reshape(row.frames, -1, 2),
            self.corpus.opening[part],
        )
        one = slice(frame, frame + 1)
        motion = self.talker.mover.space.encode(
            openings[one], shapes[one], NeutralMouth.of(openings, shapes)
        )
        return Face(tensor, (torch.from_numpy(shapes[one].copy()), torch.from_numpy(motion)))

    @torch.inference_mode()
    def rest(self) -> Tensor:
        """(1, C_aud) audio feature of silence."""
        return self.talker.audio.quiet()

    @torch.inference_mode()
    def draw(self, addresses: Tensor, audio: Tensor, face: Face) -> Tensor:
        """(N, 3, S, S) in [-1, 1]: a face speaking what addresses (N, S) recall.

        Args:
            addresses: (N, S), rows that sum to 1.
            audio: (N, C_aud) or (1, C_aud).
            face: target and reference at once; of the target only the upper half is seen.
        """
        n = len(addresses)
        picture = face.picture.expand(n, -1, -1, -1)
        recalled, probed = self.talker.memory.recall(addresses), audio.expand(n, -1)
        if self.talker.mover is None:
            return self.talker.draw(recalled, probed, picture, picture)
        where, motion = (t.expand(n, *t.shape[1:]) for t in face.lips)
        return self.talker.draw(
            recalled, probed, picture, picture, where, motion, float(self.header["articulation"])
        )
