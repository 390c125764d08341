"""The plot beside a table: a panel for every number, dots with intervals, the aim as a line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lipwright.errors import missing_extra
from lipwright.evaluation.bootstrap import Estimate
from lipwright.evaluation.metrics.base import MetricInfo
from lipwright.evaluation.metrics.catalogue import CATALOGUE

ACROSS = 3
LETTERS = 9
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe and Ito's colours, which people with colour blindness can tell apart."""
AIM = "0.45"
BORDER = 0.1
"""Inches around every panel."""
SPAN = 0.25
"""An axis covers at least so large a part of its largest value: small differences look small."""
_WAYS = {"high": "higher is better", "low": "lower is better", "real": "as the real video"}


def pyplot() -> Any:
    """``matplotlib.pyplot`` without a screen.

    Raises:
        LipwrightError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise missing_extra("The plot", "evaluate") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    return plt


def known(estimate: Estimate | None) -> bool:
    """Whether there is a value."""
    return estimate is not None and math.isfinite(estimate.value)


def aim_of(info: MetricInfo, real: dict[str, Estimate]) -> float | None:
    """The best value, if it is a number: the one that the metric names, or the real video's."""
    if info.aim is not None:
        return info.aim
    estimate = real.get(info.name)
    return estimate.value if estimate is not None and known(estimate) else None


def drawable(names: Sequence[str], rows: dict[str, dict[str, Estimate]]) -> list[str]:
    """The numbers that at least one row has."""
    return [n for n in names if any(known(row.get(n)) for row in rows.values())]


def _panel(
    name: str, real: dict[str, Estimate], rows: dict[str, dict[str, Estimate]]
) -> tuple[MetricInfo, float | None, list[Estimate | None]]:
    """What a panel shows: its number, the aim, and what each row has of it."""
    info = CATALOGUE[name]
    found = [row.get(name) for row in rows.values()]
    return info, aim_of(info, real), [e if known(e) else None for e in found]


def _values(aim: float | None, found: Sequence[Estimate | None]) -> list[float]:
    """All that has to be on an axis: the aim, the values and the ends of their intervals."""
    values = [] if aim is None else [aim]
    for estimate in found:
        if estimate is not None:
            values += [estimate.value]
            values += [v for v in (estimate.low, estimate.high) if math.isfinite(v)]
    return values


def _panels(
    count: int, width: float, height: float, border: tuple[float, float] = (0.0, 0.0)
) -> tuple[Any, list[Any], int]:
    """A figure with panels of so many inches, the panels, and how many stand side by side."""
    across = min(ACROSS, count)
    down = -(-count // across)
    figure, axes = pyplot().subplots(
        down,
        across,
        figsize=(border[0] + width * across, border[1] + height * down),
        squeeze=False,
        layout="constrained",
    )
    figure.get_layout_engine().set(w_pad=BORDER, h_pad=BORDER)
    for axis in axes.flat[count:]:
        axis.remove()
    return figure, list(axes.flat[:count]), across


def _style(axis: Any, info: MetricInfo, below: str, values: str) -> None:
    """Title, caption and grid of a panel whose values lie along the axis ``values``."""
    unit = f", {info.unit}" if info.unit else ""
    axis.set_title(f"{info.title}{unit}", fontsize=LETTERS, loc="left", fontweight="bold")
    axis.set_xlabel(below, fontsize=LETTERS, color=AIM)
    axis.tick_params(labelsize=LETTERS, length=3)
    axis.locator_params(axis=values, nbins=5)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis=values, color="0.92", linewidth=0.8)
    axis.set_axisbelow(True)


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, metadata={"Software": None})
    pyplot().close(figure)


