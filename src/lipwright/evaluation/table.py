"""From the numbers of many clips to a table: estimates with intervals; Markdown, CSV, JSON."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright.evaluation.bootstrap import Estimate, bootstrap_mean
from lipwright.evaluation.metrics.catalogue import CATALOGUE, metrics_for

Rows = dict[str, dict[str, Estimate]]
REAL = "real video"
FEW_CLIPS = 10
"""Below so many clips an interval over clips means nothing."""


def summarise(
    names: Sequence[str],
    result: Sequence[dict[str, float]],
    real: Sequence[dict[str, float]],
    features: dict[str, list[NDArray[np.float32]]],
    title: str,
) -> tuple[Rows, list[str]]:
    """Estimates of the row of the real videos and that of the results, and notes."""
    rows: Rows = {REAL: {}, title: {}}
    notes: list[str] = []
    for name in names:
        for row, clips in ((REAL, real), (title, result)):
            if any(name in clip for clip in clips):
                rows[row][name] = bootstrap_mean([c.get(name, math.nan) for c in clips])
    for metric in metrics_for(names):
        pooled, remarks = metric.over_clips(names, features)
        rows[title] |= pooled
        notes += remarks
    return rows, notes


def columns_of(names: Sequence[str], rows: Rows) -> list[str]:
    """The metrics that have a value in some row."""
    found: Rows = {
        row: {n: e for n, e in values.items() if math.isfinite(e.value)}
        for row, values in rows.items()
    }
    return [n for n in names if any(n in row for row in found.values())]


def heading(name: str) -> str:
    """Column head: title, unit, and the way that is good."""
    info = CATALOGUE[name]
    arrow = {"high": "↑", "low": "↓", "real": "→ real"}[info.better]
    unit = f", {info.unit}" if info.unit else ""
    return f"{info.title}{unit} {arrow}"


def cell(name: str, estimate: Estimate | None) -> str:
    """``1.23 [1.10, 1.35]``; a dash where there is no value."""
    if estimate is None or not math.isfinite(estimate.value):
        return "-"
    digits = CATALOGUE[name].digits
    text = f"{estimate.value:.{digits}f}"
    if math.isfinite(estimate.low):
        text += f" [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"
    return text


def table_cells(names: Sequence[str], rows: Rows) -> list[list[str]]:
    """Head and one line per metric, one column per row of the table (narrow enough to read).

    Where the aim is a number, it stands in the place of the real video's value.
    """
    lines = [["metric", *rows]]
    for name in columns_of(names, rows):
        cells = [cell(name, row.get(name)) for row in rows.values()]
        aim = CATALOGUE[name].aim
        if aim is not None and name not in rows.get(REAL, {}):
            cells[list(rows).index(REAL)] = f"{aim:g}"
        lines.append([heading(name), *cells])
    return lines


def markdown(names: Sequence[str], rows: Rows) -> str:
    """The table in Markdown."""
    head, *lines = table_cells(names, rows)
    text = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    text += ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join(text) + "\n"


def csv_text(names: Sequence[str], rows: Rows) -> str:
    """The table as CSV, a line for every number: metric, unit, row, value, low, high, clips."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("metric", "unit", "row", "value", "low", "high", "clips"))
    for name in columns_of(names, rows):
        for row, values in rows.items():
            estimate = values.get(name)
            if estimate is not None and math.isfinite(estimate.value):
                ends = [
                    f"{v:.6g}" if math.isfinite(v) else "" for v in (estimate.low, estimate.high)
                ]
                unit = CATALOGUE[name].unit
                writer.writerow((name, unit, row, f"{estimate.value:.6g}", *ends, estimate.n))
    return file.getvalue()


def cells_of_data(data: dict[str, dict[str, dict[str, Any]]]) -> list[list[str]]:
    """:func:`table_cells` from what :func:`as_data` gave."""
    return table_cells(list(CATALOGUE), estimates(data))


def estimates(data: dict[str, dict[str, dict[str, Any]]]) -> Rows:
    """Undo :func:`as_data`."""

    def number(x: float | None) -> float:
        return math.nan if x is None else x

    return {
        row: {
            name: Estimate(number(e["value"]), number(e["low"]), number(e["high"]), e["clips"])
            for name, e in values.items()
        }
        for row, values in data.items()
    }


def warnings_about(clips: int) -> list[str]:
    """What the number of clips makes of the intervals."""
    if clips >= FEW_CLIPS:
        return []
    of = "1 clip" if clips == 1 else f"{clips} clips"
    return [f"Only {of}: intervals mean nothing below {FEW_CLIPS} clips"]


def as_data(rows: Rows) -> dict[str, dict[str, dict[str, Any]]]:
    """Rows for JSON; values that are not finite become null."""

    def plain(x: float) -> float | None:
        return x if math.isfinite(x) else None

    return {
        row: {
            name: {
                "value": plain(e.value),
                "low": plain(e.low),
                "high": plain(e.high),
                "clips": e.n,
            }
            for name, e in values.items()
        }
        for row, values in rows.items()
    }
