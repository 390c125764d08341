"""The HTTP API, version 1: ``/api/v1``."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse

from lipwright.errors import LipwrightError
from lipwright.serving import metrics
from lipwright.serving.files import POSTER, folder_of, media_type, path_of, result_path
from lipwright.serving.pool import Pool
from lipwright.serving.records import ENDED, Job, Kind, State
from lipwright.serving.schema import (
    DubIn,
    FileOut,
    JobOut,
    PeopleIn,
    PreviewIn,
    Problem,
    SpeechIn,
    VerifyIn,
    file_out,
    job_out,
)
from lipwright.serving.service import MissingError, Service

EVENT_SECONDS = 0.4
QUIET_SECONDS = 15.0

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 401, 403, 404, 409, 413, 422, 429, 507)
}
router = APIRouter(prefix="/api/v1", responses=PROBLEMS)
_streams: Counter[str] = Counter()


def service_of(request: Request) -> Service:
    """The service of the application that a request belongs to."""
    found: Service = request.app.state.service
    return found


ServiceDep = Annotated[Service, Depends(service_of)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        description="The same key and request again give the same job.",
    ),
]


@router.post(
    "/files",
    status_code=201,
    response_model=FileOut,
    tags=["files"],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {"file": {"type": "string", "format": "binary"}},
                    }
                },
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
async def upload(
    request: Request,
    service: ServiceDep,
    name: Annotated[str | None, Query(max_length=300, description="Name of a bare body.")] = None,
) -> FileOut:
    """Upload a video, a picture or a speech: as a form, or as the bare body with ``?name=``."""
    chunks = request.stream()
    content_type = request.headers.get("content-type", "")
    return file_out(await service.upload(chunks, content_type, name))


@router.get("/files", response_model=list[FileOut], tags=["files"])
def list_files(service: ServiceDep) -> list[FileOut]:
    """All uploads, the newest first."""
    return [file_out(file) for file in service.store.files()]


@router.get("/files/{file}", response_model=FileOut, tags=["files"])
def get_file(file: str, service: ServiceDep) -> FileOut:
    """What an upload is."""
    return file_out(service.file(file))


@router.get("/files/{file}/content", response_class=FileResponse, tags=["files"])
def get_content(file: str, service: ServiceDep) -> FileResponse:
    """An upload itself; answers range requests."""
    found = service.file(file)
    path = path_of(service.settings, found)
    if not path.is_file():
        raise MissingError("The file is no longer there.")
    return _send(path, media_type(found.facts["kind"], found.name), found.name)


@router.get("/files/{file}/poster", response_class=FileResponse, tags=["files"])
def get_poster(file: str, service: ServiceDep) -> FileResponse:
    """A small picture of a video or picture."""
    found = service.file(file)
    path = folder_of(service.settings, found.id) / POSTER
    if not path.is_file():
        raise MissingError("There is no picture of this file.")
    return _send(path, "image/jpeg", POSTER)


@router.delete("/files/{file}", status_code=204, response_class=Response, tags=["files"])
def delete_file(file: str, service: ServiceDep) -> Response:
    """Remove an upload."""
    service.delete_file(file)
    return Response(status_code=204)


@router.post("/samples", status_code=201, response_model=dict[str, FileOut], tags=["files"])
def make_sample(service: ServiceDep) -> dict[str, FileOut]:
    """The bundled portrait and speech as uploads: ``video`` and ``speech``."""
    return {role: file_out(file) for role, file in service.sample().items()}


@router.post("/speeches", status_code=201, response_model=FileOut, tags=["files"])
def make_speech(wanted: SpeechIn, service: ServiceDep) -> FileOut:
    """Let the server's synthesiser speak a text; the sound is an upload like any other."""
    return file_out(service.speak(wanted.text, wanted.voice))


@router.post("/jobs", status_code=202, response_model=JobOut, tags=["jobs"])
def create_dub(
    wanted: DubIn, request: Request, response: Response, service: ServiceDep, key: Key = None
) -> JobOut:
    """Dub a video."""
    body = wanted.model_dump(mode="json", exclude_unset=True)
    body.setdefault("options", {})
    webhook = body.pop("webhook", None)
    return _submit(service, "dub", body, request, response, webhook=webhook, key=key)


@router.post("/previews", status_code=202, response_model=JobOut, tags=["jobs"])
def create_preview(
    wanted: PreviewIn, request: Request, response: Response, service: ServiceDep, key: Key = None
) -> JobOut:
    """Draw a few frames, source above result."""
    body = wanted.model_dump(mode="json", exclude_unset=True)
    body.setdefault("options", {})
    return _submit(service, "preview", body, request, response, key=key)


@router.post("/people", status_code=202, response_model=JobOut, tags=["jobs"])
def create_people(
    wanted: PeopleIn, request: Request, response: Response, service: ServiceDep, key: Key = None
) -> JobOut:
    """Find out who is in a video: people and faces, with numbers, times and pictures."""
    return _submit(service, "people", wanted.model_dump(), request, response, key=key)


@router.post("/verifications", status_code=202, response_model=JobOut, tags=["jobs"])
def create_verification(
    wanted: VerifyIn, request: Request, response: Response, service: ServiceDep, key: Key = None
) -> JobOut:
    """Verify an upload or the result of a job: manifest and watermark."""
    return _submit(service, "verify", wanted.model_dump(), request, response, key=key)


