"""A cast: read, checked all at once, mixed, and given to the right mouths at the right times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from lipwright.dubbing.adapt import PersonSpeech
from lipwright.dubbing.analysis import analyse, settings
from lipwright.dubbing.cast import job as cast_job
from lipwright.dubbing.cast.checking import settled
from lipwright.dubbing.cast.job import CastJob
from lipwright.dubbing.cast.reading import read_cast
from lipwright.dubbing.cast.request import CastSpeech
from lipwright.dubbing.cast.sound import RATE, write_mix
from lipwright.dubbing.cast.stretches import Stretch
from lipwright.dubbing.job import DubOptions, dub
from lipwright.dubbing.plan import NOT_SPEAKING, Plan, Source
from lipwright.dubbing.plan_file import PlanWriter
from lipwright.errors import LipwrightError
from lipwright.lip_motion import BOUND
from lipwright.media.audio import load_speech
from lipwright.media.loudness import integrated_loudness
from lipwright.methods.adaptation import Adaptation
from tests.dubbing import clips
from tests.dubbing.clips import Actor
from tests.dubbing.test_job import Talker

QUIET = DubOptions(manifest=False, watermark=False, enhance="none")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LIPWRIGHT_HOME", str(tmp_path / "home"))
    return


def wav(path: Path, seconds: float, hertz: float = 440.0, level: float = 0.1) -> Path:
    """A tone of 16 kHz in one channel."""
    time = np.arange(round(seconds * 16000)) / 16000
    samples = (level * np.sin(2 * np.pi * hertz * time) * 32767).astype(np.int16)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = 16000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def cast_of(folder: Path, text: str, name: str = "cast.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_people_and_stretches(tmp_path: Path) -> None:
    path = cast_of(
        tmp_path,
        """
people:
  Anna: {face: "person:1", speech: anna.wav, start: 0.5}
  Ben:
    face: "100,80@1.5"
    stretches:
      - {start: 0:03.2, end: 6, speech: ben1.wav}
      - {start: 9, speech: ben.wav, offset: 12.5}
  Voice: {speech: voice.flac}
""",
    )
    cast = read_cast(path, Fraction(25))
    assert cast.faces == {"Anna": "person:1", "Ben": "100,80@1.5", "Voice": None}
    assert [(s.name, s.start, s.end, s.offset, s.speech.name) for s in cast.stretches] == [
        ("Voice", 0, None, 0, "voice.flac"),
        ("Anna", Fraction(1, 2), None, 0, "anna.wav"),
        ("Ben", Fraction(16, 5), 6, 0, "ben1.wav"),
        ("Ben", 9, None, Fraction(25, 2), "ben.wav"),
    ]


def test_a_table(tmp_path: Path) -> None:
    text = "person,face,start,end,speech,offset\nAnna,person:1,1,2.5,a.wav,\n,2,0:04,,b.wav,1\n\n"
    cast = read_cast(cast_of(tmp_path, text, "cast.csv"), Fraction(25))
    assert cast.faces == {"Anna": "person:1", "2": "2"}
    assert [(s.name, s.start, s.end, s.offset) for s in cast.stretches] == [
        ("Anna", 1, Fraction(5, 2), 0),
        ("2", 4, None, 1),
    ]


def test_lines_say_when_and_the_cast_says_whose(tmp_path: Path) -> None:
    cast_of(
        tmp_path,
        "1\n00:00:01,000 --> 00:00:02,000\nANNA: One\n\n"
        "2\n00:00:02,000 --> 00:00:03,000\nAnna: Two\n\n"
        "3\n00:00:05,000 --> 00:00:06,000\nBEN: Three\n\n"
        "4\n00:00:07,000 --> 00:00:08,000\nCROWD: Oh\n",
        "film.srt",
    )
    text = """
lines: film.srt
people:
  Anna: {face: "1", speech: anna.wav}
  Ben: {face: "2", speech: ben.wav, start: 4}
  Crowd: leave
