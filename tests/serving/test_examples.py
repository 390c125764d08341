"""The examples of the API, run as they are shown."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lipwright.serving.examples import CURL, PYTHON
from tests.conftest import MakeSpeech, MakeVideo

from .conftest import Running

PAGE = Path(__file__).resolve().parents[2] / "docs" / "serving.md"


@pytest.fixture
def server(
    make_server: Callable[..., Running], make_video: MakeVideo, make_speech: MakeSpeech
) -> Running:
    made = make_server()
    make_video("talk.mp4", size=(192, 160), frames=6)
    make_speech("speech.wav", seconds=0.2)
    return made


@contextmanager
def working(server: Running) -> Iterator[None]:
    """Jobs are done while the example runs."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(0.1):
            server.work()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    ended.set()
    thread.join()


def adapted(example: str, server: Running) -> str:
    """With the server's address, and a method that needs no network."""
    changed = example.replace("http://127.0.0.1:7860", server.url)
    return changed.replace('"method": "vq"', '"method": "copy"')


@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("bash"), reason="no curl or bash")
def test_curl(server: Running, tmp_path: Path) -> None:
    with working(server):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", adapted(CURL, server)],
            cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    assert "event: end" in done.stdout
    check(server, tmp_path)


def test_python(server: Running, tmp_path: Path) -> None:
    with working(server):
        done = subprocess.run(
            [sys.executable, "-c", adapted(PYTHON, server)],
            cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("done ")
    check(server, tmp_path)


def check(server: Running, folder: Path) -> None:
    (stored,) = server.app.settings.jobs.glob("*/talk-dubbed.mp4")
    assert (folder / "dubbed.mp4").read_bytes() == stored.read_bytes()


def test_the_documents_show_these_examples() -> None:
    page = PAGE.read_text("utf-8")
    assert f"```sh\n{CURL.strip()}\n```" in page
    assert f"```python\n{PYTHON.strip()}\n```" in page
