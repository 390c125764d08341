"""Addresses that PyAV does not know, by the command ffmpeg; a file stands in for the network."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import av
import pytest

from lipwright.errors import LipwrightError
from lipwright.live import relay
from lipwright.live.relay import Relay, needs_relay
from tests.conftest import write_video


def packets(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for packet in container.demux() if packet.size)


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    return write_video(
        tmp_path / "in.ts", codec="libx264", frames=50, audio="sine", audio_codec="aac"
    )


def test_both_streams_go_through_to_the_end(stream: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.ts"
    sending = Relay(f"file:{out}", sends=True)
    sending.pipe.write(stream.read_bytes())
    assert sending.close() == ""
    assert packets(out) == packets(stream)
    coming = Relay(f"file:{out}", sends=False)
    with av.open(coming.pipe, format="mpegts") as container:  # type: ignore[call-overload]
        assert {s.type for s in container.streams} == {"video", "audio"}
        assert sum(1 for packet in container.demux() if packet.size) == packets(stream)
    assert coming.close() == ""


def test_what_the_command_complains_of_is_handed_on(stream: Path, tmp_path: Path) -> None:
    sending = Relay(f"file:{tmp_path / 'missing' / 'out.ts'}", sends=True)
    with contextlib.suppress(BrokenPipeError):
        sending.pipe.write(stream.read_bytes())
    assert sending.close()


def test_without_the_command_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay.shutil, "which", lambda name: None)
    with pytest.raises(LipwrightError, match="install ffmpeg"):
        Relay("srt://127.0.0.1:1", sends=True)


def test_only_srt_needs_it_and_only_where_libav_lacks_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay, "libav_knows_srt", lambda: False)
    assert needs_relay("srt://127.0.0.1:9")
    assert not needs_relay("udp://127.0.0.1:9")
    monkeypatch.setattr(relay, "libav_knows_srt", lambda: True)
    assert not needs_relay("srt://127.0.0.1:9")
