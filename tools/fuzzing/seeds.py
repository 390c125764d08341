"""Small valid files of every kind, made by the test suite's own writers: the start of every mutant.

They are generated rather than kept, so the repository holds no media; the same versions of the
libraries make the same bytes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

from tests.conftest import write_speech, write_video

SIZE = (64, 64)
FRAMES = 6
SECONDS = 0.24


def _video(name: str, **options: object) -> Callable[[Path], list[Path]]:
    def make(folder: Path) -> list[Path]:
        given = {"size": SIZE, "frames": FRAMES, "audio": "sine", **options}
        return [write_video(folder / name, **given)]  # type: ignore[arg-type]

    return make


def _sound(name: str, **options: object) -> Callable[[Path], list[Path]]:
    def make(folder: Path) -> list[Path]:
        return [write_speech(folder / name, seconds=SECONDS, **options)]  # type: ignore[arg-type]

    return make


def _picture(name: str, **options: object) -> Callable[[Path], list[Path]]:
    def make(folder: Path) -> list[Path]:
        given = {"size": SIZE, "frames": 1, **options}
        return [write_video(folder / name, **given)]  # type: ignore[arg-type]

    return make


def _avi(folder: Path) -> list[Path]:
    plain = {"size": SIZE, "frames": FRAMES, "audio": "sine", "audio_codec": "pcm_s16le"}
    return [
        write_video(folder / "ffv1.avi", **plain),  # type: ignore[arg-type]
        write_video(folder / "mpeg4.avi", codec="mpeg4", **plain),  # type: ignore[arg-type]
    ]


def _checkpoints(folder: Path) -> list[Path]:
    """One tiny checkpoint of each method."""
    from tests.methods.test_landmark import save as landmark
    from tests.methods.test_memory import write as memory
    from tests.methods.test_pixel import checkpoint as pixel
    from tests.methods.test_vq import checkpoint as vq

    class Factory:
        def mktemp(self, name: str) -> Path:
            return folder

    made = [landmark(folder / "landmark.safetensors"), memory(folder / "memory.safetensors")]
    made.append(pixel(folder, "wav2lip"))
    make_vq = getattr(vq, "__wrapped__", None) or vq.__pytest_wrapped__.obj
    return [*made, make_vq(Factory())]


_CONSENT = """\
who: Ada Lovelace
purpose: "Spanish dub, of the lecture"
date: 2026-11-21
contract: 17
places: [London, {name: Madrid, until: 2027-01-01}]
"""
_CONFIG = """\
model:
  channels: [8, 16]
optimiser: {lr: 6.0e-4, betas: [0.9, 0.99]}
run:
  steps: 10
  max_minutes: null
"""


def _yaml(folder: Path) -> list[Path]:
    made = []
    for name, text in (("consent.yaml", _CONSENT), ("config.yaml", _CONFIG)):
        path = folder / name
        path.write_text(text, encoding="utf-8")
        made.append(path)
    return made


def csv_text(rows: list[list[str]]) -> str:
    """Rows as CSV."""
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


SEEDS: dict[str, Callable[[Path], list[Path]]] = {
    "mp4": _video("clip.mp4"),
    "mkv": _video("clip.mkv"),
    "webm": _video("clip.webm", codec="libvpx", audio_codec="libopus", audio_rate=48_000),
    "ts": _video("clip.ts", codec="libx264", audio_codec="aac"),
    "avi": _avi,
    "wav": _sound("speech.wav"),
    "mp3": _sound("speech.mp3"),
    "ogg": _sound("speech.ogg", rate=48_000),
    "flac": _sound("speech.flac"),
    "png": _picture("still.png", pix_fmt="rgb24"),
    "jpg": _picture("still.jpg", pix_fmt="yuvj420p"),
    "safetensors": _checkpoints,
    "yaml": _yaml,
}
"""Maker of the seeds of every kind; takes an existing folder."""
