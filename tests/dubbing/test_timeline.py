from __future__ import annotations

from fractions import Fraction
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipwright.dubbing import timeline
from lipwright.errors import LipwrightError

TB = Fraction(1, 1000)


def test_ping_pong_turns_without_doubling_the_end_frames() -> None:
    assert np.resize(timeline.ping_pong(4), 10).tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]
    assert np.resize(timeline.ping_pong(2), 4).tolist() == [0, 1, 0, 1]
    assert np.resize(timeline.ping_pong(1), 3).tolist() == [0, 0, 0]


def test_variable_rate_video_continues_backward_with_each_frames_own_duration() -> None:
    # frames last 40, 100, 20 and (given) 30 ms: 190 ms of video for 300 ms of speech
    line = timeline.build([500, 540, 640, 660], 30, TB, Fraction(3, 10), "auto")
    assert line.source.tolist() == [0, 1, 2, 3, 2, 1]
    assert line.pts.tolist() == [0, 40, 140, 160, 190, 210]
    assert line.durations.tolist() == [40, 100, 20, 30, 20, 100]
    assert line.end == Fraction(310, 1000)
    assert line.time(4) == Fraction(19, 100)


@pytest.mark.parametrize(
    ("length", "speech", "frames"),
    [
        ("auto", Fraction(1), 50),  # the video is the longer one
        ("auto", Fraction(3), 75),
        ("video", Fraction(3), 50),
        ("video", Fraction(1), 50),
        ("speech", Fraction(1), 25),
        ("speech", Fraction(26, 25), 26),
        ("speech", Fraction(26, 25) + Fraction(1, 16000), 27),  # for one more sample
        ("speech", Fraction(1, 16000), 1),
        ("speech", Fraction(3), 75),
    ],
)
def test_length(length: timeline.Length, speech: Fraction, frames: int) -> None:
    line = timeline.build([40 * i for i in range(50)], 40, TB, speech, length)
    assert len(line) == frames
    assert line.pts.tolist() == [40 * k for k in range(frames)]


def test_ntsc_rate_stays_rational() -> None:
    base = Fraction(1001, 30000)
    line = timeline.build(list(range(90)), 1, base, Fraction(60), "auto")
    assert line.time(1798) == 1798 * base
    assert len(line) == 1799  # 60 s hold 1798.2 frames: the last one begins before the end
    assert line.time(len(line) - 1) < 60 <= line.end


def test_unknown_last_duration_is_the_usual_one() -> None:
    assert timeline.shown_ticks([0, 40, 80, 200], 0, TB).tolist() == [40, 40, 120, 40]
    assert timeline.shown_ticks([7], 0, TB).tolist() == [40]


def test_damaged_timestamps_still_give_every_frame_a_place() -> None:
    assert timeline.increasing([5, 5, 3, 9, 10]) == [5, 6, 7, 9, 10]


def test_still_picture_lasts_as_long_as_the_speech() -> None:
    line = timeline.still(Fraction(101, 100))
    assert len(line) == 26
    assert set(line.source.tolist()) == {0}
    assert line.time(25) == 1
    assert len(timeline.still(Fraction(1, 16000))) == 1


def test_absurd_timestamps_are_refused() -> None:
    with pytest.raises(LipwrightError, match="damaged"):
        timeline.build([0, 1], 1, Fraction(1, 1_000_000), Fraction(36_000), "auto")


def test_a_damaged_rate_is_slowed_down_before_the_video_goes_to_and_fro() -> None:
    line = timeline.build([0, 1], 1, Fraction(1, 20_000), Fraction(5), "auto")
    assert len(line) == 5_000  # 1,000 frames per second at most, and not 20,000
    assert line.end == 5
    assert "20 times slower" in line.notices[0]


@pytest.mark.parametrize(
    ("rate", "unit"),
    [
        (Fraction(60_000, 1001), 1000),
        (Fraction(24_000, 1001), 1000),
        (Fraction(24), 1000),
        (Fraction(30), 1000),
        (Fraction(120), 1000),
        (Fraction(60_000, 1001), 90_000),
    ],
)
def test_the_rate_that_coarse_timestamps_were_rounded_from(rate: Fraction, unit: int) -> None:
    pts = [round(k / rate * unit) for k in range(300)]
    line = timeline.build(pts, 0, Fraction(1, unit), Fraction(1), "video")
    assert line.rate == rate
    assert line.is_steady
    assert line.end == 300 / rate


def test_a_variable_rate_is_no_steady_one() -> None:
    line = timeline.build([0, 33, 67, 100, 140, 180], 40, TB, Fraction(0), "video")
    assert line.pts.tolist() == [0, 33, 67, 100, 140, 180]
    assert not line.is_steady


