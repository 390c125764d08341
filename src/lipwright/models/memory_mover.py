"""The reference, moved: its lips come to lie where the lip feature says, before anything is drawn.

Ours, not the paper's, and off in the configuration ``paper``. A decoder with little training that
has a whole face in its skips copies that face, mouth included, and what the memory recalls goes
unused. A linear probe predicts from the lip feature how lips are moved; the reference is warped
by what that differs from its own lips, and the decoder goes on from there, with the inside of the
mouth and the shading left to draw. The landmark cascade does the same (see
:mod:`lipwright.models.landmark_flow`).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.models.landmark_flow import GRID, centres, landmark_flow
from lipwright.models.lip_space import LipSpace

FARTHEST = 4.0
"""Standard deviations of motion beyond which nothing is moved further."""


class ReferenceMover(nn.Module):
    """Warps a reference picture to the motion predicted from a lip feature.

    Args:
        lip_dim: C of lip features.
        size: S of pictures.
        motions: K numbers of a motion (see :class:`~lipwright.models.lip_space.LipSpace`).
        points: P lip points.
    """

    places: Tensor

    def __init__(self, lip_dim: int, size: int, motions: int = 8, points: int = 40) -> None:
        super().__init__()
        self.size = size
        self.reader = nn.Linear(lip_dim, motions)
        self.space = LipSpace(motions, points)
        self.register_buffer("places", centres(GRID), persistent=False)

    def predicted(
        self, lips: Tensor, articulation: float = 1.0, rest: Tensor | None = None
    ) -> Tensor:
        """(B, C) lip features to (B, K) the motion that is wanted; arguments as in forward."""
        said = self.reader(lips).detach().float()
        if rest is not None:
            said = said - self.reader(rest).detach().float()
        wanted: Tensor = (articulation * said).clamp(-FARTHEST, FARTHEST)
        return wanted

    def forward(
        self,
        lips: Tensor,
        reference: Tensor,
        where: Tensor,
        motion: Tensor,
        articulation: float = 1.0,
        rest: Tensor | None = None,
    ) -> Tensor:
        """Move.

        Args:
            lips: (B, C) lip feature, recalled or true.
            reference: (B, 3, S, S) in [-1, 1].
            where: (B, P, 2) its lip points, in parts of S.
            motion: (B, K) its lip motion.
            articulation: gain of the predicted motion; what speech predicts of lips is an
                average, and averages move less than lips do.
            rest: (1, C) lip feature that is recalled in silence, for which lips are to rest; None:
                where the reader says 0.

        Returns:
            (B, 3, S, S). No gradient reaches the lip feature: a picture that was moved too far is
            worse than one that was moved too little, and lips would come to rest.
        """
        predicted = self.predicted(lips, articulation, rest)
        step = (predicted - motion)[:, 1:] * self.space.scale[1:]
        step = (step @ self.space.basis.T).reshape(-1, where.shape[1], 2)
        flow = landmark_flow(2.0 * where - 1.0, 2.0 * (where + step) - 1.0, self.places, self.size)
        grid = centres(self.size).to(reference.device) + flow.permute(0, 2, 3, 1)
        moved: Tensor = F.grid_sample(
            reference.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
        )
        return moved
