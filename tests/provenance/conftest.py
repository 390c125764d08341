"""Every test of this folder has a data folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Registry, key and certificate of this test alone."""
    folder = tmp_path / "home"
    monkeypatch.setenv("LIPWRIGHT_HOME", str(folder))
    return folder
