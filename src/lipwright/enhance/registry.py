"""The enhancers by name, and which one ``auto`` is."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from lipwright.enhance.base import Enhancer
from lipwright.errors import LipwrightError

ENHANCERS: dict[str, str] = {"self": "lipwright.enhance.own_detail:OwnDetail"}
"""Module and class or function of each; called without arguments."""
AUTO = "self"


def load_enhancer(name: str) -> Enhancer | None:
    """An enhancer by name; None for ``none``.

    Raises:
        LipwrightError: there is no such enhancer, or its weights are missing or damaged.
    """
    if name == "none":
        return None
    known = AUTO if name == "auto" else name
    if known not in ENHANCERS:
        choices = ", ".join(("auto", "none", *ENHANCERS))
        raise LipwrightError(f"There is no enhancer {name!r}; choose one of {choices}.")
    module, _, made = ENHANCERS[known].partition(":")
    maker: Callable[[], Enhancer] = getattr(import_module(module), made)
    return maker()
