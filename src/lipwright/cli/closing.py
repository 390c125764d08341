"""The last lines of a job: what became of the frames, and which files were written."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from lipwright.cli.text import megabytes

if TYPE_CHECKING:
    from lipwright.dubbing.report import Report

_REMARKS = {
    "manifest": "the signed manifest; keep it beside the video",
    "comparison": "source and result side by side",
}


def closing_lines(report: Report, notices: Collection[str] = ()) -> list[str]:
    """Everything that a finished dub says, less the warnings among the notices so far."""
    return report.summary_lines(notices) + written_lines(report)


def written_lines(report: Report) -> list[str]:
    """``Wrote dubbed.mp4 (2.0 MB).``, one line a file."""
    lines = []
    for role, name in report.files.items():
        path = Path(name)
        size = f" ({megabytes(path.stat().st_size)})" if path.exists() else ""
        verb = "Replaced" if role == "output" and report.replaced else "Wrote"
        remark = f", {_REMARKS[role]}" if role in _REMARKS else ""
        lines.append(f"{verb} {name}{size}{remark}.")
    return lines
