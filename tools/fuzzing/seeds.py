"""Small valid files of every kind, made by the test suite's own writers: the start of every mutant.

They are generated rather than kept, so the repository holds no media; the same versions of the
libraries make the same bytes.
"""

from __future__ import annotations

import json
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


_CAST = """\
people:
  Anna: {face: "0", stretches: [{start: 0.04, end: 0:00.12, speech: ../partners/speech.wav}]}
  Ben:
    face: "0"
    stretches:
      - {start: 0.16, speech: ../partners/speech.wav, end: 0.2, offset: 0.1}
  Voice: {speech: ../partners/speech.wav}
"""
_CAST_TABLE = """\
person,face,start,end,speech,offset
Anna,0,0.04,0:00.12,../partners/speech.wav,
Voice,,0.16,0.2,"../partners/speech.wav",0.1
"""
_JOBS = """\
defaults: {crf: 18, watermark: false, length: video}
out: "out.{number}-{speech}.mp4"
jobs:
  - {video: ../partners/clip.mp4, speech: [../partners/speech.wav, "../partners/s*.wav"]}
  - {video: ../partners/clip.mp4, speech: ../partners/speech.wav, keep-streams: true, out: out.mkv}
"""
_JOB_TABLE = """\
video,speech,out,crf,length,manifest
../partners/clip.mp4,../partners/speech.wav,out.{number}.mp4,20,auto,false
../partners/clip.mp4,"../partners/speech.wav;../partners/speech.wav",out.{number}.mkv,,video,
"""
_SRT = """\
1
00:00:00,040 --> 00:00:00,120
ANNA: One <i>word</i>

2
00:00:00,160 --> 00:00:00,200
Anna: Two
"""
_VTT = """\
WEBVTT

NOTE made by hand

00:00.040 --> 00:00.120 align:start
<v Anna>One

00:00:00.160 --> 00:00:00.200
<v Anna>Two</v>
"""
_ASS = """\
[Script Info]
ScriptType: v4.00+

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.04,0:00:00.12,Default,Anna,0,0,0,,{\\i1}One, two
Dialogue: 0,0:00:00.16,0:00:00.20,Default,Anna,0,0,0,,Three
"""
_EDL = """\
TITLE: DUB
FCM: NON-DROP FRAME

001  AX       A     C        00:00:00:01 00:00:00:03 00:00:00:01 00:00:00:03
* FROM CLIP NAME: Anna.wav
002  Anna     A2    C        00:00:00:01 00:00:00:02 00:00:00:04 00:00:00:05
"""


def _otio() -> str:
    """A timeline with one track: a gap and a clip."""

    def time(value: int) -> dict[str, object]:
        return {"OTIO_SCHEMA": "RationalTime.1", "rate": 25.0, "value": value}

    def span(start: int, length: int) -> dict[str, object]:
        schema = "TimeRange.1"
        return {"OTIO_SCHEMA": schema, "start_time": time(start), "duration": time(length)}

    gap = {"OTIO_SCHEMA": "Gap.1", "name": "", "source_range": span(0, 1)}
    sound = {"OTIO_SCHEMA": "ExternalReference.1", "target_url": "../partners/speech.wav"}
    clip = {
        "OTIO_SCHEMA": "Clip.1",
        "name": "Anna",
        "source_range": span(1, 3),
        "media_reference": sound,
    }
    track = {"OTIO_SCHEMA": "Track.1", "name": "Anna", "kind": "Audio", "children": [gap, clip]}
    stack = {"OTIO_SCHEMA": "Stack.1", "children": [track]}
    return json.dumps({"OTIO_SCHEMA": "Timeline.1", "name": "film", "tracks": stack}, indent=1)


def _texts(**texts: str) -> Callable[[Path], list[Path]]:
    """Files of these names, ``_`` for the dot, and contents."""

    def make(folder: Path) -> list[Path]:
        made = []
        for name, text in texts.items():
            path = folder / name.replace("_", ".")
            path.write_text(text, encoding="utf-8")
            made.append(path)
        return made

    return make


def _lines(folder: Path) -> list[Path]:
    """Subtitles and edit lists, and beside each the cast that names it where a mutant will lie."""
    make = _texts(film_srt=_SRT, film_vtt=_VTT, film_ass=_ASS, film_edl=_EDL, film_otio=_otio())
    made = make(folder)
    for path in made:
        cast = f"lines: ../work/{path.name}\npeople: {{Anna: {{face: '0', speech: speech.wav}}}}\n"
        (folder / f"{path.suffix[1:]}-cast.yaml").write_text(cast, encoding="utf-8")
    return made


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
    "yaml": _texts(consent_yaml=_CONSENT, config_yaml=_CONFIG, cast_yaml=_CAST, jobs_yaml=_JOBS),
    "csv": _texts(cast_csv=_CAST_TABLE, jobs_csv=_JOB_TABLE),
    "lines": _lines,
}
"""Maker of the seeds of every kind; takes an existing folder."""
