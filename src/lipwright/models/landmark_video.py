"""VG-net: from landmarks to frames.

Chen et al. (CVPR 2019), sizes after the published code. One example picture i with its landmarks
p_e is set in motion by landmarks p_1 .. p_T:

* the picture is encoded to i' (a quarter of its side) and i'' (a sixteenth);
* landmarks become small maps q and, from them, r, with the same weights for example and frames;
* landmark attention a_t = sigmoid(up(q_t, q_e)) says where i' has to change;
* motion: (i'', r_t - r_e), through a ConvGRU over time, residual blocks and up-convolutions,
  becomes features f_t of the size of i';
* i' (1 - a_t) + f_t a_t is drawn out to a picture m_t and its mask alpha_t, and

      v_t = alpha_t m_t + (1 - alpha_t) i.

With ``colour="moved"``, which is not in the paper, m_t is not drawn from nothing. It is the
example, moved so that its landmarks lie where they should (:mod:`lipwright.models.landmark_flow`);
the features correct the flow and change the colour, and both corrections begin at 0. Drawn from
nothing, m_t is worse than the example for so long that alpha falls to 0, and a short training never
comes back from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.models.landmark_flow import GRID, centres, landmark_flow
from lipwright.models.landmark_gru import ConvGRU

LANDMARKS = 136
FLOW_LIMIT = 0.1
"""The flow of the landmarks is corrected by no more than this, in half sides."""


class Drawn(NamedTuple):
    """What VG-net made of a sequence; shapes with T = 1 for one frame.

    Attributes:
        frames: (B, T, 3, S, S) in [-1, 1].
        alpha: (B, T, 1, S, S) in [0, 1], where the picture was drawn.
        colour: (B, T, 3, S, S) in [-1, 1], what was drawn there.
        attention: (B, T, 1, S/4, S/4) in [0, 1], the attention that the landmarks ask for.
        state: (B, C, S/16, S/16) of the ConvGRU behind the last frame.
    """

    frames: Tensor
    alpha: Tensor
    colour: Tensor
    attention: Tensor
    state: Tensor


def norm(kind: str, channels: int) -> nn.Module:
    """``batch`` (the paper), or ``group``: the same in training and use, whatever the batch."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    groups = next(g for g in (16, 8, 4, 2, 1) if channels % g == 0)
    return nn.GroupNorm(groups, channels)


