"""Whole sessions: how they begin, and the many ways in which they end."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from lipwright.dubbing.options import DubOptions
from lipwright.errors import LipwrightError
from lipwright.live.clock import SystemClock
from lipwright.live.job import LiveOptions, live
from lipwright.live.report import LiveReport
from lipwright.live.sources import PcmFormat, PcmSource, chunks, paced, speech_source
from lipwright.media.sound import Sound
from lipwright.provenance.record.registry import registry_path
from tests.conftest import write_speech as write_sound
from tests.dubbing import clips
from tests.dubbing.test_job import SIZE, Talker, face
from tests.live.test_engine import HandClock
from tests.serving.conftest import free_port

OPTIONS = DubOptions(plan_cache=False)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return clips.write_video(tmp_path / "face.mp4", 20, SIZE)


def run(
    video: Path, speech: str, to: list[str], *, dub: DubOptions = OPTIONS, **more: Any
) -> tuple[LiveReport, LipwrightError | None]:
    pipe = more.pop("standard_input", None)
    options = LiveOptions(dub=dub, **more)
    tracker = clips.ScriptedTracker(face)
    return live(video, speech, to, options, method=Talker(), tracker=tracker, standard_input=pipe)


def lengths(path: Path) -> tuple[float, float]:
    """Seconds of pictures and of sound."""
    with av.open(str(path)) as container:
        pictures = [f.pts * f.time_base for f in container.decode(video=0)]
    with av.open(str(path)) as container:
        sounds = [
            (f.pts * f.time_base, f.samples / f.sample_rate) for f in container.decode(audio=0)
        ]
    return float(pictures[-1]) + 0.04, float(sounds[-1][0]) + sounds[-1][1]


def test_a_file_in_real_time_into_a_file(video: Path, tmp_path: Path) -> None:
    speech = clips.write_speech(tmp_path / "speech.wav", 1.2)
    out, said = tmp_path / "out.mp4", tmp_path / "report.json"
    began = time.monotonic()
    dub = DubOptions(plan_cache=False, report=said)
    report, error = run(video, str(speech), [str(out)], dub=dub)
    assert error is None
    assert time.monotonic() - began >= 1.2  # a file is not played faster than it sounds
    pictures, sound = lengths(out)
    assert pictures == pytest.approx(1.2, abs=0.041)
    assert sound == pytest.approx(1.2, abs=0.05)
    found = json.loads(said.read_text("utf-8"))
    assert found["frames"] + found["skipped"] == 30
    assert found["look_ahead_ms"] == 135.0
    assert found["seconds"] == pytest.approx(1.2)
    assert "has ended" in found["ended"]
    assert found["provenance"]["watermark"]["frames_marked"] == found["frames"]
    assert found["provenance"]["manifest"]["signer"] == "self-made"
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
    assert any("drawn" in line for line in report.lines())


def test_a_stream_is_marked_and_its_mark_is_registered(video: Path, tmp_path: Path) -> None:
    speech = clips.write_speech(tmp_path / "speech.wav", 0.5)
    report, error = run(video, str(speech), [f"udp://127.0.0.1:{free_port()}"])
    assert error is None
    entry = json.loads(registry_path().read_text("utf-8").splitlines()[-1])
    assert entry["mark_id"] == report.provenance["watermark"]["id"]
    assert entry["output"] is None
    assert [item["name"] for item in entry["inputs"]] == ["face.mp4", "speech.wav"]


def test_samples_from_a_pipe(video: Path, tmp_path: Path) -> None:
    wave = (3000 * np.sin(np.arange(8_000) / 5)).astype("<i2")
    out = tmp_path / "out.mkv"
    _, error = run(video, "-", [str(out)], standard_input=io.BytesIO(wave.tobytes()))
    assert error is None
    assert lengths(out)[1] == pytest.approx(0.5, abs=0.13)  # AAC ends with a whole block


class Broken(io.BytesIO):
    """A pipe that fails in the middle."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 12_000:
            raise LipwrightError("The speech source broke off; plug it in again.")
        return super().read(size)


def test_a_source_that_breaks_off_leaves_a_complete_file(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    _, error = run(video, "-", [str(out)], standard_input=Broken(bytes(40_000)))
    assert str(error) == "The speech source broke off; plug it in again."
    pictures, sound = lengths(out)
    assert pictures == pytest.approx(12_160 / 32_000, abs=0.1)
    assert sound == pytest.approx(12_160 / 32_000, abs=0.1)


def test_a_lost_receiver_ends_the_session_and_the_file_is_complete(
    video: Path, tmp_path: Path
) -> None:
    speech = clips.write_speech(tmp_path / "speech.wav", 30.0)
    out = tmp_path / "out.mp4"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)

        def take_a_little() -> None:
            connection, _ = server.accept()
            connection.recv(2_000)
            connection.close()

        thread = threading.Thread(target=take_a_little)
        thread.start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        report, error = run(video, str(speech), [address, str(out)])
        thread.join()
    assert error is not None
    assert "cannot be written to any more" in str(error)
    assert report.ended == str(error)
    assert time.monotonic() - began < 29
    assert lengths(out)[0] > 0.0


def test_it_ends_after_the_seconds_that_were_asked_for(video: Path, tmp_path: Path) -> None:
    speech = clips.write_speech(tmp_path / "speech.wav", 20.0)
    out = tmp_path / "out.mp4"
    report, error = run(video, str(speech), [str(out)], limit=0.6)
    assert error is None
    assert report.seconds == pytest.approx(0.6, abs=0.3)
    assert "as asked for" in report.ended


