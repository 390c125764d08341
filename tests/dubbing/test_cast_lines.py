"""Subtitles, edit lists and time code: who speaks when, exactly."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from lipwright.dubbing.cast.edl import read_edl
from lipwright.dubbing.cast.otio import read_otio
from lipwright.dubbing.cast.subtitles import read_subtitles
from lipwright.media.timecode import exact_rate, seconds_of

NTSC = Fraction(30000, 1001)


def test_time_code_counts_frames() -> None:
    assert seconds_of("00:00:01:05", Fraction(25)) == Fraction(30, 25)
    # One hour of non-drop labels are 108,000 frames, 3.6 s more than an hour.
    assert seconds_of("01:00:00:00", NTSC) == Fraction(36036, 10)
    # Drop-frame has 107,892 labels an hour: 3.6 ms less.
    assert seconds_of("01:00:00;00", NTSC) == 107_892 / NTSC
    assert seconds_of("00:01:00;02", NTSC) == 1800 / NTSC
    assert seconds_of("00:10:00:00", NTSC, drop=True) == 17_982 / NTSC


@pytest.mark.parametrize(
    ("code", "rate", "why"),
    [
        ("00:01:00;00", NTSC, "does not exist in drop-frame"),
        ("00:00:00:25", Fraction(25), "does not exist at 25 frames"),
        ("00:00:00;10", Fraction(25), "drop-frame, which 25 fps"),
        ("1:2:3", Fraction(25), "no time code"),
    ],
)
def test_labels_that_do_not_exist(code: str, rate: Fraction, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        seconds_of(code, rate)


def test_rates_mean_what_they_are_called() -> None:
    assert exact_rate(Fraction("29.97")) == NTSC
    assert exact_rate(Fraction("23.976")) == Fraction(24000, 1001)
    assert exact_rate(Fraction("23.98")) == Fraction(24000, 1001)
    assert exact_rate(Fraction(25)) == 25
    assert exact_rate(Fraction(18)) == 18


EDL = """TITLE: dub
FCM: NON-DROP FRAME
001  ANNA  A     C        00:00:01:00 00:00:03:00 01:00:02:00 01:00:04:00
* FROM CLIP NAME: anna take 3.wav
002  BL    V     C        00:00:00:00 00:00:02:00 01:00:04:00 01:00:06:00
003  BEN   AA/V  C        00:00:00:00 00:00:01:15 01:00:04:10 01:00:06:00
"""


def test_edit_lists() -> None:
    problems: list[str] = []
    lines = read_edl(EDL, "dub.edl", Fraction(25), None, problems)
    assert problems == []
    assert [(x.speaker, x.start, x.end, x.offset, x.source) for x in lines] == [
        ("ANNA", 2, 4, 1, "anna take 3.wav"),
        ("BEN", Fraction(110, 25), 6, 0, None),
    ]
    # At 29.97 the hour that such lists begin with is 3.6 s longer, and taken off whole.
    ntsc = read_edl(EDL, "dub.edl", NTSC, None, problems)
    assert [x.start for x in ntsc] == [60 / NTSC, 130 / NTSC]
    drop = read_edl(EDL.replace("NON-DROP", "DROP"), "d", NTSC, Fraction(107_892) / NTSC, problems)
    assert drop[0].start == 60 / NTSC
    drop = read_edl(EDL.replace("NON-DROP", "DROP"), "d", NTSC, None, problems)
    assert drop[0].start == 60 / NTSC


def test_edit_lists_say_what_they_cannot() -> None:
    problems: list[str] = []
    text = EDL + (
        "004  BEN  A  D 012  00:00:00:00 00:00:01:00 01:00:07:00 01:00:08:00\n"
        "005  BEN  A  C      00:00:00:00 00:00:01:30 01:00:09:00 01:00:10:00\n"
        "M2   BEN  050.0     00:00:00:00\n"
    )
    read_edl(text, "dub.edl", Fraction(25), None, problems)
    assert len(problems) == 3
    assert problems[0].startswith("Line 7 of dub.edl is a transition (D)")
    assert "'00:00:01:30' does not exist at 25 frames" in problems[1]
    assert "changes the speed" in problems[2]


def otio(
    children: list[dict[str, object]],
    kind: str = "Audio",
    shown: dict[str, object] | None = None,
    film: dict[str, object] | None = None,
) -> str:
    track = {"OTIO_SCHEMA": "Track.1", "kind": kind, "name": "Anna", "children": children}
    pictures = {"OTIO_SCHEMA": "Track.1", "kind": "Video", "name": "V", "children": []}
    tracks = [pictures | {"source_range": film}, track | {"source_range": shown}]
    stack = {"OTIO_SCHEMA": "Stack.1", "children": tracks}
    return json.dumps({"OTIO_SCHEMA": "Timeline.1", "tracks": stack})


def span(start: float, length: float, rate: float = 25) -> dict[str, object]:
    return {
        "start_time": {"OTIO_SCHEMA": "RationalTime.1", "value": start, "rate": rate},
        "duration": {"OTIO_SCHEMA": "RationalTime.1", "value": length, "rate": rate},
    }


def test_timelines_of_opentimelineio() -> None:
    media = {
        "OTIO_SCHEMA": "ExternalReference.1",
        "target_url": "file:///takes/anna%201.wav",
        "available_range": span(90000, 500),
    }
    clip = {"OTIO_SCHEMA": "Clip.2", "name": "one", "source_range": span(90025, 50)}
    clip |= {"media_references": {"M": media}, "active_media_reference_key": "M"}
    gap = {"OTIO_SCHEMA": "Gap.1", "source_range": span(0, 30)}
    old = {"OTIO_SCHEMA": "Clip.1", "name": "two.wav", "source_range": span(0, 20)}
    problems: list[str] = []
    lines = read_otio(otio([gap, clip, old]), "film.otio", problems)
    assert problems == []
    assert [(x.speaker, x.start, x.end, x.offset, x.source) for x in lines] == [
        ("Anna", Fraction(30, 25), Fraction(80, 25), 1, "/takes/anna 1.wav"),
        ("Anna", Fraction(80, 25), 4, 0, "two.wav"),
    ]
    assert read_otio(otio([gap, clip], "Video"), "film.otio", problems) == []


def test_a_track_may_show_a_part_of_itself() -> None:
    """OTIO places a track's moment t at t less the first moment of the part."""
    clips: list[dict[str, object]] = [
        {"OTIO_SCHEMA": "Clip.1", "name": name, "source_range": span(100, 50)} for name in "abc"
    ]
    lines = read_otio(otio(clips, shown=span(70, 55)), "film.otio", [])
    assert [(x.source, x.start * 25, x.end * 25, x.offset and x.offset * 25) for x in lines] == [
        ("b", 0, 30, 120),
        ("c", 30, 55, 100),
    ]


