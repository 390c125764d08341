"""What goes over the wire: models of requests and answers, with examples."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from lipwright.serving.options import settings_model
from lipwright.serving.records import Job, Kind, State, StoredFile

FileId = Annotated[
    str,
    Field(
        max_length=400,
        description="Id of an upload, or 'path:NAME' for a file in the server's media folder.",
        examples=["0123456789abcdef0123"],
    ),
]
LONGEST_TEXT = 5000
"""Characters of a text to be spoken: about five minutes."""
_PRINTABLE = r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$"
Line = Annotated[str, Field(min_length=1, max_length=300, pattern=_PRINTABLE)]


class Strict(BaseModel):
    """A request: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class ConsentIn(Strict):
    """Who agreed to what, when; goes into the manifest of the output."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"who": "Ada Lovelace", "purpose": "Spanish lecture", "date": "2026-11-21"}
            ]
        },
    )

    who: Line = Field(description="The person shown, or who speaks for them.")
    purpose: Line = Field(description="What was allowed.")
    date: datetime.date = Field(description="When.")


class _Sources(Strict):
    video: FileId
    speech: FileId


OptionsIn: Any = settings_model()

DubIn: Any = create_model(
    "DubIn",
    __base__=_Sources,
    __doc__="A dub: a video, a speech, options, and the consent of the person shown.",
    options=(OptionsIn, Field(default_factory=OptionsIn)),
    consent=(ConsentIn, ...),
    webhook=(
        str | None,
        Field(None, max_length=500, description="Address that is told when the job has ended."),
    ),
)
PreviewIn: Any = create_model(
    "PreviewIn",
    __base__=_Sources,
    __doc__="A few frames only, source above result.",
    options=(OptionsIn, Field(default_factory=OptionsIn)),
)


class PeopleIn(Strict):
    """Who is in a video."""

    video: FileId


class SpeechIn(Strict):
    """A text to be spoken."""

    text: str = Field(min_length=1, max_length=LONGEST_TEXT, description="What is said.")
    voice: str | None = Field(
        None,
        max_length=60,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_+.-]*$",
        description="Name of a voice or language of the synthesiser, such as 'de'.",
    )


class VerifyIn(Strict):
    """A file to verify: an upload, or the result of a job."""

    file: FileId | None = None
    job: str | None = Field(None, max_length=64)


class FileOut(BaseModel):
    """An upload."""

    id: str
    name: str
    bytes: int
    created: datetime.datetime
    kind: Literal["video", "picture", "sound"]
    seconds: float
    sound: bool
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    codec: str | None = None
    url: str = Field(description="The file itself; answers range requests.")
    poster: str | None = Field(None, description="A small picture of it.")


class ProgressOut(BaseModel):
    """How far a job is."""

    stage: str = Field(description="'plan' while faces are looked for, 'render' while drawing.")
    done: int
    total: int | None
    fps: float
    seconds_left: float | None


class JobOut(BaseModel):
    """A job."""

    id: str
    number: int
    kind: Kind
    state: State
    created: datetime.datetime
    started: datetime.datetime | None
    ended: datetime.datetime | None
    request: dict[str, Any]
    ahead: int = Field(description="Jobs that come before it in the queue.")
    progress: ProgressOut
    notices: list[str]
    error: str = Field(description="Why it failed, one sentence.")
    result: dict[str, Any] | None
    files: dict[str, str] = Field(description="Address of every file of the result.")


class Problem(BaseModel):
    """Every error: one sentence."""

    detail: str


def file_out(file: StoredFile) -> FileOut:
    """An upload as the API shows it."""
    base = f"/api/v1/files/{file.id}"
    facts = {key: value for key, value in file.facts.items() if key != "media"}
    return FileOut(
        id=file.id,
        name=file.name,
        bytes=file.bytes,
        created=_time(file.created),
        url=f"{base}/content",
        poster=f"{base}/poster" if facts["kind"] != "sound" else None,
        **facts,
    )


def job_out(job: Job, ahead: int) -> JobOut:
    """A job as the API shows it."""
    left = None
    if job.state == "running" and job.fps > 0 and job.total:
        left = round(max(0, job.total - job.done) / job.fps, 1)
    result = dict(job.result) if job.result else None
    files = result.pop("files", {}) if result else {}
    return JobOut(
        id=job.id,
        number=job.number,
        kind=job.kind,
        state=job.state,
        created=_time(job.created),
        started=_time(job.started) if job.started else None,
        ended=_time(job.ended) if job.ended else None,
        request=job.request,
        ahead=ahead,
        progress=ProgressOut(
            stage=job.stage,
            done=job.done,
            total=job.total,
            fps=round(job.fps, 2),
            seconds_left=left,
        ),
        notices=job.notices,
        error=job.error,
        result=result,
        files={name: f"/api/v1/jobs/{job.id}/files/{name}" for name in files},
    )


def _time(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
