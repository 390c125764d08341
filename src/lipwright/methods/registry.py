"""Methods by name or by checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path

from lipwright.errors import LipwrightError
from lipwright.methods.base import Method

DEFAULTS = {"memory": "memory-tiny.safetensors", "vq": "vq-tiny.safetensors"}
"""Shipped checkpoint of each method, in ``lipwright/weights/shipped``."""


def _copy(path: Path | None, device: str, backend: str) -> Method:
    from lipwright.methods.copy import CopyMethod

    return CopyMethod()


def _vq(path: Path | None, device: str, backend: str) -> Method:
    from lipwright.methods.vq import load_vq

    return load_vq(path or shipped("vq"), device, backend)


def _landmark(path: Path | None, device: str, backend: str) -> Method:
    from lipwright.methods.landmark import load_landmark

    return load_landmark(path or shipped("landmark"), device, backend)


def _memory(path: Path | None, device: str, backend: str) -> Method:
    from lipwright.methods.memory import load_memory

    return load_memory(path or shipped("memory"), device, backend)


def _pixel(kind: str) -> Callable[[Path | None, str, str], Method]:
    def build(path: Path | None, device: str, backend: str) -> Method:
        from lipwright.methods.pixel import load_pixel

        return load_pixel(kind, path, device, backend)

    return build


BUILDERS: dict[str, Callable[[Path | None, str, str], Method]] = {
    "copy": _copy,
    "vq": _vq,
    "landmark": _landmark,
    "memory": _memory,
    "wav2lip": _pixel("wav2lip"),
    "lipgan": _pixel("lipgan"),
    "speech2vid": _pixel("speech2vid"),
}
"""Each imports its method only when it is wanted."""


def shipped(name: str) -> Path:
    """The checkpoint of a method that comes with the package.

    Raises:
        LipwrightError: this installation has none.
    """
    file = DEFAULTS.get(name, f"{name}-tiny.safetensors")
    path = Path(str(resources.files("lipwright.weights") / "shipped" / file))
    if not path.is_file():
        raise LipwrightError(
            f"this installation ships no weights for the method '{name}' ({path.name} is missing); "
            "reinstall lipwright, or give a checkpoint with --weights."
        )
    return path


def load_method(
    name_or_path: str | Path,
    device: str = "auto",
    backend: str = "auto",
    weights: str | Path | None = None,
) -> Method:
    """Load a method.

    Args:
        name_or_path: a method's name for its shipped default, or the path of a checkpoint, whose
            header says which method it is.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        backend: ``auto``, ``torch`` or ``openvino``.
        weights: another checkpoint for the named method.

    Raises:
        LipwrightError: no such method or file, a damaged checkpoint, an absent device.
    """
    name = str(name_or_path)
    if name in BUILDERS:
        return BUILDERS[name](Path(weights) if weights is not None else None, device, backend)
    path = Path(name_or_path)
    if not path.exists():
        known = ", ".join(sorted(BUILDERS))
        raise LipwrightError(
            f"there is no method and no checkpoint '{name}'; choose one of {known}, or a file."
        )
    from lipwright.weights.checkpoint import read_header

    method = str(read_header(path).get("method"))
    if method not in BUILDERS:
        raise LipwrightError(
            f"{path} is a checkpoint of '{method}', which is not a dubbing method; "
            "for VQ lip-sync join the stages with 'lipwright train vq'."
        )
    return BUILDERS[method](path, device, backend)
