"""``self``: the detail of a drawn mouth out of the person's own frames; no network, no weights.

The first stage draws a face of 128 or 256 pixels. Enlarged to 700 it lacks what is finer than its
own pixels: the grain of lips, the edges of teeth, pores and beard. The person's other frames show
all that. For every frame two sources of detail are looked through:

* the frame itself as it was filmed: chin, beard and cheeks are all there, only moved;
* the reference frames whose lips and pose are nearest (:mod:`lipwright.enhance.choice`), brought
  onto the drawn lips by their contours.

Each is aligned to the drawn face by dense flow at the drawn face's resolution, and compared with it
there, light taken out. Where they agree, the high band of the drawn face is *replaced* by that of
the source of detail, in the contrast of this frame; where neither agrees, as where teeth show in no
other frame, the drawn face stays as it is. Nothing coarser is touched, so the lips stay where the
first stage has put them.

Swapping a high band for that of an aligned picture is what reference-based super-resolution does in
feature space (Zhang et al., "Image Super-Resolution by Neural Texture Transfer", CVPR 2019); here
it is done on brightness alone, with the alignment that the plan has already measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.enhance.base import Array, Context, Enhancer, EnhancerInfo, References
from lipwright.enhance.choice import distances, shares
from lipwright.face_regions import MOUTH_WINDOW
from lipwright.faces import alignment
from lipwright.faces.lip_align import CORNER, EXTENT
from lipwright.faces.lip_field import lip_field
from lipwright.geometry import smoothstep
from lipwright.media.flow import dense_flow
from lipwright.media.warping import scale_of

CUT = 1.0
"""Standard deviation of the Gaussian that splits off the high band, in pixels of the drawn face."""
SIDE = 160
"""Pixels a side of the mouth window in which pictures are aligned and compared."""
FINEST = 1
"""The finest level of the flow's pyramid: steps of 8 pixels of 80, refined below one."""
LONGEST = 0.04
"""The flow corrects an alignment by no more than this, in parts of the window ..."""
LONGEST_OWN = 0.15
"""... and finds the frame's own skin no further away than this."""
SMOOTH = 2.0
"""Standard deviation of the smoothing of a flow, in pixels of the small window."""
LIGHT_SIGMA = 10.0
"""What is coarser than this, in pixels of the small window, is light."""
COMPARED = 1.5
"""Standard deviation of the neighbourhood in which two pictures are compared, in the same unit."""
AT_EDGES = 3.0
"""The same for what counts as the contrast of a place."""
NEAR, FAR = (0.01, 0.4), (0.03, 1.0)
"""Difference of brightness up to which two pictures agree, and from which they do not: so much
anywhere, and such a part of the contrast."""
LINE = 2.5
"""Structures narrower than this, in the same unit, have to lie on each other ..."""
ALONG = (0.4, 0.85)
"""... with a correlation of more than the first, and enough is the second ..."""
FAINT = 0.006
"""... where they stand out by more than this."""
CONTRAST = 0.5
"""The logarithm of the contrast of a reference is changed by no more than this."""
OTHER = (0.25, 0.5)
"""A place whose light, as a logarithm, differs from the first on beside that of the whole window
is another thing in another colour; from the second on surely."""
FOCUS = (0.5, 1.15)
"""So much weaker or stronger may the high band of a reference become, to be as sharp as the frame:
it may be out of focus, moving, or poorly encoded."""
LEAST_SKIN = 0.05
"""Share of the picture in which that has to be seen, or nothing is said."""
SHARP = 1.2
"""Makes up for what resampling takes from the finest structures."""

_SCALE = 1 << 14  # high bands are kept as 16-bit integers


@dataclass(frozen=True)
class OwnState:
    """References as they are needed.

    Attributes:
        small: R pictures (SIDE, SIDE), brightness in [0, 1] without its high band.
        high: R high bands, int16, (S, S) each.
        lips: (R, 40, 2) contours in parts of the mouth window.
        outlines: (R, K, 2) in parts of the aligned crop.
        drawn: pixels a side of the drawn crop.
    """

    small: list[Array]
    high: list[NDArray[np.int16]]
    lips: NDArray[np.float64]
    outlines: NDArray[np.float64]
    drawn: int


@dataclass(frozen=True)
class Offer:
    """What one source of detail has for a frame.

    Attributes:
        high: (H, W) its high band where the frame has it.
        agrees: (SIDE, SIDE) in [0, 1], how surely it shows what was drawn.
    """

    high: Array
    agrees: Array


