"""Processes that run the steps: order, failures, and what becomes of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lipwright.data.rows import PrepareSettings, Row, StepContext
from lipwright.data.workers import FAILED, Processes, RayWorkers, SerialWorkers, attempt, workers
from lipwright.errors import LipwrightError

WORK = StepContext("nowhere", PrepareSettings())


def doubled(row: Row, work: StepContext) -> Row:
    """A step for tests."""
    if row["n"] == 3:
        raise LipwrightError("three is too many.")
    if row["n"] == 5:
        raise ZeroDivisionError("a bug")
    return {**row, "n": 2 * row["n"]}


def test_every_row_comes_back_with_its_result_or_its_reason() -> None:
    rows = [{"source": str(n), "n": n, "reason": ""} for n in range(7)]
    found = {r["source"]: r for r in SerialWorkers().map(doubled, rows, WORK)}
    assert [found[str(n)]["n"] for n in (0, 1, 2, 4, 6)] == [0, 2, 4, 8, 12]
    assert found["3"]["reason"] == "unusable: three is too many."
    assert found["5"]["reason"] == f"{FAILED}: doubled: ZeroDivisionError: a bug"
    with Processes(2) as pool:
        assert {r["source"]: r for r in pool.map(doubled, rows, WORK)} == found


def test_one_worker_needs_no_process() -> None:
    assert isinstance(workers(1), SerialWorkers)


def test_interrupts_are_not_swallowed() -> None:
    def stop(row: Row, work: StepContext) -> Row:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt(stop, {"source": "a", "reason": ""}, WORK)


def test_ray_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipwright.ray_cluster.find_spec", lambda name: None)
    with pytest.raises(LipwrightError, match=r"lipwright\[ray\]"):
        RayWorkers("auto")


def slow(row: Row, work: StepContext) -> Row:
    """Says that it began, and takes long."""
    Path(work.folder, f"{os.getpid()}.pid").touch()
    time.sleep(120)
    return row


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_workers_of_a_killed_run_end(tmp_path: Path) -> None:
    code = (
        "from lipwright.data.rows import PrepareSettings, StepContext\n"
        "from lipwright.data.workers import Processes\n"
        "from tests.data.test_workers import slow\n"
        "if __name__ == '__main__':\n"
        "    rows = [{'source': str(n), 'reason': ''} for n in range(2)]\n"
        "    with Processes(2) as pool:\n"
        f"        list(pool.map(slow, rows, StepContext({str(tmp_path)!r}, PrepareSettings())))\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen(
        [sys.executable, str(script)], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    )
    try:
        while len(list(tmp_path.glob("*.pid"))) < 2:
            assert parent.poll() is None
            time.sleep(0.1)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    pids = [int(p.stem) for p in tmp_path.glob("*.pid")]
    # A worker that stayed would sleep on for two minutes.
    end = time.monotonic() + 40
    while any(_alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(_alive(pid) for pid in pids)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
