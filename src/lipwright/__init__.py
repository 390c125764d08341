"""Lipwright: lips that match speech, in any talking-face video.

The public API::

    import lipwright

    report = lipwright.dub("interview.mp4", "speech.wav", "dubbed.mp4")
    method = lipwright.load_method("vq")
    print(lipwright.verify("dubbed.mp4"))

Everything is loaded when it is first used, so that ``import lipwright`` costs nothing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lipwright.errors import LipwrightError
from lipwright.lazy_names import lazy_names

if TYPE_CHECKING:
    from lipwright.animation.job import animate
    from lipwright.dubbing.dubber import Dubber
    from lipwright.dubbing.job import dub
    from lipwright.dubbing.options import DubOptions
    from lipwright.dubbing.report import Report
    from lipwright.methods.registry import load_method
    from lipwright.provenance.verify import verify

__version__ = "0.1.0"

__all__ = [
    "CastSpeech",
    "DubOptions",
    "Dubber",
    "LipwrightError",
    "Report",
    "__version__",
    "animate",
    "dub",
    "load_method",
    "verify",
]

# OpenVINO's model converter reports its use to its maker, without asking, if it finds this package.
# Nobody has agreed to that by dubbing a video; an entry of None makes the import fail.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

_HOMES = {
    "CastSpeech": "lipwright.dubbing.cast.request",
    "Dubber": "lipwright.dubbing.dubber",
    "DubOptions": "lipwright.dubbing.options",
    "Report": "lipwright.dubbing.report",
    "animate": "lipwright.animation.job",
    "dub": "lipwright.dubbing.job",
    "load_method": "lipwright.methods.registry",
    "verify": "lipwright.provenance.verify",
}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
