"""Malformed requests, five hundred in all: a 4xx with a sentence each, and nothing stays behind."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeVideo

from .conftest import CONSENT, Running

SECRET = b"the secret beside the data folder"
TRICKS = (
    "../secret", "..%2fsecret", "%2e%2e/%2e%2e/secret", "....//secret", "..\\secret",
    "/etc/passwd", "%00", "a%00b", "~root", "file:///etc/passwd", "path:../secret",
    "path:/etc/passwd", "path:", "%c0%ae%c0%ae/secret", "\u2025/secret".encode().hex(), "*",
    "con", "a" * 900, "0" * 20, "..", ".", "%2e", "settings.py", "jobs.sqlite",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1e308, 10**30, "", " ", "x" * 5000, "\x00", "\ud800", [], [[]], {}, {"a": 1},
    "../secret", "path:../secret", "path:/etc/passwd", "' OR 1=1 --", "${7*7}", "{{7*7}}",
    "<script>", "NaN", "1/0", "largest; rm -rf /", "\n", "\u202e",
)  # fmt: skip


def bodies(rng: random.Random, video: str) -> Iterator[tuple[str, bytes]]:
    """Requests that look nearly right."""
    while True:
        good: dict[str, Any] = {
            "video": video,
            "speech": video,
            "options": {"crf": 20, "method": "copy"},
            "consent": dict(CONSENT),
        }
        where = rng.choice(
            ["video", "speech", "options", "consent", "webhook", "sing", "options.crf",
             "options.method", "options.fps", "options.weights", "options.face", "options.seed",
             "consent.who", "consent.date", "consent.more"]
        )  # fmt: skip
        place, *inner = where.split(".")
        value = rng.choice(VALUES)
        if inner:
            good[place][inner[0]] = value
        else:
            good[place] = value
        text = json.dumps(good)
        if rng.random() < 0.2:
            text = text[: rng.randrange(len(text))]
        path = rng.choice(["jobs", "previews", "people", "verifications"])
        yield f"/api/v1/{path}", text.encode()


@pytest.mark.parametrize(
    ("requests", "uploads"), [(120, 16), pytest.param(460, 40, marks=pytest.mark.slow)]
)
def test_malformed_requests(
    make_server: Callable[..., Running],
    make_video: MakeVideo,
    tmp_path: Path,
    requests: int,
    uploads: int,
) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "media").mkdir()
    server = make_server(
        requests_per_minute=10**6, media=tmp_path / "media", webhook_hosts=("hooks.example",)
    )
    settings, rng = server.app.settings, random.Random(20)
    # A video without sound: nothing that names it twice can be a job.
    video = server.client.upload(make_video(frames=2))["id"]
    before = sorted(path.name for path in settings.uploads.iterdir())
    makers = bodies(rng, video)
    for number in range(requests):
        kind = rng.choice(["body", "address", "type", "origin", "method"])
        method, path, body, headers = "POST", "", b"", {"Content-Type": "application/json"}
        if kind in ("body", "origin", "type"):
            path, body = next(makers)
        if kind == "address":
            method = rng.choice(["GET", "DELETE", "POST"])
            start = rng.choice(
                ["/api/v1/jobs/", "/api/v1/files/", "/static/", "/jobs/", "/",
                 f"/api/v1/jobs/{'0' * 20}/files/"]
            )  # fmt: skip
            path = start + rng.choice(TRICKS)
            path += rng.choice(["", "/content", "/files/result", "/events", "?limit=x"])
            path = path.replace(" ", "%20").replace("\\", "%5c")
        if kind == "origin":
            headers["Origin"] = rng.choice(["http://evil.example", "null", "http://127.0.0.1"])
        if kind == "type":
            headers["Content-Type"] = rng.choice(["text/plain", "", "a/b;c", "multipart/form-data"])
        if kind == "method":
            method, path = rng.choice(["PUT", "PATCH", "TRACE", "PROPFIND"]), "/api/v1/jobs"
        status, _, answer = server.ask(method, path, body, headers)
        if path.startswith("/static/.") or path in ("/.", "/%2e", "/..", "/~"):
            assert SECRET not in answer
            continue
        told = f"{number}: {kind} {method} {path} {body[:300]!r} -> {status} {answer[:200]!r}"
        assert 400 <= status < 500, told
        detail = json.loads(answer)["detail"]
        assert 5 < len(detail) < 500, told
        assert detail.endswith("."), told
        assert str(tmp_path) not in detail, told
        assert SECRET not in answer, told
    check_uploads(server, make_video(name="whole.mp4", frames=5).read_bytes(), rng, uploads)
    assert sorted(path.name for path in settings.uploads.iterdir()) == before
    assert list(settings.jobs.iterdir()) == []
    assert server.client.jobs() == []
    assert server.ask("GET", "/healthz")[0] == 200


def check_uploads(server: Running, whole: bytes, rng: random.Random, count: int) -> None:
    """Uploads that are no media, cut off, lying, or named to escape."""
    for number in range(count):
        data = bytearray(whole[: rng.randrange(1, len(whole) // 2)])
        kind = number % 4
        if kind == 1:
            data = bytearray(rng.randbytes(200))
        if kind == 2:
            data = bytearray(
                rng.choice([b"#EXTM3U\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile a\n",
                            b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"PK\x03\x04", b"RIFF"])
            )  # fmt: skip
        if kind == 3 and number % 8 == 3:
            break_off(server.port, whole)
            continue
        name = rng.choice(["../../a.mp4", "a.m3u8", "%2e%2e%2fa.mp4", "a", "x" * 250, "a.svg"])
        status, _, answer = server.ask(
            "POST", f"/api/v1/files?name={name}", bytes(data), {"Content-Type": "video/mp4"}
        )
        assert 400 <= status < 500, f"{number} {name} {answer[:200]!r}"
        assert json.loads(answer)["detail"].endswith(".")


def break_off(port: int, whole: bytes) -> None:
    """Promise more than is sent, and hang up."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        head = (
            f"POST /api/v1/files?name=a.mp4 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Content-Length: {len(whole) + 100}\r\n\r\n"
        )
        connection.sendall(head.encode() + whole)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(100)
