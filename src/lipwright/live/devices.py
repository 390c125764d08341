"""Sinks of this computer: a virtual camera, and a loudspeaker (or a virtual cable) for its sound.

Both give out everything at its time: what was said at t leaves ``delay`` seconds later, so that a
meeting that takes picture and sound from them has lips and sound in step.
"""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Any

import numpy as np
import soxr

from lipwright.errors import LipwrightError
from lipwright.live.clock import SystemClock
from lipwright.live.engine import DrawnFrame
from lipwright.live.playout import BLOCK, RATE, Playout
from lipwright.live.report import LiveStatistics
from lipwright.live.sources import sounddevice_module
from lipwright.media.info import VideoInfo
from lipwright.media.mix import stereo_weights
from lipwright.media.sound import Sound

_POLL = 0.005


class _TimedSink:
    """Holds sound and frames until their time; a thread gives them out."""

    def __init__(self, name: str, delay: float) -> None:
        self.name = name
        self.error: LipwrightError | None = None
        self._clock, self._playout = SystemClock(), Playout(delay)
        self._stop = threading.Event()
        self._converter: soxr.ResampleStream | None = None

    def sound(self, piece: Sound) -> None:
        """See ``sinks.Sink``."""
        now = self._clock.now()
        self._playout.begin(now - piece.count / piece.rate)
        if not self.wants_sound:
            return
        stereo = (stereo_weights(piece.channels, piece.samples.shape[0]) @ piece.samples).T
        if piece.rate != RATE:
            if self._converter is None:
                self._converter = soxr.ResampleStream(piece.rate, RATE, 2, "float32", "MQ")
            stereo = self._converter.resample_chunk(np.ascontiguousarray(stereo))
        samples = np.ascontiguousarray(stereo.T, np.float32)
        self._playout.sound(Sound(samples, RATE, ("FL", "FR"), None))

    wants_sound = False

    def picture(self, frame: DrawnFrame) -> None:
        """See ``sinks.Sink``; a sink of sound leaves pictures alone."""


class VirtualCamera(_TimedSink):
    """A camera that other programs see, by ``pyvirtualcam`` (v4l2loopback on Linux).

    Args:
        device: such as ``/dev/video10``; None: the first that is free.
        info: of the frames.
        rate: frames per second.
        delay: seconds after its sound at which a frame is shown.
        statistics: takes the frames whose time had passed.

    Raises:
        LipwrightError: the package or the device is missing.
    """

    def __init__(
        self,
        device: str | None,
        info: VideoInfo,
        rate: float,
        delay: float,
        statistics: LiveStatistics,
    ) -> None:
        super().__init__("the virtual camera", delay)
        self._statistics = statistics
        module = _pyvirtualcam()
        try:
            self._camera: Any = module.Camera(
                info.width, info.height, rate, fmt=module.PixelFormat.I420, device=device
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise LipwrightError(
                f"There is no virtual camera {device or ''}".rstrip()
                + f" ({' '.join(str(error).split())[:200]}); on Linux load the module v4l2loopback."
            ) from error
        self.name = f"the virtual camera {self._camera.device}"
        self._thread = threading.Thread(target=self._run, name="live-camera", daemon=True)
        self._thread.start()

    def picture(self, frame: DrawnFrame) -> None:
        """See ``sinks.Sink``."""
        self._playout.picture(frame)

    def close(self) -> None:
        """See ``sinks.Sink``."""
        self._stop.set()
        self._thread.join(5.0)
        self._camera.close()

    def _run(self) -> None:
        while not self._stop.wait(_POLL):
            if not self._playout.began:
                continue
            found, passed = self._playout.newest_due(self._clock.now())
            for _ in range(passed):
                self._statistics.refused(self.name)
            if found is None:
                continue
            try:
                self._camera.send(found.native.to_ndarray(format="yuv420p"))
            except (RuntimeError, ValueError, OSError) as error:
                self.error = LipwrightError(f"{self.name} takes no frames any more ({error}).")
                return


class Loudspeaker(_TimedSink):
    """The sound of the session on an output device, by ``sounddevice`` (extra ``live``).

    Args:
        device: name or number; None: the system's default.
        delay: seconds after it came in at which sound is heard.

    Raises:
        LipwrightError: there is no such device.
    """

    wants_sound = True

    def __init__(self, device: str | None, delay: float) -> None:
        super().__init__("the loudspeaker", delay)
        module = sounddevice_module("The loudspeaker")
        wanted = int(device) if device is not None and device.isdigit() else device
        try:
            self._stream: Any = module.OutputStream(
                RATE, BLOCK, wanted, 2, "float32", callback=self._fill
            )
            self._stream.start()
        except (ValueError, module.PortAudioError) as error:
            raise LipwrightError(
                f"There is no loudspeaker {device or ''}".rstrip()
                + " here; give speaker:NAME, with a name or number that "
                "'python -m sounddevice' lists."
            ) from error

    def close(self) -> None:
        """See ``sinks.Sink``."""
        self._stream.stop()
        self._stream.close()

    def _fill(self, out: Any, frames: int, times: object, status: object) -> None:
        """The device wants the next 20 ms."""
        out[:] = 0.0
        playout = self._playout
        if playout.began and playout.next_block_at() <= self._clock.now() + BLOCK / RATE:
            block, _ = playout.block()
            out[:] = block.T[:frames]


def _pyvirtualcam() -> ModuleType:
    try:
        import pyvirtualcam
    except ImportError as error:
        raise LipwrightError(
            "The virtual camera needs the package pyvirtualcam (GPL-2.0, so it is in no extra); "
            "run: python -m pip install pyvirtualcam."
        ) from error
    module: ModuleType = pyvirtualcam
    return module
