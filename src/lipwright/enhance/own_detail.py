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
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.enhance.base import (
    Array,
    Context,
    Enhancer,
    EnhancerInfo,
    References,
    brightness,
)
from lipwright.enhance.choice import distances, shares
from lipwright.enhance.smoothing import block_side, gaussian, in_blocks, smoothed
from lipwright.face_regions import MOUTH_WINDOW
from lipwright.faces import alignment
from lipwright.faces.lip_align import CORNER, EXTENT
from lipwright.faces.lip_field import lip_field
from lipwright.geometry import smoothstep
from lipwright.media.flow import dense_flow, move
from lipwright.media.warping import scale_of

CUT = 1.0
"""Standard deviation of the Gaussian that splits off the high band, in pixels of the drawn face."""
SIDE = 160
"""Pixels a side of the mouth window in which pictures are aligned and compared."""
FLOW_SIDE = 80
"""Pixels a side of the mouth window in which the flow is found."""
LONGEST = 0.04
"""The flow corrects an alignment by no more than this, in parts of the window ..."""
LONGEST_OWN = 0.15
"""... and finds the frame's own skin no further away than this."""
SMOOTH = 1.0
"""Standard deviation of the smoothing of a flow, in pixels in which it is found."""
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
SHARP = 1.22
"""Makes up for what resampling takes from the finest structures of a reference."""
HALF_PIXEL = 0.1
"""The same for the frame's own high band, which is moved by fractions of its pixels: cubic
interpolation half a pixel aside leaves of a picture whose spectrum falls as 1/f 0.82 of the energy
of the top octave, a whole pixel aside all of it."""

FOCUS_STEP = 2
"""Sharpness is compared in every so many-th row and column."""

FINER = 2
"""High bands of references are enlarged so many times before they are moved: that is cubic and done
once for many frames, the rest linear. It leaves 0.5 to 0.8 of the energy of the top octave."""
USED = 3
"""So many enlarged high bands of references are kept for the frames that follow."""

_SCALE = 1 << 14  # high bands of references are kept as 16-bit integers


class OwnState(NamedTuple):
    """References as they are needed.

    Attributes:
        small: R pictures (SIDE, SIDE), brightness in [0, 1] without its high band.
        high: R high bands, int16, (S, S) each.
        lips: (R, 40, 2) contours in parts of the mouth window.
        outlines: (R, K, 2) in parts of the aligned crop.
        drawn: pixels a side of the drawn crop.
        used: enlarged high bands of those that were used last, by number.
    """

    small: list[Array]
    high: list[NDArray[np.int16]]
    lips: NDArray[np.float64]
    outlines: NDArray[np.float64]
    drawn: int
    used: dict[int, Array]

    def finer(self, index: int) -> Array:
        """A high band with ``FINER`` times the pixels; neighbouring frames want the same ones."""
        if index not in self.used:
            while len(self.used) >= USED:
                self.used.pop(next(iter(self.used)), None)
            self.used[index] = _finer(self.high[index].astype(np.float32))
        return self.used[index]


@dataclass(frozen=True)
class Offer:
    """What one source of detail has for a frame, in the small window but for ``high``.

    Attributes:
        high: its high band.
        finer: so many times enlarged.
        where: (SIDE, SIDE, 2) which pixel, (x, y) before that, belongs to each place.
        gain: (SIDE, SIDE) what ``high`` is multiplied by.
        agrees: (SIDE, SIDE) in [0, 1], how surely it shows what was drawn.
        share: how much it counts among the offers of its kind.
    """

    high: Array
    where: Array
    gain: Array
    agrees: Array
    share: float = 1.0
    finer: int = 1


