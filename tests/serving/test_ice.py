"""The file of STUN and TURN servers, and who gets to know it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lipwright.errors import LipwrightError
from lipwright.serving.ice import IceServer, read_ice_servers
from lipwright.serving.settings import Settings
from lipwright.serving.worker import settings_line
from tests.conftest import MakeVideo

from .conftest import Running

TURN = {"urls": ["turn:127.0.0.1:3478?transport=udp"], "username": "u", "credential": "s3cret"}


def written(folder: Path, content: Any) -> Path:
    path = folder / "ice.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_list_as_browsers_take_it(tmp_path: Path) -> None:
    found = read_ice_servers(written(tmp_path, [{"urls": "stun:a.example"}, TURN]))
    assert found == (
        IceServer(("stun:a.example",)),
        IceServer(("turn:127.0.0.1:3478?transport=udp",), "u", "s3cret"),
    )
    assert [server.to_json() for server in found] == [{"urls": ["stun:a.example"]}, TURN]
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[", "no JSON"),
        ({}, "list of 1 to"),
        ([], "list of 1 to"),
        ([3], "Entry 1 .* object"),
        ([{"urls": []}], "needs 'urls'"),
        ([{"urls": "stun:a"}, {"urls": "http://a"}], "Entry 2 .*http://a"),
        ([{"urls": "stun:a", "url": "x"}], "object with"),
        ([{"urls": "turn:a:3478"}], "username"),
        ([{"urls": "turn:a?transport=quic", "username": "u", "credential": "c"}], "addresses are"),
    ],
)
def test_anything_else_is_one_sentence(tmp_path: Path, content: Any, says: str) -> None:
    with pytest.raises(LipwrightError, match=says):
        read_ice_servers(written(tmp_path, content))
    with pytest.raises(LipwrightError, match="cannot be read"):
        read_ice_servers(tmp_path / "missing.json")


def test_workers_do_not_get_to_know_it(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, ice_servers=(IceServer(("turn:a",), "u", "s3cret"),))
    assert b"s3cret" not in settings_line(settings, "w", ("dub",))


def test_the_page_of_calls_does(
    tmp_path: Path, make_video: MakeVideo, make_server: Callable[..., Running]
) -> None:
    pytest.importorskip("aiortc", reason="needs the extra 'live'")
    servers = read_ice_servers(written(tmp_path, [TURN]))
    server = make_server(live_face=make_video(frames=3), ice_servers=servers)
    page = server.ask("GET", "/live")[2].decode()
    found = re.search(r'data-ice-servers="([^"]*)"', page)
    assert found is not None
    assert json.loads(html.unescape(found[1])) == [TURN]
