"""Counts of a session."""

from __future__ import annotations

import pytest

from lipwright.live import report
from lipwright.live.report import LiveStatistics


def test_what_is_spent_after_the_end_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"wall": 100.0, "cpu": 7.0}
    monkeypatch.setattr(report.time, "monotonic", lambda: now["wall"])
    monkeypatch.setattr(report, "_cpu_seconds", lambda: now["cpu"])
    statistics = LiveStatistics()
    now.update(wall=110.0, cpu=8.0)
    statistics.start()
    now.update(wall=120.0, cpu=23.0)
    assert statistics.to_json()["cpu_cores"] == 1.5
    statistics.stop()
    now.update(wall=200.0, cpu=24.0)
    assert statistics.to_json()["cpu_cores"] == 1.5