@pytest.mark.slow
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_ctrl_c_completes_the_file(number: str, tmp_path: Path) -> None:
    """The command line itself, in a process; the method that draws nothing needs no network."""
    import signal

    from lipwright.demo import make_video

    speech = clips.write_speech(tmp_path / "speech.wav", 60.0)
    make_video(tmp_path / "face.mp4", 0.4, (360, 240))
    out = tmp_path / "out.mp4"
    words = ["live", "--face", str(tmp_path / "face.mp4"), "--speech", str(speech)]
    command = [sys.executable, "-m", "lipwright", *words, "--to", str(out), "--method", "copy"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's job in the background ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    growing = tmp_path / ".out.mp4.lipwright-live.mp4"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (growing.exists() and growing.stat().st_size):
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.1)
    process.send_signal(getattr(signal, number))
    said, told = process.communicate(timeout=120)
    assert process.returncode == 0, (said, told)
    assert "Ended by Ctrl-C" in said
    assert lengths(out)[0] > 0.0


@pytest.mark.parametrize(
    ("to", "options", "sentence"),
    [
        ([], {}, "nowhere to send"),
        (["a.mp4", "a.mp4"], {}, "named twice"),
        (["out.avi"], {}, "no known video suffix"),
        (["gopher://x"], {}, "no way to stream"),
        (["face.mp4"], {}, "is an input too"),
        (["none/out.mp4"], {}, "does not exist"),
        (["out.mp4"], {"delay": 11.0}, "out of range"),
    ],
)
def test_what_cannot_be_is_said_at_once(
    to: list[str], options: dict[str, Any], sentence: str, video: Path, tmp_path: Path
) -> None:
    places = [t if "://" in t else str(tmp_path / t) for t in to]
    speech = clips.write_speech(tmp_path / "speech.wav", 0.2)
    with pytest.raises(LipwrightError, match=sentence):
        run(video, str(speech), places, **options)


def test_sources_by_their_words(tmp_path: Path) -> None:
    clock = SystemClock()
    speech = write_sound(tmp_path / "speech.wav")
    assert speech_source(str(speech), clock, PcmFormat(), io.BytesIO()).path == speech
    assert speech_source("-", clock, PcmFormat(), io.BytesIO()).path is None
    with pytest.raises(LipwrightError, match="does not exist"):
        speech_source(str(tmp_path / "none.wav"), clock, PcmFormat(), io.BytesIO())
    assert PcmFormat.parse("f32le:48000:2") == PcmFormat("f32le", 48_000, 2)
    assert PcmFormat.parse("s16le") == PcmFormat()
    for wrong in ("s24le", "s16le:10:1", "s16le:16000:3", "s16le:x"):
        with pytest.raises(LipwrightError, match="sample format"):
            PcmFormat.parse(wrong)


def test_samples_are_read_as_they_are_laid_out() -> None:
    raw = np.array([[0, 16384], [-32768, 8192]], "<i2")  # two moments, left and right
    source = PcmSource(io.BytesIO(raw.tobytes()), PcmFormat("s16le", 8_000, 2), HandClock())
    ((sound, _),) = source.pieces()
    assert sound.samples.tolist() == [[0.0, -1.0], [0.5, 0.25]]
    floats = np.array([0.5, np.nan, np.inf], "<f4")
    source = PcmSource(io.BytesIO(floats.tobytes()), PcmFormat("f32le", 8_000, 1), HandClock())
    ((sound, _),) = source.pieces()
    assert sound.samples.tolist() == [[0.5, 0.0, 1.0]]


def test_pieces_come_when_they_have_been_spoken() -> None:
    clock = HandClock()
    sound = Sound(np.zeros((1, 32_000), np.float32), 16_000, ("FC",), Fraction(0))
    times = []
    for piece, due in paced(chunks(iter([sound])), clock):
        times.append(clock.now())
        assert due <= clock.now() + 1e-9
        assert piece.count == 320
        if len(times) == 5:
            clock.time += 0.2  # the reader is late: what was missed comes at once
        if len(times) == 30:
            clock.time += 3.0  # and very late: only the last half second of that does
    assert times[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert times[5:15] == pytest.approx([0.3] * 10)
    assert times[15:30] == pytest.approx([0.02 * (k + 1) for k in range(15, 30)])
    assert times[30:55] == pytest.approx([3.6] * 25)
    assert np.diff(times[55:]) == pytest.approx(0.02)


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Somebody who streams speech to an address of ours, until he is killed."""
    import shutil

    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    speech = clips.write_speech(tmp_path / "long.wav", 60.0)
    address = f"udp://127.0.0.1:{free_port()}"
    command = ["ffmpeg", "-v", "error", "-re", "-i", str(speech), "-c:a", "aac", "-f", "mpegts"]
    process = subprocess.Popen([*command, f"{address}?pkt_size=1316"])
    yield address, process
    process.kill()
    process.wait()


def test_a_killed_sender_is_a_clear_end(
    video: Path,
    tmp_path: Path,
    sender: tuple[str, subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, process = sender
    monkeypatch.setattr("lipwright.live.sources.SILENT_SECONDS", 2.0)
    out = tmp_path / "out.mp4"
    growing = tmp_path / ".out.mp4.lipwright-live.mp4"

    def kill() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (growing.exists() and growing.stat().st_size):
            time.sleep(0.05)
        process.kill()

    thread = threading.Thread(target=kill)
    thread.start()
    _, error = run(video, address, [str(out)])
    thread.join()
    assert error is not None
    assert "broke off" in str(error)
    pictures, sound = lengths(out)
    assert pictures > 0.3
    assert abs(pictures - sound) < 0.2
