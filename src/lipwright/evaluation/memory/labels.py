"""What is said in every frame of a clip: words and phonemes from word alignments.

Alignments are those of the GRID corpus (Cooke et al., JASA 2006): beside a video ``bbaf2n.mp4``,
or in a folder ``align`` next to its own, ``bbaf2n.align`` has lines ``first last word`` in
25,000ths of a second. Phonemes are not aligned there. They come from a small dictionary of GRID's
51 words and are spread over their word by rough relative lengths; a frame is labelled by its
middle. That is coarse: at the edges of short consonants the label is a guess.

:func:`recognised_labels` takes phonemes from a forced aligner (``evaluation.phones``)
of GRID words and of free English speech, whose words it recognises first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipwright.data.packed import ClipRow
from lipwright.errors import LipwrightError
from lipwright.evaluation.phones import phones_of
from lipwright.media.mel import MODEL_FPS

UNITS = 25_000
"""Of a GRID alignment, per second."""
SILENT = "sil"
PAUSES = frozenset({"sil", "sp"})
LONG = frozenset(("aa", "ae", "ah", "ao", "aw", "ay", "eh", "er", "ey", "ih", "iy", "ow", "uw"))
"""Vowels; they count as twice the length of a consonant."""

LETTERS = (
    "a:ey b:b,iy c:s,iy d:d,iy e:iy f:eh,f g:jh,iy h:ey,ch i:ay j:jh,ey k:k,ey l:eh,l m:eh,m "
    "n:eh,n o:ow p:p,iy q:k,y,uw r:aa,r s:eh,s t:t,iy u:y,uw v:v,iy x:eh,k,s y:w,ay z:z,eh,d"
)
WORDS = (
    "bin:b,ih,n lay:l,ey place:p,l,ey,s set:s,eh,t blue:b,l,uw green:g,r,iy,n red:r,eh,d "
    "white:w,ay,t at:ae,t by:b,ay in:ih,n with:w,ih,dh zero:z,ih,r,ow one:w,ah,n two:t,uw "
    "three:th,r,iy four:f,ao,r five:f,ay,v six:s,ih,k,s seven:s,eh,v,ah,n eight:ey,t nine:n,ay,n "
    "again:ah,g,eh,n now:n,aw please:p,l,iy,z soon:s,uw,n"
)
DICTIONARY: dict[str, tuple[str, ...]] = {
    word: tuple(phonemes.split(","))
    for word, phonemes in (entry.split(":") for entry in f"{LETTERS} {WORDS}".split())
}

SPOKEN: dict[str, str] = {"z": "zed"}
"""What GRID's British speakers say for a word that an American dictionary says otherwise."""


@dataclass(frozen=True)
class Word:
    """One aligned word, in seconds of the source."""

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class FrameLabels:
    """Labels of the n frames of a clip; ``sil`` where nothing is said."""

    words: tuple[str, ...]
    phonemes: tuple[str, ...]


def find_alignment(source: Path, folder: Path | None = None) -> Path | None:
    """The alignment of a source video, or None."""
    name = source.stem + ".align"
    places = [folder] if folder else [source.parent, source.parent.parent / "align"]
    return next((p / name for p in places if (p / name).is_file()), None)


def read_alignment(path: Path) -> list[Word]:
    """The words of a GRID alignment.

    Raises:
        LipwrightError: a line is not ``first last word``.
    """
    words = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            first, last, text = line.split()
            words.append(Word(int(first) / UNITS, int(last) / UNITS, text.lower()))
        except ValueError as error:
            raise LipwrightError(
                f"{path} is wrong in line {number}: each line must be 'first last word', times in "
                "25,000ths of a second."
            ) from error
    return words


def frame_labels(words: Sequence[Word], frames: int, start: float = 0.0) -> FrameLabels:
    """Words and phonemes at the middle of each of ``frames`` frames from ``start`` seconds on."""
    texts, sounds = [], []
    for i in range(frames):
        time = start + (i + 0.5) / MODEL_FPS
        word = next((w for w in words if w.start <= time < w.end), None)
        if word is None or word.text in PAUSES:
            texts.append(SILENT)
            sounds.append(SILENT)
            continue
        texts.append(word.text)
        sounds.append(phoneme_at(word, time))
    return FrameLabels(tuple(texts), tuple(sounds))


def phoneme_at(word: Word, time: float) -> str:
    """The phoneme of a word at a time, by rough lengths; ``?`` for unknown words."""
    phonemes = DICTIONARY.get(word.text)
    if not phonemes:
        return "?"
    lengths = [2.0 if p in LONG else 1.0 for p in phonemes]
    place = (time - word.start) / max(word.end - word.start, 1e-9) * sum(lengths)
    for phoneme, length in zip(phonemes, lengths, strict=True):
        place -= length
        if place < 0:
            return phoneme
    return phonemes[-1]


def starts(corpus: Path) -> dict[str, float]:
    """Second of its source at which every clip begins, as far as the manifest knows."""
    path = corpus / "manifest.jsonl"
    found: dict[str, float] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if "clip" in row:
                found[row["clip"]] = float(row.get("start", 0.0))
    return found


def aligned_labels(row: ClipRow, begin: float, folder: Path | None = None) -> FrameLabels | None:
    """Labels of a clip, or None where there is no alignment."""
    path = find_alignment(Path(row.source), folder)
    return None if path is None else frame_labels(read_alignment(path), row.frames, begin)


def recognised_labels(
    row: ClipRow, wave: NDArray[np.float32], begin: float, folder: Path | None = None
) -> FrameLabels | None:
    """Labels of a clip of English speech by the forced aligner, None where it finds no words.

    Args:
        row: the clip.
        wave: its sound at 16 kHz.
        begin: second of its source at which it begins.
        folder: of GRID alignments, whose words are taken where there are any.
    """
    path = find_alignment(Path(row.source), folder)
    words = [] if path is None else read_alignment(path)
    end = begin + row.frames / MODEL_FPS
    text = " ".join(
        SPOKEN.get(w.text, w.text)
        for w in words
        if w.text not in PAUSES and begin <= w.start and w.end <= end
    )
    phones = phones_of(wave, text or None)
    if not phones:
        return None
    names = []
    for i in range(row.frames):
        time = (i + 0.5) / MODEL_FPS
        name = next((p.name for p in phones if p.start <= time < p.end), "")
        names.append(name.lower() or SILENT)
    texts = frame_labels(words, row.frames, begin).words if words else ("?",) * row.frames
    return FrameLabels(texts, tuple(names))
