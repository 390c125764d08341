"""Discriminators of the pixel baselines: Wav2Lip's quality discriminator and LipGAN's joint one.

* :class:`QualityDiscriminator` (Prajwal et al., ACM MM 2020, section 3.3): lower halves only, one
  number per picture; convolutions with LeakyReLU 0.2 and no normalisation.
* :class:`JointDiscriminator` (KR et al., ACM MM 2019): a face and a speech encoder with instance
  normalisation into one space; the Euclidean distance of the unit vectors says whether face and
  speech are real and in sync.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.face_regions import lower_half


def _stack(c_in: int, widths: list[int], normalise: bool) -> nn.Sequential:
    """Strided convolutions that halve the picture, until global averaging ends them."""
    layers: list[nn.Module] = []
    for c in widths:
        layers.append(nn.Conv2d(c_in, c, 3, 2, 1))
        if normalise:
            layers.append(nn.InstanceNorm2d(c, affine=True))
        layers.append(nn.LeakyReLU(0.2))
        c_in = c
    return nn.Sequential(*layers)


class QualityDiscriminator(nn.Module):
    """Is this mouth region a real picture?

    Args:
        width: channels after the first convolution.
        levels: halvings.
    """

    def __init__(self, width: int = 32, levels: int = 5) -> None:
        super().__init__()
        widths = [min(width * 2**i, 16 * width) for i in range(levels)]
        self.trunk = _stack(3, widths, normalise=False)
        self.head = nn.Conv2d(widths[-1], 1, 1)

    def forward(self, faces: Tensor) -> Tensor:
        """(N, 3, S, S) in [0, 1] -> (N,) logits, positive means real."""
        out: Tensor = self.head(self.trunk(lower_half(faces))).mean(dim=(1, 2, 3))
        return out


class JointDiscriminator(nn.Module):
    """Do this face and this speech belong together, and is the face real?

    Args:
        width: channels after the first convolution of either encoder.
        levels: halvings of the face.
        dim: length of the embeddings.
    """

    def __init__(self, width: int = 32, levels: int = 5, dim: int = 256) -> None:
        super().__init__()
        widths = [min(width * 2**i, 16 * width) for i in range(levels)]
        self.face = _stack(3, widths, normalise=True)
        self.face_head = nn.Linear(widths[-1], dim)
        self.speech = _stack(1, widths[:4], normalise=True)
        self.speech_head = nn.Linear(widths[:4][-1], dim)

    def forward(self, faces: Tensor, mel: Tensor) -> Tensor:
        """(N, 3, S, S) in [0, 1] and (N, 80, steps) -> (N,) distances in [0, 2]."""
        f = self.face_head(self.face(faces).mean(dim=(2, 3)))
        s = self.speech_head(self.speech(mel.unsqueeze(1)).mean(dim=(2, 3)))
        d = F.normalize(f.float(), dim=1) - F.normalize(s.float(), dim=1)
        return torch.sqrt(d.square().sum(dim=1) + 1e-8)
