"""Make the two files of ``lipwright demo``: a public-domain portrait and a synthetic voice.

The portrait is NASA's photograph of Eileen Collins, as it comes with scikit-image
(``skimage.data.astronaut``, no known copyright restrictions), cropped to head and shoulders. The
voice is Flite's ``slt`` reading two sentences that were written for this purpose, with a pause
between them and a short silence at the end, so that the demo shows the mouth at rest as well.

Needs scikit-image, Pillow, PyAV, NumPy and the ``flite`` program (Debian package ``flite``)::

    python tools/make_demo_assets.py
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import wave
from pathlib import Path

import av
import numpy as np

ASSETS = Path(__file__).resolve().parents[1] / "src" / "lipwright" / "assets"
CROP = (40, 0, 400, 240)  # left, top, right, bottom in the 512x512 photograph
SENTENCES = (
    "Hello! I am a photograph that never spoke.",
    "Now my lips follow any speech.",
)
VOICE = "slt"
RATE = 16_000
PAUSE_SECONDS = (0.55, 0.65)  # after the first sentence, after the last
OPUS_BITS_PER_SECOND = 32_000


def make_portrait(target: Path) -> None:
    """Crop the photograph and store it as a JPEG without visible loss."""
    from PIL import Image
    from skimage import data

    left, top, right, bottom = CROP
    picture = data.astronaut()[top:bottom, left:right]
    Image.fromarray(picture).save(target, quality=95, subsampling=0, optimize=True)


def speak(sentence: str) -> np.ndarray:
    """Let Flite read one sentence. Returns int16 mono samples at 16 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(["flite", "-voice", VOICE, "-t", sentence, str(path)], check=True)
        with wave.open(str(path)) as file:
            if file.getframerate() != RATE or file.getnchannels() != 1:
                raise SystemExit(f"flite made {file.getframerate()} Hz, expected {RATE} Hz mono")
            return np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16)


def make_speech(target: Path) -> None:
    """Join the sentences with their pauses and store them as Opus in Ogg."""
    pieces: list[np.ndarray] = []
    for sentence, pause in zip(SENTENCES, PAUSE_SECONDS, strict=True):
        pieces += [speak(sentence), np.zeros(round(pause * RATE), dtype=np.int16)]
    samples = np.concatenate(pieces)[None]
    with av.open(str(target), "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        stream.bit_rate = OPUS_BITS_PER_SECOND
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(format="s16", layout="mono", rate=48_000)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))


def main() -> None:
    """Write both assets and print their sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=ASSETS, help="folder to write to")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    make_portrait(folder / "portrait.jpg")
    make_speech(folder / "speech.ogg")
    for name in ("portrait.jpg", "speech.ogg"):
        print(f"{folder / name}: {(folder / name).stat().st_size / 1000:.1f} kB")


if __name__ == "__main__":
    main()
