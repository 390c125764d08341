"""The page of a call: the visitor's microphone comes in, the speaking face goes out.

There is one face, chosen when the server is started, and one call at a time: it takes the machine.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from lipwright.live.call import Call
from lipwright.live.drawing import LoopDrawer
from lipwright.live.job import HEADROOM
from lipwright.live.listener import Listener
from lipwright.live.loop import FaceLoop, face_loop
from lipwright.live.report import LiveReport
from lipwright.methods.base import Method
from lipwright.provenance.record.manifest import Input
from lipwright.provenance.session import Provenance, ProvenanceOptions
from lipwright.serving.ice import IceServer
from lipwright.serving.store import TooManyError

log = logging.getLogger("lipwright.serving")

router = APIRouter(include_in_schema=False)
MOST_OFFER = 60_000


class Offer(BaseModel):
    """What a browser proposes."""

    sdp: Annotated[str, Field(min_length=1, max_length=MOST_OFFER)]


class Answer(BaseModel):
    """What the server agrees to."""

    sdp: str


class CallService:
    """The face of a server, and who is on the line.

    Args:
        face: video of the person.
        device, backend: of the method.
        method: one that is loaded already.
        delay: seconds after its sound came in at which everything leaves; None: see ``HEADROOM``.
        ice_servers: STUN and TURN servers, for this side and the visitor's.
    """

    def __init__(
        self,
        face: Path,
        device: str = "auto",
        backend: str = "auto",
        method: Method | None = None,
        delay: float | None = None,
        ice_servers: Sequence[IceServer] = (),
    ) -> None:
        self.ice_servers = tuple(ice_servers)
        self._face, self._device, self._backend = face, device, backend
        self._method, self._delay = method, delay
        self._loop: FaceLoop | None = None
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self.call: Call | None = None
        self.reports: list[LiveReport] = []

    async def answer(self, offer: str) -> str:
        """Begin a call.

        Raises:
            TooManyError: somebody is on the line.
            LipwrightError: the offer cannot be understood, the face cannot be used.
        """
        if not self._lock.acquire(blocking=False):
            raise TooManyError("Somebody is on the line; try again when the call is over.")
        try:
            call = await asyncio.to_thread(self._prepare)
            answer = await call.answer(offer)
        except BaseException:
            self._lock.release()
            raise
        self.call = call
        return answer

    async def close(self) -> None:
        """Hang up and let go of everything."""
        if self.call is not None:
            await self.call.close()
        self._stack.close()

    def _prepare(self) -> Call:
        if self._method is None:
            from lipwright.methods.registry import load_method
            from lipwright.methods.runtime import cores, network_threads

            with network_threads(cores()):
                self._method = load_method(None, self._device, self._backend)
        if self._loop is None:
            self._loop = self._stack.enter_context(face_loop(self._face))
        method, loop = self._method, self._loop
        name = method.model_id
        size = (loop.info.width, loop.info.height)
        marks = ProvenanceOptions(manifest=False, explain=False)
        provenance = Provenance(marks, [Input.of("video", self._face)], name, size)
        listener = Listener(method)
        drawer = LoopDrawer(loop, method, listener, provenance)
        drawer.warm_up()
        look_ahead = float(listener.look_ahead)
        report = LiveReport(
            str(self._face),
            "the call",
            ["the call"],
            rate=loop.rate,
            look_ahead=look_ahead,
            delay=self._delay if self._delay is not None else look_ahead + HEADROOM,
            model={"name": method.name, "id": name},
        )

        def ended(report: LiveReport) -> None:
            if report.statistics.frames:
                provenance.finish_stream()
            report.provenance = provenance.to_json()
            self.reports.append(report)
            del self.reports[:-10]
            for line in report.lines():
                log.info("live: %s", line)
            self.call = None
            self._lock.release()

        return Call(drawer, listener, report, ended, [s.to_json() for s in self.ice_servers])


@router.get("/live", response_class=HTMLResponse)
def page(request: Request) -> HTMLResponse:
    """The page of a call."""
    from lipwright.serving import pages

    calls: CallService = request.app.state.calls
    servers = json.dumps([server.to_json() for server in calls.ice_servers])
    return pages.render("live.html", here="/live", ice_servers=servers)


@router.post("/api/v1/live")
async def begin(offer: Offer, request: Request) -> Answer:
    """Begin a call: SDP in, SDP out."""
    calls: CallService = request.app.state.calls
    return Answer(sdp=await calls.answer(offer.sdp))


@router.get("/api/v1/live")
def state(request: Request) -> dict[str, Any]:
    """Whether somebody is on the line, and what became of the last call."""
    calls: CallService = request.app.state.calls
    call = calls.call
    last = calls.reports[-1].to_json() if calls.reports else None
    return {"busy": call is not None, "last": last}


def mount(web: FastAPI, calls: CallService) -> None:
    """Add the page to an application."""
    web.state.calls = calls
    web.include_router(router)
