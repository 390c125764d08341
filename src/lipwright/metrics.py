"""The metrics, for use from Python; the names are loaded when they are first used.

See ``docs/api.md`` for examples and ``docs/evaluation.md`` for what the numbers mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipwright.lazy_names import lazy_names

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
    "CATALOGUE": "lipwright.evaluation.metrics.catalogue",
    "ClipResult": "lipwright.evaluation.metrics.base",
    "MeanMetric": "lipwright.evaluation.metrics.base",
    "Metric": "lipwright.evaluation.metrics.base",
    "MetricInfo": "lipwright.evaluation.metrics.base",
    "Moment": "lipwright.evaluation.metrics.base",
    "Networks": "lipwright.evaluation.networks",
    "Pair": "lipwright.evaluation.evaluate",
    "evaluate": "lipwright.evaluation.evaluate",
    "frechet_distance": "lipwright.evaluation.metrics.frechet",
    "lmd": "lipwright.evaluation.metrics.lmd",
    "load_networks": "lipwright.evaluation.networks",
    "measure_clip": "lipwright.evaluation.measure",
    "psnr": "lipwright.evaluation.metrics.psnr",
    "register": "lipwright.evaluation.metrics.catalogue",
    "ssim": "lipwright.evaluation.metrics.ssim",
}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