def _submit(
    service: Service,
    kind: Kind,
    body: dict[str, Any],
    request: Request,
    response: Response,
    *,
    webhook: str | None = None,
    key: str | None = None,
) -> JobOut:
    client = request.state.client
    job, new = service.submit(kind, body, client=client, webhook=webhook, key=key)
    response.status_code = 202 if new else 200
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return _out(service, job)


def _out(service: Service, job: Job) -> JobOut:
    return job_out(job, service.store.ahead_of(job) if job.state == "queued" else 0)


@router.get("/jobs", response_model=list[JobOut], tags=["jobs"])
def list_jobs(
    service: ServiceDep,
    state: State | None = None,
    kind: Kind | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    before: Annotated[int | None, Query(ge=1, le=2**53, description="Job number.")] = None,
) -> list[JobOut]:
    """Jobs, the newest first."""
    kinds: tuple[Kind, ...] = (kind,) if kind else ()
    return [_out(service, job) for job in service.store.jobs(state, kinds, limit, before)]


@router.get("/jobs/{job}", response_model=JobOut, tags=["jobs"])
def get_job(job: str, service: ServiceDep) -> JobOut:
    """A job."""
    return _out(service, service.job(job))


@router.post("/jobs/{job}/cancel", response_model=JobOut, tags=["jobs"])
def cancel_job(job: str, service: ServiceDep) -> JobOut:
    """Cancel a job; an ended one stays as it is."""
    service.job(job)
    found = service.store.cancel(job)
    return _out(service, found or service.job(job))


@router.post("/jobs/{job}/retry", response_model=JobOut, tags=["jobs"])
def retry_job(job: str, service: ServiceDep) -> JobOut:
    """Queue a failed or cancelled job again."""
    service.job(job)
    found = service.store.retry(job)
    return _out(service, found or service.job(job))


@router.delete("/jobs/{job}", status_code=204, response_class=Response, tags=["jobs"])
def delete_job(job: str, service: ServiceDep) -> Response:
    """Remove an ended job and its results."""
    service.delete_job(job)
    return Response(status_code=204)


@router.get("/jobs/{job}/files/{role}", response_class=FileResponse, tags=["jobs"])
def get_result(
    job: str,
    role: str,
    service: ServiceDep,
    download: Annotated[Literal["0", "1"], Query(description="1: as an attachment.")] = "0",
) -> FileResponse:
    """A file of a job's result, byte for byte; answers range requests."""
    service.job(job)
    try:
        path = result_path(service.settings, service.store, job, role)
    except LipwrightError as error:
        raise MissingError(error.sentence) from None
    kind = "picture" if path.suffix in (".png", ".jpg") else "video"
    kind = "application/json" if path.suffix == ".json" else media_type(kind, path.name)
    return _send(path, kind, path.name, attachment=download == "1")


def _send(path: Any, kind: str, name: str, attachment: bool = False) -> FileResponse:
    return FileResponse(
        path,
        media_type=kind,
        filename=name,
        content_disposition_type="attachment" if attachment else "inline",
        headers={"Cache-Control": "private, max-age=3600"},
    )


@router.get(
    "/jobs/{job}/events",
    tags=["jobs"],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def events(job: str, request: Request, service: ServiceDep) -> Response:
    """Server-sent events: ``job`` with the job as JSON at every change, ``end`` with the last."""
    service.job(job)
    client = request.state.client
    if _streams[client] >= service.settings.max_streams:
        return JSONResponse(
            {"detail": "Too many of your progress streams are open; close some."}, 429
        )
    return StreamingResponse(
        _event_stream(service, job, client),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


async def _event_stream(service: Service, name: str, client: str) -> AsyncIterator[str]:
    _streams[client] += 1
    last, quiet = "", 0.0
    try:
        while True:
            job = service.store.job(name)
            if job is None:
                yield "event: end\ndata: null\n\n"
                return
            text = _out(service, job).model_dump_json()
            if job.state in ENDED:
                yield f"event: end\ndata: {text}\n\n"
                return
            if text != last:
                yield f"event: job\ndata: {text}\n\n"
                last, quiet = text, 0.0
            elif quiet >= QUIET_SECONDS:
                yield ": still here\n\n"
                quiet = 0.0
            await asyncio.sleep(EVENT_SECONDS)
            quiet += EVENT_SECONDS
    finally:
        _streams[client] -= 1
        if _streams[client] <= 0:
            del _streams[client]


health = APIRouter()


@health.get("/healthz", include_in_schema=False)
def healthz(request: Request, service: ServiceDep) -> JSONResponse:
    """Whether database and workers are well."""
    pool: Pool | None = request.app.state.pool
    try:
        service.store.counts()
        database = True
    except Exception:
        database = False
    workers = pool.alive() if pool is not None else 0
    good = database and (pool is None or workers > 0)
    body = {"status": "ok" if good else "failing", "database": database, "workers": workers}
    return JSONResponse(body, 200 if good else 503)


@health.get("/metrics", include_in_schema=False)
def metrics_page(request: Request, service: ServiceDep) -> Response:
    """Numbers for Prometheus."""
    pool: Pool | None = request.app.state.pool
    text = metrics.page(
        service.store.counts(),
        pool.alive() if pool is not None else 0,
        service.stored_bytes(),
        dict(request.app.state.guard.answered),
    )
    return Response(text, media_type=metrics.CONTENT_TYPE)