"""
    cast = read_cast(cast_of(tmp_path, text), Fraction(25))
    assert [(s.name, s.start, s.end, s.offset) for s in cast.stretches] == [
        ("Anna", 1, 3, 1),  # two lines of one recording that touch
        ("Ben", 5, 6, 1),
    ]
    with pytest.raises(LipwrightError) as caught:
        read_cast(cast_of(tmp_path, text.replace("  Crowd: leave\n", "")), Fraction(25))
    assert "Cue 4 of film.srt is spoken by CROWD" in str(caught.value)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = """
people:
  Anna: {face: "person:1", sound: a.wav}
  Ben: {face: "2", stretches: [{start: -1, speech: b.wav}, {start: 1}]}
  Cid: 7
"""
    with pytest.raises(LipwrightError) as caught:
        read_cast(cast_of(tmp_path, text), Fraction(25))
    lines = str(caught.value).split("\n")
    assert len(lines) == 5
    for part in ("'sound'", "neither 'speech' nor", "'-1' is before", "no speech", "Cid in"):
        assert sum(part in line for line in lines) == 1, part


def test_times_that_cannot_be(tmp_path: Path) -> None:
    path = cast_of(
        tmp_path,
        """
people:
  Anna: {face: "1", stretches: [
    {start: 1, end: 3, speech: a.wav}, {start: 2.5, end: 4, speech: a.wav},
    {start: 11, speech: a.wav}, {start: 9, end: 12, speech: a.wav},
    {start: 5, end: 5, speech: a.wav}]}
  Ben: {face: "nobody", stretches: [
    {start: 0, speech: a.wav, offset: 7}, {start: 8, speech: a.wav}]}
""",
    )
    cast = read_cast(path, Fraction(25))
    problems: list[str] = []
    good = settled(cast, Fraction(10), {tmp_path / "a.wav": Fraction(5)}, problems)
    told = "\n".join(problems)
    assert "starts at 2.5 s, while Anna still speaks until 3 s" in told
    assert "starts at 11 s; the film ends at 10.00 s" in told
    assert "lasts until 12.00 s, beyond the end" in told
    assert "ends at 5 s, before it starts" in told
    assert "leaves out 7 s of" in told
    assert "lasts until 13.00 s, beyond the end" in told
    assert "face 'nobody'" in told
    assert len(problems) == 7
    assert [(s.start, s.end) for s in good] == [(1, 3), (Fraction(5, 2), 4)]


def level(path: Path, start: float, stop: float) -> float:
    wave = load_speech(path)[round(start * 16000) : round(stop * 16000)]
    return float(20 * np.log10(np.sqrt((wave**2).mean()) + 1e-9))


def test_the_mix(tmp_path: Path) -> None:
    """Tones of -23 dB: a bed of 3 s, one speech from 0.5 to 2 s, another from 1 to 1.5 s."""
    bed = wav(tmp_path / "bed.wav", 3, 200)
    first, second = wav(tmp_path / "1.wav", 2, 440), wav(tmp_path / "2.wav", 2, 1000)
    stretches = [
        Stretch("a", Fraction(1, 2), Fraction(2), first, Fraction(1, 4), "x"),
        Stretch("b", Fraction(1), Fraction(3, 2), second, Fraction(0), "y"),
    ]
    spoken = np.zeros(301, np.float32)
    spoken[50:200] = 1
    out = tmp_path / "mix.wav"
    write_mix(out, Fraction(5, 2), stretches, {"b": 6.0206}, [(bed, False)], spoken)
    with av.open(str(out)) as file:
        stream = file.streams.audio[0]
        assert (stream.rate, stream.channels) == (RATE, 2)
        assert sum(f.samples for f in file.decode(stream)) == 120_000
    assert level(out, 0.1, 0.4) == pytest.approx(-23.0, abs=0.1)
    assert level(out, 0.6, 0.9) == pytest.approx(-20.0, abs=0.1)  # two tones
    assert level(out, 1.1, 1.4) == pytest.approx(-23.0 + 10 * np.log10(1 + 1 + 4), abs=0.1)
    assert level(out, 2.1, 2.4) == pytest.approx(-23.0, abs=0.1)
    write_mix(out, Fraction(5, 2), [], {}, [(bed, True)], spoken)
    assert level(out, 1.0, 1.5) == pytest.approx(-38.0, abs=0.2)  # ducked by 15 dB
    assert level(out, 2.3, 2.5) == pytest.approx(-23.0, abs=0.2)


def test_loudness_is_that_of_the_standard() -> None:
    """EBU Tech 3341, case 1, in one channel: 1 kHz at -23 dBFS in stereo is -23 LUFS; mono -26."""
    time = np.arange(20 * 48000) / 48000
    tone = (10 ** (-23 / 20) * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)
    assert integrated_loudness(tone, 48000) == pytest.approx(-26.0, abs=0.1)
    assert integrated_loudness(np.zeros(48000, np.float32), 48000) is None


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Two people side by side for 3 s, with sound."""
    silent = clips.write_video(tmp_path / "silent.mp4", 75, (320, 160))
    sound = clips.write_speech(tmp_path / "film.wav", 3.0)
    path = tmp_path / "film.mkv"
    with (
        av.open(str(silent)) as pictures,
        av.open(str(sound)) as voice,
        av.open(str(path), "w") as file,
    ):
        sources = [(s, file.add_stream_from_template(s.streams[0])) for s in (pictures, voice)]
        for source, copy in sources:
            for packet in source.demux():
                if packet.size:
                    packet.stream = copy
                    file.mux(packet)
    return path


