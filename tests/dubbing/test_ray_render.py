"""Pass 2 on a Ray cluster of two workers in this machine: the same frames, whoever is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lipwright.dubbing import job as jobs
from lipwright.dubbing.job import DubOptions, dub
from lipwright.dubbing.plan import Plan
from lipwright.dubbing.report import Report
from lipwright.errors import LipwrightError
from tests.contracts.tiny_methods import gallery
from tests.dubbing import clips
from tests.dubbing.test_job import SIZE, face, frames, same

pytestmark = pytest.mark.slow

ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")


@pytest.fixture(scope="module")
def _cluster() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LIPWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(jobs, "segment_frames", lambda info: 16)
    clips.write_video(tmp_path / "v.mp4", 60, SIZE)
    clips.write_speech(tmp_path / "s.wav", 2.0)
    gallery(tmp_path)
    return tmp_path


def run(place: Path, name: str, **changes: Any) -> Report:
    (weights,) = place.glob("*.safetensors")
    options = DubOptions(weights=weights, crf=25, manifest=False, **changes)
    tracker = clips.ScriptedTracker(face)
    return dub(place / "v.mp4", place / "s.wav", place / name, options, tracker=tracker)


def kill_a_worker(session: str, killed: list[int]) -> None:
    """End the first worker of this cluster that draws a segment."""
    until = time.monotonic() + 120
    while time.monotonic() < until and not killed:
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                name = (entry / "cmdline").read_bytes()
                stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                parent = Path(f"/proc/{stat[1]}/cmdline").read_bytes()
            except OSError:
                continue
            if name.startswith(b"ray::render_segment") and session.encode() in parent:
                os.kill(int(entry.name), signal.SIGKILL)
                killed.append(int(entry.name))
                return
        time.sleep(0.005)


@pytest.mark.usefixtures("_cluster")
def test_a_killed_worker_loses_nothing(place: Path) -> None:
    alone = run(place, "alone.mp4")
    session = ray._private.worker._global_node.get_session_dir_path()
    killed: list[int] = []
    reaper = threading.Thread(target=kill_a_worker, args=(session, killed), daemon=True)
    reaper.start()
    report = run(place, "many.mp4", ray="local")
    reaper.join()
    assert killed
    assert same(frames(place / "alone.mp4"), frames(place / "many.mp4"))
    assert len(frames(place / "many.mp4")) == 60
    assert report.runs == alone.runs
    assert report.provenance == alone.provenance
    assert report.beyond_references == alone.beyond_references
    assert not list(place.glob(".*"))


@pytest.mark.usefixtures("_cluster")
def test_what_a_worker_meets_is_told_here(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    portable = Plan.portable

    def broken(plan: Plan) -> Any:
        (place / "v.mp4").write_bytes(b"gone")
        return portable(plan)

    monkeypatch.setattr(Plan, "portable", broken)
    with pytest.raises(LipwrightError):
        run(place, "many.mp4", ray="local")
    assert not (place / "many.mp4").exists()


def test_a_plan_travels(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker unpacks is what was packed, without the plan's own file."""
    import pickle

    seen: list[Plan] = []
    render = jobs.render

    def spy(job: Any, *rest: Any) -> Any:
        seen.append(job.schedule.plan)
        there = pickle.loads(pickle.dumps(job.schedule.plan.portable()))
        with there.unpack(place / "there.jsonl") as plan:
            assert plan.pts == seen[0].pts
            (track,), (own,) = plan.tracks, seen[0].tracks
            assert (track.crops == own.crops).all()
            pairs = zip(plan.references(track), seen[0].references(own), strict=True)
            assert all((a == b).all() for a, b in pairs)
        return render(job, *rest)

    monkeypatch.setattr(jobs, "render", spy)
    run(place, "out.mp4")
    assert seen
