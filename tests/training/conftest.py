"""What the tests of whole stages share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .tiny import make_corpus


@pytest.fixture(scope="module")
def corpus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny corpus; its crops have the side that the file of tests calls ``CROP``, or 32."""
    side: int = getattr(request.module, "CROP", 32)
    return make_corpus(tmp_path_factory.mktemp("corpus"), size=side)


@pytest.fixture(scope="module")
def config(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of tests' ``CONFIG`` as a file."""
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(yaml.safe_dump(request.module.CONFIG))
    return path


@pytest.fixture(scope="module")
def no_graphs() -> Iterator[None]:
    """Stages end without the export of graphs, which takes longer than these trainings.

    That they end with it is in the contract suite of stages.
    """
    with pytest.MonkeyPatch.context() as patch:
        for place in ("training.join", "methods.graphs"):
            patch.setattr(f"lipwright.{place}.export_graphs", lambda path: False)
        yield
