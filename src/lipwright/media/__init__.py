"""Pictures and sound in and out; the public names are loaded when they are first used.

See ``docs/api.md`` for examples.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
    "Frame": "reader",
    "VideoInfo": "info",
    "VideoReader": "reader",
    "VideoWriter": "writer",
    "load_speech": "audio",
    "mel_spectrogram": "mel",
    "probe": "info",
    "synthesise": "synthesis",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
