"""The public rooms, and every example of docs/api.md."""

from __future__ import annotations

import importlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import lipwright
from lipwright.errors import LipwrightError
from lipwright.evaluation.metrics import catalogue
from lipwright.weights import fetch
from tests.conftest import MakeVideo

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
ROOMS = ("lipwright.media", "lipwright.faces", "lipwright.metrics")


@pytest.fixture
def own_catalogue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What an example registers is forgotten."""
    monkeypatch.setattr(catalogue, "METRICS", list(catalogue.METRICS))
    before = dict(catalogue.CATALOGUE)
    yield
    catalogue.CATALOGUE.clear()
    catalogue.CATALOGUE.update(before)


@pytest.mark.usefixtures("own_catalogue")
@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_examples_run(
    number: int, make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = EXAMPLES[number]
    if "FaceTracker" in code:
        try:
            fetch.resolve("detector-short")
        except LipwrightError:
            pytest.skip("the face networks are not here")
    make_video("clip.mp4", frames=5, audio=np.zeros(3200, np.float32))
    assets = Path(lipwright.__file__).parent / "assets"
    shutil.copy(assets / "portrait.jpg", tmp_path / "portrait.jpg")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, f"docs/api.md, example {number}", "exec"), {"__name__": "example"})


@pytest.mark.parametrize("room", ROOMS)
def test_public_names_are_there(room: str) -> None:
    module = importlib.import_module(room)
    assert sorted(module.__all__) == module.__all__
    for name in module.__all__:
        assert getattr(module, name) is not None
        assert name in dir(module)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        module.nothing  # noqa: B018
