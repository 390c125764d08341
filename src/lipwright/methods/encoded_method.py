"""What methods share that hear by a frozen speech encoder where their checkpoint says so."""

from __future__ import annotations

from lipwright.methods.base import Array, Method
from lipwright.methods.encoded_speech import Run, lip_motions
from lipwright.methods.encoded_stream import EncodedSpeechStream
from lipwright.methods.speech_stream import SpeechStream


class EncodedMethod(Method):
    """A method whose speech features are log-mel or MFCC, or (K, T) of networks on an encoder.

    Attributes:
        speech: the encoder and the networks on top of it, or nothing.
        context: frames of context that these see on either side.
    """

    speech: tuple[Run, ...] = ()
    context: int = 0

    def speech_features(self, wave: Array) -> Array:
        """As ``info.audio`` says; on top of a speech encoder (K, T) features, 0 at rest."""
        sound = super().speech_features(wave)
        if not self.speech:
            return sound
        encoder, networks = self.speech
        return lip_motions(encoder, networks, sound, self.context)

    def speech_stream(self) -> SpeechStream:
        """The same while the speech goes on."""
        if not self.speech:
            return super().speech_stream()
        encoder, networks = self.speech
        return EncodedSpeechStream(encoder, networks, self.context)
