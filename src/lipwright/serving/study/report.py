"""From answers to tables: mean opinion scores, preferences, agreement."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright.evaluation.bootstrap import LEVEL, RESAMPLES, Estimate
from lipwright.serving.study.answers import Answer
from lipwright.serving.study.design import QUESTIONS, TITLES, Design

FEW_RATERS = 2


@dataclass
class StudyReport:
    """What a study found.

    Attributes:
        design: of the study.
        raters: who count.
        excluded: raters who failed an attention check.
        scores: mean opinion score by method and question (mode ``scale``).
        by_clip: means by method, clip and question.
        preferences: share of answers for the first, for neither, for the second, and number of
            answers, by pair of methods and question (mode ``pairs``).
        agreement: Krippendorff's alpha by question, interval scale; NaN where it is not defined.
    """

    design: Design
    raters: list[str]
    excluded: list[str]
    scores: dict[tuple[str, str], Estimate] = field(default_factory=dict)
    by_clip: dict[tuple[str, str, str], float] = field(default_factory=dict)
    preferences: dict[tuple[str, str, str], tuple[float, float, float, int]] = field(
        default_factory=dict
    )
    agreement: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "raters": len(self.raters),
            "excluded": len(self.excluded),
            "scores": [
                {
                    "method": m,
                    "question": q,
                    "mean": _plain(e.value),
                    "low": _plain(e.low),
                    "high": _plain(e.high),
                    "answers": e.n,
                }
                for (m, q), e in self.scores.items()
            ],
            "by_clip": [
                {"method": m, "clip": c, "question": q, "mean": value}
                for (m, c, q), value in self.by_clip.items()
            ],
            "preferences": [
                {
                    "first": a,
                    "second": b,
                    "question": q,
                    "for_first": x,
                    "no_difference": y,
                    "for_second": z,
                    "answers": n,
                }
                for (a, b, q), (x, y, z, n) in self.preferences.items()
            ],
            "krippendorff_alpha": {q: _plain(value) for q, value in self.agreement.items()},
        }


def evaluate(design: Design, answers: Sequence[Answer], seed: int = 0) -> StudyReport:
    """Put the answers together.

    A rater who failed any attention check is left out as a whole.

    Args:
        design: of the study.
        answers: all of them.
        seed: of the bootstrap.
    """
    excluded = {a.rater for a in answers if a.kind == "check" and a.answer != a.expected}
    kept = [a for a in answers if a.kind != "check" and a.rater not in excluded]
    raters = sorted({a.rater for a in kept})
    report = StudyReport(design, raters, sorted(excluded))
    for question in QUESTIONS:
        asked = [a for a in kept if a.question == question]
        if design.mode == "scale":
            _scores(report, question, asked, seed)
        else:
            _preferences(report, question, asked)
    return report


def _scores(report: StudyReport, question: str, asked: list[Answer], seed: int) -> None:
    design = report.design
    row = {rater: n for n, rater in enumerate(report.raters)}
    column = {
        (m, c): n for n, (m, c) in enumerate((m, c) for m in design.methods for c in design.clips)
    }
    table = np.full((len(row), len(column)), np.nan)
    for a in asked:
        table[row[a.rater], column[a.methods[0], a.clip]] = a.answer
    clips = len(design.clips)
    for n, method in enumerate(design.methods):
        part = table[:, n * clips : (n + 1) * clips]
        report.scores[method, question] = two_way_mean(part, seed)
        for c, clip in enumerate(design.clips):
            values = part[:, c][np.isfinite(part[:, c])]
            if values.size:
                report.by_clip[method, clip, question] = float(values.mean())
    report.agreement[question] = krippendorff(table)


def two_way_mean(table: NDArray[np.float64], seed: int = 0) -> Estimate:
    """Mean of a table of raters and clips with its 95 % interval.

    Raters and clips are both drawn anew, for both are samples of all that could have been asked
    and shown; an interval over single ratings would be too narrow.

    Args:
        table: (raters, clips), NaN where there is no answer.
        seed: of the draws.
    """
    known = np.isfinite(table)
    count = int(known.sum())
    if count == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    mean = float(table[known].mean())
    raters, clips = table.shape
    if raters < FEW_RATERS:
        return Estimate(mean, math.nan, math.nan, count)
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(RESAMPLES):
        drawn = table[np.ix_(rng.integers(0, raters, raters), rng.integers(0, clips, clips))]
        values = drawn[np.isfinite(drawn)]
        if values.size:
            means.append(values.mean())
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(mean, float(low), float(high), count)


def krippendorff(table: NDArray[np.float64]) -> float:
    """Krippendorff's alpha for interval data (Krippendorff, 2011).

    Args:
        table: (raters, things rated), NaN where there is no answer.

    Returns:
        1 for perfect agreement, 0 for that of chance; NaN where nothing was rated twice or all
        answers are the same.
    """
    units = [column[np.isfinite(column)] for column in table.T]
    units = [unit for unit in units if unit.size > 1]
    if not units:
        return math.nan
    values = np.concatenate(units)
    total = values.size
    observed = sum(_squares(unit) / (unit.size - 1) for unit in units) / total
    expected = _squares(values) / (total * (total - 1))
    return 1.0 - observed / expected if expected > 0 else math.nan


def _squares(values: NDArray[np.float64]) -> float:
    """Sum of the squared differences of all ordered pairs."""
    return float(2 * (values.size * (values**2).sum() - values.sum() ** 2))


def _preferences(report: StudyReport, question: str, asked: list[Answer]) -> None:
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for a in asked:
        left, right = a.methods
        straight = (left, right) in report.design.pairs
        pair = (left, right) if straight else (right, left)
        place = a.answer - 1
        counts[pair][place if straight else 2 - place] += 1
    for (first, second), (x, y, z) in counts.items():
        total = x + y + z
        report.preferences[first, second, question] = (x / total, y / total, z / total, total)


def markdown(report: StudyReport) -> str:
    """The tables in Markdown, the first in the layout of the paper."""
    lines = [f"{len(report.raters)} raters, {len(report.excluded)} left out by attention checks."]
    if report.scores:
        lines += ["", "| Method | " + " | ".join(TITLES.values()) + " |", "|---|---|---|---|"]
        for method in report.design.methods:
            cells = [_cell(report.scores[method, q]) for q in QUESTIONS]
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
        lines += ["", "Mean opinion score from 1 to 5, 95 % interval over raters and clips."]
        lines += ["", "| Clip | Method | " + " | ".join(TITLES.values()) + " |"]
        lines.append("|---|---|---|---|---|")
        for clip in report.design.clips:
            for method in report.design.methods:
                cells = [_number(report.by_clip.get((method, clip, q))) for q in QUESTIONS]
                lines.append(f"| {clip} | {method} | " + " | ".join(cells) + " |")
        agreed = [f"{TITLES[q]} {_number(report.agreement[q])}" for q in QUESTIONS]
        lines += ["", "Krippendorff's alpha (interval): " + ", ".join(agreed) + "."]
    if report.preferences:
        lines += ["", "| First | Second | Question | First | No difference | Second | Answers |"]
        lines.append("|---|---|---|---|---|---|---|")
        for (a, b, q), (x, y, z, n) in report.preferences.items():
            shares = " | ".join(f"{100 * share:.0f} %" for share in (x, y, z))
            lines.append(f"| {a} | {b} | {TITLES[q]} | {shares} | {n} |")
    return "\n".join(lines) + "\n"


def _cell(estimate: Estimate) -> str:
    if not math.isfinite(estimate.value):
        return "-"
    text = f"{estimate.value:.2f}"
    if math.isfinite(estimate.low):
        text += f" [{estimate.low:.2f}, {estimate.high:.2f}]"
    return text


def _number(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.2f}"


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
