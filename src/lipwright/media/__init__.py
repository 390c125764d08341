"""Pictures and sound in and out; the public names are loaded when they are first used.

See ``docs/api.md`` for examples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipwright.lazy_names import lazy_names

if TYPE_CHECKING:
    from lipwright.media.audio import load_speech
    from lipwright.media.info import VideoInfo, probe
    from lipwright.media.mel import mel_spectrogram
    from lipwright.media.reader import Frame, VideoReader
    from lipwright.media.synthesis import synthesise
    from lipwright.media.writer import VideoWriter

__all__ = [
    "Frame",
    "VideoInfo",
    "VideoReader",
    "VideoWriter",
    "load_speech",
    "mel_spectrogram",
    "probe",
    "synthesise",
]
_HOMES = {
    "Frame": "lipwright.media.reader",
    "VideoInfo": "lipwright.media.info",
    "VideoReader": "lipwright.media.reader",
    "VideoWriter": "lipwright.media.writer",
    "load_speech": "lipwright.media.audio",
    "mel_spectrogram": "lipwright.media.mel",
    "probe": "lipwright.media.info",
    "synthesise": "lipwright.media.synthesis",
}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