@pytest.mark.parametrize(
    ("length", "speech", "frames"),
    [
        ("bounce", 5, [0, 1, 2, 1, 0]),
        ("loop", 5, [0, 1, 2, 0, 1]),
        ("silence", 5, [0, 1, 2, 2, 2]),
        ("cut_off", 5, [0, 1, 2]),
        ("bounce", 2, [0, 1, 2]),
        ("loop", 2, [0, 1, 2]),
        ("silence", 2, [0, 1, 2]),
        ("cut_off", 2, [0, 1]),
    ],
)
def test_what_a_short_and_a_long_video_do(
    length: timeline.Length, speech: int, frames: list[int]
) -> None:
    line = timeline.build([0, 40, 80], 40, TB, Fraction(speech, 25), length)
    assert line.source.tolist() == frames
    assert line.pts.tolist() == [40 * k for k in range(len(frames))]


def test_a_loop_keeps_the_durations_of_a_variable_rate() -> None:
    line = timeline.build([500, 540, 640], 20, TB, Fraction(3, 10), "loop")
    assert line.source.tolist() == [0, 1, 2, 0, 1]
    assert line.pts.tolist() == [0, 40, 140, 160, 200]


@pytest.mark.parametrize("speech", [Fraction(31, 10), Fraction(4, 3), Fraction(2)])
def test_remap_lasts_as_long_as_the_speech_with_every_frame_once(speech: Fraction) -> None:
    pts = [40 * i for i in range(50)]  # 2 s
    line = timeline.build(pts, 40, TB, speech, "remap")
    assert line.source.tolist() == list(range(50))
    assert abs(line.end - speech) < Fraction(1, 90_000)
    for k in (1, 25, 49):
        assert abs(line.time(k) - pts[k] * TB * speech / 2) < Fraction(1, 90_000)


def test_remap_to_an_absurd_speed_is_refused() -> None:
    for seconds in (Fraction(1, 4), Fraction(10)):
        with pytest.raises(LipwrightError, match="of its speed"):
            timeline.build([0, 1000], 1000, TB, seconds, "remap")


def test_a_passage_holds_the_frames_that_appear_in_it() -> None:
    pts = [500, 540, 640, 660, 700]  # appear at 0, 40, 140, 160 and 200 ms
    cut = timeline.passage(pts, 40, TB, Fraction(40, 1000), Fraction(160, 1000))
    assert (cut.first, list(cut.pts), cut.last_duration) == (1, [540, 640], 20)
    cut = timeline.passage(pts, 40, TB, Fraction(41, 1000), None)
    assert (cut.first, list(cut.pts), cut.last_duration) == (2, [640, 660, 700], 40)
    whole = timeline.passage(pts, 40, TB, Fraction(0), None)
    assert (whole.first, list(whole.pts), whole.last_duration) == (0, pts, 40)
    with pytest.raises(LipwrightError, match=r"0 to 0\.20 s"):
        timeline.passage(pts, 40, TB, Fraction(1), None)


@given(
    gaps=st.lists(st.integers(1, 300), min_size=0, max_size=12),
    last=st.integers(0, 200),
    ms=st.integers(1, 4000),
    length=st.sampled_from(get_args(timeline.Length)),
)
def test_properties(gaps: list[int], last: int, ms: int, length: timeline.Length) -> None:
    pts, speech = np.cumsum([0, *gaps]).tolist(), Fraction(ms, 1000)
    shown = timeline.shown_ticks(pts, last, TB)
    video = int(shown.sum()) * TB
    if length == "remap" and not video / 4 <= speech <= video * 4:
        with pytest.raises(LipwrightError):
            timeline.build(pts, last, TB, speech, length)
        return
    line = timeline.build(pts, last, TB, speech, length)
    assert line.pts[0] == 0
    assert (np.diff(line.pts) > 0).all()
    assert (np.diff(line.pts) == line.durations[:-1]).all()
    if length == "remap":
        assert abs(line.end - speech) <= len(pts) * line.time_base
        return
    if length not in ("loop", "silence"):
        assert (np.abs(np.diff(line.source)) == (1 if len(pts) > 1 else 0)).all()
    usual = max(1, round(float(np.median(shown))))
    held = (np.arange(len(line)) >= len(pts)) & (length == "silence")
    assert (line.durations == np.where(held, usual, shown[line.source])).all()
    if length == "video":
        assert len(line) == len(pts)
    elif length != "cut_off":
        assert line.end >= speech
    if length in ("speech", "cut_off") and len(line) > 1:
        assert line.time(len(line) - 1) < speech


@pytest.mark.parametrize(
    ("length", "speech", "frames"),
    [
        ("auto", "2.03", 50),  # 30 ms longer than the video: less than the padding
        ("auto", "2.0401", 52),
        ("loop", "2.03", 50),
        ("speech", "2.03", 51),
        ("auto", "1.9", 50),
    ],
)
def test_a_video_is_not_continued_for_padding(
    length: timeline.Length, speech: str, frames: int
) -> None:
    pts, padding = [40 * k for k in range(50)], Fraction(40, 1000)
    line = timeline.build(pts, 40, TB, Fraction(speech), length, padding=padding)
    assert len(line) == frames