class Tracker(clips.ScriptedTracker):
    """Face 0 at the left, face 1 at the right."""

    def __init__(self) -> None:
        super().__init__(lambda i: [Actor(0, 20, 20, 112), Actor(1, 180, 20, 110)])


def analysed(film: Path, folder: Path) -> Plan:
    tracker = Tracker()
    writer = PlanWriter(folder / "plan.jsonl", Source.of(film), settings(tracker))
    return analyse(film, writer, tracker)


def test_each_mouth_gets_its_own_speech(film: Path, tmp_path: Path) -> None:
    clips.write_speech(tmp_path / "a.wav", 1.0)
    clips.write_speech(tmp_path / "b.wav", 1.5)
    text = """
people:
  Anna: {face: "0", stretches: [{start: 0.4, speech: a.wav}]}
  Ben: {face: "1", stretches: [{start: 1, speech: b.wav}]}
  Voice: {stretches: [{start: 2.6, end: 2.9, speech: a.wav}]}
"""
    cast = CastSpeech(cast_of(tmp_path, text))
    out, talker = tmp_path / "out.mkv", Talker()
    made = dub(film, cast, out, DubOptions(lossless=True, manifest=False, watermark=False),
               method=talker, tracker=Tracker())  # fmt: skip
    assert made.frames == 75
    rows = {row["person"]: row for row in made.stretches}
    assert [rows[n]["frames"] for n in ("Anna", "Ben", "Voice")] == [25, 38, 8]
    assert rows["Anna"]["synced"] + rows["Anna"]["silent"] == 25
    assert rows["Anna"]["synced"] > 15
    assert rows["Voice"]["reasons"] == {"voice only": 8}
    # Outside of all stretches nothing is drawn.
    assert made.status_of(5).status == "passed_through"
    assert made.status_of(5).reason == "this person does not speak"
    before, after = (list(clips.decoded(path)) for path in (film, out))
    left, right = slice(0, 160), slice(160, 320)
    changed = [
        ((a[1][:, left] != b[1][:, left]).any(), (a[1][:, right] != b[1][:, right]).any())
        for a, b in zip(before, after, strict=True)
    ]
    assert changed[5] == (False, False)
    assert changed[18] == (True, False)  # 0.72 s
    assert changed[30] == (True, True)  # 1.2 s: both at once
    assert changed[50] == (False, True)
    assert changed[70] == (False, False)
    # The sound: the film's own, ducked where somebody speaks, below the speeches.
    assert made.sound["original"] == "duck"
    assert len(load_speech(out)) == pytest.approx(48000, abs=2)


TWO = """
people:
  Anna: {face: "0", stretches: [{start: 0.4, speech: a.wav}]}
  Ben: {face: "1", stretches: [{start: 1, speech: b.wav}]}
  Voice: {stretches: [{start: 2.7, end: 2.9, speech: a.wav}]}
"""


