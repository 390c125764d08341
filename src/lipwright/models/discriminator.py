"""PatchGAN discriminator (Isola et al., CVPR 2017), as VQGAN uses it.

At 256 px the three-layer network judges 30 x 30 overlapping patches of 70 px and has 2,765,633
parameters.
"""

from __future__ import annotations

from torch import Tensor, nn

from lipwright.models.layers import initialise_normal


class PatchDiscriminator(nn.Module):
    """Strided 4x4 convolutions with batch normalisation and LeakyReLU 0.2.

    Args:
        width: channels after the first convolution; doubles per layer, at most eightfold.
        layers: strided convolutions; the receptive field is 70 px for 3.
    """

    def __init__(self, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        net: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        c = width
        for n in range(1, layers + 1):
            out = width * min(2**n, 8)
            stride = 2 if n < layers else 1
            net += [
                nn.Conv2d(c, out, 4, stride, 1, bias=False),
                nn.BatchNorm2d(out),
                nn.LeakyReLU(0.2),
            ]
            c = out
        net.append(nn.Conv2d(c, 1, 4, 1, 1))
        self.net = nn.Sequential(*net)
        initialise_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1] -> (B, 1, h, w) logits, positive means real."""
        out: Tensor = self.net(x)
        return out
