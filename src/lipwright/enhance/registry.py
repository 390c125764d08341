"""The enhancers by name, and which one ``auto`` is.

An enhancer is declared once, by an entry of :data:`ENHANCERS`; the choices of ``--enhance``, their
help and the contract tests follow from there. The table imports neither NumPy nor an enhancer, so
that ``lipwright --help`` stays quick.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipwright.errors import LipwrightError, missing_extra

if TYPE_CHECKING:
    from lipwright.enhance.base import Enhancer


@dataclass(frozen=True)
class EnhancerSpec:
    """One enhancer.

    Attributes:
        make: ``module:class`` or ``module:function``.
        summary: what it sharpens with, for help and docs; a few words, no full stop.
        weights: whether it takes the path of a checkpoint (None where none was given).
    """

    make: str
    summary: str
    weights: bool = False


ENHANCERS = {
    "self": EnhancerSpec(
        "lipwright.enhance.own_detail:OwnDetail", "with detail from the person's own frames"
    ),
    "restorer": EnhancerSpec(
        "lipwright.enhance.restorer:TrainedRestorer",
        "by a trained network, see --enhance-weights",
        weights=True,
    ),
    "gfpgan": EnhancerSpec(
        "lipwright.enhance.face_restoration:load_gfpgan",
        "by GFPGAN, whose published file you have",
        weights=True,
    ),
    "gpen": EnhancerSpec(
        "lipwright.enhance.face_restoration:load_gpen",
        "by GPEN, the paper's own stage 2, whose published file you have",
        weights=True,
    ),
}
"""All enhancers by name."""
AUTO = "self"
CHOICES = ("auto", "none", *ENHANCERS)
"""The words that ``--enhance`` takes."""


def choices_in_words() -> str:
    """What each of :data:`CHOICES` does, for help and docs."""
    parts = [f"{name}: {spec.summary}" for name, spec in ENHANCERS.items()]
    return "; ".join((*parts, f"auto: {AUTO}", "none: the drawn mouth as it is")) + "."


def takers_in_words() -> str:
    """The enhancers that take a checkpoint: ``a, b or c``."""
    *names, last = (name for name, spec in ENHANCERS.items() if spec.weights)
    return f"{', '.join(names)} or {last}" if names else last


def load_enhancer(name: str, weights: str | Path | None = None) -> Enhancer | None:
    """An enhancer by name; None for ``none``.

    Args:
        name: of :data:`ENHANCERS`, ``auto`` or ``none``.
        weights: a checkpoint, for an enhancer that takes one.

    Raises:
        LipwrightError: there is no such enhancer, or its weights are missing or damaged.
    """
    known = AUTO if name == "auto" else name
    spec = ENHANCERS.get(known)
    if spec is None and name != "none":
        raise LipwrightError(f"There is no enhancer {name!r}; choose one of {', '.join(CHOICES)}.")
    if weights and (spec is None or not spec.weights):
        raise LipwrightError(
            f"--enhance {name} takes no weights; leave out --enhance-weights, or use --enhance "
            f"{takers_in_words()}."
        )
    if spec is None:
        return None
    module, _, made = spec.make.partition(":")
    try:
        maker: Callable[..., Any] = getattr(import_module(module), made)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise missing_extra(f"The enhancer '{known}'", "gpu") from error
    enhancer: Enhancer = maker(Path(weights) if weights else None) if spec.weights else maker()
    return enhancer
