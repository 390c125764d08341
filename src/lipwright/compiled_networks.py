"""Networks as OpenVINO compiled them for this machine, kept between runs.

Reading and compiling the networks of a dub takes longer than drawing a second of video with them.
What OpenVINO made is kept in the user's cache folder under a name made from all that it depends on:
the network, the settings, the version of OpenVINO, and the processor. A file that this user did not
make is not believed (``files.kept_files``), and a cache that cannot be read or written is as good
as none.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lipwright.errors import LipwrightError
from lipwright.files.kept_files import forget_old, kept_name, put, read_kept
from lipwright.files.user_folders import graph_folder
from lipwright.openvino_core import core, cpu_abilities

log = logging.getLogger(__name__)

KEPT = 24
"""The compiled networks used last that are kept; those of a dub are seven, of some 40 MB."""


def compiled(identity: str, config: Mapping[str, Any], build: Callable[[], Any]) -> Any:
    """A compiled network: from the cache, or built, compiled and put there.

    Args:
        identity: says which network it is, weights and input shapes included.
        config: properties for the CPU device.
        build: makes the ``openvino.Model``; called only if it is not in the cache.
    """
    path = graph_folder() / kept_name(_identity(identity, config), ".blob")
    data = read_kept(path)
    if data is not None:
        try:
            found = core().import_model(io.BytesIO(data), "CPU", dict(config))
            with contextlib.suppress(OSError):
                os.utime(path)
            return found
        except (RuntimeError, ValueError, TypeError) as error:
            log.info("the compiled network %s is damaged (%s) and made again", path, error)
    made = core().compile_model(build(), "CPU", dict(config))
    try:
        _keep(made, path)
        forget_old(path.parent, ".blob", KEPT)
    except (RuntimeError, OSError, LipwrightError) as error:
        log.info("the compiled network cannot be kept in %s (%s)", path.parent, error)
    return made


def _keep(made: Any, path: Path) -> None:
    data = io.BytesIO()
    made.export_model(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A folder that nobody else can enter, even where the cache is shared.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-") as folder:
        new = Path(folder) / path.name
        new.write_bytes(data.getbuffer())
        put(new, path)


def _identity(identity: str, config: Mapping[str, Any]) -> str:
    device = [core().get_property("CPU", "FULL_DEVICE_NAME"), cpu_abilities()]
    settings = sorted((key, str(value)) for key, value in config.items())
    return repr((identity, settings, _openvino_version(), str(device)))


def _openvino_version() -> str:
    """Asked of the library itself: a search through all installed packages takes longer."""
    import openvino

    return str(openvino.__version__)
