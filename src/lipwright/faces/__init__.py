"""Where the faces are; the public names are loaded when they are first used.

See ``docs/api.md`` for examples.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lipwright.faces.cuts import CutDetector
    from lipwright.faces.detector import Detection, FaceDetector
    from lipwright.faces.measure import mouth_opening
    from lipwright.faces.tracker import FaceObservation, FaceTracker

__all__ = [
    "CutDetector",
    "Detection",
    "FaceDetector",
    "FaceObservation",
    "FaceTracker",
    "mouth_opening",
]
_HOMES = {
    "CutDetector": "cuts",
    "Detection": "detector",
    "FaceDetector": "detector",
    "FaceObservation": "tracker",
    "FaceTracker": "tracker",
    "mouth_opening": "measure",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
