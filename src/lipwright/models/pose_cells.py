"""Pose codes of the cells that are compared, without the others.

The kernel over reference frames (:mod:`lipwright.models.gallery_generator`) compares the pose codes
around eyes and nose only. Where nothing else of the Pose-VQGAN's grid is wanted, its encoder sees
that part of the picture with a margin, and normalises by the statistics of the reference frames
(:mod:`lipwright.models.known_norms`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from lipwright.face_regions import CODE_CELLS
from lipwright.models.gallery_generator import POSE_CELLS
from lipwright.models.layers import Normalise

if TYPE_CHECKING:
    from lipwright.models.vq_pipeline import CodeEncoder

MARGIN = 1
"""Cells about those that are compared which the encoder sees as well."""


def latent(pose: CodeEncoder, faces: Tensor, normalise: Normalise) -> Tensor:
    """(B, 3, S, S) with the lower half blanked -> (B, D, h, w) before quantisation."""
    out: Tensor = pose.pre(pose.encoder(faces, normalise))
    return out


def compared_codes(pose: CodeEncoder, faces: Tensor, normalise: Normalise) -> Tensor:
    """The codes of :data:`~lipwright.models.gallery_generator.POSE_CELLS`.

    Args:
        pose: encoder of the Pose-VQGAN.
        faces: (B, 3, S, S) in [-1, 1], the lower half blanked.
        normalise: in the place of its group normalisations.

    Returns:
        (B, D, rows, columns) entries of the codebook.
    """
    x = F.pixel_unshuffle(faces, pose.encoder.patch)
    each = x.shape[-1] // CODE_CELLS
    cut, cells = zip(*(_with_margin(span) for span in POSE_CELLS), strict=True)
    rows, columns = (slice(s.start * each, s.stop * each) for s in cut)
    z = pose.pre(pose.encoder.of_patches(x[:, :, rows, columns], normalise))
    return pose.nearest_entries(z[:, :, cells[0], cells[1]])


def _with_margin(span: slice) -> tuple[slice, slice]:
    """What is seen of the grid, and where the span lies in that."""
    first = max(0, span.start - MARGIN)
    return (
        slice(first, min(CODE_CELLS, span.stop + MARGIN)),
        slice(span.start - first, span.stop - first),
    )
