"""FVD: Fréchet distance of I3D logits of short clips (Unterthiner et al., 2018).

Kinetics-400 I3D, logits averaged over time, pictures resized to 224 x 224 in **[-1, 1]**. Clips of
16 consecutive frames at 25 fps that do not overlap; a shorter tail is dropped, never padded.

Gupta et al. (WACV 2023) print FVD divided by 100; ``fvd`` is the plain value, and tables show
FVD/100 under that name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lipwright.evaluation.bootstrap import Estimate
from lipwright.evaluation.metrics.base import MetricInfo, Moment, same_images
from lipwright.evaluation.metrics.frechet import FrechetMetric
from lipwright.evaluation.without_gradients import without_gradients

if TYPE_CHECKING:
    from torch import Tensor

CLIP = 16
DIMENSIONS = 400
ENOUGH_CLIPS = 256
_HOW = (
    "PyTorch port of I3D (rgb_imagenet layout), not the TensorFlow hub module; 16 frames at 25 "
    "fps, no overlap, aligned 224 px face crops; fewer than 256 clips are flagged"
)
INFO = MetricInfo(
    "fvd",
    "FVD",
    "Unterthiner et al. 2018",
    "adapted",
    "low",
    _HOW,
    digits=1,
    needs=("i3d",),
    protocols=("reconstruction", "unpaired", "silent"),
)
HUNDREDTH = MetricInfo(
    "fvd_100",
    "FVD/100",
    "Gupta et al., WACV 2023 (its tables divide by 100)",
    "adapted",
    "low",
    _HOW,
    needs=("i3d",),
    protocols=("reconstruction", "unpaired", "silent"),
)


class ClipFeatures(Protocol):
    """A network of clips."""

    def features(self, x: Tensor) -> Tensor:
        """(B, 3, T, 224, 224) RGB in [-1, 1] -> (B, 400) logits."""
        ...


def cut_clips(frames: NDArray[Any]) -> NDArray[Any]:
    """(T, ...) frames -> (T // 16, 16, ...); the tail is dropped."""
    n = len(frames) // CLIP
    return frames[: n * CLIP].reshape(n, CLIP, *frames.shape[1:])


@without_gradients
def fvd_features(network: ClipFeatures, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(B, 16, S, S, 3) uint8 RGB clips -> (B, 400)."""
    import torch

    same_images(clips, clips)
    x = torch.from_numpy(np.ascontiguousarray(clips)).permute(0, 4, 1, 2, 3).float()
    if x.shape[-2:] != (224, 224):
        b, c, t = x.shape[:3]
        flat = x.transpose(1, 2).reshape(b * t, c, *x.shape[3:])
        flat = torch.nn.functional.interpolate(flat, (224, 224), mode="bilinear")
        x = flat.reshape(b, t, c, 224, 224).transpose(1, 2)
    return network.features(x / 127.5 - 1.0).float().numpy()


class Fvd(FrechetMetric):
    """FVD of clips of 16 frames at 25 fps, none of them over a gap."""

    infos = (INFO, HUNDREDTH)
    batch = CLIP
    rest = False

    def add(self, moment: Moment) -> None:
        """Keep the moment as often as it is seen at 25 fps."""
        if moment.after_gap:
            self._waiting.clear()
        for _ in range(moment.times_at_25):
            super().add(moment)

    def embed(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See :func:`fvd_features`."""
        return fvd_features(self.clip.networks.loaded["i3d"], cut_clips(pictures))

    @classmethod
    def over_clips(
        cls, names: Sequence[str], features: Mapping[str, list[NDArray[np.float32]]]
    ) -> tuple[dict[str, Estimate], list[str]]:
        """The distance and its hundredth, with an interval over clips."""
        both, notes = super().over_clips(names, features)
        for estimate in list(both.values()):
            parts = (estimate.value / 100, estimate.low / 100, estimate.high / 100)
            both[HUNDREDTH.name] = Estimate(*parts, estimate.n)
        return {name: both[name] for name in both if name in names}, notes

    @classmethod
    def limits(cls, count: int) -> list[str]:
        """See :meth:`FrechetMetric.limits`."""
        if count >= ENOUGH_CLIPS:
            return []
        return [f"FVD from {count} clips of {CLIP} frames: fewer than {ENOUGH_CLIPS}"]
