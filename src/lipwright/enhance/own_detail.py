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
from lipwright.enhance.correspondence import LayeredPicture, correspondence
from lipwright.enhance.place import INSIDE, SIDE, Moved, Place
from lipwright.enhance.smoothing import gaussian, smoothed
from lipwright.faces.lip_align import CORNER, EXTENT
from lipwright.faces.lip_field import lip_field
from lipwright.media.flow import dense_flow, move

CUT = 1.0
"""Standard deviation of the Gaussian that splits off the high band, in pixels of the drawn face."""
FLOW_SIDE = 80
"""Pixels a side of the mouth window in which the flow is found."""
LONGEST = 0.04
"""The flow corrects an alignment by no more than this, in parts of the window ..."""
LONGEST_OWN = 0.15
"""... and finds the frame's own skin no further away than this."""
SMOOTH = 1.0
"""Standard deviation of the smoothing of a flow, in pixels in which it is found."""
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

FREE = 0.02
"""Where the frame's own skin leaves no place free by more than this, no other frame is asked: a
fiftieth of a high band is less than half a level of 8 bits."""
ALIKE = 0.4
"""Correlation of aligned high bands of two sources. Where they are mixed, the mixture is made as
strong as one of them is; chosen on people of the training set, so that mixed places have the energy
of the real ones."""
FINER = 2
"""High bands of references are enlarged so many times before they are moved: that is cubic and done
once for many frames, the rest linear. It leaves 0.5 to 0.8 of the energy of the top octave."""
USED_BYTES = 24 << 20
"""Enlarged high bands of references are kept for the frames that follow, up to so many bytes ..."""
USED = 3
"""... or this number of them, whichever is more."""

_EPSILON = np.float32(1e-4)  # keeps 0 / 0 from being computed
_SCALE = 1 << 14  # high bands of references are kept as 16-bit integers


