"""Every metric of ``lipwright evaluate``, in the order of the table.

A new metric is a file with a subclass of ``base.Metric``, its import here and a line in the list
below; measuring, tables, protocols and checks of names follow from there, and a test asks for a row
in ``docs/evaluation.md``. Code outside the package calls :func:`register`.
"""

from __future__ import annotations

from collections.abc import Collection

from lipwright.errors import LipwrightError
from lipwright.evaluation.metrics.base import Metric, MetricInfo, Protocol
from lipwright.evaluation.metrics.closures import Closures
from lipwright.evaluation.metrics.cpbd import Cpbd
from lipwright.evaluation.metrics.expert_sync import ExpertSync
from lipwright.evaluation.metrics.fid import Fid
from lipwright.evaluation.metrics.flicker import Flicker
from lipwright.evaluation.metrics.fvd import Fvd
from lipwright.evaluation.metrics.identity import Identity
from lipwright.evaluation.metrics.lip_colour import LipColour
from lipwright.evaluation.metrics.lip_sync import LipSync
from lipwright.evaluation.metrics.lmd import Lmd
from lipwright.evaluation.metrics.lpips import Lpips
from lipwright.evaluation.metrics.lse import Lse
from lipwright.evaluation.metrics.mouth_detail import MouthDetail
from lipwright.evaluation.metrics.opening import Envelope, Opening
from lipwright.evaluation.metrics.psnr import Psnr
from lipwright.evaluation.metrics.seam import SeamStep
from lipwright.evaluation.metrics.silence import SilenceActivity
from lipwright.evaluation.metrics.ssim import Ssim

METRICS: list[type[Metric]] = []
"""The registered metrics."""
CATALOGUE: dict[str, MetricInfo] = {}
"""Their numbers by name. Those of a ``FrechetMetric`` belong to a set of clips; all others to one
clip, averaged over clips."""


def register(metric: type[Metric]) -> type[Metric]:
    """Add a metric; may be used as a decorator.

    Raises:
        LipwrightError: it gives a number whose name is taken, or none at all.
    """
    names = [info.name for info in metric.infos]
    taken = [name for name in names if name in CATALOGUE]
    if taken or not names or len(set(names)) < len(names):
        raise LipwrightError(
            f"The metric {metric.__name__} cannot be registered: it needs numbers with names of "
            f"their own, not {', '.join(taken or names) or 'none'}."
        )
    METRICS.append(metric)
    CATALOGUE.update({info.name: info for info in metric.infos})
    return metric


for _metric in (
    Lse,
    ExpertSync,
    Opening,
    Envelope,
    LipSync,
    Closures,
    SilenceActivity,
    Lmd,
    Psnr,
    Ssim,
    Lpips,
    Fid,
    Fvd,
    Cpbd,
    MouthDetail,
    Identity,
    LipColour,
    Flicker,
    SeamStep,
):
    register(_metric)


def choose(names: list[str] | None) -> list[str]:
    """Names in table order; None or empty means all.

    Raises:
        LipwrightError: no such metric.
    """
    if not names:
        return list(CATALOGUE)
    for name in names:
        if name not in CATALOGUE:
            raise LipwrightError(
                f"there is no metric '{name}'; choose from {', '.join(CATALOGUE)}."
            )
    return [name for name in CATALOGUE if name in names]


def metrics_for(names: Collection[str]) -> list[type[Metric]]:
    """The metrics that give any of these numbers."""
    return [m for m in METRICS if any(info.name in names for info in m.infos)]


def names_of_protocol(protocol: Protocol) -> list[str]:
    """The numbers that a protocol asks for."""
    return [name for name, info in CATALOGUE.items() if protocol in info.protocols]