class OwnDetail(Enhancer):
    """The enhancer ``self``."""

    info = EnhancerInfo(
        "self", "self", needs=frozenset({"references", "source", "lips"}), backend="opencv"
    )

    def start(self, references: References) -> OwnState:
        """Split the references; empty pictures among them are left out."""
        small, high, kept = [], [], []
        for i, picture in enumerate(references.pictures):
            if not picture.size:
                continue
            grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255)
            low = _blurred(grey, CUT * len(grey) / EXTENT / references.drawn)
            kept.append(i)
            small.append(_resized(low, SIDE))
            high.append(np.rint((grey - low) * _SCALE).astype(np.int16))
        return OwnState(
            small,
            high,
            (np.asarray(references.lips, np.float64)[kept] - CORNER) / EXTENT,
            np.asarray(references.outlines, np.float64)[kept],
            references.drawn,
        )

    def enhance(self, pictures: Array, contexts: Sequence[Context], state: OwnState) -> Array:
        """Replace high bands; each picture by itself."""
        return np.stack(
            [_enhanced(picture, c, state) for picture, c in zip(pictures, contexts, strict=True)]
        )


def _enhanced(picture: Array, context: Context, state: OwnState) -> Array:
    grey = _brightness(picture)
    place = _Place(context.to_picture, grey.shape)
    sigma = CUT * place.scale * SIDE / EXTENT / state.drawn
    low = _blurred(grey, sigma)
    drawn = place.small(low)
    offers: list[tuple[Offer, float]] = []
    own: Offer | None = None
    if context.source is not None:
        own = _own(place, drawn, _brightness(context.source), sigma)
    if context.lips is not None and context.outline is not None and state.high:
        lips = (np.asarray(context.lips, np.float64) - CORNER) / EXTENT
        apart = distances(lips * EXTENT, context.outline, state.lips * EXTENT, state.outlines)
        offers = [(_lent(place, drawn, lips, state, i), part) for i, part in shares(apart)]
    change = _mixed(place, grey - low, own, offers)
    return np.asarray(np.clip(picture + change, 0.0, 1.0), np.float32)


def _mixed(
    place: _Place, high: Array, own: Offer | None, offers: list[tuple[Offer, float]]
) -> Array:
    """What to add to a picture with this high band: agreed bands instead of it.

    The frame's own skin comes first: it has the focus, the light and the noise of the moment.
    """
    free = np.ones((SIDE, SIDE), np.float32)
    change = np.zeros_like(high)
    skin: Array | None = None
    if own is not None:
        skin = place.large(own.agrees)
        change += skin * (own.high - high)
        free -= own.agrees
    total = sum((part * offer.agrees for offer, part in offers), np.zeros_like(free))
    for offer, part in offers:
        # Where only one of two agrees it counts in full, as far as it agrees.
        trust = free * part * np.square(offer.agrees) / np.maximum(total, 1e-3)
        gain = np.float32(SHARP)
        if own is not None and skin is not None:
            gain *= _focus(own.high, offer.high, skin)
        change += place.large(np.asarray(trust, np.float32)) * (gain * offer.high - high)
    return change


def _focus(here: Array, there: Array, where: Array) -> np.float32:
    """How sharp a frame is against another, by the grain of the skin that both show."""
    energies = [float((where * np.square(band)).sum(dtype=np.float64)) for band in (here, there)]
    if float(where.sum(dtype=np.float64)) < LEAST_SKIN * where.size or energies[1] <= 0.0:
        return np.float32(1.0)
    return np.float32(np.clip(np.sqrt(energies[0] / energies[1]), *FOCUS))


def _own(place: _Place, drawn: Array, source: Array, sigma: float) -> Offer:
    """The frame as it was filmed, moved to where the drawn face has the same."""
    low = _blurred(source, sigma)
    small = place.small(low)
    flow = _flow(drawn, small, LONGEST_OWN)
    agrees, _ = _agreement(drawn, _at(small, flow))
    return Offer(_at(source - low, place.large(flow @ place.turn.T)), agrees)