def test_timelines_made_of_edit_lists() -> None:
    """What otio-cmx3600-adapter 1.0 makes of a film from 01:00:00:00 and a line from 01:00:06:00.

    OpenTimelineIO's own transformed_time says 3606 s for the line and 3600 s for the film.
    """
    clip: list[dict[str, object]] = [
        {"OTIO_SCHEMA": "Clip.1", "name": "a", "source_range": span(0, 50)}
    ]
    text = otio(clip, shown=span(-90_150, 50), film=span(-90_000, 250))
    assert [(x.start, x.end, x.offset) for x in read_otio(text, "film.otio", [])] == [(6, 8, 0)]
    later = read_otio(text, "film.otio", [], Fraction(3604))
    assert [(x.start, x.end, x.offset) for x in later] == [(2, 4, 0)]


def test_no_frame_of_a_timeline_comes_early() -> None:
    """OpenTimelineIO's own seconds come a frame early for 1,111 of 10,000 frames at 29.97."""
    clips = [{"OTIO_SCHEMA": "Clip.1", "name": "x", "source_range": span(0, 1, 29.97)}] * 10_000
    lines = read_otio(otio(clips), "film.otio", [])
    assert all(line.start * NTSC == n for n, line in enumerate(lines))


def test_timelines_say_what_they_cannot() -> None:
    problems: list[str] = []
    assert read_otio("{}", "a.otio", problems) == []
    warped = {"OTIO_SCHEMA": "Clip.1", "name": "x", "source_range": span(0, 5)}
    warped["effects"] = [{"OTIO_SCHEMA": "LinearTimeWarp.1"}]
    fade = {"OTIO_SCHEMA": "Transition.1"}
    read_otio(otio([warped, fade, {"OTIO_SCHEMA": "Stack.1"}]), "b.otio", problems)
    assert "no OpenTimelineIO timeline" in problems[0]
    assert problems[1].startswith("Item 1 of track 'Anna' of b.otio changes its speed")
    assert "crossfade" in problems[2]
    assert "nested Stack" in problems[3]


def test_webvtt_voices() -> None:
    text = (
        "WEBVTT\n\n1\n00:01.500 --> 00:03.000 align:start\n"
        "<v.loud Anna &amp; Co>Good <i>day</i></v>\n\n"
        "00:00:04.000 --> 01:00:05.250\n<v Ben>One\n<v Anna>Two</v>\n\n"
        "00:09.000 --> 00:10.000\nNobody\n"
    )
    problems: list[str] = []
    lines = read_subtitles(text, "vtt", "f.vtt", problems)
    assert [(x.speaker, x.start, x.end, x.text) for x in lines] == [
        ("Anna & Co", Fraction(3, 2), 3, "Good day"),
        ("Ben", 4, Fraction(14421, 4), "One"),
        ("Anna", 4, Fraction(14421, 4), "Two"),
    ]
    assert problems == ["Cue 3 of f.vtt names no speaker."]


def test_subrip_names() -> None:
    text = (
        "1\r\n00:00:01,040 --> 00:00:02,000\r\nANNA: It is\r\nten to two\r\n\r\n"
        "2\r\n00:00:03,000 --> 00:00:04,000\r\n- Anna: Yes\r\n- BEN O'NEIL: No\r\n\r\n"
        "3\r\n00:00:aa,000 --> 00:00:06,000\r\nBEN: Well\r\n"
    )
    problems: list[str] = []
    lines = read_subtitles(text, "srt", "f.srt", problems)
    assert [(x.speaker, float(x.start), x.text) for x in lines] == [
        ("ANNA", 1.04, "It is ten to two"),
        ("Anna", 3.0, "Yes"),
        ("BEN O'NEIL", 3.0, "No"),
    ]
    assert problems == [
        "Cue 3 of f.srt has times that cannot be read (00:00:aa,000 --> 00:00:06,000)."
    ]


def test_ass_names() -> None:
    text = (
        "[Events]\n"
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        "Dialogue: 0,0:00:01.25,0:00:02.00,Default,Anna,0,0,0,,{\\i1}Yes,\\Nindeed\n"
        "Comment: 0,0:00:01.25,0:00:02.00,Default,Ben,0,0,0,,no\n"
        "Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,who\n"
    )
    problems: list[str] = []
    (line,) = read_subtitles(text, "ass", "f.ass", problems)
    assert (line.speaker, line.start, line.end, line.text) == (
        "Anna",
        Fraction(5, 4),
        2,
        "Yes, indeed",
    )
    assert problems == ["Line 5 of f.ass names no speaker."]
