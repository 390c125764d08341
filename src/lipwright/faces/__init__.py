"""Where the faces are; the public names are loaded when they are first used.

See ``docs/api.md`` for examples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipwright.lazy_names import lazy_names

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
    "CutDetector": "lipwright.faces.cuts",
    "Detection": "lipwright.faces.detector",
    "FaceDetector": "lipwright.faces.detector",
    "FaceObservation": "lipwright.faces.tracker",
    "FaceTracker": "lipwright.faces.tracker",
    "mouth_opening": "lipwright.faces.measure",
}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
