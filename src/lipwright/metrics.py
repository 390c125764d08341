"""The metrics, for use from Python; the names are loaded when they are first used.

See ``docs/api.md`` for examples and ``docs/evaluation.md`` for what the numbers mean.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lipwright.evaluation.evaluate import Pair, evaluate
    from lipwright.evaluation.measure import measure_clip
    from lipwright.evaluation.metrics.base import ClipResult, MeanMetric, Metric, MetricInfo, Moment
    from lipwright.evaluation.metrics.catalogue import CATALOGUE, register
    from lipwright.evaluation.metrics.frechet import frechet_distance
    from lipwright.evaluation.metrics.lmd import lmd
    from lipwright.evaluation.metrics.psnr import psnr
    from lipwright.evaluation.metrics.ssim import ssim
    from lipwright.evaluation.networks import Networks, load_networks

__all__ = [
    "CATALOGUE",
    "ClipResult",
    "MeanMetric",
    "Metric",
    "MetricInfo",
    "Moment",
    "Networks",
    "Pair",
    "evaluate",
    "frechet_distance",
    "lmd",
    "load_networks",
    "measure_clip",
    "psnr",
    "register",
    "ssim",
]
_HOMES = {
    "CATALOGUE": "metrics.catalogue",
    "ClipResult": "metrics.base",
    "MeanMetric": "metrics.base",
    "Metric": "metrics.base",
    "MetricInfo": "metrics.base",
    "Moment": "metrics.base",
    "Networks": "networks",
    "Pair": "evaluate",
    "evaluate": "evaluate",
    "frechet_distance": "metrics.frechet",
    "lmd": "metrics.lmd",
    "load_networks": "networks",
    "measure_clip": "measure",
    "psnr": "metrics.psnr",
    "register": "metrics.catalogue",
    "ssim": "metrics.ssim",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"lipwright.evaluation.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
