"""Webhooks: where they may go, how they are signed, that they are tried again."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from lipwright.errors import LipwrightError
from lipwright.serving.settings import Settings
from lipwright.serving.store import Store
from lipwright.serving.webhooks import Deliverer, check_url, signature

ALLOWED = ("hooks.example", "127.0.0.1:9000")


@pytest.mark.parametrize("url", ["https://hooks.example/x", "http://127.0.0.1:9000/x"])
def test_allowed(url: str) -> None:
    check_url(url, ALLOWED)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/x",
        "https://hooks.example:8443/x",
        "https://other.example/x",
        "https://hooks.example.evil.example/x",
        "https://user:pass@hooks.example/x",
        "https://hooks.example@evil.example/x",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "https://[::1",
        "nonsense",
        "",
    ],
)
def test_refused(url: str) -> None:
    with pytest.raises(LipwrightError, match=r"[Ww]ebhook"):
        check_url(url, ALLOWED)


def test_signature_by_openssl() -> None:
    # printf 'm1.1700000000.{}' | openssl dgst -sha256 -hmac key -binary | base64
    assert signature("key", "m1", 1700000000, "{}") == (
        "v1,n4G0JeWsADKachD9DYkYICH9XWz9wh4c+ftKZ6L+sn0="
    )


class Receiver(BaseHTTPRequestHandler):
    answers: list[int]
    got: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.got.append({"path": self.path, "body": body, **dict(self.headers.items())})
        self.send_response(self.answers.pop(0) if self.answers else 200)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[tuple[str, type[Receiver]]]:
    handler = type("Handler", (Receiver,), {"answers": [], "got": []})
    web = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=web.serve_forever)
    thread.start()
    yield f"127.0.0.1:{web.server_port}", handler
    web.shutdown()
    thread.join()
    web.server_close()


def deliverer(tmp_path: Path, host: str, pauses: tuple[float, ...]) -> tuple[Store, Deliverer]:
    store = Store(tmp_path / "jobs.sqlite")
    settings = Settings(data=tmp_path, webhook_hosts=(host,), webhook_secret="s3cret")
    store.add_job("dub", {}, webhook=f"http://{host}/hook")
    store.take("w", ("dub",))
    store.finish(store.jobs()[0].id, "w", "done", result={})
    return store, Deliverer(settings, store, pauses)


def test_delivery_is_signed(tmp_path: Path, receiver: tuple[str, type[Receiver]]) -> None:
    host, handler = receiver
    store, sender = deliverer(tmp_path, host, (0.0,))
    sender.once()
    (got,) = handler.got
    assert json.loads(got["body"])["event"] == "job.done"
    names = {name.lower(): value for name, value in got.items()}
    expected = signature(
        "s3cret", names["webhook-id"], int(names["webhook-timestamp"]), got["body"]
    )
    assert names["webhook-signature"] == expected
    sender.once()
    assert len(handler.got) == 1
    store.close()


def test_tried_again_and_given_up(tmp_path: Path, receiver: tuple[str, type[Receiver]]) -> None:
    host, handler = receiver
    handler.answers = [500, 302, 500, 500]
    store, sender = deliverer(tmp_path, host, (0.0, 0.0))
    for _ in range(5):
        sender.once()
    assert [got["path"] for got in handler.got] == ["/hook"] * 3  # a redirect is not followed
    row = store.database.row("SELECT * FROM deliveries")
    assert row is not None
    assert (row["state"], row["attempts"], row["error"]) == ("failed", 3, "status 500")
    store.close()


def test_the_next_attempt_waits(tmp_path: Path, receiver: tuple[str, type[Receiver]]) -> None:
    host, handler = receiver
    handler.answers = [500]
    store, sender = deliverer(tmp_path, host, (3600.0,))
    sender.once()
    sender.once()
    assert len(handler.got) == 1
    row = store.database.row("SELECT * FROM deliveries")
    assert row is not None
    assert row["due"] > time.time() + 3000
    store.close()
