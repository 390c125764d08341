"""``lipwright study serve``: pages for raters, without any script.

A rater's address is the only key to the rater's answers; who has it goes on where the rater
stopped.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Form, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from lipwright.errors import LipwrightError
from lipwright.serving import pages
from lipwright.serving.files import media_type
from lipwright.serving.guard import Guard
from lipwright.serving.settings import Settings
from lipwright.serving.study.answers import Answers
from lipwright.serving.study.design import MEDIA, PAIR_ANSWERS, QUESTIONS, SCALE, Design, load
from lipwright.serving.study.schedule import Item, items_for

LONGEST_SECONDS = 86_400.0
router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


class Study:
    """A study that is being served.

    Args:
        folder: of the study.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.design: Design = load(folder)
        self.answers = Answers(folder)

    def items(self, link: str) -> list[Item]:
        """What a rater sees.

        Raises:
            HTTPException: there is no such rater.
        """
        number = self.answers.number_of(link)
        if number is None:
            raise HTTPException(404)
        return items_for(self.design, number)


def study_of(request: Request) -> Study:
    """The study of the application."""
    found: Study = request.app.state.study
    return found


StudyDep = Annotated[Study, Depends(study_of)]


@router.get("/")
def root() -> HTMLResponse:
    """Without a link there is nothing to see."""
    return pages.render("study_message.html", detail="Please use the link that you were given.")


@router.get("/join/{secret}")
def welcome(secret: str, study: StudyDep) -> HTMLResponse:
    """What is asked of a new rater."""
    if secret != study.design.join:
        raise HTTPException(404)
    count = len(items_for(study.design, 0))
    return pages.render("study_welcome.html", design=study.design, count=count)


@router.post("/join/{secret}")
def join(secret: str, study: StudyDep) -> RedirectResponse:
    """Make a rater."""
    if secret != study.design.join:
        raise HTTPException(404)
    return RedirectResponse(f"/rater/{study.answers.join()}", 303)


@router.get("/rater/{link}")
def show(link: str, study: StudyDep, problem: str = "") -> HTMLResponse:
    """The page that a rater has to answer next."""
    items = study.items(link)
    page = study.answers.pages_done(link)
    if page >= len(items):
        return pages.render("study_message.html", detail="Thank you. All your answers are stored.")
    item = items[page]
    return pages.render(
        "study_page.html",
        design=study.design,
        item=item,
        media=[f"/media/{study.design.media_of(m, item.clip)}" for m in item.methods],
        page=page,
        count=len(items),
        questions=QUESTIONS,
        grades=SCALE if study.design.mode == "scale" else PAIR_ANSWERS,
        now=f"{time.time():.1f}",
        problem="Please answer all three questions." if problem else "",
    )


@router.post("/rater/{link}")
def answer(
    link: str,
    study: StudyDep,
    page: Annotated[int, Form(ge=0, le=100_000)],
    shown: Annotated[float, Form()] = 0.0,
    lip_sync: Annotated[int | None, Form()] = None,
    sharpness: Annotated[int | None, Form()] = None,
    overall: Annotated[int | None, Form()] = None,
) -> RedirectResponse:
    """Store the answers to a page, if it is the one that is to be answered."""
    items = study.items(link)
    highest = len(SCALE) if study.design.mode == "scale" else len(PAIR_ANSWERS)
    given = {"lip_sync": lip_sync, "sharpness": sharpness, "overall": overall}
    valid = {q: a for q, a in given.items() if a is not None and 1 <= a <= highest}
    here = f"/rater/{link}"
    if page != study.answers.pages_done(link) or page >= len(items):
        return RedirectResponse(here, 303)  # sent twice, or from an old tab
    if len(valid) != len(QUESTIONS):
        return RedirectResponse(f"{here}?problem=1", 303)
    seconds = min(max(0.0, time.time() - shown), LONGEST_SECONDS)
    study.answers.add(link, page, items[page], valid, seconds)
    return RedirectResponse(here, 303)


@router.get("/media/{name}")
def media(name: str, study: StudyDep) -> FileResponse:
    """A clip, byte for byte."""
    if name not in {one.media for one in study.design.shown}:
        raise HTTPException(404)
    return FileResponse(
        study.folder / MEDIA / name,
        media_type=media_type("video", name),
        headers={"Cache-Control": "private, max-age=86400"},
    )


def application(folder: Path, host: str = "127.0.0.1", port: int = 7861) -> ASGIApp:
    """The application of a study.

    Raises:
        LipwrightError: there is no study in the folder.
    """
    study = Study(folder)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        study.answers.close()

    web = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    web.state.study = study
    web.include_router(router)
    pages.mount_static(web)

    @web.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> Response:
        detail = "There is nothing at this address; please use the link that you were given."
        return pages.render("study_message.html", error.status_code, detail=detail)

    @web.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, _error: RequestValidationError) -> Response:
        detail = "This answer cannot be understood; please go back and answer again."
        return pages.render("study_message.html", 422, detail=detail)

    @web.exception_handler(LipwrightError)
    async def _own(_request: Request, error: LipwrightError) -> Response:
        return pages.render("study_message.html", 422, detail=error.sentence)

    settings = Settings(data=folder, host=host, port=port, own_access=True)
    return Guard(web, settings)


def serve(folder: Path, host: str, port: int) -> None:
    """Serve a study until Ctrl-C."""
    import uvicorn

    uvicorn.run(
        application(folder, host, port),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