def test_a_passage_is_that_part_of_the_whole(film: Path, tmp_path: Path) -> None:
    """--start and --end: pictures, sound and report are those of the film from 1.0 to 2.6 s."""
    clips.write_speech(tmp_path / "a.wav", 1.0)
    clips.write_speech(tmp_path / "b.wav", 1.5)
    cast = CastSpeech(cast_of(tmp_path, TWO))
    lossless = DubOptions(lossless=True, manifest=False, watermark=False)
    whole, part = tmp_path / "whole.mkv", tmp_path / "part.mkv"
    dub(film, cast, whole, lossless, method=Talker(), tracker=Tracker())
    passage = replace(lossless, start=Fraction(199, 200), end=Fraction(13, 5))
    made = dub(film, cast, part, passage, method=Talker(), tracker=Tracker())
    assert made.frames == 40
    rows = [(r["person"], r["start"], r["end"], r["offset"], r["frames"]) for r in made.stretches]
    assert rows == [("Anna", 0.0, 0.4, 0.6, 10), ("Ben", 0.0, 1.5, 0.0, 38)]
    before, after = (list(clips.decoded(path)) for path in (whole, part))
    # A mouth that is cut into hears nothing of what was before: the first frames may differ.
    for k in range(8, 40):
        assert (after[k][1] == before[25 + k][1]).all(), k
    sound = load_speech(whole)[16000:41600] - load_speech(part)[:25600]
    assert np.abs(sound[800:-800]).max() < 2e-3
    ends = replace(lossless, length="cut_off")
    shorter = CastSpeech(cast_of(tmp_path, TWO.rsplit("  Voice", 1)[0], "two.yaml"))
    assert dub(film, shorter, part, ends, method=Talker(), tracker=Tracker()).frames == 63
    with pytest.raises(LipwrightError, match=r"Nobody of .* between --start and --end"):
        dub(film, shorter, part, replace(lossless, start=Fraction(27, 10)), method=Talker(),
            tracker=Tracker())  # fmt: skip


def test_a_preview_of_a_cast(film: Path, tmp_path: Path) -> None:
    clips.write_speech(tmp_path / "a.wav", 1.0)
    clips.write_speech(tmp_path / "b.wav", 1.5)
    cast = CastSpeech(cast_of(tmp_path, TWO))
    sheet, out = tmp_path / "sheet.png", tmp_path / "out.mkv"
    made = dub(film, cast, out, replace(QUIET, preview=sheet), method=Talker(), tracker=Tracker())
    assert sheet.is_file()
    assert made.previewed > 0
    assert not out.exists()
    assert {row["person"] for row in made.stretches} == {"Anna", "Ben", "Voice"}


