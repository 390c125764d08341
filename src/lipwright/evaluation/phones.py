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
LONGEST, MARGIN = 250, 4
"""Of the stretches in which phones are placed, and of sound on either side of them, in frames."""
AUDIBLE = 1e-4
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
    if not np.any(np.abs(wave) > AUDIBLE):  # the recogniser hears words in digital silence
        return []
    sure = transcript is not None
    if transcript is None:
        decoder = _decoder()
        _decode(decoder, wave)
        found = decoder.hyp()
        transcript = found.hypstr if found is not None else ""
    decoder = _decoder(wide=True)
    words = [w for w in transcript.split() if decoder.lookup_word(w) is not None]
    if not words:
        return []
    decoder.set_align_text(" ".join(words))
    _decode(decoder, wave)
    if decoder.hyp() is None:  # the words do not fit the sound
        return []
    placed = [_Word(s.word, s.start_frame, s.end_frame + 1) for s in decoder.seg()]
    phones: list[Phone] = []
    for stretch in _stretches(placed):
        if phones and stretch[0].start / FRAMES_PER_SECOND > phones[-1].end:
            phones.append(Phone("", phones[-1].end, stretch[0].start / FRAMES_PER_SECOND))
        phones += _phones(decoder, wave, stretch, sure)
    return phones


@dataclass(frozen=True)
class _Word:
    """A word of the dictionary and its frames from ``start`` to before ``end``."""

    name: str
    start: int
    end: int


def _stretches(placed: list[_Word]) -> list[list[_Word]]:
    """Words in a row, cut at pauses and where a stretch becomes longer than :data:`LONGEST`."""
    out: list[list[_Word]] = [[]]
    for word in placed:
        pause = word.name[0] in "<["
        if pause or (out[-1] and word.end - out[-1][0].start > LONGEST):
            out.append([])
        if not pause:
            out[-1].append(word)
    return [stretch for stretch in out if stretch]


def _phones(decoder: Any, wave: NDArray[np.float32], words: list[_Word], sure: bool) -> list[Phone]:
    """The phones of a stretch; where they cannot be placed, those of its halves.

    Those of a single word lie evenly over it, where it is ``sure`` that it was said.
    """
    first, last = words[0].start - MARGIN, words[-1].end + MARGIN
    first, rate = max(0, first), FRAMES_PER_SECOND
    part = wave[first * SAMPLE_RATE // rate : last * SAMPLE_RATE // rate]
    fresh = _decoder(wide=True)
    try:
        fresh.set_align_text(" ".join(w.name.split("(")[0] for w in words))
        _decode(fresh, part)
        if fresh.hyp() is None:
            raise RuntimeError("no path")
        fresh.set_alignment()
        _decode(fresh, part)
        return [
            Phone(
                "" if phone.name in _SILENCES else str(phone.name),
                (first + phone.start) / rate,
                (first + phone.start + phone.duration) / rate,
            )
            for word in fresh.get_alignment()
            for phone in word
        ]
    except RuntimeError:
        half = len(words) // 2
        if half:
            parts = (words[:half], words[half:])
            return [p for part in parts for p in _phones(decoder, wave, part, sure)]
    if not sure:
        return []
    names = decoder.lookup_word(words[0].name).split()
    edges = np.linspace(words[0].start, words[0].end, len(names) + 1) / rate
    return [
        Phone(name, float(a), float(b))
        for name, a, b in zip(names, edges[:-1], edges[1:], strict=True)
    ]


def _decode(decoder: Any, wave: NDArray[np.float32]) -> None:
    decoder.start_utt()
    decoder.process_raw((np.clip(wave, -1, 1) * 32767).astype("<i2").tobytes(), False, True)
    decoder.end_utt()


def _decoder(wide: bool = False) -> Any:
    # A fresh one every time: it adapts to what it hears, and results would depend on their order.
    try:
        from pocketsphinx import Decoder
    except ImportError:
        raise LipwrightError(
            "closures need PocketSphinx, which is not installed; run pip install "
            "'lipwright[evaluate]'."
        ) from None
    # Words that are known are worth a wider search: with the usual one a breath ends it.
    beams = {"beam": 1e-120, "pbeam": 1e-120, "wbeam": 1e-80} if wide else {}
    return Decoder(samprate=SAMPLE_RATE, loglevel="FATAL", **beams)
