"""From the numbers of many clips to a table: estimates with intervals, Markdown, a bar plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright.evaluation.bootstrap import Estimate, bootstrap_mean
from lipwright.evaluation.metrics.catalogue import CATALOGUE, metrics_for

Rows = dict[str, dict[str, Estimate]]
REAL = "real video"


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
    return [n for n in names if any(n in row for row in rows.values())]


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


def markdown(names: Sequence[str], rows: Rows) -> str:
    """One line per metric, one column per row of the table (narrow enough to read)."""
    shown = columns_of(names, rows)
    lines = ["| metric | " + " | ".join(rows) + " |", "|---|" + "---|" * len(rows)]
    for name in shown:
        cells = [cell(name, row.get(name)) for row in rows.values()]
        lines.append(f"| {heading(name)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


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


def bar_plot(names: Sequence[str], rows: Rows, path: Path) -> None:
    """One small bar chart per metric, rows side by side, with their 95 % intervals."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    shown = columns_of(names, rows)
    if not shown:
        return
    wide = min(4, len(shown))
    high = -(-len(shown) // wide)
    figure, axes = plt.subplots(high, wide, figsize=(3.2 * wide, 2.6 * high), squeeze=False)
    for axis in axes.flat[len(shown) :]:
        axis.axis("off")
    colours = ["0.55", "tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown"]
    for axis, name in zip(axes.flat, shown, strict=False):
        for n, (row, values) in enumerate(rows.items()):
            e = values.get(name)
            if e is None or not math.isfinite(e.value):
                continue
            axis.bar(n, e.value, color=colours[n % len(colours)], label=row)
            if math.isfinite(e.low):
                error = [[max(0.0, e.value - e.low)], [max(0.0, e.high - e.value)]]
                axis.errorbar(n, e.value, yerr=error, color="black", capsize=3)
        axis.set_title(heading(name), fontsize=9)
        axis.set_xticks(range(len(rows)), [r[:18] for r in rows], fontsize=7)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)
