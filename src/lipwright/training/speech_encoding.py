"""The published speech encoders that speech networks can be trained on top of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lipwright.data.encoded_speech import Encode, EncodedSpeech, encode_corpus
from lipwright.data.packed import PackedCorpus
from lipwright.data.vary_speech import SpeechVariation
from lipwright.media.mel import SAMPLES_PER_FRAME, STEPS_PER_FRAME
from lipwright.media.whisper_mel import whisper_log_power
from lipwright.models.encoder_lips import EncoderToLips, by_frame
from lipwright.models.whisper_encoder import WhisperEncoder

WHISPER = "whisper-tiny-en"
"""Name in the registry of network files."""


def load_whisper(layers: int = 2) -> WhisperEncoder:
    """The encoder with its published weights, frozen.

    Raises:
        LipwrightError: they are not here, and cannot be fetched.
    """
    from lipwright.models.published.whisper import read_whisper
    from lipwright.weights.fetch import resolve

    encoder = WhisperEncoder(layers=layers)
    encoder.load_state_dict(read_whisper(resolve(WHISPER), layers))
    return encoder.eval().requires_grad_(False)


def frame_encoder(encoder: WhisperEncoder, device: torch.device | None = None) -> Encode:
    """Speech at 16 kHz to (frames, 2 width): both columns of every frame of 25 fps."""

    @torch.inference_mode()
    def encode(wave: NDArray[np.float32]) -> NDArray[np.float32]:
        frames = len(wave) // SAMPLES_PER_FRAME
        log_power = torch.from_numpy(whisper_log_power(wave)[:, : STEPS_PER_FRAME * frames])
        features = encoder.recording(log_power.to(device or torch.device("cpu")))
        return np.asarray(by_frame(features[None])[0].T.cpu().numpy(), np.float32)

    return encode


def encode_with_whisper(
    corpus: PackedCorpus,
    network: EncoderToLips,
    folder: Path,
    variants: int,
    variation: SpeechVariation,
) -> EncodedSpeech:
    """Give a network the published weights of its encoder, and encode a corpus with it.

    Args:
        corpus: the packed corpus.
        network: its frozen encoder is filled.
        folder: where the features are kept.
        variants: varied copies beside the speech as it is.
        variation: of them.
    """
    encoder = load_whisper(len(network.encoder.blocks))
    network.encoder.load_state_dict(encoder.state_dict())
    return encode_by(encoder, corpus, folder, variants, variation)


def encode_by(
    encoder: WhisperEncoder,
    corpus: PackedCorpus,
    folder: Path,
    variants: int,
    variation: SpeechVariation,
) -> EncodedSpeech:
    """Encode a corpus with published weights; arguments as above."""
    identity = f"{WHISPER}, layer {len(encoder.blocks)}"
    return encode_corpus(corpus, frame_encoder(encoder), identity, folder, variants, variation)