def _lent(
    place: _Place, drawn: Array, lips: NDArray[np.float64], state: OwnState, index: int
) -> Offer:
    """A reference frame, its lips brought onto the drawn ones."""
    small, high = state.small[index], state.high[index]
    field = lip_field(lips, state.lips[index] - lips, SIDE, EXTENT)
    flow = _flow(drawn, _at(small, field), LONGEST)
    field = flow + _at(field, flow)
    agrees, gain = _agreement(drawn, _at(small, field))
    x, y = place.in_window(place.large(field))
    times = np.float32(len(high) / SIDE)
    x, y = (
        (x + np.float32(0.5)) * times - np.float32(0.5),
        (y + np.float32(0.5)) * times - np.float32(0.5),
    )
    moved = cv2.remap(high, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return Offer(moved * place.large(gain / np.float32(_SCALE)), agrees)


class _Place:
    """Where the small mouth window lies in a picture.

    Attributes:
        turn: (2, 2) steps in the small window to steps in the picture.
        scale: pixels of the picture per pixel of the small window.
    """

    def __init__(self, to_picture: NDArray[np.float64], shape: tuple[int, ...]) -> None:
        self._matrix = alignment.to_pixels(alignment.part(to_picture, MOUTH_WINDOW), SIDE)
        self._inverse = alignment.invert(self._matrix)
        self._size = shape[1], shape[0]
        self.turn = self._matrix[:, :2].astype(np.float32)
        self.scale = scale_of(self._matrix)

    def small(self, low: Array) -> Array:
        """(H, W) without its high band -> (SIDE, SIDE)."""
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        small = cv2.warpAffine(
            low, self._matrix, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(small, np.float32)

    def large(self, small: Array) -> Array:
        """(SIDE, SIDE, ...) -> (H, W, ...); 0 outside the window."""
        return np.asarray(
            cv2.warpAffine(small, self._matrix, self._size, flags=cv2.INTER_LINEAR), np.float32
        )

    def in_window(self, step: Array) -> tuple[Array, Array]:
        """X and y in the small window of every pixel of the picture, after a step there."""
        (a, b, c), (d, e, f) = self._inverse.astype(np.float32)
        across = np.arange(self._size[0], dtype=np.float32)[None, :]
        down = np.arange(self._size[1], dtype=np.float32)[:, None]
        return step[..., 0] + (a * across + (b * down + c)), step[..., 1] + (
            d * across + (e * down + f)
        )


def _flow(first: Array, second: Array, longest: float) -> Array:
    """Smooth bounded flow between two small windows."""
    eight = [cv2.convertScaleAbs(picture, alpha=255.0) for picture in (first, second)]
    flow = _blurred(dense_flow(eight[0], eight[1], FINEST), SMOOTH)
    length = np.hypot(flow[..., 0], flow[..., 1])
    flow *= np.minimum(1.0, longest * SIDE / np.maximum(length, 1e-6))[..., None]
    return flow


def _agreement(drawn: Array, other: Array) -> tuple[Array, Array]:
    """How surely two small windows show the same, and the light of the first over the second."""
    light, there = _blurred(drawn, LIGHT_SIGMA), _blurred(other, LIGHT_SIGMA)
    ratio = np.log((light + 0.02) / (there + 0.02)).astype(np.float32)
    gain = np.exp(np.clip(ratio, -CONTRAST, CONTRAST))
    shown = gain * (other - there)
    # Squares: a line of teeth between lips is narrow, and must not pass as a small mean difference.
    off = np.sqrt(_blurred(np.square((drawn - light) - shown), COMPARED))
    # The drawn face is soft, so at edges it differs though it shows the same.
    edge = np.sqrt(_blurred(np.square(shown), AT_EDGES))
    near, far = NEAR[0] + NEAR[1] * edge, FAR[0] + FAR[1] * edge
    step = np.clip((off - near) / (far - near), 0.0, 1.0)
    alike = (1.0 - smoothstep(step)) * _same_lines(drawn, other)
    # Light changes a face as a whole: the dark of an open mouth is another thing.
    apart = (np.abs(ratio - np.median(ratio)) - OTHER[0]) / (OTHER[1] - OTHER[0])
    alike *= 1.0 - smoothstep(np.clip(apart, 0.0, 1.0))
    return np.asarray(alike, np.float32), gain


def _same_lines(drawn: Array, other: Array) -> Array:
    """(SIDE, SIDE) in [0, 1]: low where narrow structures of two pictures do not lie on each other.

    The seam of closed lips is a line: beside its place, another one's would be a second seam.
    """
    a, b = (picture - _blurred(picture, LINE) for picture in (drawn, other))
    aa, bb, ab = (_blurred(product, LINE) for product in (a * a, b * b, a * b))
    like = np.clip((ab / np.sqrt(aa * bb + 1e-12) - ALONG[0]) / (ALONG[1] - ALONG[0]), 0.0, 1.0)
    strong = np.maximum(aa, bb)
    strong = strong / (strong + FAINT**2)
    return np.asarray(1.0 - strong * (1.0 - smoothstep(like)), np.float32)


def _at(picture: Array, flow: Array) -> Array:
    """``picture(x + flow(x))``."""
    height, width = flow.shape[:2]
    x = flow[..., 0] + np.arange(width, dtype=np.float32)
    y = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    moved = cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def _brightness(picture: Array) -> Array:
    """(3, H, W) RGB -> (H, W)."""
    red, green, blue = picture
    grey = cv2.addWeighted(red, 0.299, green, 0.587, 0.0)
    return np.asarray(cv2.scaleAdd(blue, 0.114, grey), np.float32)


def _blurred(picture: Array, sigma: float) -> Array:
    blurred = cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)


def _resized(picture: Array, side: int) -> Array:
    how = cv2.INTER_AREA if side < len(picture) else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (side, side), interpolation=how), np.float32)
