"""``batch --ray`` on a cluster of two workers in this machine, one of which is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lipwright.batch import worker
from lipwright.batch.run import run_batch
from lipwright.batch.table import read_table
from lipwright.dubbing import job as dub_job
from tests.batch import fake_worker
from tests.batch.test_run import PLAIN, ROOT, THREE, jobs_of, place, states
from tests.dubbing.test_job import frames, same

__all__ = ["place"]
pytestmark = pytest.mark.slow

ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")


@pytest.fixture
def omen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose finder among the workers dies."""
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LIPWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    known = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", known)
    monkeypatch.setenv(fake_worker.DIES, str(tmp_path / "omen"))
    return tmp_path / "omen"


@pytest.fixture
def _cluster(omen: Path) -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.usefixtures("_cluster")
def test_a_killed_worker_loses_no_job(
    place: Path, omen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = THREE + "w.mp4,none.wav,out/4.mp4\n"
    path, jobs = jobs_of(place, text)
    monkeypatch.setattr(worker, "work_in_cluster", fake_worker.work_in_cluster)
    omen.write_text("a worker is killed in the middle of a job")
    result = run_batch(path, jobs, PLAIN, ray="local")
    assert not omen.exists()
    assert states(result) == ["done", "done", "done", "failed"]
    assert "does not exist" in result.outcomes[3][1].error
    # The same again, one after another in this process.
    alone = place / "alone"
    alone.mkdir()
    table = alone / "jobs.csv"
    table.write_text(
        "video,speech,out\n" + "../v.mp4,../s1.wav,1.mp4\n../w.mp4,../s1.wav,2.mp4\n"
        "../v.mp4,../s2.wav,3.mp4\n"
    )
    monkeypatch.setattr(dub_job, "segment_frames", lambda info: 24)
    with monkeypatch.context() as patch:
        patch.setattr(fake_worker.Dubber, "_face_tracker", None)
        patch.setattr(fake_worker.Dubber, "method", None)
        fake_worker.use_the_tiny_method()
        others = read_table(table)
        assert states(run_batch(table, others, PLAIN)) == ["done"] * 3
    for one, other in zip(jobs[:3], others, strict=True):
        assert len(frames(one.out)) == 50
        assert same(frames(one.out), frames(other.out))
    left = sorted(file.name for file in (place / "out").iterdir())
    assert left == ["1.mp4", "2.mp4", "3.mp4"]
    assert states(run_batch(path, jobs[:3], PLAIN, ray="local")) == ["before"] * 3
