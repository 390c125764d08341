"""Finding source files, and the steps ``probe`` and ``listen``: what it is, and its speech."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipwright.data.rows import Row, StepContext
from lipwright.errors import LipwrightError
from lipwright.files.whole import file_sha256, written_whole

VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m4v", ".ts"}
FULL_SCALE = 32767.0


def find_sources(sources: Iterable[Path]) -> list[Path]:
    """Video files among and below the given paths, sorted, absolute.

    Raises:
        LipwrightError: a path does not exist, a named file is no video, or nothing was found.
    """
    from lipwright.media.info import probe as reference

    found: set[Path] = set()
    for path in sources:
        if path.is_dir():
            found |= {p.resolve() for p in path.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES}
        elif path.is_file():
            if path.suffix.lower() not in VIDEO_SUFFIXES:
                reference(path)  # a typing mistake is to be known before a corpus is begun
            found.add(path.resolve())
        else:
            raise LipwrightError(f"the source {path} does not exist; check the path.")
    if not found:
        raise LipwrightError("no video file was found in the given sources; check the paths.")
    return sorted(found)


def clip_name(source: Path) -> str:
    """A short unique name: the file's own, cut, plus a hash of its full path."""
    digest = hashlib.sha256(str(source).encode()).hexdigest()[:8]
    plain = "".join(c if c.isalnum() else "_" for c in source.stem)[:40]
    return f"{plain}_{digest}"


def new_row(source: Path) -> Row:
    """The row of a source of which nothing is known yet."""
    return {"source": str(source), "name": clip_name(source), "reason": "", "pieces": []}


def probe(row: Row, work: StepContext) -> Row:
    """Size, frame rate, length, sound and content hash of a source.

    Raises:
        LipwrightError: not a video, or one without sound.
    """
    from lipwright.media.info import probe as reference

    path = Path(row["source"])
    digest = file_sha256(path)
    info = reference(path)
    width, height = info.square_size
    row = {
        **row,
        "sha256": digest,
        "width": round(width),
        "height": round(height),
        "fps": round(float(info.average_rate), 3),
        "seconds": round(float(info.duration), 2) if info.duration else None,
        "codec": info.codec,
    }
    if info.is_still:
        raise LipwrightError("a still picture.")
    if not info.has_audio:
        return {**row, "reason": "no sound"}
    return row


def listen(row: Row, work: StepContext) -> Row:
    """Find the speech of a source, and keep its sound at 16 kHz for the steps that follow.

    Raises:
        LipwrightError: the sound cannot be decoded.
    """
    from lipwright.data.voice import speech_intervals
    from lipwright.media.audio import load_speech
    from lipwright.media.mel import SAMPLE_RATE

    wave = load_speech(Path(row["source"]))
    speech = speech_intervals(wave)
    path = sound_path(work, row)
    with written_whole(path) as temporary, temporary.open("wb") as file:
        np.save(file, np.rint(np.clip(wave, -1, 1) * FULL_SCALE).astype(np.int16))
    seconds_of_speech = round(sum(b - a for a, b in speech), 2)
    row = {**row, "speech": speech, "heard": seconds_of_speech}
    if row["seconds"] is None:  # containers that do not tell
        row["seconds"] = round(float(Fraction(wave.size, SAMPLE_RATE)), 2)
    return row if speech else {**row, "reason": "no speech: none was found in the file"}


def sound_path(work: StepContext, row: Row) -> Path:
    """Where the sound of a source is kept, int16 at 16 kHz."""
    return work.scratch / f"{row['name']}.npy"


def sound_of(work: StepContext, row: Row, first: int, frames: int) -> NDArray[np.float32]:
    """Sound of 25 fps frames first .. first + frames - 1; silence outside the recording.

    ``first`` may be negative.
    """
    from lipwright.media.mel import SAMPLES_PER_FRAME

    stored = np.load(sound_path(work, row), mmap_mode="r")
    start, stop = first * SAMPLES_PER_FRAME, (first + frames) * SAMPLES_PER_FRAME
    wave = np.zeros(stop - start, np.float32)
    low, high = max(start, 0), min(stop, stored.size)
    if low < high:
        wave[low - start : high - start] = stored[low:high] / np.float32(FULL_SCALE)
    return wave
