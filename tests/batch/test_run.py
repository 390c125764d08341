"""Batches: what is done is not done again, whatever ended the run before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lipwright.batch import worker
from lipwright.batch.record import Outcome, Record
from lipwright.batch.run import BatchResult, next_job, run_batch
from lipwright.batch.table import BatchJob, SpeechInput, read_table
from lipwright.cli import main
from lipwright.dubbing.dubber import Dubber
from lipwright.dubbing.options import DubOptions
from lipwright.errors import Interrupted, LipwrightError
from lipwright.media import synthesis
from tests.batch import fake_worker
from tests.dubbing import clips
from tests.dubbing.test_job import SIZE, Talker, face, frames, same

ROOT = Path(__file__).parents[2]
PLAIN = DubOptions(manifest=False, watermark=False, enhance="none")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LIPWRIGHT_HOME", str(tmp_path / "home"))


class Trackers:
    """Makes scripted trackers and counts the frames that they were shown."""

    def __init__(self) -> None:
        self.made: list[clips.ScriptedTracker] = []

    def __call__(self, *_: object) -> clips.ScriptedTracker:
        self.made.append(clips.ScriptedTracker(face))
        return self.made[-1]

    @property
    def seen(self) -> int:
        return sum(tracker.calls for tracker in self.made)


@pytest.fixture
def trackers(monkeypatch: pytest.MonkeyPatch) -> Trackers:
    made = Trackers()
    monkeypatch.setattr(Dubber, "_face_tracker", made)
    return made


@pytest.fixture
def method(monkeypatch: pytest.MonkeyPatch) -> Talker:
    talker = Talker()
    monkeypatch.setattr(Dubber, "method", lambda self, options=None: talker)
    return talker


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    clips.write_video(folder / "v.mp4", 50, SIZE)
    clips.write_video(folder / "w.mp4", 50, SIZE)
    for number in (1, 2, 3):
        clips.write_speech(folder / f"s{number}.wav", 0.4 * number)
    return folder


def jobs_of(folder: Path, text: str) -> tuple[Path, list[BatchJob]]:
    path = folder / "jobs.csv"
    path.write_text("video,speech,out\n" + text, encoding="utf-8")
    return path, read_table(path)


THREE = "v.mp4,s1.wav,out/1.mp4\nw.mp4,s1.wav,out/2.mp4\nv.mp4,s2.wav,out/3.mp4\n"


def states(result: BatchResult) -> list[str]:
    return [
        "failed" if o.error else "before" if job.number in result.skipped else "done"
        for job, o in result.outcomes
    ]


def test_jobs_are_done_once_and_those_of_a_video_share_its_plan(
    place: Path, method: Talker, trackers: Trackers
) -> None:
    path, jobs = jobs_of(place, THREE)
    told: list[tuple[int, bool]] = []
    result = run_batch(
        path, jobs, PLAIN, progress=lambda job, outcome: told.append((job.number, outcome is None))
    )
    assert states(result) == ["done", "done", "done"]
    assert [job.number for job, _ in result.outcomes] == [1, 2, 3]
    assert [number for number, begins in told if begins] == [1, 3, 2]  # by video
    assert trackers.seen == 100  # two plans for three jobs
    assert method.started == 2
    assert [len(frames(job.out)) for job in jobs] == [50, 50, 50]
    seen = method.seen
    again = run_batch(path, jobs, PLAIN)
    assert states(again) == ["before", "before", "before"]
    assert method.seen == seen


def test_an_output_or_input_that_changed_is_done_again(
    place: Path, method: Talker, trackers: Trackers
) -> None:
    path, jobs = jobs_of(place, THREE)
    run_batch(path, jobs, PLAIN)
    jobs[0].out.unlink()
    jobs[1].out.write_bytes(b"somebody else's")
    clips.write_speech(place / "s2.wav", 1.1)
    assert states(run_batch(path, jobs, PLAIN)) == ["done", "done", "done"]
    assert states(run_batch(path, jobs, PLAIN)) == ["before"] * 3
    other = replace(PLAIN, crf=30)
    assert states(run_batch(path, jobs, other)) == ["done"] * 3


def test_a_failed_job_stops_no_other_and_is_tried_again(
    place: Path, method: Talker, trackers: Trackers, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, jobs = jobs_of(place, THREE + "v.mp4,none.wav,out/4.mp4\n")
    method.fail_at = 60
    result = run_batch(path, jobs, PLAIN)
    assert states(result) == ["done", "failed", "failed", "failed"]
    errors = {job.number: outcome.error for job, outcome in result.outcomes}
    assert "the network broke" in errors[3]
    assert "none.wav does not exist" in errors[4]
    method.fail_at = None
    assert states(run_batch(path, jobs, PLAIN)) == ["before", "done", "done", "failed"]


def test_retries(place: Path, method: Talker, trackers: Trackers) -> None:
    path, jobs = jobs_of(place, "v.mp4,s1.wav,out/1.mp4\n")
    original, failures = method.render, [2]

    def sometimes(*arguments: Any) -> Any:
        if failures[0]:
            failures[0] -= 1
            raise RuntimeError("for a moment")
        return original(*arguments)

    method.render = sometimes  # type: ignore[method-assign]
    assert states(run_batch(path, jobs, PLAIN, retries=1)) == ["failed"]
    failures[0] = 1
    assert states(run_batch(path, jobs, PLAIN, retries=1)) == ["done"]


def test_an_interrupted_batch_says_what_is_done(
    place: Path, method: Talker, trackers: Trackers
) -> None:
    path, jobs = jobs_of(place, THREE)

    class Impatient:
        def notice(self, line: str) -> None:
            pass

        def progress(self, stage: str, done: int, *_: object) -> None:
            if stage == "render" and method.seen > 60:
                raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="1 of 3 jobs are done: the same command does the rest"):
        run_batch(path, jobs, PLAIN, observer=Impatient())  # type: ignore[arg-type]
    assert states(run_batch(path, jobs, PLAIN)) == ["before", "done", "done"]


def test_a_record_that_a_kill_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    table = tmp_path / "jobs.csv"
    out = tmp_path / "o.mp4"
    out.write_bytes(b"12345")
    there = out.stat()
    good = Outcome("abc", str(out), frames=5, bytes=5, modified=there.st_mtime_ns)
    record = Record(table)
    record.add(good)
    record.add(Outcome("def", str(out), error="No."))
    with record.path.open("ab") as file:
        file.write(b"{}\n" + json.dumps({"job": "ghi"}).encode()[:9])
    again = Record(table)
    assert again.done("abc") == good
    assert again.done("def") is None
    assert again.done("ghi") is None
    out.write_bytes(b"123456")
    assert Record(table).done("abc") is None


CHILD = """
import sys, time
from pathlib import Path
from lipwright.batch.run import run_batch
from lipwright.batch.table import read_table
from lipwright.dubbing import job
from lipwright.dubbing.dubber import Dubber
from tests.batch.test_run import PLAIN, Trackers
from tests.dubbing.test_job import Talker

