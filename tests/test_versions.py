"""Which program did something."""

from __future__ import annotations

import platform
from importlib import metadata

import lipwright
from lipwright.versions import versions


def test_what_is_installed_is_named() -> None:
    found = versions("numpy", "no-such-package")
    assert found == {
        "lipwright": lipwright.__version__,
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
    }
