"""Step ``finish``: sound in step, mel, features; rejected pieces leave nothing behind."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from lipwright.data.cut import crop_path
from lipwright.data.rows import Row, StepContext
from lipwright.data.sources import FULL_SCALE, sound_of, sound_path
from lipwright.data.storage import save_arrays
from lipwright.files.whole import written_whole
from lipwright.media.mel import SAMPLE_RATE, STEPS_PER_FRAME


def finish(row: Row, work: StepContext) -> Row:
    """Write ``clips/<clip>.npz`` and ``.flac`` of every accepted piece, and tidy up.

    The arrays: ``mel`` (80, 4T) float16, ``opening`` (T,), ``lips`` (T, 80), ``yaw`` (T,) and
    ``landmarks`` (T, 478 or 468, 2) float16, in parts of the crop's side from its centre.
    """
    from lipwright.media.mel import mel_spectrogram

    for piece in row["pieces"]:
        clip = piece["clip"]
        if piece["reason"]:
            for size in (work.settings.size, work.settings.hd):
                crop_path(work.clips, clip, size, work.settings).unlink(missing_ok=True)
        else:
            count = piece["frames"]
            # A frame of sound on either side keeps the transform's windows full.
            wave = sound_of(work, row, piece["first"] + piece["offset"] - 1, count + 2)
            mel = mel_spectrogram(wave)
            part = mel[:, STEPS_PER_FRAME : STEPS_PER_FRAME * (count + 1)]
            frame = len(wave) // (count + 2)
            write_speech(work.clips / f"{clip}.flac", wave[frame:-frame])
            with np.load(work.scratch / f"{clip}.npz") as stored:
                arrays = dict(stored)
            save_arrays(work.clips / f"{clip}.npz", mel=part.astype(np.float16), **arrays)
    return row


def tidy(row: Row, work: StepContext) -> None:
    """Remove what only the steps needed; to be called once the finished row is on record."""
    for piece in row["pieces"]:
        (work.scratch / f"{piece['clip']}.npz").unlink(missing_ok=True)
    sound_path(work, row).unlink(missing_ok=True)


def write_speech(path: Path, wave: NDArray[np.float32]) -> None:
    """Store mono sound at 16 kHz as FLAC, whole or not at all."""
    samples = np.rint(np.clip(wave, -1, 1) * FULL_SCALE).astype(np.int16)
    with written_whole(path) as temporary, av.open(str(temporary), "w") as container:
        stream: Any = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        for start in range(0, len(samples), SAMPLE_RATE):
            part = np.ascontiguousarray(samples[None, start : start + SAMPLE_RATE])
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start
            frame.time_base = Fraction(1, SAMPLE_RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