def conv(c_in: int, c_out: int, kernel: int, stride: int, padding: int, kind: str) -> nn.Sequential:
    """Convolution, normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, padding), norm(kind, c_out), nn.ReLU()
    )


def up(c_in: int, c_out: int, kind: str, bias: bool = False) -> list[nn.Module]:
    """Transposed convolution to twice the side, normalisation, ReLU."""
    return [
        nn.ConvTranspose2d(c_in, c_out, 3, 2, 1, 1, bias=bias),
        norm(kind, c_out),
        nn.ReLU(),
    ]


class Residual(nn.Module):
    """Two convolutions of 3 with normalisation, ReLU and dropout between them, plus the input."""

    def __init__(self, channels: int, dropout: float, kind: str) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            norm(kind, channels),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            norm(kind, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        out: Tensor = x + self.layers(x)
        return out


class LandmarkVideo(nn.Module):
    """VG-net.

    Args:
        size: S, side of the picture.
        down: channels of the first encoder: a convolution of 7 at full size, then one of stride 2
            each. Two of those are the paper (128 px); three make the variant of 256 px.
        deep: channels of the second encoder, one stride-2 convolution each.
        landmark: channels of q.
        bottleneck: channels in front of the ConvGRU; its state has ``deep[-1]``.
        blocks: residual blocks.
        up_channels: of the drawing end, one doubling each, as many as ``down`` has halvings.
        dilation: of the ConvGRU.
        dropout: in the residual blocks.
        norm_kind: ``batch`` or ``group``.
        colour: ``drawn`` (the paper) or ``moved``, see above.
    """

    places: Tensor
    coarse: Tensor

    def __init__(
        self,
        size: int = 128,
        down: Sequence[int] = (64, 64, 128),
        deep: Sequence[int] = (256, 512),
        landmark: int = 256,
        bottleneck: int = 128,
        blocks: int = 9,
        up_channels: Sequence[int] = (64, 32),
        dilation: int = 2,
        dropout: float = 0.5,
        norm_kind: str = "batch",
        colour: Literal["drawn", "moved"] = "drawn",
    ) -> None:
        super().__init__()
        halvings = len(down) - 1 + len(deep)
        if len(up_channels) != len(down) - 1 or size % 2**halvings:
            raise ValueError("as many doublings as halvings are needed, and a size they divide")
        kind, wide = norm_kind, deep[-1]
        self.size, self.side = size, size >> halvings
        self.picture1 = nn.Sequential(
            nn.ReflectionPad2d(3),
            conv(3, down[0], 7, 1, 0, kind),
            *(conv(a, b, 3, 2, 1, kind) for a, b in pairwise(down)),
        )
        sides = [down[-1], *deep]
        self.picture2 = nn.Sequential(*(conv(a, b, 3, 2, 1, kind) for a, b in pairwise(sides)))
        self.landmark = nn.Sequential(nn.Linear(LANDMARKS, self.side**2), nn.ReLU())
        self.landmark_q = conv(1, landmark, 3, 1, 1, kind)
        self.landmark_r = conv(landmark, wide, 3, 1, 1, kind)
        back = [*reversed(sides[:-1])]  # channels from the deepest map up to that of i'
        attention: list[nn.Module] = []
        for a, b in zip([2 * landmark, *back[:-1]], back, strict=True):
            attention += up(a, b, kind, bias=True)
        self.attention = nn.Sequential(
            *attention, nn.Sequential(nn.Conv2d(back[-1], 1, 3, 1, 1), nn.Sigmoid())
        )
        self.bottleneck = conv(2 * wide, bottleneck, 3, 1, 1, kind)
        self.gru = ConvGRU(bottleneck, wide, 3, dilation)
        generator: list[nn.Module] = [Residual(wide, dropout, kind) for _ in range(blocks)]
        for a, b in zip([wide, *back[:-1]], back, strict=True):
            generator += up(a, b, kind)
        self.generator = nn.Sequential(*generator)
        base: list[nn.Module] = []
        for a, b in zip([down[-1], *up_channels[:-1]], up_channels, strict=True):
            base += up(a, b, kind)
        self.base = nn.Sequential(*base)
        self.head_colour = nn.Sequential(nn.Conv2d(up_channels[-1], 3, 7, 1, 3), nn.Tanh())
        self.head_alpha = nn.Sequential(nn.Conv2d(up_channels[-1], 1, 7, 1, 3), nn.Sigmoid())
        self.moved = colour == "moved"
        if self.moved:
            self.head_flow = nn.Sequential(nn.Conv2d(up_channels[-1], 2, 7, 1, 3), nn.Tanh())
            for head in (self.head_colour, self.head_flow):
                for parameter in head.parameters():
                    nn.init.zeros_(parameter)
            self.register_buffer("places", centres(size)[None], persistent=False)
            self.register_buffer("coarse", centres(GRID), persistent=False)

    def encode(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """The maps i' and i'' of pictures (B, 3, S, S) in [-1, 1]."""
        fine = self.picture1(picture)
        return fine, self.picture2(fine)

    def encode_landmarks(self, landmarks: Tensor) -> tuple[Tensor, Tensor]:
        """The maps q and r of landmarks (N, 136)."""
        grid = self.landmark(landmarks).unflatten(1, (1, self.side, self.side))
        q = self.landmark_q(grid)
        return q, self.landmark_r(q)

    def motion(self, r: Tensor, r_example: Tensor, deep: Tensor) -> Tensor:
        """Input of the bottleneck: (i'', r_t - r_e)."""
        return torch.cat([deep, r - r_example], dim=1)

    def blend(self, fine: Tensor, features: Tensor, attention: Tensor) -> Tensor:
        """What the drawing end sees: i' (1 - a) + f a."""
        return fine * (1.0 - attention) + features * attention

    def forward(
        self,
        picture: Tensor,
        landmarks: Tensor,
        example: Tensor,
        state: Tensor | None = None,
        here: Tensor | None = None,
        there: Tensor | None = None,
    ) -> Drawn:
        """Set a picture in motion.

        Args:
            picture: (B, 3, S, S) in [-1, 1], one example for the sequence, or (B, T, 3, S, S), one
                for each frame.
            landmarks: (B, T, 136) normalised, T free.
            example: (B, 136), or (B, T, 136) with a picture for each frame.
            state: of the ConvGRU behind the frames before; zeros by default.
            here: (B, 68, 2) points in the picture, [-1, 1] from border to border; or (B, T, 68, 2).
            there: (B, T, 68, 2) where they are to lie. Both are needed for ``moved``.
        """
        b, t = landmarks.shape[:2]

        def spread(x: Tensor) -> Tensor:  # once per sequence -> once per frame
            return x[:, None].expand(-1, t, *x.shape[1:]).flatten(0, 1)

        each = picture.ndim == 5
        source = picture.flatten(0, 1) if each else picture
        fine, deep = self.encode(source)
        q_e, r_e = self.encode_landmarks(example.flatten(0, 1) if each else example)
        if not each:
            fine, deep, q_e, r_e, source = (spread(x) for x in (fine, deep, q_e, r_e, source))
        q, r = self.encode_landmarks(landmarks.flatten(0, 1))
        attention = self.attention(torch.cat([q, q_e], dim=1))
        x = self.bottleneck(self.motion(r, r_e, deep)).unflatten(0, (b, t))
        states, state = self.gru(x, state)
        features = self.generator(states.flatten(0, 1))
        base = self.base(self.blend(fine, features, attention))
        colour, alpha = self.head_colour(base), self.head_alpha(base)
        if self.moved:
            if here is None or there is None:
                raise ValueError("a picture can be moved only with its points, here and there")
            each_here = here.flatten(0, 1) if here.ndim == 4 else spread(here)
            colour = self._moved(base, source, colour, each_here, there.flatten(0, 1))
        frames = alpha * colour + (1.0 - alpha) * source
        frames, alpha, colour, attention = (
            x.unflatten(0, (b, t)) for x in (frames, alpha, colour, attention)
        )
        return Drawn(frames, alpha, colour, attention, state)

    def _moved(
        self, base: Tensor, source: Tensor, change: Tensor, here: Tensor, there: Tensor
    ) -> Tensor:
        """The picture m (N, 3, S, S) in [-1, 1] from features, example, and points (N, 68, 2)."""
        # In float32: a place in bfloat16 is off by up to half a pixel.
        flow = landmark_flow(here.float(), there.float(), self.coarse, self.size)
        flow = flow + FLOW_LIMIT * self.head_flow(base).float()
        grid = self.places + flow.permute(0, 2, 3, 1)
        moved = F.grid_sample(source.float(), grid, padding_mode="border", align_corners=False)
        return (moved + change.float()).clamp(-1.0, 1.0).to(change.dtype)
