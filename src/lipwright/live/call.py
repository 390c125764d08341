"""A call by WebRTC (aiortc, extra ``live``): a microphone comes in, face and sound go out.

aiortc stamps its sender reports with the moment at which a packet has been encoded and sent, and a
browser brings sound and picture together by these. So both are handed over earlier by as much as it
takes until they are sent, and then leave together.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from lipwright.errors import LipwrightError
from lipwright.live.clock import Clock, SystemClock
from lipwright.live.drawing import LoopDrawer
from lipwright.live.engine import Engine
from lipwright.live.listener import Listener
from lipwright.live.playout import BLOCK, RATE, Playout, time_of_block
from lipwright.live.report import LiveReport
from lipwright.live.session import Session
from lipwright.live.sources import Piece
from lipwright.media.sound import Sound

SILENT_SECONDS = 10.0
"""A call from which nothing comes for so long is over."""
GATHER_SECONDS = 20.0
"""An offer has to be answered, and the connection made, within this time."""
OPUS_DELAY = 312 / 48_000
"""Seconds by which sound that a browser decodes is later than its time stamp says: libopus looks so
far ahead, and aiortc (1.16) counts its first packet, which holds that, from 0."""
LEAD_SHARE = 0.1
"""The lead follows what it is found to lack by this share ..."""
LEAD_STEP = 0.02
"""... of no more seconds than this at once: a hiccup is none of its business."""
MOST_LEAD = 0.1
_POLL = 0.005


class CallSource:
    """The microphone of a call, as a source of a session."""

    name = "the call"
    path: Path | None = None

    def __init__(self) -> None:
        self._waiting: queue.Queue[Piece | None] = queue.Queue()

    def put(self, sound: Sound | None, now: float) -> None:
        """Sound that came; None at the end."""
        self._waiting.put(None if sound is None else (sound, now))

    def pieces(self) -> Iterator[Piece]:
        """See ``sources.Source``."""
        while True:
            try:
                item = self._waiting.get(timeout=SILENT_SECONDS)
            except queue.Empty:
                raise LipwrightError(
                    f"Nothing has come from the call for {SILENT_SECONDS:g} s; it was ended."
                ) from None
            if item is None:
                return
            yield item


class Lead:
    """By how much earlier something is handed to aiortc so that it is sent at its time.

    Encoding, the thread that it waits for and a busy event loop take their time; how much is seen
    when aiortc asks for the next one, and followed slowly.

    Attributes:
        seconds: the lead.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._wanted: float | None = None

    def handed(self, wanted: float | None) -> None:
        """Something was handed over that should be sent at ``wanted``; None: it is late anyway."""
        self._wanted = wanted

    def sent(self, now: float) -> None:
        """What was handed over has been sent."""
        if self._wanted is not None:
            error = min(max(now - self._wanted, -LEAD_STEP), LEAD_STEP)
            self.seconds = min(max(self.seconds + LEAD_SHARE * error, 0.0), MOST_LEAD)
        self._wanted = None


