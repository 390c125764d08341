"""LPIPS v0.1 with the VGG-16 trunk (Zhang et al., CVPR 2018; Simonyan and Zisserman, ICLR 2015).

The trunk's file names its tensors ``features.N.weight`` (torchvision's ``vgg16``), the heads' file
``linN.model.1.weight``. Inputs in [-1, 1] are shifted and scaled by LPIPS's own constants.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lipwright.errors import LipwrightError

_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)


class LPIPS(nn.Module):
    """Distance of pictures by channel-normalised VGG features and learned channel weights."""

    def __init__(self) -> None:
        super().__init__()
        stages = []
        c_in = 3
        for n, widths in enumerate(_STAGES):
            layers: list[nn.Module] = [nn.MaxPool2d(2)] if n else []
            for c in widths:
                layers += [nn.Conv2d(c_in, c, 3, padding=1), nn.ReLU()]
                c_in = c
            stages.append(nn.Sequential(*layers))
        self.stages = nn.ModuleList(stages)
        self.heads = nn.ModuleList(nn.Conv2d(w[-1], 1, 1, bias=False) for w in _STAGES)
        self.register_buffer("shift", torch.tensor(_SHIFT)[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE)[:, None, None], persistent=False)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Two (B, 3, H, W) in [-1, 1] -> (B,)."""
        a, b = ((v - self.get_buffer("shift")) / self.get_buffer("scale") for v in (x, y))
        total = torch.zeros(len(x), device=x.device)
        for stage, head in zip(self.stages, self.heads, strict=True):
            a, b = stage(a), stage(b)
            u, v = (f / (f.square().sum(1, keepdim=True).sqrt() + 1e-10) for f in (a, b))
            total = total + head((u - v).square()).mean(dim=(1, 2, 3))
        return total

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The same as :meth:`distance`."""
        return self.distance(x, y)


def convert(trunk: Mapping[str, Tensor], heads: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Both published state dicts -> ours.

    Raises:
        LipwrightError: a tensor is missing.
    """
    out: dict[str, Tensor] = {}
    place = 0
    try:
        for n, widths in enumerate(_STAGES):
            first = 1 if n else 0
            place += 1 if n else 0  # the pool
            for i in range(len(widths)):
                for leaf in ("weight", "bias"):
                    out[f"stages.{n}.{first + 2 * i}.{leaf}"] = trunk[f"features.{place}.{leaf}"]
                place += 2
            out[f"heads.{n}.weight"] = heads[f"lin{n}.model.1.weight"]
    except KeyError as error:
        raise LipwrightError(
            f"the tensor {error} is missing; LPIPS needs torchvision's vgg16 and the v0.1 heads."
        ) from error
    return out
