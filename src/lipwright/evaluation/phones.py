"""Which phone is spoken when, in English speech: by PocketSphinx, as a tool of evaluation.

With a transcript (``.txt``, or the ``.align`` of the GRID corpus, beside the video or in a folder
``align`` beside it) the words are aligned by force; without one they are recognised first, which
errs on unusual sentences, so that closures found then are fewer and less sure. PocketSphinx and its
American English model come with the extra ``evaluate`` (BSD).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.media.mel import SAMPLE_RATE

FRAMES_PER_SECOND = 100
"""Of PocketSphinx."""
_SILENCES = ("SIL", "+NSN+", "+SPN+")


@dataclass(frozen=True)
class Phone:
    """One phone.

    Attributes:
        name: in ARPAbet, without stress; empty for silence and noises.
        start, end: seconds from the start of the sound.
    """

    name: str
    start: float
    end: float

    @property
    def middle(self) -> float:
        """Seconds."""
        return (self.start + self.end) / 2


def transcript_of(video: Path) -> str | None:
    """The words of a video in lower case, None where no transcript lies beside it."""
    places = [video.with_suffix(".txt"), video.with_suffix(".align")]
    places.append(video.parent.parent / "align" / f"{video.stem}.align")
    for path in places:
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            if path.suffix == ".align":
                words = [line.split()[2] for line in text.splitlines() if len(line.split()) == 3]
                text = " ".join(word for word in words if word not in ("sil", "sp"))
            return " ".join(re.findall(r"[a-z']+", text.lower()))
    return None


def phones_of(wave: NDArray[np.float32], transcript: str | None = None) -> list[Phone]:
    """The phones of English speech, in order, silences among them.

    Args:
        wave: (n,) at 16 kHz in [-1, 1].
        transcript: the words; None: they are recognised.

    Returns:
        Empty where nothing could be recognised or aligned.

    Raises:
        LipwrightError: PocketSphinx is not installed.
    """
    decoder = _decoder()
    sound = (np.clip(wave, -1, 1) * 32767).astype("<i2").tobytes()

    def listen() -> None:
        decoder.start_utt()
        decoder.process_raw(sound, False, True)
        decoder.end_utt()

    if transcript is None:
        listen()
        found = decoder.hyp()
        transcript = found.hypstr if found is not None else ""
    words = " ".join(w for w in transcript.split() if decoder.lookup_word(w) is not None)
    if not words:
        return []
    try:
        decoder.set_align_text(words)
        listen()
        decoder.set_alignment()
        listen()
    except RuntimeError:  # the words do not fit the sound
        return []
    aligned = decoder.get_alignment()
    rate = FRAMES_PER_SECOND
    return [
        Phone(
            "" if phone.name in _SILENCES else str(phone.name),
            phone.start / rate,
            (phone.start + phone.duration) / rate,
        )
        for word in aligned or ()
        for phone in word
    ]


def _decoder() -> Any:
    # A fresh one every time: it adapts to what it hears, and results would depend on their order.
    try:
        from pocketsphinx import Decoder
    except ImportError:
        raise LipwrightError(
            "closures need PocketSphinx, which is not installed; run pip install "
            "'lipwright[evaluate]'."
        ) from None
    return Decoder(samprate=SAMPLE_RATE, loglevel="FATAL")
