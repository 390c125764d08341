"""Graphs of networks, kept between runs.

Tracing and converting a network takes OpenVINO many times as long as compiling the converted graph,
and every dub would pay for it. The converted graph is kept in the user's cache folder under a name
made from everything that it depends on: the checkpoint, the shapes, the code of the networks, and
the versions of the libraries. It holds 32-bit weights, and the run that makes a graph reads it back
as later runs will, so that all of them draw the same frames. A cache that cannot be read or written
is as good as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from lipwright.weights.fetch import cache_folder

log = logging.getLogger("lipwright.methods")

KEPT = 8
"""The graphs used last that are kept; one of the default method takes about 30 MB."""


def graph_folder() -> Path:
    """Where graphs are kept, ``LIPWRIGHT_GRAPHS`` if it is set (not necessarily there yet)."""
    if named := os.environ.get("LIPWRIGHT_GRAPHS"):
        return Path(named).expanduser()
    return cache_folder() / "graphs"


def cached_graph(
    name: str, shapes: Sequence[tuple[int, ...]], convert: Callable[[], Any], core: Any
) -> Any:
    """The graph of a network: read from the cache, or made by ``convert`` and put there.

    Args:
        name: which network with which weights, for example ``"vq-tiny (sha256 …) frames"``.
        shapes: of the inputs.
        convert: makes the ``openvino.Model``.
        core: the ``openvino.Core`` that reads it.
    """
    path = graph_folder() / f"{_key(name, shapes)}.xml"
    weights = path.with_suffix(".bin")
    if path.is_file() and weights.is_file():
        try:
            model = core.read_model(path, weights)
            os.utime(path)
            return model
        except (RuntimeError, OSError) as error:
            log.info("the kept graph %s is damaged (%s) and made again", path, error)
    model = convert()
    try:
        model = _written(model, path, weights, core)
        _forget_old(path.parent)
    except (RuntimeError, OSError) as error:
        log.info("the graph cannot be kept in %s (%s)", path.parent, error)
        with (
            contextlib.suppress(RuntimeError, OSError),
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        ):
            path = Path(folder) / path.name
            model = _written(model, path, path.with_suffix(".bin"), core)
    return model


def _written(model: Any, path: Path, weights: Path, core: Any) -> Any:
    """Write the graph and read it back.

    A graph that was read is rounded otherwise than the same graph fresh from the converter; whoever
    uses it must get what the next run will get.
    """
    import openvino as ov

    path.parent.mkdir(parents=True, exist_ok=True)
    # Each process has its own unfinished files; the description goes last, for it is looked for.
    new = path.with_name(f".{path.stem}-{os.getpid()}.xml")
    try:
        ov.save_model(model, new, compress_to_fp16=False)
        os.replace(new.with_suffix(".bin"), weights)
        os.replace(new, path)
    finally:
        for left in (new, new.with_suffix(".bin")):
            left.unlink(missing_ok=True)
    return core.read_model(path, weights)


def _forget_old(folder: Path) -> None:
    graphs = sorted(folder.glob("*.xml"), key=lambda p: p.stat().st_mtime, reverse=True)
    for old in graphs[KEPT:]:
        with contextlib.suppress(OSError):
            old.unlink(missing_ok=True)
            old.with_suffix(".bin").unlink(missing_ok=True)


def _key(name: str, shapes: Sequence[tuple[int, ...]]) -> str:
    import openvino as ov
    import torch

    parts = (name, tuple(shapes), ov.__version__, torch.__version__, _code())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


@cache
def _code() -> str:
    """Hash of the source of all networks: a graph must not outlive a change of them."""
    import lipwright.methods
    import lipwright.models

    found = hashlib.sha256()
    for package in (lipwright.models, lipwright.methods):
        for path in sorted(Path(next(iter(package.__path__))).glob("*.py")):
            found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()
