"""A virtual camera and a loudspeaker, with stand-ins for the packages that reach the devices."""

from __future__ import annotations

import sys
import time
from fractions import Fraction
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import av
import numpy as np
import pytest

from lipwright.errors import LipwrightError
from lipwright.live.devices import Loudspeaker, VirtualCamera
from lipwright.live.engine import DrawnFrame
from lipwright.live.report import LiveStatistics
from lipwright.media.planes import plane_views
from lipwright.media.sound import Sound


class FakeCamera:
    made: ClassVar[list[FakeCamera]] = []

    def __init__(self, width: int, height: int, fps: float, **more: Any) -> None:
        if more["device"] == "/dev/none":
            raise RuntimeError("'v4l2loopback' backend: no such device")
        self.size, self.fps, self.more, self.device = (width, height), fps, more, "/dev/video9"
        self.sent: list[tuple[float, np.ndarray]] = []
        self.closed = False
        FakeCamera.made.append(self)

    def send(self, frame: np.ndarray) -> None:
        self.sent.append((time.monotonic(), frame))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def cameras(monkeypatch: pytest.MonkeyPatch) -> list[FakeCamera]:
    module = ModuleType("pyvirtualcam")
    module.Camera = FakeCamera  # type: ignore[attr-defined]
    module.PixelFormat = SimpleNamespace(I420="i420")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyvirtualcam", module)
    FakeCamera.made.clear()
    return FakeCamera.made


def frame(k: int, value: int) -> DrawnFrame:
    native = av.VideoFrame(16, 8, "yuv420p")
    for plane in plane_views(native):
        plane[:] = value
    return DrawnFrame(k, Fraction(k, 25), native)


def said(count: int, rate: int = 48_000) -> Sound:
    return Sound(np.full((1, count), 0.5, np.float32), rate, ("FC",), None)


def test_frames_come_in_order_and_not_before_their_time(cameras: list[FakeCamera]) -> None:
    info: Any = SimpleNamespace(width=16, height=8)
    camera = VirtualCamera(None, info, 25.0, 0.2, LiveStatistics())
    (made,) = cameras
    assert (made.size, made.fps, made.more["fmt"]) == ((16, 8), 25.0, "i420")
    assert "/dev/video9" in camera.name
    began = time.monotonic()
    camera.sound(said(960))
    for k in range(3):
        camera.picture(frame(k, 100 + k))
    deadline = time.monotonic() + 20
    while (not made.sent or made.sent[-1][1][0, 0] != 102) and time.monotonic() < deadline:
        time.sleep(0.01)
    camera.close()
    assert made.closed
    values = [int(picture[0, 0]) for _, picture in made.sent]
    assert values == sorted(values)
    assert values[-1] == 102
    # The last one belongs to 0.08 s; the first sample came 20 ms before the piece was whole.
    assert made.sent[-1][0] - began >= 0.2 + 0.08 - 0.021
    assert made.sent[0][1].shape == (12, 16)


def test_no_device_and_no_package_are_said(
    cameras: list[FakeCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    info: Any = SimpleNamespace(width=16, height=8)
    with pytest.raises(LipwrightError, match="no virtual camera /dev/none"):
        VirtualCamera("/dev/none", info, 25.0, 0.2, LiveStatistics())
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(LipwrightError, match="pip install pyvirtualcam"):
        VirtualCamera(None, info, 25.0, 0.2, LiveStatistics())


def test_the_loudspeaker_gives_out_what_was_said_after_the_delay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    streams: list[Any] = []

    class Stream:
        def __init__(self, *words: Any, callback: Any) -> None:
            if words[2] == "none":
                raise ValueError("no such device")
            self.words, self.callback, self.running = words, callback, False
            streams.append(self)

        def start(self) -> None:
            self.running = True

        def stop(self) -> None:
            self.running = False

        def close(self) -> None: ...

    module = SimpleNamespace(OutputStream=Stream, PortAudioError=OSError)
    monkeypatch.setattr("lipwright.live.devices.sounddevice_module", lambda what: module)
    with pytest.raises(LipwrightError, match="no loudspeaker none"):
        Loudspeaker("none", 0.1)
    speaker = Loudspeaker("3", 0.1)
    (stream,) = streams
    assert stream.words[2] == 3
    now = [100.0]
    monkeypatch.setattr(speaker._clock, "now", lambda: now[0])

    def next_block() -> float:
        out = np.ones((960, 2), np.float32)
        stream.callback(out, 960, None, None)
        return float(out.mean())

    assert next_block() == 0.0  # nothing has begun
    speaker.sound(said(960))
    speaker.sound(said(480, 24_000))
    assert next_block() == 0.0  # 20 ms before it was whole, and the delay
    now[0] += 0.1
    assert next_block() == pytest.approx(0.5)
    speaker.close()
    assert not stream.running
