"""``lipwright doctor``: looks at this installation and says what is missing and what to do."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer

from lipwright import __version__
from lipwright.errors import LipwrightError

State = Literal["ok", "note", "problem"]

LIBRARIES = (
    ("openvino", "openvino"),
    ("av", "av"),
    ("cv2", "opencv-python-headless"),
    ("numpy", "numpy"),
    ("soxr", "soxr"),
    ("safetensors", "safetensors"),
    ("c2pa", "c2pa-python"),
)
SOUND_AND_LOSSLESS = {"ffv1": "lossless video", "aac": "AAC sound", "libopus": "Opus sound"}
"""Encoders beside those of ``--codec``."""
VARIABLES = (
    *("LIPWRIGHT_HOME", "LIPWRIGHT_CACHE", "LIPWRIGHT_GRAPHS", "LIPWRIGHT_MODELS"),
    *("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"),
)
"""Environment variables that change what Lipwright does."""
SHIPPED = {
    "vq": "default of dub",
    "vq-paper": "--method vq-paper",
    "landmark": "default of animate",
    "memory": "--method memory",
}
"""Methods whose checkpoints come with the package, and what each is for."""
LITTLE_DISK = 2e9  # bytes; an hour of 1080p at the default quality fits


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        subject: what was looked at.
        state: ``ok``; ``note`` if something optional is missing; ``problem`` if ``dub`` cannot run.
        detail: what was found.
        advice: what to do, empty if nothing.
    """

    subject: str
    state: State
    detail: str
    advice: str = ""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(doctor)


def doctor() -> None:
    """Check this installation: versions, devices, codecs, model files, disk, and what to do.

    Exits with 1 if something is found that stops lipwright dub from working.
    """
    findings = list(examine())
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        mark = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}[finding.state]
        print(f"{mark} {finding.subject:<{width}}  {finding.detail}")
        if finding.advice:
            print(f"{'':<{len(mark) + width + 2}} -> {finding.advice}")
    problems = [finding.subject for finding in findings if finding.state == "problem"]
    if problems:
        raise LipwrightError(
            f"Something needs mending ({', '.join(problems)}); see the lines above."
        )
    print("Everything that lipwright dub needs is here.")


def examine() -> Iterator[Finding]:
    """Every check in turn; a check that itself fails becomes a problem."""
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("system", _system),
        ("libraries", _libraries),
        ("torch", _torch),
        ("openvino", _openvino),
        ("codecs", _codecs),
        ("model files", _model_files),
        ("shipped models", _shipped_models),
        ("disk", _disk),
        ("environment", _environment),
    )
    for subject, check in checks:
        try:
            yield from check()
        except Exception as error:
            yield Finding(subject, "problem", f"{type(error).__name__}: {error}")


def _system() -> Iterator[Finding]:
    yield Finding("lipwright", "ok", f"{__version__}, Python {platform.python_version()}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding(
        "machine", "ok", f"{platform.system()} {platform.machine()}, {cores} CPU cores{_memory()}"
    )


def _memory() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not every system tells
        return ""
    return f", {total / 2**30:.0f} GiB memory"


def _libraries() -> Iterator[Finding]:
    from importlib import metadata  # reads e-mail headers, which --help need not wait for

    for module, package in LIBRARIES:
        try:
            importlib.import_module(module)
            yield Finding(package, "ok", metadata.version(package))
        except Exception as error:  # an import can fail in any way
            yield Finding(
                package,
                "problem",
                f"cannot be imported ({type(error).__name__}: {error})",
                f"run: python -m pip install --force-reinstall {package}",
            )
    installed = {dist.metadata["Name"].lower() for dist in metadata.distributions()}
    for rival in sorted(installed & {"opencv-python", "opencv-contrib-python"}):
        yield Finding(
            rival,
            "note",
            "is installed beside opencv-python-headless and overwrites its files",
            f"run: python -m pip uninstall {rival}, then reinstall opencv-python-headless",
        )


