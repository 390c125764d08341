"""The comparison of several quality tables."""

from __future__ import annotations

import runpy
from pathlib import Path


def test_comparison_has_a_row_per_method_and_the_real_video() -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "compare.py"
    module = runpy.run_path(str(script))
    clips = [
        {"clip": "a", "real.own_envelope": 0.5, "real.foreign_envelope": 0.1, "ours.offset": -3},
        {"clip": "b", "real.own_envelope": 0.7, "real.foreign_envelope": 0.3, "ours.offset": 1},
    ]
    text = module["comparison"]({"VQ": {"model": "vq-1", "clips": clips}})
    rows = text.splitlines()
    assert rows[2].startswith("| real video, own speech | - | 0.60 [0.50, 0.70] | - |")
    assert "| 0.20 [0.10, 0.30] |" in rows[3]
    assert "VQ (vq-1)" in rows[4]
    assert "| 2.0 [1.0, 3.0] |" in rows[4]  # absolute offsets
