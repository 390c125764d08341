"""Which program did something: versions of Lipwright, of Python and of what computes."""

from __future__ import annotations

import platform

from lipwright import __version__


def versions(*packages: str) -> dict[str, str]:
    """Of Lipwright, of Python, and of those of these packages that are installed."""
    from importlib.metadata import PackageNotFoundError, version  # slow, and seldom asked for

    found = {"lipwright": __version__, "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
