"""The command line: parses, calls the API, prints; knows no tensors.

Nothing in this package imports torch, OpenCV, PyAV or OpenVINO before a command needs them, so that
``lipwright --help`` answers at once.
"""

from __future__ import annotations

from lipwright.cli.app import app, main

__all__ = ["app", "main"]
