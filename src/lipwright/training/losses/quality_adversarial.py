"""The adversarial game about drawn faces: binary cross-entropy on logits, non-saturating.

Goodfellow et al. (NeurIPS 2014); Park et al. (AAAI 2022) play it on both images. The discriminator
is Wav2Lip's of lower halves (:class:`~lipwright.models.pixel_discriminators.QualityDiscriminator`).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def adversarial_loss(drawn: Tensor) -> Tensor:
    """Of the generator: -mean log sigmoid of (N,) logits of drawn faces."""
    return F.softplus(-drawn.float()).mean()


def discriminator_loss(real: Tensor, drawn: Tensor) -> Tensor:
    """Of the discriminator: mean of -log sigmoid(real) and -log(1 - sigmoid(drawn)), halved."""
    return 0.5 * (F.softplus(-real.float()).mean() + F.softplus(drawn.float()).mean())