class Slow(Talker):
    def render(self, *arguments):
        time.sleep(0.02)
        return super().render(*arguments)

if __name__ == "__main__":
    job.segment_frames = lambda info: 24
    Dubber._face_tracker = Trackers()
    Dubber.method = lambda self, options=None: Slow()
    table = Path(sys.argv[1])
    run_batch(table, read_table(table), PLAIN)
"""


@pytest.mark.slow
def test_a_batch_killed_three_times_ends_with_all_outputs_right(
    place: Path, method: Talker, trackers: Trackers, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lipwright.dubbing import job as dub_job

    text = "".join(f"{v}.mp4,s{s}.wav,out/{v}{s}.mp4\n" for v in "vw" for s in (1, 2, 3))
    path, jobs = jobs_of(place, text)
    script = place / "child.py"
    script.write_text(CHILD)
    known = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": known}
    record = path.with_name(".jobs.csv.lipwright-batch.jsonl")
    for least in (1, 2, 3):
        child = subprocess.Popen([sys.executable, str(script), str(path)], env=environment)
        end = time.monotonic() + 120
        while child.poll() is None and time.monotonic() < end:
            if record.exists() and record.read_bytes().count(b"\n") >= least:
                break
            time.sleep(0.02)
        child.kill()
        child.wait()
        assert record.read_bytes().count(b"\n") >= least
    monkeypatch.setattr(dub_job, "segment_frames", lambda info: 24)
    result = run_batch(path, jobs, PLAIN)
    assert states(result).count("before") >= 3
    assert not result.failed
    for job in jobs:
        whole = place / f"whole-{job.out.name}"
        Dubber(PLAIN).dub(job.video, job.speech.path, whole)
        assert same(frames(job.out), frames(whole))
    left = [path.name for path in (place / "out").iterdir()]
    assert sorted(left) == sorted(job.out.name for job in jobs)


def test_worker_processes_do_the_same(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = THREE + "w.mp4,none.wav,out/4.mp4\nw.mp4,text.wav,out/5.mp4\n"
    (place / "text.wav").write_text("no sound")
    path, jobs = jobs_of(place, text)
    monkeypatch.setattr(worker, "begin", fake_worker.begin)
    omen = place / "omen"
    omen.write_text("a worker dies in the middle of a job")
    monkeypatch.setenv(fake_worker.DIES, str(omen))
    result = run_batch(path, jobs, PLAIN, workers=2)
    assert not omen.exists()
    assert states(result) == ["done", "done", "done", "failed", "failed"]
    errors = {job.number: outcome.error for job, outcome in result.outcomes}
    assert "does not exist" in errors[4]
    assert "not a media file" in errors[5]
    assert [len(frames(job.out)) for job in jobs[:3]] == [50, 50, 50]


def test_a_process_that_always_dies_costs_its_job_only(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, jobs = jobs_of(place, THREE)
    monkeypatch.setattr(worker, "begin", fake_worker.begin)
    monkeypatch.setattr(worker, "work", fake_worker.work)
    result = run_batch(path, jobs, PLAIN, workers=2)
    assert states(result) == ["done", "failed", "done"]
    assert "process died 2 times" in {j.number: o.error for j, o in result.outcomes}[2]


def test_the_first_job_of_a_video_is_alone_with_it() -> None:
    jobs = [
        BatchJob(number, Path(f"{video}.mp4"), SpeechInput(Path("s.wav")), Path(f"{number}.mp4"))
        for number, video in enumerate("aab", 1)
    ]
    waiting, running = deque(jobs), {}
    planned: set[Path] = set()
    for expected in (1, 3, None):
        job = next_job(waiting, planned, list(running.values()))
        assert (job.number if job else None) == expected
        if job is not None:
            running[job.number] = job
    planned.add(jobs[0].video.resolve())
    found = next_job(waiting, planned, list(running.values()))
    assert found is not None
    assert found.number == 2


def test_the_command_prints_a_table_and_exits_with_1_if_a_job_failed(
    place: Path, method: Talker, trackers: Trackers, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _ = jobs_of(place, "v.mp4,s1.wav,out/1.mp4\nv.mp4,none.wav,out/2.mp4\n")
    words = ["batch", str(path), "--no-manifest", "--no-watermark"]
    with pytest.raises(SystemExit) as left:
        main(words)
    shown = capsys.readouterr()
    assert left.value.code == 1
    rows = [line.split("\t") for line in shown.out.splitlines()]
    assert [(row[0], row[2], row[3]) for row in rows[1:]] == [
        ("1", "done", "50"),
        ("2", "failed", ""),
    ]
    assert "Job 1 of 2: v.mp4 with s1.wav" in shown.err
    assert "1 of 2 jobs failed (number 2)" in shown.err
    (place / "none.wav").write_bytes((place / "s2.wav").read_bytes())
    with pytest.raises(SystemExit) as left:
        main([*words, "-q"])
    assert left.value.code == 0
    assert capsys.readouterr().out == ""


def test_texts_are_spoken(
    place: Path, method: Talker, trackers: Trackers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each by its synthesiser; what is said already is not said again."""
    spoken: list[tuple[str, str | None, str | None]] = []

    def synthesise(text: str, out: Path, *, voice: str | None, command: str | None) -> Path:
        spoken.append((text, voice, command))
        if text == "mute":
            raise LipwrightError("No voice.")
        return clips.write_speech(Path(out), 0.5)

    monkeypatch.setattr(synthesis, "synthesise", synthesise)
    path = place / "jobs.csv"
    lines = "v.mp4,hello,de,hello.mp4\nv.mp4,mute,,mute.mp4\n"
    path.write_text("video,text,voice,out\n" + lines, encoding="utf-8")
    result = run_batch(path, read_table(path), PLAIN)
    assert spoken == [("hello", "de", None), ("mute", None, None)]
    assert [outcome.error for _, outcome in result.outcomes] == ["", "No voice."]
    assert (place / "hello.mp4").is_file()
    again = run_batch(path, read_table(path), PLAIN)
    assert again.skipped == {1}
    path.write_text(path.read_text("utf-8").replace("hello,", "other,"), encoding="utf-8")
    assert run_batch(path, read_table(path), PLAIN).skipped == set()
