"""The one OpenVINO core of a process.

OpenVINO's CPU plugin gives the process another stack for signal handlers when a core is made, and
puts back the one before when the core goes. With two cores that come and go in any order, the stack
that is left may be one whose memory is gone: the next Ctrl-C then ends in a segmentation fault. So
there is one core, and it stays.

The package loads its model converter with itself, which takes as long as all the rest of it, and
which only those need who make graphs. It is left out here, and loaded when it is asked for.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

_CONVERTER = "openvino.tools.ovc"


@cache
def core() -> Any:
    """The ``openvino.Core``; made at the first call."""
    return _package().Core()


def cpu_abilities() -> list[str]:
    """In which numbers the CPU computes, by OpenVINO's names: ``FP32``, ``BF16``, ``INT8``, ..."""
    return list(core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def has_bfloat16() -> bool:
    """Whether the CPU computes in bfloat16."""
    return "BF16" in cpu_abilities()


def _package() -> Any:
    if "openvino" not in sys.modules:
        sys.modules[_CONVERTER] = None  # type: ignore[assignment]  # its import fails, and is let be
        try:
            import openvino
        finally:
            del sys.modules[_CONVERTER]
        openvino.__getattr__ = _asked_for
    import openvino

    return openvino


def _asked_for(name: str) -> Any:
    """``openvino.convert_model``."""
    if name != "convert_model":
        raise AttributeError(f"module 'openvino' has no attribute {name!r}")
    from openvino.tools.ovc import convert_model

    return convert_model