class OwnState(NamedTuple):
    """References as they are needed.

    Attributes:
        small: R pictures (SIDE, SIDE), brightness in [0, 1] without its high band.
        tiny: the same in FLOW_SIDE pixels and 8 bits.
        high: R high bands, int16, (S, S) each.
        lips: (R, 40, 2) contours in parts of the mouth window.
        outlines: (R, K, 2) in parts of the aligned crop.
        drawn: pixels a side of the drawn crop.
        used: enlarged high bands of those that were used last, by number, the last one last.
    """

    small: list[Array]
    tiny: list[NDArray[np.uint8]]
    high: list[NDArray[np.int16]]
    lips: NDArray[np.float64]
    outlines: NDArray[np.float64]
    drawn: int
    used: dict[int, Array]

    def finer(self, index: int) -> Array:
        """A high band with ``FINER`` times the pixels; neighbouring frames want the same ones."""
        found = self.used.pop(index, None)
        if found is None:
            found = _finer(self.high[index].astype(np.float32) * np.float32(1.0 / _SCALE))
            most = max(USED, USED_BYTES // found.nbytes)
            while len(self.used) >= most:
                self.used.pop(next(iter(self.used)), None)
        self.used[index] = found
        return found


class PixelMap(NamedTuple):
    """Where each pixel (SIDE, SIDE) of a small window lies in another, as cv2.remap takes it."""

    x: Array
    y: Array


@dataclass(frozen=True)
class DetailSource:
    """What one source of detail has for a frame, in the small window but for its high band.

    Attributes:
        moved: its high band and where it is to go; its weight only makes up for what that costs.
        agrees: (SIDE, SIDE) in [0, 1], how surely it shows what was drawn, 0 where ``INSIDE`` is.
        share: how much it counts among the others of its kind.
    """

    moved: Moved
    agrees: Array
    share: float = 1.0


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
        small, tiny, high, kept = [], [], [], []
        for i, picture in enumerate(references.pictures):
            if not picture.size:
                continue
            grey = brightness(picture.astype(np.float32) / np.float32(255), references.weights)
            sigma = CUT * len(grey) / EXTENT / references.drawn
            low = smoothed(grey, sigma)
            kept.append(i)
            small.append(_resized(low, SIDE))
            tiny.append(_eight(small[-1]))
            high.append(np.rint((grey - low) * _SCALE).astype(np.int16))
        return OwnState(
            small,
            tiny,
            high,
            (np.asarray(references.lips, np.float64)[kept] - CORNER) / EXTENT,
            np.asarray(references.outlines, np.float64)[kept],
            references.drawn,
            {},
        )

    def enhance(self, pictures: Array, contexts: Sequence[Context], state: OwnState) -> Array:
        """Replace high bands; each picture by itself."""
        made = [_enhanced(picture, c, state) for picture, c in zip(pictures, contexts, strict=True)]
        return made[0][None] if len(made) == 1 else np.stack(made)


def _enhanced(picture: Array, context: Context, state: OwnState) -> Array:
    """(C, H, W) -> (C, H, W)."""
    grey = _one_plane(picture)
    place = Place(context.to_picture, grey.shape)
    sigma = CUT * place.scale * SIDE / EXTENT / state.drawn
    low, small = place.low(grey, sigma)
    drawn = LayeredPicture(small)
    tiny = _eight(small)
    own: DetailSource | None = None
    if context.source is not None:
        own = _own(place, drawn, tiny, _one_plane(context.source), sigma)
    free = INSIDE if own is None else INSIDE - own.agrees
    others: list[DetailSource] = []
    wanted = state.high and float(free.max()) > FREE
    if context.lips is not None and context.outline is not None and wanted:
        lips = (np.asarray(context.lips, np.float64) - CORNER) / EXTENT
        apart = distances(lips * EXTENT, context.outline, state.lips * EXTENT, state.outlines)
        others = [_from_reference(drawn, tiny, lips, state, i, part) for i, part in shares(apart)]
    less, moved = _mixed(place, free, own, others)
    made = place.added(grey, low, less, moved, context.shown)
    if len(picture) == 1:
        return made[None]
    return np.asarray(np.clip(picture + (made - grey), 0.0, 1.0), np.float32)


def _mixed(
    place: Place, free: Array, own: DetailSource | None, others: list[DetailSource]
) -> tuple[Array, list[Moved]]:
    """How much of a picture's high band is taken away, and what comes instead.

    The frame's own skin comes first: it has the focus, the light and the noise of the moment.
    ``free``: (SIDE, SIDE) in [0, 1], what that leaves.
    """
    total = sum((each.share * each.agrees for each in others), np.zeros_like(free))
    # Where only one of two agrees it counts in full, as far as it agrees.
    least = np.maximum(total, np.float32(1e-3))
    trusts = [
        np.asarray(free * each.share * np.square(each.agrees) / least, np.float32)
        for each in others
    ]
    sharpness = np.ones(len(others)) if own is None else _focus(place, own, others)
    less = np.asarray(sum(trusts, INSIDE - free), np.float32)
    gain = mixture_gain(less, [INSIDE - free, *trusts]) if others else INSIDE
    moved = [] if own is None else [own.moved.weighted(cv2.multiply(gain, own.agrees))]
    for each, trust, times in zip(others, trusts, sharpness, strict=True):
        weight = cv2.multiply(gain, trust, scale=SHARP * times)
        moved.append(each.moved.weighted(np.asarray(weight, np.float32)))
    return less, moved


def mixture_gain(total: Array, shares: Sequence[Array]) -> Array:
    """One over what mixing takes of the energy of textures that are alike by :data:`ALIKE` only.

    Args:
        total: (S, S) sum of the shares.
        shares: of the textures, (S, S) each, not negative.

    Returns:
        (S, S), 1 where one texture has it all.
    """
    squares = sum((cv2.multiply(share, share) for share in shares), np.zeros_like(total))
    full = cv2.multiply(total, total)
    kept = np.float32(1.0 - ALIKE) * squares + np.float32(ALIKE) * full
    return np.asarray(np.sqrt((full + _EPSILON) / (kept + _EPSILON)), np.float32)


def _focus(place: Place, own: DetailSource, others: list[DetailSource]) -> NDArray[np.float64]:
    """How sharp a frame is against others, by the grain of the skin that it and they show."""
    skin = place.some(own.agrees)
    if not others or float(skin.mean()) < LEAST_SKIN:
        return np.ones(len(others))
    here, *there = (place.energy(each.moved, skin) for each in (own, *others))
    ratios = [np.sqrt(here / energy) if energy > 0.0 else 1.0 for energy in there]
    return np.clip(ratios, *FOCUS)


def _own(
    place: Place, drawn: LayeredPicture, tiny: NDArray[np.uint8], source: Array, sigma: float
) -> DetailSource:
    """The frame as it was filmed, moved to where the drawn face has the same."""
    low, small = place.low(source, sigma)
    flow = _flow(tiny, _eight(small), LONGEST_OWN)
    where = _pixel_map(flow)
    agrees, _ = correspondence(drawn, _sampled(small, where))
    x, y = place.in_picture(*where)
    here = place.in_picture(*_GRID)
    kept = grain_gain(x - here[0]) * grain_gain(y - here[1])
    return DetailSource(Moved(low.whole(source), x, y, kept, cubic=True), agrees * INSIDE)


def _from_reference(
    drawn: LayeredPicture,
    tiny: NDArray[np.uint8],
    lips: NDArray[np.float64],
    state: OwnState,
    index: int,
    share: float,
) -> DetailSource:
    """A reference frame, its lips brought onto the drawn ones."""
    field = lip_field(lips, state.lips[index] - lips, FLOW_SIDE, EXTENT)
    flow = _flow(tiny, move(state.tiny[index], field), LONGEST)
    where = _pixel_map(flow + move(field, flow, how=cv2.INTER_LINEAR))
    agrees, gain = correspondence(drawn, _sampled(state.small[index], where))
    high = state.finer(index)
    finer = len(high) / SIDE
    x, y = ((axis + np.float32(0.5)) * np.float32(finer) - np.float32(0.5) for axis in where)
    return DetailSource(Moved(high, x, y, gain), agrees * INSIDE, share)


def grain_gain(where: Array) -> Array:
    """Places along an axis, in pixels -> one over what cubic interpolation leaves of fine grain."""
    part = where - np.floor(where)
    return np.asarray(1 + np.float32(HALF_PIXEL) * np.square(4 * part * (1 - part)), np.float32)


def _flow(first: NDArray[np.uint8], second: NDArray[np.uint8], longest: float) -> Array:
    """Smooth bounded flow between two windows of FLOW_SIDE pixels, (FLOW_SIDE, FLOW_SIDE, 2)."""
    flow = gaussian(dense_flow(first, second, fast=True), SMOOTH)
    length = cv2.magnitude(flow[..., 0], flow[..., 1])
    most = np.float32(longest * FLOW_SIDE)
    flow *= np.minimum(np.float32(1.0), most / np.maximum(length, np.float32(1e-6)))[..., None]
    return flow


def _pixel_map(flow: Array) -> PixelMap:
    """Where a flow of FLOW_SIDE pixels leads to in the small window."""
    axes = (
        cv2.resize(axis, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) for axis in cv2.split(flow)
    )
    x, y = (
        grid + axis * np.float32(SIDE / FLOW_SIDE) for grid, axis in zip(_GRID, axes, strict=True)
    )
    return PixelMap(x, y)


def _sampled(small: Array, where: PixelMap) -> Array:
    moved = cv2.remap(small, where.x, where.y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def _eight(small: Array) -> NDArray[np.uint8]:
    """A small window as the flow sees it."""
    return np.asarray(cv2.convertScaleAbs(_resized(small, FLOW_SIDE), alpha=255.0), np.uint8)


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


_GRID = PixelMap(*np.meshgrid(*[np.arange(SIDE, dtype=np.float32)] * 2))