class OwnDetail(Enhancer):
    """The enhancer ``self``; it works on brightness, of pictures in colour too."""

    info = EnhancerInfo(
        "self",
        "self",
        needs=frozenset({"references", "source", "lips"}),
        backend="opencv",
        brightness=True,
    )

    def start(self, references: References) -> OwnState:
        """Split the references; empty pictures among them are left out."""
        small, high, kept = [], [], []
        for i, picture in enumerate(references.pictures):
            if not picture.size:
                continue
            grey = brightness(picture.astype(np.float32) / np.float32(255), references.weights)
            sigma = CUT * len(grey) / EXTENT / references.drawn
            low = smoothed(grey, sigma)
            kept.append(i)
            small.append(_resized(low, SIDE))
            high.append(np.rint((grey - low) * _SCALE).astype(np.int16))
        return OwnState(
            small,
            high,
            (np.asarray(references.lips, np.float64)[kept] - CORNER) / EXTENT,
            np.asarray(references.outlines, np.float64)[kept],
            references.drawn,
            {},
        )

    def enhance(self, pictures: Array, contexts: Sequence[Context], state: OwnState) -> Array:
        """Replace high bands; each picture by itself."""
        return np.stack(
            [_enhanced(picture, c, state) for picture, c in zip(pictures, contexts, strict=True)]
        )


def _enhanced(picture: Array, context: Context, state: OwnState) -> Array:
    grey = _one_plane(picture)
    place = _Place(context.to_picture, grey.shape)
    sigma = CUT * place.scale * SIDE / EXTENT / state.drawn
    high, small = place.split(grey, sigma)
    drawn = Look(small)
    own: Offer | None = None
    if context.source is not None:
        own = _own(place, drawn, _one_plane(context.source), sigma)
    offers: list[Offer] = []
    if context.lips is not None and context.outline is not None and state.high:
        lips = (np.asarray(context.lips, np.float64) - CORNER) / EXTENT
        apart = distances(lips * EXTENT, context.outline, state.lips * EXTENT, state.outlines)
        offers = [_lent(drawn, lips, state, i, part) for i, part in shares(apart)]
    change = _mixed(place, high, own, offers)
    return np.asarray(np.clip(picture + change, 0.0, 1.0), np.float32)


def _mixed(place: _Place, high: Array, own: Offer | None, offers: list[Offer]) -> Array:
    """What to add to a picture with this high band: agreed bands instead of it.

    The frame's own skin comes first: it has the focus, the light and the noise of the moment.
    """
    free = _INSIDE if own is None else _INSIDE - own.agrees
    total = sum((offer.share * offer.agrees for offer in offers), np.zeros_like(free))
    # Where only one of two agrees it counts in full, as far as it agrees.
    trusts = [
        free * offer.share * np.square(offer.agrees) / np.maximum(total, np.float32(1e-3))
        for offer in offers
    ]
    replaced = sum(trusts, _INSIDE - free)
    change: Array | None = None
    skin: Array | None = None
    if own is not None:
        band, skin, kept = place.moved(own, own.agrees, replaced)
        change = cv2.multiply(band, skin) - cv2.multiply(high, kept)
        here = band
    else:
        change = cv2.multiply(high, place.large(-replaced))
    for offer, trust in zip(offers, trusts, strict=True):
        moved, weight, gain = place.moved(offer, trust * offer.gain, offer.gain)
        times = SHARP if skin is None else SHARP * _focus(here, moved, skin, gain)
        change += cv2.multiply(moved, weight, scale=times)
    return np.asarray(change, np.float32)


def _focus(here: Array, there: Array, where: Array, gain: Array) -> float:
    """How sharp a frame is against another, by the grain of the skin that both show."""
    some = np.s_[::FOCUS_STEP, ::FOCUS_STEP]
    shown = where[some]
    if float(shown.mean()) < LEAST_SKIN:
        return 1.0
    bands = here[some], there[some] * gain[some]
    energies = [float(np.vdot(shown, np.square(band))) for band in bands]
    return float(np.clip(np.sqrt(energies[0] / energies[1]), *FOCUS)) if energies[1] > 0.0 else 1.0


def _own(place: _Place, drawn: Look, source: Array, sigma: float) -> Offer:
    """The frame as it was filmed, moved to where the drawn face has the same."""
    high, small = place.split(source, sigma)
    flow = _flow(drawn.picture, small, LONGEST_OWN)
    agrees, _ = _agreement(drawn, move(small, flow))
    return Offer(high, place.in_picture(flow), np.ones_like(agrees), agrees * _INSIDE)


