"""Single steps of the preparation: the time grid, crops, verdicts, burned-in text, transcripts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipwright.data.burned_in_text import has_burned_in_text
from lipwright.data.extract import sample_face
from lipwright.data.grid import on_grid
from lipwright.data.judge import judge, reason
from lipwright.data.rows import PrepareSettings, StepContext
from lipwright.data.words import read_cues, said, transcripts
from lipwright.errors import LipwrightError
from lipwright.faces import alignment
from lipwright.media.reader import VideoReader
from tests.conftest import write_video
from tests.data.talker import face


@dataclass
class FakeFrame:
    time: Fraction
    duration: int = 1
    time_base: Fraction = Fraction(1, 25)


def frames_at(rate: Fraction, count: int) -> Iterator[Any]:
    return (FakeFrame(n / rate, 1, 1 / rate) for n in range(count))


@given(
    st.sampled_from(
        [Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(50), Fraction(12)]
    ),
    st.integers(1, 90),
)
def test_grid_has_every_25th_of_a_second_once(rate: Fraction, count: int) -> None:
    pairs = list(on_grid(frames_at(rate, count)))
    numbers = [n for n, _ in pairs]
    assert numbers == list(range(len(numbers)))
    assert abs(len(numbers) - 25 * count / rate) <= 1
    assert all(abs(Fraction(n, 25) - f.time) <= Fraction(1, 2) / rate for n, f in pairs)


def test_grid_has_holes_where_nothing_is_shown() -> None:
    times = [Fraction(0), Fraction(1, 25), Fraction(2)]
    numbers = [n for n, _ in on_grid(FakeFrame(t) for t in times)]  # type: ignore[misc]
    assert numbers[:2] == [0, 1]
    assert 50 in numbers
    assert 25 not in numbers


@pytest.mark.parametrize("step", [0.5, 1.0, 1.6, 3.0])
def test_faces_are_sampled_where_they_are(tmp_path: Path, step: float) -> None:
    """A ramp of brightness: each crop pixel has the value of its place in the picture."""

    def paint(index: int, planes: list[Any]) -> None:
        planes[0][:] = (20 + np.arange(192) * 1.0)[None, :]
        planes[1][:] = planes[2][:] = 128

    path = write_video(tmp_path / "r.mkv", size=(192, 144), frames=2, paint=paint, codec="ffv1")
    matrix = np.array([[step, 0.0, 30.0], [0.0, step, 20.0]])
    with VideoReader(path) as reader:
        frame = next(iter(reader))
        crop = sample_face(frame.native, frame.info, matrix, 32)
    luma = 20 + 30 + step * np.arange(32)
    expected = (luma - 16) * 255 / 219
    assert np.abs(crop[8:24].mean(axis=(0, 2)) - expected).max() < 2.5


def test_smoothing_in_blocks_is_smoothing_at_once() -> None:
    """The cutter sees 8 frames before and 4 after a block; that is all that smoothing needs."""
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.normal(0, 0.5, (60, 4)), axis=0) * [0.002, 0.002, 1, 1] + [
        5,
        0,
        300,
        200,
    ]
    raw = alignment.from_parameters(values)
    whole = alignment.smooth(raw)
    for settled in range(0, 48, 8):
        start = max(0, settled - 8)
        part = alignment.smooth(raw[start : settled + 8 + 4])
        for i in range(8):
            assert np.allclose(part[settled - start + i], whole[settled + i], atol=1e-9)


GOOD = {
    "clip": "a",
    "first": 0,
    "frames": 100,
    "face_height": 120.0,
    "sizes": [256],
    "yaw": 5.0,
    "overlap": 0.0,
    "text": 0.0,
    "motion": 0.02,
    "speech": 0.8,
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ""),
        ({"frames": 10}, "too short: 10 frames at 25 fps"),
        ({"face_height": 40.0}, "face too small: 40 px high"),
        ({"yaw": 60.0}, "profile view: turned by 60 degrees"),
        ({"overlap": 0.5}, "several overlapping faces: in 50% of the frames"),
        ({"text": 0.9}, "burned-in text over the mouth: in 90% of the sampled frames"),
        ({"motion": 0.001}, "the mouth stays still: the opening varies by 0.0010 of the face"),
        ({"speech": 0.02}, "no speech: found in 2% of the time"),
    ],
)
def test_reasons(change: dict[str, object], expected: str) -> None:
    assert reason({**GOOD, **change}, PrepareSettings()) == expected


def test_speech_is_counted_inside_the_piece(tmp_path: Path) -> None:
    piece = {**GOOD, "first": 25, "frames": 50, "reason": ""}
    row = {"source": "s", "reason": "", "speech": [[0.0, 1.5], [2.5, 9.0]], "pieces": [piece]}
    judged = judge(row, StepContext(str(tmp_path), PrepareSettings()))
    assert judged["pieces"][0]["speech"] == pytest.approx(0.5)
    assert row["pieces"] == [piece]  # a step does not change what it was given


def test_burned_in_text_over_the_mouth_is_seen_and_a_mouth_is_not() -> None:
    plain = cv2.resize(face(0.8, 360)[20:260, 150:390], (288, 288))
    assert not has_burned_in_text(plain)
    assert not has_burned_in_text(
        np.random.default_rng(0).integers(90, 160, (288, 288, 3), np.uint8)
    )
    written = plain.copy()
    for colour, width in (((0, 0, 0), 6), ((255, 255, 255), 2)):
        cv2.putText(written, "what she said", (20, 215), 0, 1.1, colour, width, cv2.LINE_AA)
    assert has_burned_in_text(written)
    above = plain.copy()  # over the forehead it does no harm
    cv2.putText(above, "what she said", (20, 60), 0, 1.1, (255, 255, 255), 2, cv2.LINE_AA)
    assert not has_burned_in_text(above)


def test_transcripts(tmp_path: Path) -> None:
    for name in ("a[1].mp4", "a[1].vtt", "a[1].de.srt", "a1.vtt", "b.vtt"):
        (tmp_path / name).write_text("")
    assert [p.name for p in transcripts(tmp_path / "a[1].mp4")] == ["a[1].de.srt", "a[1].vtt"]
    path = tmp_path / "x.srt"
    path.write_bytes(
        b"1\r\n00:00:01,500 --> 00:00:03,000\r\nWell, <i>hello</i>\r\nthere\r\n\r\n"
        b"2\r\n01:00:00,000 --> 01:00:01,250\r\nlast\r\n\r\nno cue at all\r\n"
    )
    cues = read_cues(path)
    assert [(c.start, c.end, c.text) for c in cues] == [
        (1.5, 3.0, "Well, hello there"),
        (3600.0, 3601.25, "last"),
    ]
    assert said("That's a DAMN shame!", ("damn",))
    assert not said("a fundamental thing", ("damn",))
    assert said("he kicked the bucket.", ("kicked the bucket",))


def test_a_named_file_that_is_no_video_begins_no_corpus(tmp_path: Path) -> None:
    from lipwright.data.prepare import prepare

    (tmp_path / "help.txt").write_text("not a video")
    with pytest.raises(LipwrightError, match=r"help\.txt"):
        prepare([tmp_path / "help.txt"], tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


def test_a_missing_label_file_is_one_plain_sentence(tmp_path: Path) -> None:
    from lipwright.data.labels import read_labels

    with pytest.raises(LipwrightError, match="there is no label file") as caught:
        read_labels(tmp_path / "nosuch.csv")
    assert "Errno" not in str(caught.value)
