"""What a job decides between its inputs and the drawing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipwright.dubbing import planning, speaking
from lipwright.dubbing.job_planning import JobPlanning
from lipwright.dubbing.options import DubOptions
from lipwright.dubbing.plan import NOT_SPEAKING, Plan
from lipwright.dubbing.planning import passage_until
from lipwright.media.audio import load_speech
from lipwright.media.info import VideoInfo, probe
from lipwright.methods.copy import CopyMethod
from tests.dubbing import clips
from tests.dubbing.clips import Actor, ScriptedTracker

SIZE = (192, 160)


def face(i: int) -> list[Actor]:
    return [Actor(0, 30, 20, 110)]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a video of 2 s and speech of 1 s of syllables and 0.6 s of silence."""
    clips.write_video(tmp_path / "v.mp4", 50, SIZE)
    clips.write_speech(tmp_path / "s.wav", 1.6, silent_from=1.0)
    return tmp_path


@pytest.fixture
def planned(place: Path) -> Iterator[Any]:
    """Gives a job with some options, the facts of its video, and its plan, open."""
    with ExitStack() as opened:

        def give(**options: Any) -> tuple[JobPlanning, VideoInfo, Plan]:
            given = DubOptions(**options)
            job = JobPlanning(place / "v.mp4", place / "s.wav", place / "out.mkv", given, None)
            info = probe(job.video)
            plan = job._plan(ScriptedTracker(face), place, job.video, info)
            return job, info, opened.enter_context(plan)

        yield give


@pytest.mark.parametrize(
    ("end", "frames", "until"),
    [
        (0, 9000, None),  # no passage: all
        (10, 9000, 60),  # 40 s, to the end of the minute
        (30, 9000, 60),
        (Fraction(301, 10), 9000, 120),  # 60.1 s
        (10, 1500, None),  # a video of a minute
        (10, 1501, 60),
        (10, None, 60),  # of unknown length
    ],
)
def test_how_far_a_video_is_looked_at_for_a_passage(
    place: Path, end: Fraction, frames: int | None, until: int | None
) -> None:
    info = replace(probe(place / "v.mp4"), frame_count=frames)
    assert passage_until(Fraction(end), info) == until


def test_faces_are_looked_for_no_further_than_a_passage_needs(
    planned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "BEYOND_PASSAGE", Fraction(1, 4))
    monkeypatch.setattr(planning, "MINUTE", 1)
    _, _, short = planned(end=Fraction(1, 2))
    assert len(short.pts) == 25
    assert short.shots == [(0, 24)]
    assert [(track.first, track.last) for track in short.tracks] == [(0, 24)]
    job, _, again = planned(end=Fraction(3, 5))  # the same second
    assert job.report.settings["plan_from_cache"]
    assert again.path == short.path
    _, _, longer = planned(end=Fraction(4, 5))
    assert len(longer.pts) == 50
    # A plan of the whole video serves every passage.
    job, _, found = planned(end=Fraction(1, 2))
    assert job.report.settings["plan_from_cache"]
    assert found.path == longer.path


def test_the_frames_of_a_passage(place: Path, planned: Any) -> None:
    job, info, plan = planned(start=Fraction(2, 5), end=Fraction(1), length="video")
    wave = load_speech(job.speech)
    made = job._schedule(plan, info, wave, CopyMethod(64))
    assert made.timeline.source.tolist() == list(range(10, 25))
    assert made.speaking == frozenset({0})
    assert job.report.warnings == []


def test_the_voice_activity_gate_can_be_left_out(place: Path, planned: Any) -> None:
    """With it the mouth rests in the last 0.6 s of the speech, without it where no speech is."""
    job, info, plan = planned(length="video")
    wave = load_speech(job.speech)
    gated = job._schedule(plan, info, wave, CopyMethod(64)).activity
    assert gated[5:20].min() > 0.9
    assert gated[-15:].max() == 0
    job, info, plan = planned(length="video", silence_gate=False)
    free = job._schedule(plan, info, wave, CopyMethod(64)).activity
    assert free.tolist() == [1.0] * 40 + [0.0] * 10


def test_a_frame_rate_is_for_pictures(place: Path, planned: Any) -> None:
    job, info, plan = planned(fps=Fraction(30))
    made = job._schedule(plan, info, load_speech(job.speech), CopyMethod(64))
    assert np.diff(made.timeline.seconds()) == pytest.approx(1 / 25)
    sentence = "--fps is for still pictures; this video keeps its own frame rate."
    assert job.report.warnings == [sentence]


def test_nobody_who_speaks_is_said(
    place: Path, planned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, _, plan = planned(face="speaking")
    rows = {0: np.zeros(50, bool)}
    found = speaking.Speaking(rows, 0)
    monkeypatch.setattr(speaking, "speaking_in", lambda *given, **how: found)
    limited = job._speaking(plan)
    assert set(limited.tracks[0].states.tolist()) == {NOT_SPEAKING}
    assert len(job.report.warnings) == 1
    assert "no mouth was moved" in job.report.warnings[0]
    rows[0][10:30] = True
    states = job._speaking(plan).tracks[0].states
    assert np.flatnonzero(states != NOT_SPEAKING).tolist() == list(range(10, 30))
    assert len(job.report.warnings) == 1


def test_another_video_to_learn_from_is_planned_apart(place: Path, planned: Any) -> None:
    job, _, _ = planned()
    assert job.report.settings["plan_from_cache"] is False
    other = clips.write_video(place / "other.mp4", 20, SIZE)
    tracker = ScriptedTracker(face)
    with job._plan(tracker, place, other, probe(other)) as plan:
        assert len(plan.pts) == 20
    assert tracker.resets[0] == 0  # nothing of the first video is followed into it
    assert job.report.settings["plan_from_cache"] is False
    with job._plan(tracker, place, job.video, probe(job.video)) as plan:
        assert len(plan.pts) == 50
    assert job.report.settings["plan_from_cache"] is True
    assert tracker.calls == 20


def test_a_cluster_is_reached_once_and_left_at_the_end(
    place: Path, planned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Cluster:
        def __init__(self, address: str) -> None:
            told.append(address)

        def __enter__(self) -> Cluster:
            return self

        def __exit__(self, *error: object) -> None:
            told.append("left")

    monkeypatch.setattr("lipwright.ray_cluster.RayCluster", Cluster)
    job, _, _ = planned()
    job.options = DubOptions(ray="a:1")
    with ExitStack() as job._open:
        assert job._cluster() is job._cluster()
        assert told == ["a:1"]
    assert told == ["a:1", "left"]