def dot_plot(
    names: Sequence[str],
    real: dict[str, Estimate],
    rows: dict[str, dict[str, Estimate]],
    path: Path,
) -> bool:
    """Draw the table.

    Args:
        names: numbers in order; those that no row has get no panel.
        real: values of the real videos.
        rows: values of each method.
        path: PNG to write.

    Returns:
        Whether there was anything to draw.

    Raises:
        LipwrightError: matplotlib is not installed.
    """
    shown = drawable(names, rows)
    if not shown:
        return False
    figure, panels, across = _panels(len(shown), 3.0, 0.85 + 0.27 * len(rows), (0.9, 0.5))
    for place, name in enumerate(shown):
        axis, info, aim, found = panels[place], *_panel(name, real, rows)
        if aim is not None:
            axis.axvline(aim, **_AIM_LINE)
        for n, estimate in enumerate(found):
            if estimate is None:
                axis.text(0.5, n, "no value", transform=axis.get_yaxis_transform(), **_QUIET)
                continue
            colour = COLOURS[n % len(COLOURS)]
            if math.isfinite(estimate.low):
                axis.plot([estimate.low, estimate.high], [n, n], color=colour, linewidth=2)
            axis.plot([estimate.value], [n], "o", color=colour, markersize=6)
        axis.set_xlim(*axis_range(_values(aim, found), info.digits))
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.set_yticks(
            range(len(rows)), [_short(r) for r in rows] if place % across == 0 else [""] * len(rows)
        )
        _style(axis, info, _aim_in_words(info, aim), "x")
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="y", length=0)
    _save(figure, path)
    return True


_AIM_LINE: dict[str, Any] = {"color": AIM, "linestyle": (0, (4, 3)), "linewidth": 1}
_QUIET: dict[str, Any] = {
    "fontsize": LETTERS,
    "color": "0.6",
    "ha": "center",
    "va": "center",
    "style": "italic",
}


def _aim_in_words(info: MetricInfo, aim: float | None) -> str:
    if info.aim is not None:
        return f"aim: {info.aim:g}"
    if info.better == "real":
        return "aim: the real video" + ("" if aim is None else f", {aim:.{info.digits}f}")
    return _WAYS[info.better] + ("" if aim is None else f"; real video {aim:.{info.digits}f}")


def axis_range(values: Sequence[float], digits: int = 3) -> tuple[float, float]:
    """From and to of an axis that shows all values, with margins and at least ``SPAN`` wide.

    Of values near zero it covers ten units of the last digit that is worth printing.
    """
    low, high = min(values), max(values)
    least = max(SPAN * max(abs(low), abs(high)), 10.0 ** (1 - digits))
    if high - low < least:
        middle = (low + high) / 2
        low, high = middle - least / 2, middle + least / 2
    margin = 0.08 * (high - low)
    return low - margin, high + margin


def _short(text: str, most: int = 22) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def level_plot(
    names: Sequence[str],
    real: dict[str, Estimate],
    rows: dict[str, dict[str, Estimate]],
    path: Path,
    label: str,
) -> bool:
    """A panel for every number, the rows from left to right as levels of one thing.

    Args:
        names: numbers in order.
        real: values of the real videos.
        rows: values by level, in order.
        path: PNG to write.
        label: what the levels are.

    Returns:
        Whether there was anything to draw.

    Raises:
        LipwrightError: matplotlib is not installed.
    """
    shown = drawable(names, rows)
    if not shown:
        return False
    figure, panels, _across = _panels(len(shown), 3.2, 2.5)
    for name, axis in zip(shown, panels, strict=True):
        info, aim, found = _panel(name, real, rows)
        if aim is not None:
            axis.axhline(aim, **_AIM_LINE)
        points = [(n, estimate) for n, estimate in enumerate(found) if estimate is not None]
        for n, estimate in points:
            if math.isfinite(estimate.low):
                axis.plot([n, n], [estimate.low, estimate.high], color=COLOURS[0], linewidth=2)
        places, heights = [n for n, _ in points], [estimate.value for _, estimate in points]
        axis.plot(places, heights, "-o", color=COLOURS[0], linewidth=1, markersize=5)
        axis.set_ylim(*axis_range(_values(aim, found), info.digits))
        axis.set_xticks(range(len(rows)), list(rows))
        axis.set_xlim(-0.4, len(rows) - 0.6)
        _style(axis, info, f"{label}; {_aim_in_words(info, aim)}", "y")
    _save(figure, path)
    return True
