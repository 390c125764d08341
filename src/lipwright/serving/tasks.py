"""What a worker does for each kind of job."""

from __future__ import annotations

import contextlib
import json
import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from lipwright.dubbing.observer import Observer
from lipwright.dubbing.options import DubOptions
from lipwright.errors import LipwrightError
from lipwright.media.codecs import CODECS
from lipwright.methods.base import Method
from lipwright.methods.registry import DEFAULT, load_method
from lipwright.serving.files import path_of, remove, result_path
from lipwright.serving.options import to_dub_options
from lipwright.serving.records import Job, Kind
from lipwright.serving.settings import Settings
from lipwright.serving.store import Store

REPORT, SHEET, PREVIEW = "report.json", "contact-sheet.png", "preview.png"
MOST_METHODS = 2
REGISTRY = "This computer's registry knows"

_loaded: OrderedDict[str, Method] = OrderedDict()


def perform(settings: Settings, store: Store, job: Job, observer: Observer) -> dict[str, Any]:
    """Do a job.

    Returns:
        Plain JSON values; ``files`` has the name of every file in the job's folder by its role.

    Raises:
        LipwrightError: it cannot be done.
    """
    folder = settings.jobs / job.id
    folder.mkdir(exist_ok=True)
    return TASKS[job.kind](settings, store, job, folder, observer)


def tidy(settings: Settings, job: Job) -> None:
    """Remove what an ended job without a result has made."""
    remove(settings.jobs / job.id)


def _dub(
    settings: Settings, store: Store, job: Job, folder: Path, observer: Observer
) -> dict[str, Any]:
    from lipwright.dubbing.job import dub

    video, speech = _input(settings, store, job, "video"), _input(settings, store, job, "speech")
    consent = folder / "consent.yaml"
    consent.write_text(yaml.safe_dump(job.request["consent"], allow_unicode=True), "utf-8")
    options = _options(settings, job, consent=str(consent), report=folder / REPORT, resume=True)
    suffix = _suffix(options)
    out = folder / f"{video.stem}-dubbed{suffix}"
    method = _method(options)
    report = dub(video, speech, out, options, observer, method=method)
    files = {"result": out.name, "report": REPORT}
    written = json.loads((folder / REPORT).read_text("utf-8"))
    shown = _without_folders(written, video, speech, out)
    (folder / REPORT).write_text(json.dumps(shown, indent=1) + "\n", "utf-8")
    with contextlib.suppress(LipwrightError):  # a video without a face has no sheet
        sheet = _options(settings, job, preview=folder / SHEET)
        dub(video, speech, out.with_name("unused.mp4"), sheet, method=method)
        files["sheet"] = SHEET
    return {
        "files": files,
        "summary": report.summary_lines(),
        "counts": report.counts(),
        "frames": report.frames,
        "seconds": report.seconds,
        "warnings": report.warnings,
        "watermark": report.watermark,
        "model": report.model,
    }


def _preview(
    settings: Settings, store: Store, job: Job, folder: Path, observer: Observer
) -> dict[str, Any]:
    from lipwright.dubbing.job import dub

    video, speech = _input(settings, store, job, "video"), _input(settings, store, job, "speech")
    options = _options(settings, job, preview=folder / PREVIEW)
    report = dub(video, speech, folder / "unused.mp4", options, observer, method=_method(options))
    return {
        "files": {"preview": PREVIEW},
        "frames": report.frames,
        "seconds": report.seconds,
        "counts": report.counts(),
    }


def _people(
    settings: Settings, store: Store, job: Job, folder: Path, observer: Observer
) -> dict[str, Any]:
    from lipwright.serving.people import find_people

    return find_people(_input(settings, store, job, "video"), folder, observer)


def _verify(
    settings: Settings, store: Store, job: Job, folder: Path, observer: Observer
) -> dict[str, Any]:
    from lipwright.provenance.verify import verify

    if job.request.get("job"):
        path = result_path(settings, store, job.request["job"], "result")
    else:
        path = _input(settings, store, job, "file")
    found = _without_folders(verify(path).to_json(), path)
    # The registry names files of other people who use the same server.
    sentences = [
        "This server made it." if sentence.startswith(REGISTRY) else sentence
        for sentence in found["sentences"]
    ]
    kept = {key: found[key] for key in ("status", "manifest", "watermark", "unchanged")}
    return {"name": path.name, "sentences": sentences, **kept}


Task = Callable[[Settings, Store, Job, Path, Observer], dict[str, Any]]
TASKS: dict[Kind, Task] = {
    "dub": _dub,
    "preview": _preview,
    "people": _people,
    "verify": _verify,
}


def _without_folders(data: Any, *paths: Path) -> Any:
    """JSON values in which files of the server have their names only."""
    text = json.dumps(data)
    for path in paths:
        text = text.replace(json.dumps(f"{path.parent}{os.sep}")[1:-1], "")
    return json.loads(text)


def _suffix(options: DubOptions) -> str:
    """The container of the output: MP4 where it can be."""
    if options.lossless:
        return ".mkv"
    suffixes = CODECS[options.codec].suffixes if options.codec != "auto" else ()
    return ".mp4" if not suffixes or ".mp4" in suffixes else suffixes[0]


def _input(settings: Settings, store: Store, job: Job, role: str) -> Path:
    file = store.file(job.request[role])
    path = path_of(settings, file) if file else None
    if path is None or not path.is_file():
        raise LipwrightError(f"The {role} of this job was deleted; upload it again.")
    return path


def _options(settings: Settings, job: Job, **more: Any) -> DubOptions:
    wanted = dict(job.request["options"])
    return to_dub_options(
        wanted,
        device=settings.device,
        backend=settings.backend,
        batch_size=settings.batch_size,
        **more,
    )


def _method(options: DubOptions) -> Method:
    """A method that stays loaded for the next job."""
    name = options.method or DEFAULT
    if name not in _loaded:
        _loaded[name] = load_method(name, options.device, options.backend)
        while len(_loaded) > MOST_METHODS:
            _loaded.popitem(last=False)
    _loaded.move_to_end(name)
    return _loaded[name]
