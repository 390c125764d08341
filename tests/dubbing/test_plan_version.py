"""A plan of the cache is the plan that would be made now."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from lipwright.dubbing import (
    analysis,
    bridging,
    fades,
    hidden,
    reference_pictures,
    sighting,
    track_building,
)
from lipwright.dubbing import plan_version as room
from lipwright.dubbing.plan_version import imported_by, plan_version
from lipwright.faces import alignment, cuts, hands, stillness


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (sighting, "MIN_SIDE", 41.0),
        (sighting, "TURNED_DEGREES", 61.0),
        (bridging, "HELD_SECONDS", 0.26),
        (fades, "FADE_SECONDS", 0.13),
        (hidden, "NEAR_SECONDS", 0.5),
        (reference_pictures, "DETAIL_SIDE", 700),
        (track_building, "SMOOTH_RADIUS", 3),
        (analysis, "THUMBNAIL_SIDE", 900),
        (cuts, "LIGHT", 81.0),
        (hands, "PASSED_OVER", 5),
        (stillness, "SHARE", 0.5),
        (alignment, "EYE_LINE", 0.27),
        (alignment, "STABLE_POINTS", (33, 133)),
    ],
)
def test_every_constant_changes_it(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, value: object
) -> None:
    before = plan_version()
    assert plan_version() == before
    monkeypatch.setattr(module, name, value)
    assert plan_version() != before


def test_every_process_gives_the_same() -> None:
    command = "from lipwright.dubbing.plan_version import plan_version; print(plan_version())"
    found = {
        subprocess.run(
            [sys.executable, "-c", command],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1


def test_every_line_changes_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = plan_version()
    changed = tmp_path / "cuts.py"
    changed.write_bytes(Path(str(cuts.__file__)).read_bytes() + b"\n# another rule\n")
    monkeypatch.setattr(cuts, "__file__", str(changed))
    assert plan_version() != before


def test_it_looks_at_all_that_finds_measures_and_chooses() -> None:
    names = set(imported_by(room.PASS_ONE))
    rooms = {
        "dubbing.plan",
        "dubbing.references",
        "dubbing.sighting",
        "dubbing.track_building",
        "faces.alignment",
        "faces.cuts",
    }
    rooms |= {"faces.landmarks", "faces.detector", "faces.measure", "faces.network"}
    rooms |= {"faces.tracker", "media.reader", "media.thumbnail", "media.region", "media.planes"}
    assert {f"lipwright.{room}" for room in rooms} <= names


def test_the_library_versions_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = plan_version()
    monkeypatch.setattr(room.cv2, "__version__", str(Fraction(1, 3)))
    assert plan_version() != before