def test_each_person_articulates_in_their_own_way(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips.write_speech(tmp_path / "a.wav", 1.0)
    clips.write_speech(tmp_path / "b.wav", 1.5)
    cast = CastSpeech(cast_of(tmp_path, TWO))
    given: list[list[tuple[int, ...]]] = []

    def learnt(video: Path, plan: Plan, people: list[tuple[int, ...]], *_: object) -> object:
        given.append(people)
        # They are learnt from all that is seen of them, not from what they are to say.
        assert all((track.states != NOT_SPEAKING).all() for track in plan.tracks)
        size = 80
        twice = Adaptation(
            np.zeros(size * 3), np.zeros((size * 3, size)), np.zeros(size), np.zeros(size),
            np.full(size, 2.0),
        )  # fmt: skip
        return [
            PersonSpeech((0,), twice, {}, {"used": True}),
            PersonSpeech((1,), None, {}, {"used": False}),
        ]

    monkeypatch.setattr(cast_job, "learnt", learnt)
    monkeypatch.setattr(Adaptation, "apply", lambda self, motions: motions * self.gain[:, None])
    job = CastJob(cast, film, tmp_path / "o.mkv", QUIET)
    plan = analysed(film, tmp_path)
    job.assign(plan)
    job.mix(tmp_path, "mkv")
    plain = job.features(Talker(), [])
    found = job.features(Talker(), job.learnt(plan, Talker()))
    assert given == [[(0,), (1,)]]
    assert np.allclose(found[0], np.clip(2 * plain[0], -BOUND, BOUND))
    assert (found[1] == plain[1]).all()
    off = CastJob(cast, film, tmp_path / "o.mkv", replace(QUIET, adapt="off"))
    off.assign(plan)
    assert off.learnt(plan, Talker()) == []


def test_a_killed_cast_goes_on(film: Path, tmp_path: Path) -> None:
    clips.write_speech(tmp_path / "a.wav", 1.0)
    text = 'people:\n  Anna: {face: "0", stretches: [{start: 0.4, speech: a.wav}]}\n'
    cast = CastSpeech(cast_of(tmp_path, text))
    first, again = CastJob(cast, film, tmp_path / "o.mkv", QUIET), cast
    assert first.identity() == CastJob(again, film, tmp_path / "o.mkv", QUIET).identity()
    louder = CastSpeech(cast.path, original="keep")
    assert first.identity() != CastJob(louder, film, tmp_path / "o.mkv", QUIET).identity()


def test_bad_casts_are_refused_before_any_work(film: Path, tmp_path: Path) -> None:
    text = """
people:
  Anna: {face: "0", stretches: [{start: 0.4, speech: gone.wav}, {start: 1, speech: film.wav}]}
  Ben: {face: "2", speech: silent.mp4}
"""
    cast, out = CastSpeech(cast_of(tmp_path, text)), tmp_path / "out.mkv"
    with pytest.raises(LipwrightError) as caught:
        dub(film, cast, out, QUIET, method=Talker(), tracker=Tracker())
    lines = str(caught.value).split("\n")
    assert len(lines) == 3
    for part in ("gone.wav", "silent.mp4", "beyond the end of the film"):
        assert sum(part in line for line in lines) == 1, part
    strange = DubOptions(length="loop", face="all", adapt=film)
    with pytest.raises(LipwrightError) as caught:
        dub(film, cast, out, strange, method=Talker(), tracker=Tracker())
    for part in ("--length loop", "--face means", "--adapt", "gone.wav", "silent.mp4"):
        assert sum(part in line for line in str(caught.value).split("\n")) == 1, part
    with pytest.raises(LipwrightError, match=r"The cast .*none\.yaml does not exist"):
        dub(film, CastSpeech(tmp_path / "none.yaml"), out, QUIET, method=Talker(),
            tracker=Tracker())  # fmt: skip
    good = 'people:\n  Zoe: {face: "7", stretches: [{start: 0.4, end: 1, speech: film.wav}]}\n'
    with pytest.raises(LipwrightError, match=r"Zoe in .* no usable face 7"):
        dub(film, CastSpeech(cast_of(tmp_path, good)), out, QUIET, method=Talker(),
            tracker=Tracker())  # fmt: skip
    assert not out.exists()


def test_a_null_character_in_the_name_of_a_speech(film: Path, tmp_path: Path) -> None:
    text = 'people:\n  Anna: {face: "0", speech: "a\\0.wav"}\n'
    with pytest.raises(LipwrightError, match="does not exist"):
        dub(film, CastSpeech(cast_of(tmp_path, text)), tmp_path / "out.mkv", QUIET,
            method=Talker(), tracker=Tracker())  # fmt: skip


@pytest.mark.parametrize("start", ["1e999999999", "9" * 400, "99:" + "9" * 12])
def test_absurd_numbers_are_no_times_and_cost_nothing(tmp_path: Path, start: str) -> None:
    text = f"person,face,start,end,speech,offset\nAnna,0,{start},,a.wav,\n"
    with pytest.raises(LipwrightError, match="no time"):
        read_cast(cast_of(tmp_path, text, "cast.csv"), Fraction(25))


def test_absurd_numbers_in_lines_of_others(tmp_path: Path) -> None:
    text = "lines: film.vtt\npeople: {Anna: {face: '0', speech: a.wav}}\n"
    cue = "WEBVTT\n\n00:00.0 --> 00:1e999999999\n<v Anna>One\n"
    (tmp_path / "film.vtt").write_text(cue)
    with pytest.raises(LipwrightError, match="cannot be read"):
        read_cast(cast_of(tmp_path, text), Fraction(25))
    rate = "lines: film.edl\nrate: 1e999999999\npeople: {Anna: {face: '0', speech: a.wav}}\n"
    (tmp_path / "film.edl").write_text("TITLE: X\n")
    with pytest.raises(LipwrightError, match="'rate'"):
        read_cast(cast_of(tmp_path, rate, "rate.yaml"), Fraction(25))