class SoundTrack(MediaStreamTrack):
    """What was said, when it leaves."""

    kind = "audio"

    def __init__(self, playout: Playout, clock: Clock) -> None:
        super().__init__()
        self._playout, self._clock, self._lead = playout, clock, Lead()

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms, at their time."""
        self._lead.sent(self._clock.now())
        while not self._playout.began:
            if self.readyState != "live":
                raise MediaStreamError
            await asyncio.sleep(_POLL)
        wanted = self._playout.next_block_at()
        await asyncio.sleep(max(0.0, wanted - self._lead.seconds - self._clock.now()))
        if self.readyState != "live":
            raise MediaStreamError
        samples, number = self._playout.block()
        self._lead.handed(wanted)
        # Opus takes 16 bits from aiortc; halves are rounded, nothing is dithered.
        whole = np.rint(samples * 32767.0).astype(np.int16)
        packed = np.ascontiguousarray(whole.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout="stereo")
        frame.sample_rate, frame.pts = RATE, number * BLOCK
        frame.time_base = Fraction(1, RATE)
        assert frame.pts * frame.time_base == time_of_block(number)
        return frame


class PictureTrack(MediaStreamTrack):
    """The frames, each when its sound leaves."""

    kind = "video"

    def __init__(self, playout: Playout, clock: Clock, refused: Callable[[str], None]) -> None:
        super().__init__()
        self._playout, self._clock, self._refused = playout, clock, refused
        self._lead = Lead()
        self._last = -1

    async def recv(self) -> av.VideoFrame:
        """The next frame; those whose time has passed already are left out."""
        self._lead.sent(self._clock.now())
        earlier = self._lead.seconds - OPUS_DELAY
        while True:
            if self.readyState != "live":
                raise MediaStreamError
            wait = _POLL
            if self._playout.began:
                now = self._clock.now() + earlier
                found, passed = self._playout.newest_due(now)
                for _ in range(passed):
                    self._refused(self._playout.name)
                if found is not None:
                    break
                following = self._playout.next_frame_at()
                if following is not None:
                    wait = min(wait, following - now)
            await asyncio.sleep(max(0.0, wait))
        due = self._playout.frame_at(found)
        self._lead.handed(due + OPUS_DELAY if now - due < LEAD_STEP else None)
        picture = found.native
        ticks = max(self._last + 1, self._playout.ticks(found))
        self._last = ticks
        picture.pts, picture.time_base = ticks, Fraction(1, RATE)
        return picture


class Call:
    """One call, from the offer to the report.

    Args:
        drawer: makes the frames; made for ``listener``.
        listener: hears the caller.
        report: takes the counts.
        ended: called with the report when the call is over, from some thread.
        ice_servers: STUN and TURN servers as RTCPeerConnection takes them. aiortc uses the first
            ``stun:`` and the first ``turn:`` or ``turns:`` address among them.
    """

    def __init__(
        self,
        drawer: LoopDrawer,
        listener: Listener,
        report: LiveReport,
        ended: Callable[[LiveReport], None] = lambda report: None,
        ice_servers: Sequence[dict[str, Any]] = (),
    ) -> None:
        self._ice_servers = [RTCIceServer(**server) for server in ice_servers]
        self._clock = SystemClock()
        self.report, self._ended = report, ended
        self.playout = Playout(report.delay)
        self._source = CallSource()
        statistics = report.statistics
        engine = Engine(drawer, listener, report.rate, report.delay, self._clock, statistics)
        self._engine = engine
        self._session = Session(self._source, engine, [self.playout])
        self._thread = threading.Thread(target=self._run, name="live-call", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self.over = asyncio.Event()

    async def answer(self, offer: str) -> str:
        """Take an offer (SDP); gives the answer.

        Raises:
            LipwrightError: it cannot be understood, or offers no sound.
        """
        loop = self._loop = asyncio.get_running_loop()
        # Made here, for it belongs to the event loop of the thread that makes it.
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=self._ice_servers))
        self._peer.addTrack(SoundTrack(self.playout, self._clock))
        refused = self.report.statistics.refused
        self._peer.addTrack(PictureTrack(self.playout, self._clock, refused))

        @self._peer.on("track")
        def _track(track: Any) -> None:
            if track.kind == "audio":
                self._keep(loop.create_task(self._receive(track)))

        @self._peer.on("connectionstatechange")
        async def _changed() -> None:
            if self._peer.connectionState in ("failed", "closed", "disconnected"):
                await self.close()

        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            if not any(
                r.track is not None and r.track.kind == "audio" for r in self._peer.getReceivers()
            ):
                raise ValueError("no sound")
            answer = await self._peer.createAnswer()
            assert answer is not None
            await self._peer.setLocalDescription(answer)
        except (ValueError, KeyError, IndexError, AttributeError, AssertionError) as error:
            await self.close()
            raise LipwrightError(
                "The offer of the call cannot be understood; it has to be the SDP of a browser "
                "that sends a microphone and takes sound and pictures."
            ) from error
        self._thread.start()
        self._keep(loop.create_task(self._end_unless_connected()))
        return str(self._peer.localDescription.sdp)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Hang up; may be called twice."""
        self._source.put(None, self._clock.now())
        await self._peer.close()
        self.over.set()

    async def _end_unless_connected(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        if self._peer.connectionState != "connected":
            await self.close()

    async def _receive(self, track: Any) -> None:
        resampler = av.AudioResampler("flt", "stereo", RATE)
        try:
            while True:
                frame = await track.recv()
                now = self._clock.now()
                frame.pts = None  # the session counts samples; holes were filled by the decoder
                for part in resampler.resample(frame):
                    samples = part.to_ndarray().reshape(-1, 2).T
                    sound = Sound(np.ascontiguousarray(samples), RATE, ("FL", "FR"), None)
                    self.playout.begin(now - sound.count / RATE)
                    self._source.put(sound, now)
        except MediaStreamError:
            self._source.put(None, self._clock.now())

    def _run(self) -> None:
        report = self.report
        report.statistics.start()
        began = time.monotonic()
        try:
            error = self._session.run()
            report.ended = str(error or self._session.ended)
        finally:
            report.seconds = float(self._engine.received)
            report.warnings += [f"The call lasted {time.monotonic() - began:.1f} s."]
            self._ended(report)
            with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
                asyncio.run_coroutine_threadsafe(self.close(), self._loop)
