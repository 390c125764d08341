"""What a bounded look-ahead costs: lip motion predicted live, beside that of the whole recording.

    python benchmarks/live_speech.py FILE ... [--past 100 200 280] [--future 8 12 16 20 24 28]

For every number of spectrogram columns (10 ms) that the speech encoder sees before and behind a
frame: the look-ahead, the correlation of the mouth's opening (first component of the motion) with
that of the dub, and the error of all components as a share of their own size; means over the
files, frames of the first two seconds left aside.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

import numpy as np

from lipwright.media.audio import load_speech
from lipwright.media.mel import SAMPLE_RATE
from lipwright.methods.encoded_stream import EncodedSpeechStream
from lipwright.methods.registry import load_method
from lipwright.methods.vq import VQMethod

SKIP = 50


def streamed(method: VQMethod, wave: np.ndarray, past: int, future: int) -> np.ndarray:
    """(n, K) motions of the frames at 25 fps that can be predicted."""
    encoder, members = method.speech
    stream = EncodedSpeechStream(encoder, members, method._context, past, future)
    rows: list[np.ndarray] = []
    for first in range(0, wave.size, 320):
        stream.feed(wave[first : first + 320])
        while stream.ready(Fraction(len(rows), 25)):
            rows.append(stream.audio(Fraction(len(rows), 25)))
    return np.array(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--past", type=int, nargs="+", default=[100, 200, 280])
    parser.add_argument("--future", type=int, nargs="+", default=[8, 12, 16, 20, 24, 28])
    options = parser.parse_args()
    method = load_method("vq")
    assert isinstance(method, VQMethod)
    count = round(options.seconds * SAMPLE_RATE)
    waves = [load_speech(path)[:count] for path in options.files]
    whole = [method.speech_features(wave)[:, ::4].T for wave in waves]
    print("| past, ms | look-ahead, ms | opening: correlation | all components: error / size |")
    print("|---|---|---|---|")
    for past in options.past:
        for future in options.future:
            found = []
            for wave, expected in zip(waves, whole, strict=True):
                rows = streamed(method, wave, past, future)[SKIP:]
                wanted = expected[SKIP : SKIP + len(rows)]
                error = float(np.sqrt(np.square(rows - wanted).mean() / np.square(wanted).mean()))
                found.append((float(np.corrcoef(rows[:, 0], wanted[:, 0])[0, 1]), error))
            correlation, error = np.mean(found, axis=0)
            ahead = 10 * (future - 1) + 12.5
            print(f"| {10 * past} | {ahead:g} | {correlation:.3f} | {error:.2f} |", flush=True)


if __name__ == "__main__":
    main()
