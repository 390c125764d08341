"""Captions, as ffmpeg reads them."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from lipwright.lesson.captions import web_vtt


def test_times_and_escapes() -> None:
    made = web_vtt("salt & <pepper>", Fraction(1, 2), Fraction(3725001, 1000))
    assert made.splitlines() == [
        "WEBVTT",
        "",
        "00:00:00.500 --> 01:02:05.001",
        "salt &amp; &lt;pepper&gt;",
    ]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_another_program_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.vtt"
    path.write_text(web_vtt("salt & pepper", Fraction(1), Fraction(5, 2)), encoding="utf-8")
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(path), "-f", "srt", "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[:3] == ["1", "00:00:01,000 --> 00:00:02,500", "salt & pepper"]
