"""The enhancers by name, and which one ``auto`` is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from lipwright.enhance.base import Enhancer
from lipwright.errors import LipwrightError, missing_extra


@dataclass(frozen=True)
class EnhancerSpec:
    """One enhancer.

    Attributes:
        make: ``module:class``.
        weights: whether it takes the path of a checkpoint (None where none was given).
    """

    make: str
    weights: bool = False


ENHANCERS = {
    "self": EnhancerSpec("lipwright.enhance.own_detail:OwnDetail"),
    "restorer": EnhancerSpec("lipwright.enhance.restorer:TrainedRestorer", weights=True),
}
AUTO = "self"


def load_enhancer(name: str, weights: Path | None = None) -> Enhancer | None:
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
        choices = ", ".join(("auto", "none", *ENHANCERS))
        raise LipwrightError(f"There is no enhancer {name!r}; choose one of {choices}.")
    if weights is not None and (spec is None or not spec.weights):
        raise LipwrightError(
            f"--enhance {name} takes no weights; leave out --enhance-weights, or use --enhance "
            "restorer."
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
    enhancer: Enhancer = maker(weights) if spec.weights else maker()
    return enhancer
