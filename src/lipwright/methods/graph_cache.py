"""Graphs of networks, kept between runs.

Tracing and converting a network takes OpenVINO many times as long as compiling the converted graph,
and every dub would pay for it. The converted graph is kept in the user's cache folder under a name
made from everything that it depends on: the checkpoint, the shapes, the code of the networks, and
the versions of the libraries. It holds 32-bit weights, and the run that makes a graph reads it back
as later runs will, so that all of them draw the same frames. A cache that cannot be read or written
is as good as none, and so is one whose files this user did not make (see ``files.kept_files``).
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

import numpy as np

from lipwright.errors import LipwrightError
from lipwright.files.kept_files import forget_old, kept_name, put, read_kept
from lipwright.files.user_folders import graph_folder

log = logging.getLogger("lipwright.methods")

KEPT = 8
"""The graphs used last that are kept; one of the default method takes about 30 MB."""


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
    path = graph_folder() / kept_name(_identity(name, shapes), ".xml")
    weights = path.with_suffix(".bin")
    known = _kept(path, weights, core)
    if known is not None:
        return known
    model = convert()
    try:
        model = _written(model, path, weights, core)
        forget_old(path.parent, ".xml", KEPT, ".bin")
    except (RuntimeError, OSError, LipwrightError) as error:
        log.info("the graph cannot be kept in %s (%s)", path.parent, error)
        with (
            contextlib.suppress(RuntimeError, OSError),
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        ):
            model = _read_back(model, Path(folder) / path.name, core)
    return model


def _kept(path: Path, weights: Path, core: Any) -> Any | None:
    """The graph that lies there, if it is this user's own and whole."""
    description, numbers = read_kept(path), read_kept(weights)
    if description is None or numbers is None:
        return None
    try:
        # From memory: what is read is what was checked.
        model = core.read_model(description, _tensor(numbers))
        os.utime(path)
        return model
    except (RuntimeError, OSError, ValueError) as error:
        log.info("the kept graph %s is damaged (%s) and made again", path, error)
        return None


def _read_back(model: Any, path: Path, core: Any) -> Any:
    """Write the graph into a private folder and read it back.

    A graph that was read is rounded otherwise than the same graph fresh from the converter; whoever
    uses it must get what the next run will get.
    """
    import openvino as ov

    ov.save_model(model, path, compress_to_fp16=False)
    return core.read_model(path.read_bytes(), _tensor(path.with_suffix(".bin").read_bytes()))


def _written(model: Any, path: Path, weights: Path, core: Any) -> Any:
    """Keep the graph; returns it as later runs will read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A folder that nobody else can enter, even where the cache is shared.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-") as folder:
        new = Path(folder) / path.name
        made = _read_back(model, new, core)
        for part, target in ((new.with_suffix(".bin"), weights), (new, path)):
            put(part, target)  # the description goes last, for it is looked for
    return made


def _tensor(data: bytes) -> Any:
    import openvino as ov

    # A copy that OpenVINO owns: the graph's constants point into it as long as the graph lives.
    return ov.Tensor(np.frombuffer(data, np.uint8), shared_memory=False)


def _identity(name: str, shapes: Sequence[tuple[int, ...]]) -> str:
    import openvino as ov
    import torch

    parts = (name, tuple(shapes), ov.__version__, torch.__version__, _code())
    return repr(parts)


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
