"""Who may ask, from where, how often, how much."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from lipwright.errors import LipwrightError
from lipwright.serving.settings import Settings, read_token

from .conftest import Running

TOKEN = "correct-horse-battery"
MakeServer = Callable[..., Running]


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"me:{password}".encode()).decode()}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Basic ###"}, 401),
        ({"Authorization": "Bearer é"}, 401),
        (basic("wrong"), 401),
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
        (basic(TOKEN), 200),
    ],
)
def test_token(make_server: MakeServer, headers: dict[str, str], status: int) -> None:
    server = make_server(token=TOKEN)
    given = {name: value.encode().decode("latin-1") for name, value in headers.items()}
    for path in ("/api/v1/jobs", "/metrics", "/openapi.json"):
        found, answer, _ = server.ask("GET", path, headers=given)
        assert found == status
        assert ("www-authenticate" in answer) == (status == 401)
    assert server.ask("GET", "/healthz")[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "example.org", ""])
def test_no_open_address_without_a_token(tmp_path: Path, host: str) -> None:
    with pytest.raises(LipwrightError, match="needs a token"):
        Settings(data=tmp_path, host=host)
    with pytest.raises(LipwrightError, match="too short"):
        Settings(data=tmp_path, host=host, token="secret")
    Settings(data=tmp_path, host=host, token=TOKEN)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_loopback_needs_none(tmp_path: Path, host: str) -> None:
    Settings(data=tmp_path, host=host)


def test_token_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPWRIGHT_TOKEN", "from-the-environment")
    assert read_token(None) == "from-the-environment"
    (tmp_path / "t").write_text(f"{TOKEN}\n")
    assert read_token(tmp_path / "t") == TOKEN
    (tmp_path / "e").write_text("\n")
    with pytest.raises(LipwrightError, match="empty"):
        read_token(tmp_path / "e")
    with pytest.raises(LipwrightError, match="cannot be read"):
        read_token(tmp_path / "none")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost", 200),
        ("[::1]:1", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("a@127.0.0.1", 421),
        ("", 421),
    ],
)
def test_other_names_are_not_answered(server: Running, host: str, status: int) -> None:
    given = {"Host": host.format(port=server.port)}
    assert server.ask("GET", "/api/v1/jobs", headers=given)[0] == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 422),
        ({"Origin": "http://127.0.0.1:{port}"}, 422),
        ({"Sec-Fetch-Site": "same-origin"}, 422),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_pages_of_other_sites_change_nothing(
    server: Running, headers: dict[str, str], status: int
) -> None:
    given = {name: value.format(port=server.port) for name, value in headers.items()}
    assert server.ask("POST", "/api/v1/jobs", {}, given)[0] == status


def test_how_often(make_server: MakeServer) -> None:
    server = make_server(requests_per_minute=3)
    found = [server.ask("POST", "/api/v1/jobs", {})[0] for _ in range(5)]
    assert found == [422, 422, 422, 429, 429]
    assert server.ask("GET", "/api/v1/jobs")[0] == 200


def test_how_much(make_server: MakeServer) -> None:
    server = make_server(max_upload=1000)
    assert server.ask("POST", "/api/v1/jobs", b"x" * 70_000)[0] == 413
    status, _, body = server.ask("POST", "/api/v1/files?name=a.mp4", b"x" * 2000)
    assert status == 413
    assert b"MB" in body
    assert server.ask("POST", "/api/v1/files", b"x" * 100_000)[0] == 413
    assert list(server.app.settings.uploads.iterdir()) == []


def test_headers_keep_others_out(server: Running) -> None:
    _, headers, _ = server.ask("GET", "/api/v1/jobs")
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy  # nothing from elsewhere
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers or "uvicorn" in headers["server"]
