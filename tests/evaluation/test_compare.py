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


def test_silence_has_a_table_of_its_own() -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "compare.py"
    module = runpy.run_path(str(script))
    clips = [
        {
            "clip": name,
            "ours.silence": ratio,
            "copy.silent_closed": 0.25,
            "ours.silent_closed": 1.0,
            "copy.silent_in_step": 0.5,
            "ours.silent_in_step": 0.75,
        }
        for name, ratio in (("a", 0.1), ("b", 0.3))
    ]
    run = {"model": "vq-1", "clips": clips}
    plain = module["comparison"]({"VQ": run}, silent=True).splitlines()
    assert "in step" not in plain[0]
    text = module["comparison"]({"VQ": {**run, "expert": "e"}}, silent=True).splitlines()
    heads, copy, ours = (
        [cell.strip() for cell in text[n].strip("|").split("|")] for n in (0, 3, 4)
    )
    assert copy[heads.index("lips closed")] == "0.25 [0.25, 0.25]"
    assert ours[heads.index("silence ratio")] == "0.20 [0.10, 0.30]"
    assert ours[heads.index("lips closed")] == "1.00 [1.00, 1.00]"
    assert copy[-1] == "0.50 [0.50, 0.50]"
    assert ours[-1] == "0.75 [0.75, 0.75]"


def test_common_clips_are_compared_in_one_order() -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "compare.py"
    common = runpy.run_path(str(script))["common"]
    one = {"model": "a", "clips": [{"clip": "x"}, {"clip": "y"}, {"clip": "z"}]}
    two = {"model": "b", "clips": [{"clip": "z", "n": 1}, {"clip": "x", "n": 2}]}
    found = common({"A": one, "B": two})
    assert found["A"] == {"model": "a", "clips": [{"clip": "x"}, {"clip": "z"}]}
    assert found["B"]["clips"] == [{"clip": "x", "n": 2}, {"clip": "z", "n": 1}]
