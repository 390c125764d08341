"""Files and streams, looked at from outside: by ffprobe, and by a receiver of its own."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from lipwright.errors import LipwrightError
from lipwright.live.engine import DrawnFrame
from lipwright.live.report import LiveStatistics
from lipwright.live.sinks import RecordingSink, Sink, Target, address_sink
from lipwright.live.upright import upright_info
from lipwright.media.info import probe
from lipwright.media.planes import plane_views
from lipwright.media.sound import Sound
from lipwright.provenance.session import Provenance, ProvenanceOptions
from lipwright.provenance.verify import verify
from tests.conftest import MakeVideo, ffprobe
from tests.serving.conftest import free_port

RATE = 48_000


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LIPWRIGHT_HOME", str(tmp_path / "home"))
    # Tests feed faster than a busy machine encodes; here no frame may be left out for that.
    monkeypatch.setattr("lipwright.live.encoder.WAITING_FRAMES", 1000)
    yield
    assert not [t.name for t in threading.enumerate() if t.name.startswith("live-")]


@pytest.fixture
def target(make_video: MakeVideo) -> Target:
    info = upright_info(probe(make_video(size=(320, 240), frames=2)))
    provenance = Provenance(ProvenanceOptions(mark_id=0x1234ABCD, region="frame"), [], "test")
    return Target(info, Fraction(25), LiveStatistics(), provenance)


def picture(k: int, target: Target) -> DrawnFrame:
    """Bright for a tenth of a second at every whole second; marked."""
    frame = av.VideoFrame(target.info.width, target.info.height, "yuv420p")
    rows = np.arange(target.info.height)[:, None]
    for plane in plane_views(frame):
        plane[:] = 128
    plane_views(frame)[0][:] = (200 if k % 25 < 2 else 60) + rows % 16
    target.provenance.mark(frame, target.info, [])
    return DrawnFrame(k, Fraction(k, 25), frame)


def feed(sink: Sink, target: Target, seconds: float, pause: float = 0.0) -> None:
    """A beep with every flash; sound before its frames, as in a session."""
    t = np.arange(RATE // 25) / RATE
    beep = (0.5 * np.sin(2 * np.pi * 1000 * t)).astype(np.float32)
    for k in range(round(25 * seconds)):
        wave = beep if k % 25 < 2 else np.zeros_like(beep)
        sink.sound(Sound(np.stack([wave, wave]), RATE, ("FL", "FR"), None))
        sink.picture(picture(k, target))
        if pause:
            time.sleep(pause)


def offsets(path: Path) -> list[float]:
    """By how much every beep comes after its flash, in seconds, as a player shows them."""
    flashes, beeps = [], []
    with av.open(str(path)) as container:
        bright = False
        for frame in container.decode(video=0):
            now = float(frame.to_ndarray(format="gray").mean()) > 130
            if now and not bright:
                flashes.append(float(frame.pts * frame.time_base))
            bright = now
    with av.open(str(path)) as container:
        loud_until = -1.0
        for sound in container.decode(audio=0):
            wave, start = np.abs(sound.to_ndarray()[0]), float(sound.pts * sound.time_base)
            for n in np.flatnonzero(wave > 0.25):
                at = start + float(n) / sound.sample_rate
                if at > loud_until + 0.5:
                    beeps.append(at)
                loud_until = at
    assert len(flashes) == len(beeps) >= 2
    return [b - f for f, b in zip(flashes, beeps, strict=True)]


def test_key_frames_come_by_time_when_few_frames_are_drawn(tmp_path: Path, target: Target) -> None:
    out = tmp_path / "few.mkv"
    sink = RecordingSink(out, target)
    for k in range(0, 250, 5):  # five of 25 a second
        sink.sound(Sound(np.zeros((2, RATE // 5), np.float32), RATE, ("FL", "FR"), None))
        sink.picture(DrawnFrame(k, Fraction(k, 25), picture(3, target).native))
    sink.close()
    assert sink.error is None
    found = ffprobe(out, "-show_packets", "-select_streams", "v")["packets"]
    keys = [float(packet["pts_time"]) for packet in found if packet["flags"].startswith("K")]
    assert len(keys) == 5
    assert np.allclose(np.diff(keys), 2.0, atol=2e-3)


@pytest.mark.parametrize("name", ["record.mp4", "record.mkv", "record.mov"])
def test_a_recording_is_complete_steady_and_signed(
    name: str, tmp_path: Path, target: Target
) -> None:
    out = tmp_path / name
    sink = RecordingSink(out, target)
    feed(sink, target, 3.0)
    assert not out.exists()
    sink.close()
    assert sink.error is None
    assert sink.complete
    found = ffprobe(out, "-show_streams", "-show_packets", "-select_streams", "v")
    times = sorted(float(p["pts_time"]) for p in found["packets"])
    assert np.allclose(np.diff(times), 0.04, atol=1e-3)
    assert len(times) == 75
    assert max(abs(offset) for offset in offsets(out)) < 0.012
    names = {p.name for p in tmp_path.iterdir()} - {"home", "clip.mp4", f"{name}.c2pa"}
    assert names == {name} or names == {name, "record.c2pa"}
    said = verify(out)
    assert said.manifest is not None
    assert said.watermark is not None


def test_skipped_frames_leave_a_gap_and_move_nothing(tmp_path: Path, target: Target) -> None:
    out = tmp_path / "record.mp4"
    sink = RecordingSink(out, target)
    silence = np.zeros((1, RATE // 25), np.float32)
    for k in range(50):
        sink.sound(Sound(silence, RATE, ("FC",), None))
        if not 10 <= k < 30:
            sink.picture(picture(k, target))
    sink.close()
    found = ffprobe(out, "-show_streams", "-show_packets", "-select_streams", "v")
    times = [float(p["pts_time"]) for p in found["packets"]]
    assert times == pytest.approx([k / 25 for k in range(50) if not 10 <= k < 30], abs=1e-3)
    video = next(s for s in found["streams"] if s["codec_type"] == "video")
    assert float(video["duration"]) == pytest.approx(2.0, abs=0.01)


def test_a_killed_recording_plays_up_to_its_last_two_seconds(
    tmp_path: Path, target: Target
) -> None:
    sink = RecordingSink(tmp_path / "record.mp4", target)
    feed(sink, target, 5.0)
    deadline = time.monotonic() + 30
    copy = tmp_path / "as-left.mp4"
    count = 0
    while count < 50 and time.monotonic() < deadline:  # what lies on the disk at some moment
        time.sleep(0.05)
        if sink.growing.exists():
            shutil.copy(sink.growing, copy)
            try:
                with av.open(str(copy)) as container:
                    count = sum(1 for _ in container.decode(video=0))
            except av.error.FFmpegError:
                count = 0
    assert count >= 50
    sink.close()


def test_what_cannot_be_written_is_one_sentence(tmp_path: Path, target: Target) -> None:
    with pytest.raises(LipwrightError, match="not recorded as WebM"):
        RecordingSink(tmp_path / "record.webm", target)
    with pytest.raises(LipwrightError, match="cannot be written"):
        RecordingSink(tmp_path / "missing" / "record.mp4", target)
    with pytest.raises(LipwrightError, match="no way to stream"):
        address_sink("gopher://somewhere", target)
    first = RecordingSink(tmp_path / "record.mp4", target)
    with pytest.raises(LipwrightError, match="Another job"):
        RecordingSink(tmp_path / "record.mp4", target)
    first.close()
    assert not (tmp_path / "record.mp4").exists()  # nothing came


def test_a_receiver_on_the_loopback_gets_sound_and_frames_in_step(
    tmp_path: Path, target: Target
) -> None:
    port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        receiver.bind(("127.0.0.1", port))
        receiver.settimeout(20)
        got = tmp_path / "got.ts"
        packets: list[bytes] = []
        ended = threading.Event()

        def receive() -> None:
            receiver.settimeout(0.2)
            while True:
                try:
                    packets.append(receiver.recv(65_536))
                except TimeoutError:
                    if ended.is_set():
                        return

        thread = threading.Thread(target=receive)
        thread.start()
        sink = address_sink(f"udp://127.0.0.1:{port}", target)
        feed(sink, target, 3.0, 0.005)
        sink.close()
        ended.set()
        thread.join()
    assert sink.error is None
    assert {len(p) for p in packets} <= {188 * n for n in range(1, 8)}
    got.write_bytes(b"".join(packets))
    found = ffprobe(got, "-show_streams", "-show_packets", "-select_streams", "v")
    times = sorted(float(p["pts_time"]) for p in found["packets"])
    assert len(times) == 75
    assert np.allclose(np.diff(times), 0.04, atol=1e-3)
    assert max(abs(offset) for offset in offsets(got)) < 0.012
    assert [o - offsets(got)[0] for o in offsets(got)] == pytest.approx([0, 0, 0], abs=0.002)


def test_a_lost_receiver_is_an_error_and_nobody_waits(target: Target) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        port = server.getsockname()[1]
        sink = address_sink(f"tcp://127.0.0.1:{port}", target)
        silence = np.zeros((1, RATE // 25), np.float32)
        sink.sound(Sound(silence, RATE, ("FC",), None))
        connection, _ = server.accept()
        sink.picture(picture(0, target))
        connection.close()
    deadline = time.monotonic() + 30
    k = 1
    while sink.error is None and time.monotonic() < deadline:
        sink.sound(Sound(silence, RATE, ("FC",), None))
        sink.picture(picture(k, target))
        k += 1
        time.sleep(0.002)
    sink.close()
    assert sink.error is not None
    assert "cannot be written to any more" in str(sink.error)


def test_nobody_there_is_an_error(target: Target) -> None:
    sink = address_sink(f"tcp://127.0.0.1:{free_port()}", target)
    sink.sound(Sound(np.zeros((1, 1920), np.float32), RATE, ("FC",), None))
    sink.close()
    assert "cannot be written to" in str(sink.error)


def test_a_receiver_that_takes_nothing_does_not_hold_the_session_up(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lipwright.live.encoder.CLOSE_SECONDS", 0.2)
    monkeypatch.setattr("lipwright.live.encoder.WAITING_FRAMES", 5)
    release = threading.Event()
    sink = address_sink("udp://127.0.0.1:9", target)
    sink._encode_sound = lambda piece: release.wait(60)  # type: ignore[attr-defined]
    silence = Sound(np.zeros((1, RATE), np.float32), RATE, ("FC",), None)
    for k in range(25):
        sink.sound(silence)
        sink.picture(picture(k, target))
    assert "has taken nothing" in str(sink.error)
    assert target.statistics.not_taken[sink.name] >= 10
    sink.close()
    release.set()
    for thread in threading.enumerate():
        if thread.name.startswith("live-"):
            thread.join(30)