def _lent(
    drawn: Look, lips: NDArray[np.float64], state: OwnState, index: int, share: float
) -> Offer:
    """A reference frame, its lips brought onto the drawn ones."""
    small, side = state.small[index], len(state.high[index])
    field = lip_field(lips, state.lips[index] - lips, SIDE, EXTENT)
    flow = _flow(drawn.picture, move(small, field), LONGEST)
    field = flow + move(field, flow)
    agrees, gain = _agreement(drawn, move(small, field))
    where = (field + _GRID + np.float32(0.5)) * np.float32(side / SIDE) - np.float32(0.5)
    gain = gain / np.float32(_SCALE)
    return Offer(state.finer(index), where, gain, agrees * _INSIDE, share, FINER)


class _Place:
    """Where the small mouth window lies in a picture.

    Attributes:
        scale: pixels of the picture per pixel of the small window.
    """

    def __init__(self, to_picture: NDArray[np.float64], shape: tuple[int, ...]) -> None:
        self._matrix = alignment.to_pixels(alignment.part(to_picture, MOUTH_WINDOW), SIDE)
        self._size = shape[1], shape[0]
        self.scale = scale_of(self._matrix)

    def split(self, grey: Array, sigma: float) -> tuple[Array, Array]:
        """(H, W) -> its high band (H, W), and the rest of it as a small window."""
        block = block_side(sigma)
        low = in_blocks(grey, sigma)
        matrix = (self._matrix + np.array([[0, 0, 0.5]] * 2)) / block
        matrix[:, 2] -= 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        small = cv2.warpAffine(
            low, matrix, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        if block > 1:
            whole = (low.shape[1] * block, low.shape[0] * block)
            low = cv2.resize(low, whole, interpolation=cv2.INTER_LINEAR)
        return cv2.subtract(grey, low[: grey.shape[0], : grey.shape[1]]), np.asarray(small)

    def large(self, small: Array) -> Array:
        """(SIDE, SIDE) weights, 0 along the border, -> (H, W)."""
        return np.asarray(
            cv2.warpAffine(small, self._matrix, self._size, flags=cv2.INTER_LINEAR), np.float32
        )

    def in_picture(self, flow: Array) -> Array:
        """(SIDE, SIDE, 2) steps in the small window -> the places in the picture they lead to."""
        turn = self._matrix.astype(np.float32)
        return np.asarray((_GRID + flow) @ turn[:, :2].T + turn[:, 2], np.float32)

    def moved(self, offer: Offer, *weights: Array) -> tuple[Array, ...]:
        """(H, W) the high band of an offer where the picture has it, and two weights as in
        :meth:`large`; four planes are enlarged in one go, which is cheaper than two.
        """
        where = offer.where * np.float32(offer.finer) + np.float32(0.5 * offer.finer - 0.5)
        large = cv2.warpAffine(
            cv2.merge([where, *weights]),
            self._matrix,
            self._size,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,  # the weights are 0 along the border
        )
        x, y, *enlarged = cv2.split(large)
        kind = cv2.INTER_LINEAR if offer.finer > 1 else cv2.INTER_CUBIC
        band = cv2.remap(offer.high, x, y, kind, borderMode=cv2.BORDER_REPLICATE)
        if offer.finer == 1:
            band *= made_up(x) * made_up(y)
        return np.asarray(band, np.float32), *enlarged


def made_up(where: Array) -> Array:
    """Places along an axis, in pixels -> one over what cubic interpolation leaves of fine grain."""
    part = where - np.floor(where)
    return np.asarray(1 + np.float32(HALF_PIXEL) * np.square(4 * part * (1 - part)), np.float32)


def _flow(first: Array, second: Array, longest: float) -> Array:
    """Smooth bounded flow between two small windows."""
    eight = [
        cv2.convertScaleAbs(_resized(picture, FLOW_SIDE), alpha=255.0)
        for picture in (first, second)
    ]
    flow = gaussian(dense_flow(eight[0], eight[1], fast=True), SMOOTH)
    length = cv2.magnitude(flow[..., 0], flow[..., 1])
    most = np.float32(longest * FLOW_SIDE)
    flow *= np.minimum(np.float32(1.0), most / np.maximum(length, np.float32(1e-6)))[..., None]
    large = cv2.resize(flow, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large * np.float32(SIDE / FLOW_SIDE), np.float32)


class Look:
    """A small window taken apart, to be compared with others.

    Attributes:
        picture: (SIDE, SIDE) brightness.
        light: (SIDE, SIDE) what is coarse in it.
        lines: (SIDE, SIDE) what is narrow in it.
        strength: (SIDE, SIDE) how strong that is, its square in a neighbourhood.
    """

    def __init__(self, picture: Array) -> None:
        self.picture = picture
        self.light = smoothed(picture, LIGHT_SIGMA)
        self.lines = picture - smoothed(picture, LINE)
        self.strength = smoothed(self.lines * self.lines, LINE)


def _agreement(drawn: Look, picture: Array) -> tuple[Array, Array]:
    """How surely two small windows show the same, and the light of the first over the second."""
    other = Look(picture)
    ratio = np.log((drawn.light + np.float32(0.02)) / (other.light + np.float32(0.02)))
    gain = np.exp(np.clip(ratio, -CONTRAST, CONTRAST))
    shown = gain * (picture - other.light)
    # Squares: a line of teeth between lips is narrow, and must not pass as a small mean difference.
    off = np.sqrt(smoothed(np.square((drawn.picture - drawn.light) - shown), COMPARED))
    # The drawn face is soft, so at edges it differs though it shows the same.
    edge = np.sqrt(smoothed(np.square(shown), AT_EDGES))
    near = np.float32(NEAR[0]) + np.float32(NEAR[1]) * edge
    wide = np.float32(FAR[0] - NEAR[0]) + np.float32(FAR[1] - NEAR[1]) * edge
    alike = _falling((off - near) / wide) * _same_lines(drawn, other)
    # Light changes a face as a whole: the dark of an open mouth is another thing.
    apart = np.abs(ratio - np.median(ratio[::4, ::4])) - np.float32(OTHER[0])
    alike *= _falling(apart / np.float32(OTHER[1] - OTHER[0]))
    return np.asarray(alike, np.float32), np.asarray(gain, np.float32)


def _same_lines(drawn: Look, other: Look) -> Array:
    """(SIDE, SIDE) in [0, 1]: low where narrow structures of two pictures do not lie on each other.

    The seam of closed lips is a line: beside its place, another one's would be a second seam.
    """
    aa, bb = drawn.strength, other.strength
    ab = smoothed(drawn.lines * other.lines, LINE)
    like = ab / np.sqrt(aa * bb + np.float32(1e-12))
    unlike = _falling((like - np.float32(ALONG[0])) / np.float32(ALONG[1] - ALONG[0]))
    strong = np.maximum(aa, bb)
    strong = strong / (strong + np.float32(FAINT**2))
    return np.asarray(1.0 - strong * unlike, np.float32)


def _falling(step: Array) -> Array:
    """Smoothly from 1 at 0 to 0 at 1."""
    return np.asarray(1.0 - smoothstep(np.clip(step, 0.0, 1.0)), np.float32)


def _one_plane(picture: Array) -> Array:
    """(C, H, W) brightness or RGB -> (H, W)."""
    if len(picture) == 1:
        return np.asarray(picture[0])
    return brightness(cv2.merge(list(picture)))


def _resized(picture: Array, side: int) -> Array:
    how = cv2.INTER_AREA if side < len(picture) else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (side, side), interpolation=how), np.float32)


def _finer(high: Array) -> Array:
    size = (FINER * high.shape[1], FINER * high.shape[0])
    return np.asarray(cv2.resize(high, size, interpolation=cv2.INTER_CUBIC), np.float32)


_INSIDE = cv2.copyMakeBorder(
    np.ones((SIDE - 2, SIDE - 2), np.float32), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0.0
)
_GRID = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), axis=-1).astype(np.float32)
