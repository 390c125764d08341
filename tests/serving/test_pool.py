"""Real worker processes: they work, are replaced when killed, and end with their server."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lipwright.serving.settings import Settings
from lipwright.serving.worker import settings_line
from tests.conftest import MakeVideo

from .conftest import Running


def gone(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    return True


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_killed_workers_are_replaced_and_their_job_is_done(
    make_server: Callable[..., Running], make_video: MakeVideo
) -> None:
    server = make_server(workers=True)
    client, pool = server.client, server.app.pool
    assert pool is not None
    video = client.upload(make_video(frames=3))
    wait_until(lambda: pool.alive() == 2)
    before = pool.pids()
    job = client.people(video)
    wait_until(lambda: client.job(job)["state"] == "running")
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    assert client.wait(job)["result"]["people"] == []
    assert not set(pool.pids()) & set(before)
    assert json.loads(server.ask("GET", "/healthz")[2])["workers"] >= 1


@pytest.mark.skipif(sys.platform == "win32", reason="looks into /proc")
def test_a_worker_ends_when_its_server_is_gone(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    settings.prepare()
    code = (
        "import subprocess, sys, time\n"
        "worker = subprocess.Popen([sys.executable, '-m', 'lipwright.serving.worker'],"
        " stdin=subprocess.PIPE)\n"
        "worker.stdin.write(sys.stdin.buffer.readline()); worker.stdin.flush()\n"
        "print(worker.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(settings_line(settings, "w", ("people",)))
        server.stdin.flush()
        worker = int(server.stdout.readline())
        wait_until(lambda: settings.database.exists())
        assert not gone(worker)
        server.kill()
    wait_until(lambda: gone(worker), 20)
