"""Closed captions in the frames: kept where that is asked for and possible, otherwise said."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lipwright.dubbing.job import DubOptions, dub
from lipwright.dubbing.report import Report
from lipwright.media.encoding import choose_encoding
from lipwright.media.info import probe
from lipwright.methods.copy import CopyMethod
from tests.conftest import ffprobe, write_video
from tests.dubbing.clips import Actor, ScriptedTracker, write_speech
from tests.media.captions import add_captions, captions_of

TEXT = "HELLO FROM LINE ONE"


@pytest.fixture
def captioned(tmp_path: Path) -> Path:
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    plain = write_video(tmp_path / "plain.mp4", size=(128, 96), frames=30, options={"bf": "0"})
    return add_captions(plain, tmp_path / "captioned.mp4", TEXT)


def dubbed(video: Path, name: str, seconds: float = 1.0, **options: Any) -> tuple[Path, Report]:
    speech = write_speech(video.with_name("speech.wav"), seconds)
    out = video.with_name(name)
    given = {"watermark": False, "manifest": False, "plan_cache": False, **options}
    tracker = ScriptedTracker(lambda _: [Actor(1, 20, 10, 80)])
    report = dub(video, speech, out, DubOptions(**given), method=CopyMethod(), tracker=tracker)
    return out, report


def test_they_are_found(captioned: Path) -> None:
    assert captions_of(captioned) == [TEXT]
    assert probe(captioned).captions
    assert not probe(captioned.with_name("plain.mp4")).captions


@pytest.mark.parametrize(("name", "codec"), [("o.mp4", "auto"), ("o.mkv", "hevc")])
def test_they_are_kept_with_the_other_streams(captioned: Path, name: str, codec: str) -> None:
    out, report = dubbed(captioned, name, keep_streams=True, codec=codec)
    assert captions_of(out) == [TEXT]
    assert report.warnings == []


def test_without_them_that_is_said(captioned: Path) -> None:
    out, report = dubbed(captioned, "o.mp4")
    assert captions_of(out) == []
    (said,) = report.warnings
    assert "also has closed captions, which the output will not have; --keep-streams" in said


def test_an_encoder_that_cannot_keep_them_is_named_before_the_job(captioned: Path) -> None:
    out, report = dubbed(captioned, "o.mkv", keep_streams=True, lossless=True)
    assert captions_of(out) == []
    (said,) = report.warnings
    assert said.startswith(f"The closed captions of {captioned} cannot be kept by this encoder")
    assert not choose_encoding("mkv", probe(captioned), lossless=True, captions=True).captions


@pytest.mark.parametrize("length", ["bounce", "loop", "silence"])
def test_a_video_that_goes_on_shows_them_once(captioned: Path, length: str) -> None:
    """Two bytes a frame: read backward they would be other words."""
    out, report = dubbed(captioned, "o.mp4", seconds=3.0, keep_streams=True, length=length)
    assert report.frames >= 75
    assert captions_of(out) == [TEXT]


def test_a_caption_track_of_quicktime_is_kept(captioned: Path) -> None:
    """MOV can have the same bytes in a stream of their own; ffmpeg makes one here."""
    film = captioned.with_name("film.mov")
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"movie={captioned.name}[out+subcc]"]
    command += ["-i", str(captioned), "-map", "1:v", "-map", "0:s", "-c", "copy"]
    command += ["-bsf:v", "filter_units=remove_types=6", str(film)]
    subprocess.run(command, check=True, cwd=captioned.parent)
    assert not probe(film).captions
    out, report = dubbed(film, "o.mov", keep_streams=True)
    assert report.warnings == []
    read = ["ffmpeg", "-v", "error", "-i", str(out), "-map", "0:s", "-f", "srt", "-"]
    made = subprocess.run(read, check=True, capture_output=True, text=True).stdout
    assert TEXT in made
    (kept,) = [s for s in ffprobe(out, "-show_streams")["streams"] if s["codec_type"] == "subtitle"]
    assert kept["codec_name"] == "eia_608"
    _, report = dubbed(film, "o.mkv", keep_streams=True)
    assert "cannot be kept in a mkv file" in report.warnings[0]