def _torch() -> Iterator[Finding]:
    if importlib.util.find_spec("torch") is None:
        yield Finding(
            "torch",
            "note",
            "not installed; dub and animate run on the CPU without it",
            "for training and GPUs run: python -m pip install 'lipwright[train]' or '[gpu]'",
        )
        return
    import torch

    yield Finding("torch", "ok", torch.__version__)

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        yield Finding("GPU", "ok", f"{', '.join(names)} (--device cuda)")
    elif torch.backends.mps.is_available():
        yield Finding("GPU", "ok", "Apple GPU (--device mps)")
    else:
        yield Finding("GPU", "note", "none that PyTorch can use; dub runs on the CPU")


def _openvino() -> Iterator[Finding]:
    from lipwright.openvino_core import core, has_bfloat16

    name = core().get_property("CPU", "FULL_DEVICE_NAME")
    numbers = "bfloat16 (fast)" if has_bfloat16() else "float32 (no bfloat16)"
    yield Finding("OpenVINO on CPU", "ok", f"{name}, {numbers}")


def _codecs() -> Iterator[Finding]:
    import av

    from lipwright.media.codecs import CODECS, encodes

    works = [name for name in CODECS if encodes(name)]
    missing = [name for name in CODECS if name not in works]
    if "h264" not in works:
        yield Finding(
            "video encoders",
            "problem",
            "PyAV has no H.264 encoder",
            "install PyAV's own wheel: python -m pip install --force-reinstall --only-binary=av av",
        )
    else:
        lack = f"; not {', '.join(missing)}" if missing else ""
        state: State = "note" if missing else "ok"
        yield Finding("video encoders", state, f"--codec {', '.join(works)}{lack}")
    lacking = [f"{n} ({what})" for n, what in SOUND_AND_LOSSLESS.items() if not _has_encoder(av, n)]
    if lacking:
        yield Finding("other encoders", "note", f"PyAV lacks {', '.join(lacking)}")
    else:
        yield Finding("other encoders", "ok", ", ".join(SOUND_AND_LOSSLESS))


def _has_encoder(av: object, name: str) -> bool:
    try:
        av.codec.Codec(name, "w")  # type: ignore[attr-defined]
    except ValueError:  # PyAV's UnknownCodecError is one
        return False
    return True


def _model_files() -> Iterator[Finding]:
    from lipwright.weights import fetch

    for status in fetch.check():
        subject = f"model {status.entry.name}"
        if status.path is not None and status.problem is None:
            yield Finding(subject, "ok", str(status.path))
        elif status.only_training_lacks_it:
            yield Finding(subject, "note", "not on this machine; only training needs it")
        else:
            yield Finding(
                subject,
                "note",
                "not on this machine yet; dub fetches it when it is first needed",
                "run: lipwright weights fetch",
            )
    if importlib.util.find_spec("pip") is None:
        yield Finding(
            "pip",
            "note",
            "is not in this environment, so model files cannot come from the package index",
            "put the files into a folder and name it in LIPWRIGHT_MODELS",
        )


def _shipped_models() -> Iterator[Finding]:
    """Every checkpoint that comes with the package is loaded as a dub loads it."""
    from lipwright.methods.registry import load_method

    for name, use in SHIPPED.items():
        try:
            method = load_method(name, device="cpu")
        except LipwrightError as error:
            yield Finding(f"method {name}", "problem", error.sentence, "reinstall lipwright")
            continue
        drawn = method.info.reference_size
        yield Finding(
            f"method {name}", "ok", f"{method.model_id}, mouth drawn at {drawn} px a face ({use})"
        )


def _disk() -> Iterator[Finding]:
    from lipwright.files import user_folders

    for subject, folder in (
        ("disk here", Path.cwd()),
        ("disk of cache", user_folders.cache_folder()),
    ):
        while not folder.exists():
            folder = folder.parent
        free = shutil.disk_usage(folder).free
        enough = free >= LITTLE_DISK
        yield Finding(
            subject,
            "ok" if enough else "note",
            f"{free / 1e9:.1f} GB free at {folder}",
            "" if enough else "make room: a long or lossless dub may not fit",
        )


def _environment() -> Iterator[Finding]:
    given = [f"{name}={os.environ[name]}" for name in VARIABLES if os.environ.get(name)]
    if given:
        yield Finding("environment", "ok", ", ".join(given))
