"""The one OpenVINO core of a process.

OpenVINO's CPU plugin gives the process another stack for signal handlers when a core is made, and
puts back the one before when the core goes. With two cores that come and go in any order, the stack
that is left may be one whose memory is gone: the next Ctrl-C then ends in a segmentation fault. So
there is one core, and it stays.
"""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def core() -> Any:
    """The ``openvino.Core``; made at the first call."""
    import openvino

    return openvino.Core()
