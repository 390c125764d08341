"""The pages: made on the server, with a little script for uploads and progress."""

from __future__ import annotations

import datetime
import inspect
from functools import cache
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.staticfiles import StaticFiles

from lipwright import __version__
from lipwright.serving import api
from lipwright.serving.api import ServiceDep
from lipwright.serving.examples import CURL, PYTHON
from lipwright.serving.options import form_fields
from lipwright.serving.records import Job, State
from lipwright.serving.schema import LONGEST_TEXT, file_out, job_out
from lipwright.serving.service import Service

WORDS: dict[State, str] = {
    "queued": "Waiting",
    "running": "Running",
    "done": "Done",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
VERDICTS = {
    "valid": "Marks were found, and nothing contradicts them",
    "nothing": "Neither manifest nor watermark was found",
    "broken": "The manifest does not hold",
}
PER_PAGE = 50

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("lipwright.serving", "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page from its template."""
    page = _environment().get_template(name)
    shared = {"version": __version__, "here": "", "keep_days": None}
    return HTMLResponse(page.render({**shared, "status": status, **values}), status)


def _shared(service: Service) -> dict[str, Any]:
    keep = service.settings.keep_seconds
    return {
        "keep_days": f"{keep / 86_400:g}" if keep is not None else None,
        "max_upload": service.settings.max_upload,
        "max_seconds": service.settings.max_seconds,
    }


@router.get("/")
def new(service: ServiceDep) -> HTMLResponse:
    """The form for a new dub."""
    groups = [(k, list(v)) for k, v in groupby(form_fields(), key=lambda field: field.group)]
    today = datetime.datetime.now().astimezone().date()
    return render(
        "new.html",
        here="/",
        groups=groups,
        today=today,
        speaks=service.speaks,
        longest_text=LONGEST_TEXT,
        **_shared(service),
    )


@router.get("/jobs")
def jobs(
    service: ServiceDep, before: Annotated[int | None, Query(ge=1, le=2**53)] = None
) -> HTMLResponse:
    """The list of jobs."""
    found = service.store.jobs(kinds=("dub", "verify"), limit=PER_PAGE + 1, before=before)
    rows = [_row(service, job) for job in found[:PER_PAGE]]
    older = found[PER_PAGE - 1].number if len(found) > PER_PAGE else None
    return render("jobs.html", here="/jobs", jobs=rows, older=older, **_shared(service))


def _row(service: Service, job: Job) -> dict[str, Any]:
    title, subtitle, poster = _titles(service, job)
    return {
        "id": job.id,
        "state": job.state,
        "words": WORDS[job.state],
        "title": title,
        "subtitle": subtitle,
        "poster": poster,
        "created": datetime.datetime.fromtimestamp(job.created, datetime.UTC).isoformat(),
    }


def _titles(service: Service, job: Job) -> tuple[str, str, str | None]:
    """Title, second line and picture of a job."""

    def name(role: str) -> str:
        file = service.store.file(job.request.get(role) or "")
        return file.name if file else "a deleted file"

    if job.kind == "verify":
        if job.request.get("job"):
            other = service.store.job(job.request["job"])
            return f"Verification of job {other.number if other else '(deleted)'}", "", None
        return f"Verification of {name('file')}", "", None
    video = service.store.file(job.request.get("video") or "")
    poster = file_out(video).poster if video else None
    speech = f"with {name('speech')}" if job.request.get("speech") else ""
    return name("video"), speech, poster


@router.get("/jobs/{job}")
def job_page(job: str, service: ServiceDep) -> HTMLResponse:
    """One job."""
    found = service.job(job)
    title, subtitle, _ = _titles(service, found)
    shown = job_out(found, 0)
    video = service.store.file(found.request.get("video") or "")
    return render(
        "job.html",
        job=found,
        title=title,
        subtitle=subtitle,
        words=WORDS[found.state],
        result=found.result or {},
        files={"sheet": None, **shown.files},
        source=file_out(video) if video else {"kind": "", "url": ""},
        verdicts=VERDICTS,
        **_shared(service),
    )


@router.get("/verify")
def verify(service: ServiceDep) -> HTMLResponse:
    """The form for a verification."""
    return render("verify.html", here="/verify", **_shared(service))


@router.get("/api")
def api_page(request: Request, service: ServiceDep) -> HTMLResponse:
    """How to use the API."""
    base = str(request.base_url).rstrip("/")
    addresses = [
        (method, route.path, _first_line(route.endpoint))
        for route in api.router.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
    ]
    return render(
        "api.html",
        here="/api",
        curl=CURL.replace("http://127.0.0.1:7860", base).strip(),
        python=PYTHON.replace("http://127.0.0.1:7860", base).strip(),
        addresses=addresses,
        **_shared(service),
    )


def _first_line(endpoint: Any) -> str:
    """What an endpoint does, as text for people."""
    return (inspect.getdoc(endpoint) or "").splitlines()[0].replace("``", "")


def mount(web: FastAPI) -> None:
    """Add the pages and their files to the application."""
    web.include_router(router)
    mount_static(web)


def mount_static(web: FastAPI) -> None:
    """Add style and scripts."""
    static = Path(str(resources.files("lipwright.serving") / "static"))
    web.mount("/static", StaticFiles(directory=static), name="static")


def wants_page(request: Request) -> bool:
    """Whether an error is to be shown as a page."""
    accepts = request.headers.get("accept", "")
    return "text/html" in accepts and not request.url.path.startswith("/api/v1")
