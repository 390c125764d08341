"""Lipwright: lips that match speech, in any talking-face video."""

from __future__ import annotations

__version__ = "0.1.0"
