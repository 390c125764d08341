"""What every metric says about itself, and the checks that all of them share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError

Fidelity = Literal["exact", "adapted", "own"]
"""``exact``: the published definition; ``adapted``: with the deviations named; ``own``: ours."""
Better = Literal["high", "low", "real"]
"""``real``: best where it equals the value of the real videos, which a table always shows."""


@dataclass(frozen=True)
class MetricInfo:
    """The identity card of a number in a table.

    Attributes:
        name: key in results, for example ``lse_c``.
        title: column head.
        source: paper or code that defines it.
        fidelity: see :data:`Fidelity`.
        deviations: in words; empty only for ``exact``.
        better: which way is good.
        unit: of the value.
        digits: decimals that are worth printing.
        needs: names of the published networks without which it is left out.
        paired: it compares with the real video, so the real video itself has no value.
    """

    name: str
    title: str
    source: str
    fidelity: Fidelity
    better: Better
    deviations: str = ""
    unit: str = ""
    digits: int = 2
    needs: tuple[str, ...] = ()
    paired: bool = True

    def card(self) -> dict[str, Any]:
        """As plain data for the result file."""
        return asdict(self)


def same_images(a: NDArray[Any], b: NDArray[Any]) -> None:
    """Check two pictures or stacks of pictures before they are compared.

    Raises:
        LipwrightError: other shapes, no pixels, or values that are not finite.
    """
    if a.shape != b.shape:
        raise LipwrightError(
            f"pictures of {a.shape} and {b.shape} cannot be compared; bring both to one size."
        )
    if a.size == 0:
        raise LipwrightError("there are no pixels to compare; check that both videos show a face.")
    for x in (a, b):
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            raise LipwrightError("a picture holds values that are not finite; repair the input.")


def finite_features(x: NDArray[Any], what: str, least: int = 1) -> NDArray[np.float64]:
    """(N, D) features as float64.

    Raises:
        LipwrightError: another shape, fewer than ``least`` rows, or values that are not finite.
    """
    y = np.asarray(x, np.float64)
    if y.ndim != 2:
        raise LipwrightError(f"{what} must be a table of features (N, D), not {y.shape}.")
    if len(y) < least:
        raise LipwrightError(f"{what} has {len(y)} rows where at least {least} are needed.")
    if not np.isfinite(y).all():
        raise LipwrightError(f"{what} holds features that are not finite; repair the input.")
    return y
