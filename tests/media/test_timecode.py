"""SMPTE time code: labels counted one by one, and those that frames carry."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from itertools import product
from pathlib import Path

import pytest

from lipwright.media.info import probe
from lipwright.media.timecode import advanced, of_frame
from tests.conftest import ffprobe


def labels(whole: int, drop: int) -> list[str]:
    """All labels of an hour without the hour, as SMPTE ST 12-1 lists them."""
    mark = ";" if drop else ":"
    return [
        f"{m:02}:{s:02}{mark}{f:02}"
        for m, s, f in product(range(60), range(60), range(whole))
        if not (drop and s == 0 and f < drop and m % 10)
    ]


@pytest.mark.parametrize(
    ("rate", "whole", "drop"),
    [
        (Fraction(25), 25, 0),
        (Fraction(30_000, 1001), 30, 2),
        (Fraction(30_000, 1001), 30, 0),
        (Fraction(60_000, 1001), 60, 4),
    ],
)
def test_labels_are_counted_on(rate: Fraction, whole: int, drop: int) -> None:
    hour = labels(whole, drop)
    day = 24 * len(hour)

    def label(number: int) -> str:
        hours, rest = divmod(number % day, len(hour))
        return f"{hours:02}:{hour[rest]}"

    for first in (0, 1, 29, 1797, 1799, 17_980, 54_321, day - 2):
        for frames in (0, 1, 2, 3, 1798, 1800, 17_981, 17_983, 200_000):
            assert advanced(label(first), frames, rate) == label(first + frames)


@pytest.mark.parametrize("code", ["", "1:2", "00:00:00:25", "00:01:00;00"])
def test_what_is_no_label(code: str) -> None:
    with pytest.raises(ValueError, match=r"time code|exist|drop-frame"):
        advanced(code, 1, Fraction(30_000, 1001) if ";" in code else Fraction(25))


def test_labels_of_frames(tmp_path: Path) -> None:
    """MPEG-2 carries the label of a group of pictures; another program reads it, too."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    path = tmp_path / "tape.mpg"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=0.5"]
    command += ["-c:v", "mpeg2video", "-gop_timecode", "10:11:12:13", str(path)]
    subprocess.run(command, check=True)
    frames = ffprobe(path, "-show_frames", "-read_intervals", "%+#5", "-select_streams", "v")
    (found,) = [s["timecode"] for s in frames["frames"][0]["side_data_list"] if "timecode" in s]
    assert probe(path).timecode == found == "10:11:12:13"


def test_binary_groups() -> None:
    # 01:02:03 and 14 (of 30): hours in the lowest byte, tens in the upper half of each.
    word = 0x01 | 0x02 << 8 | 0x03 << 16 | 0x14 << 24
    data = (1).to_bytes(4, "little") + word.to_bytes(4, "little") + bytes(8)
    assert of_frame("S12M_TIMECODE", data, Fraction(30)) == "01:02:03:14"
    second = data[:4] + (word | 1 << 23).to_bytes(4, "little")  # the second of a pair at 60
    assert of_frame("S12M_TIMECODE", second, Fraction(60)) == "01:02:03:29"
    dropped = data[:4] + (word | 1 << 30).to_bytes(4, "little")
    assert of_frame("S12M_TIMECODE", dropped, Fraction(30_000, 1001)) == "01:02:03;14"
    assert of_frame("S12M_TIMECODE", bytes(20), Fraction(30)) is None
    assert of_frame("GOP_TIMECODE", bytes(8), Fraction(25)) is None
