"""A real server in a thread, with or without worker processes."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

import lipwright.dubbing.planning  # noqa: F401  # has the real tracker before one is scripted
from lipwright.client import Client
from lipwright.faces import tracker as trackers
from lipwright.serving.application import Application
from lipwright.serving.settings import Settings
from lipwright.serving.worker import Worker
from tests.dubbing.clips import Actor, ScriptedTracker

CONSENT = {"who": "Ada Lovelace", "purpose": "a test, nothing else", "date": "2026-11-28"}


@dataclass
class Running:
    """A server that answers."""

    app: Application
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def client(self) -> Client:
        return Client(self.url, token=self.app.settings.token, timeout=60)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, answer.read()
        finally:
            connection.close()

    def work(self) -> None:
        """Do all waiting jobs in this process."""
        worker = Worker(
            self.app.settings, self.app.store, "here", ("people", "preview", "dub", "verify")
        )
        while (job := self.app.store.take("here", worker.kinds)) is not None:
            worker.do(job)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def running(settings: Settings, workers: bool = False) -> Iterator[Running]:
    """Run a server in a thread of this process."""
    app = Application(settings, workers=workers)
    config = uvicorn.Config(
        app.asgi,
        host="127.0.0.1",
        port=settings.port,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    try:
        yield Running(app, settings.port)
    finally:
        server.should_exit = True
        thread.join(30)


@pytest.fixture
def make_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Running]]:
    """Factory of servers on a folder of the test's own."""
    monkeypatch.setenv("LIPWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LIPWRIGHT_PLANS", str(tmp_path / "data" / "plans"))
    monkeypatch.delenv("LIPWRIGHT_TOKEN", raising=False)
    face = Actor(track=0, x=50, y=30, side=100)
    monkeypatch.setattr(trackers, "FaceTracker", lambda: ScriptedTracker(lambda index: [face]))
    with contextlib.ExitStack() as stack:

        def make(workers: bool = False, **more: Any) -> Running:
            settings = Settings(data=tmp_path / "data", port=free_port(), **more)
            return stack.enter_context(running(settings, workers))

        yield make


@pytest.fixture
def server(make_server: Callable[..., Running]) -> Running:
    """A server without worker processes."""
    return make_server()
