"""The application: API, page, workers, and what goes on in the background."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from lipwright import __version__
from lipwright.errors import LipwrightError
from lipwright.serving import api, pages
from lipwright.serving.files import TooLargeError
from lipwright.serving.guard import Guard
from lipwright.serving.pool import Pool, wait_for_old_workers
from lipwright.serving.retention import Keeper
from lipwright.serving.service import FullError, MissingError, Service
from lipwright.serving.settings import Settings
from lipwright.serving.store import Store, TooManyError
from lipwright.serving.webhooks import Deliverer

log = logging.getLogger(__name__)

DESCRIPTION = """Dub videos to any speech. Upload a video and a speech, create a job, follow it by
its events, download the result. Every error is an object with one sentence in `detail`."""


class Application:
    """Everything of one server; an ASGI application.

    Args:
        settings: what is allowed.
        workers: start worker processes; tests of the API alone do without.
    """

    def __init__(self, settings: Settings, workers: bool = True) -> None:
        settings.prepare()
        self.settings = settings
        self.store = Store(settings.database)
        self.service = Service(settings, self.store)
        self.pool = Pool(settings, self.store) if workers else None
        self.web = FastAPI(
            title="Lipwright",
            version=__version__,
            description=DESCRIPTION,
            docs_url=None,  # they load scripts from elsewhere
            redoc_url=None,
            openapi_url="/openapi.json",
            lifespan=self._lifespan,
        )
        self.web.include_router(api.router)
        self.web.include_router(api.health)
        pages.mount(self.web)
        self._close_live: Callable[[], Awaitable[None]] | None = None
        if settings.live_face is not None:
            from lipwright.serving import live  # needs the extra 'live'

            calls = live.CallService(
                settings.live_face,
                settings.device,
                settings.backend,
                ice_servers=settings.ice_servers,
            )
            live.mount(self.web, calls)
            self._close_live = calls.close
        _add_handlers(self.web)
        self.guard = Guard(self.web, settings)
        self.web.state.service = self.service
        self.web.state.pool = self.pool
        self.web.state.guard = self.guard

    @property
    def asgi(self) -> ASGIApp:
        """What a web server runs."""
        return self.guard

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        background = Deliverer(self.settings, self.store), Keeper(self.settings, self.store)
        if self.pool is not None:
            self.pool.start()
        for one in background:
            one.start()
        try:
            yield
        finally:
            if self._close_live is not None:
                await self._close_live()
            for one in background:
                one.stop()
            if self.pool is not None:
                self.pool.stop()
            self.store.close()


def _add_handlers(web: FastAPI) -> None:
    @web.exception_handler(LipwrightError)
    async def _lipwright(request: Request, error: LipwrightError) -> Response:
        statuses: tuple[tuple[type[LipwrightError], int], ...] = (
            (MissingError, 404),
            (TooLargeError, 413),
            (TooManyError, 429),
            (FullError, 507),
        )
        status = next((code for kind, code in statuses if isinstance(error, kind)), 422)
        return _problem(request, status, error.sentence)

    @web.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": sentence_of(error)}, 422)

    @web.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        words = {404: "There is nothing at this address.", 405: "This address does not do that."}
        detail = words.get(error.status_code, str(error.detail))
        return _problem(request, error.status_code, detail)

    @web.exception_handler(Exception)
    async def _internal(_request: Request, error: Exception) -> JSONResponse:
        log.error("internal error: %s", type(error).__name__, exc_info=error)
        sentence = "Something went wrong in the server; its log says more."
        return JSONResponse({"detail": sentence}, 500)


def _problem(request: Request, status: int, detail: str) -> Response:
    """An error, as a page where a browser asks for one."""
    if pages.wants_page(request):
        return pages.render("error.html", status, detail=detail)
    return JSONResponse({"detail": detail}, status)


def sentence_of(error: RequestValidationError) -> str:
    """The first of the errors in one sentence that does not repeat what was sent."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return "The body is not valid JSON."
    words = [str(word)[:40] for word in first["loc"] if word not in ("body", "query", "path")]
    place = ".".join(words)
    message = str(first["msg"]).rstrip(".")[:300]
    return f"{place}: {message}." if place else f"The request does not fit: {message}."


def serve(settings: Settings) -> None:
    """Run the server until it is ended."""
    import uvicorn

    application = Application(settings)
    wait_for_old_workers(settings.data)  # says so in one sentence; later it would be a traceback
    uvicorn.run(
        application.asgi,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,  # addresses of people are not logged
        server_header=False,
        timeout_graceful_shutdown=3,
        timeout_keep_alive=15,
        limit_concurrency=400,
        h11_max_incomplete_event_size=64 << 10,
    )
