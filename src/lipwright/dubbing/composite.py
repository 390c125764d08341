"""Residual compositing: put the *edit* into the picture, not the network's redrawing of the face.

A method draws faces of S = 128 or 256 pixels; in the frame the same face may measure 300 to 1500.
Pasting its picture would replace pores, beard and lip colour by a soft copy of them. But a method
that shows its own copy B of the unedited face beside the speaking face G tells what it *changed*:

    edit = G - B

Where the edit is small, it is enlarged and added to the untouched full-resolution frame X: all of
the texture stays, and at the border of the mask, where G is B, the result is exactly X, without a
seam. Where the edit is large, the mouth has really moved, and X's own lips must not show through;
there the drawn face takes over, with the colour error of the network (low frequencies of F - B,
where F is the source face at S pixels) corrected:

    out = X + mask * ((1 - r) * up(G - B)  +  r * (up(G + low(F - B)) - X))

r runs smoothly from 0 to 1 with the local size of the edit. With no B, r is 1 and the colour is
matched along the rim of the mask.

A method that draws the lower half without having seen it (the paper's generator) makes no edit:
where G resembles B by chance, X would keep its old mouth. For such a face r is 1 all over the mask;
its B tells the colour error only.

A method may also know what its own drawing lost of this person, and return a *restored* face with
its own colours and grain. It needs no B: with the light of the frame it is compared with the source
itself, and takes over wherever the two differ.

What merely moved, chin, beard and lips, need not be redrawn either: where the flow from B to G
explains the edit (``motion``), X and B are first moved along it, and the edit is what is left.

All pictures here are float32 RGB in [0, 1], (h, w, 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.light import in_light_of
from lipwright.dubbing.motion import flow_between, move
from lipwright.dubbing.options import Detail
from lipwright.faces.crop_pixels import finer as finer_crop
from lipwright.geometry import smoothstep
from lipwright.media.warping import scale_of, softened

Array = NDArray[np.float32]

SMALL_EDIT = 0.035
"""Largest channel difference up to which the edit is added to the source (9 of 255 levels) ..."""
LARGE_EDIT = 0.12
"""... and from which the drawn face replaces it (31 of 255 levels)."""
SMALL_REST, LARGE_REST = 0.05, 0.18
"""The same for what is left of an edit once the face has been moved: the source's own edges lie
in the right place then, and a patch drawn softly between sharp ones would be seen more."""
SMALL_RESTORED, LARGE_RESTORED = 0.015, 0.05
"""The same for a face with its own colours and grain, which needs nothing of the source's."""
FEW_SHOW_IT, ENOUGH_SHOW_IT = 0.3, 0.8
"""Below the first share of reference frames that show face in a place, the source stays; from the
second on the drawn face counts in full."""
GRAIN = 0.012
"""Width, as a share of S, of what is not looked at when such a face is compared with the source."""
LIGHT_LIMIT = 0.05
"""Light differs by no more than this; what differs more along the rim is another place."""
LIGHT_SHRINK = 4
"""Light is smooth: it is looked for in a picture so many times smaller."""
EDIT_SPREAD = 0.03
"""The size of an edit counts for its surroundings within this share of S: the rim of a moved lip
lies beside the pixels that changed."""
COLOUR_SIGMA = 0.06
"""Width, as a share of S, of what counts as low frequency in the network's colour error."""
SHARPEN_FROM = 1.4
"""A drawn face enlarged by more than this gets a little acutance back ..."""
SHARPEN_GAIN = 0.6
SHARPEN_LIMIT = 0.03
"""... never more than this much (8 of 255 levels), so that edges get no halo."""


@dataclass(frozen=True)
class Edit:
    """What a method did to one face, in crop pixels.

    Attributes:
        change: (S, S, 3) the edit to be added to the source.
        drawn: (k S, k S, 3) the picture that takes over where the edit is large, k >= 1.
        replace: (S, S) in [0, 1], the weight r of ``drawn``.
        mask: (S, S) in [0, 1], where anything may change at all; 0 along the border.
        flow: (S, S, 2) where the source is to be taken from before the change is added, in crop
            pixels; None: from the place itself.
    """

    change: Array
    drawn: Array
    replace: Array
    mask: Array
    flow: Array | None = None


def prepare(
    generated: Array,
    baseline: Array | None,
    source: Array,
    mask: Array,
    detail: Detail = "keep",
    restored: Array | None = None,
    redrawn: bool = False,
) -> Edit:
    """Take apart what the method drew.

    Args:
        generated: (S, S, 3) the speaking face G.
        baseline: (S, S, 3) the method's copy B of the source face, or None.
        source: (S, S, 3) the source face F.
        mask: (S, S) in [0, 1].
        detail: ``keep`` as above; ``off`` pastes the drawn face, colour matched, everywhere.
        restored: (k S, k S, 3) the speaking face with what the method knows it lost, or None.
        redrawn: the lower half was drawn without seeing the source's; nothing of that stays.
    """
    if restored is not None:
        # It has its own colours and grain; only the light of this frame is missing.
        size = max(1, len(source) // LIGHT_SHRINK)
        here, there = (_resized(picture, size, cv2.INTER_AREA) for picture in (source, restored))
        moved = in_light_of(restored, there, here)
        if moved is not restored:
            restored, there = moved, _resized(moved, size, cv2.INTER_AREA)
        error = np.clip(here - there, -LIGHT_LIMIT, LIGHT_LIMIT)
        light = rim_colour(error, _resized(mask, size, cv2.INTER_AREA))
        drawn = restored + _resized(light, len(restored), cv2.INTER_LINEAR)
        replace = np.ones_like(mask)
        if detail == "keep":
            # Grain that lies a pixel off is no movement.
            change = _soften(
                _resized(drawn, len(source), cv2.INTER_AREA) - source, GRAIN * len(source)
            )
            replace = replacement(change, SMALL_RESTORED, LARGE_RESTORED)
        return Edit(np.zeros_like(source), drawn, replace, mask)
    if baseline is None:
        drawn = generated + rim_colour(source - generated, mask)
        return Edit(np.zeros_like(generated), drawn, np.ones_like(mask), mask)
    change = generated - baseline
    drawn = generated + low_frequencies(source - baseline)
    if redrawn:
        return Edit(np.zeros_like(generated), drawn, np.ones_like(mask), mask)
    if detail == "off":
        return Edit(change, drawn, np.ones_like(mask), mask)
    replace = replacement(change)
    flow = flow_between(generated, baseline, replace)
    if flow is not None:
        change = generated - move(baseline, flow)
        replace = replacement(change, SMALL_REST, LARGE_REST)
    return Edit(change, drawn, replace, mask, flow)


def support(weights: NDArray[np.float64], references: Array, mask: Array) -> Array:
    """How far a mixture of reference frames shows face, (S, S) in [0, 1].

    Reference frames are aligned by eyes and nose. When a head is turned as in few of them, they
    show background or clothing where this frame has cheek and jaw; the source is kept there.

    Args:
        weights: (R,) how much each reference frame counts.
        references: (R, s, s) the mask of each reference frame, s <= S.
        mask: (S, S) that of this frame.
    """
    shown = _resized(
        np.tensordot(weights.astype(np.float32), references, 1), len(mask), cv2.INTER_LINEAR
    )
    share = shown / np.maximum(mask, 0.05)
    return np.asarray(_ramp(share, FEW_SHOW_IT, ENOUGH_SHOW_IT), np.float32)


def replacement(change: Array, small: float = SMALL_EDIT, large: float = LARGE_EDIT) -> Array:
    """The weight r, (S, S): 0 where nothing moved, 1 where the mouth moved."""
    size = change.shape[0]
    reach = max(1, round(EDIT_SPREAD * size))
    red, green, blue = cv2.split(cv2.absdiff(change, 0.0))
    amount = cv2.max(cv2.max(red, green), blue)
    # The mean over a small neighbourhood first: single-pixel noise of the decoder is no movement.
    amount = cv2.GaussianBlur(amount, (0, 0), max(0.5, 0.4 * reach))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    amount = cv2.dilate(amount, kernel)
    smooth = _ramp(amount, small, large)
    return np.asarray(cv2.GaussianBlur(smooth, (0, 0), max(0.5, 0.4 * reach)), dtype=np.float32)


def _ramp(values: NDArray[np.floating], low: float, high: float) -> NDArray[np.floating]:
    """Smoothly from 0 at ``low`` to 1 at ``high``."""
    step = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(smoothstep(step))


def low_frequencies(picture: Array) -> Array:
    """The part of a picture that is wider than ``COLOUR_SIGMA`` of its side."""
    sigma = COLOUR_SIGMA * picture.shape[0]
    return np.asarray(
        cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), dtype=np.float32
    )


def rim_colour(error: Array, mask: Array) -> Array:
    """A smooth colour correction that is right along the rim of the mask.

    Inside the mask the two pictures differ on purpose, so only the rim (mask between 0 and 1/2)
    and what lies just outside it can say which colours differ by mistake; a normalised convolution
    carries it inwards.

    Args:
        error: (S, S, 3) source minus generated.
        mask: (S, S) in [0, 1].
    """
    rim = (np.clip(1.0 - 2.0 * mask, 0.0, 1.0) * (near(mask) > 0.02)).astype(np.float32)
    if float(rim.sum()) <= 0.0:
        return np.zeros_like(error)
    total = np.zeros_like(error)
    weight = np.zeros_like(mask)
    # Narrow first: near the rim the correction follows it closely; the widest reaches the centre.
    for share, trust in ((COLOUR_SIGMA, 1.0), (3.0 * COLOUR_SIGMA, 1e-2), (0.5, 1e-4)):
        sigma = share * mask.shape[0]
        total += trust * cv2.GaussianBlur(error * rim[:, :, None], (0, 0), sigma)
        weight += trust * cv2.GaussianBlur(rim, (0, 0), sigma)
    return np.asarray(total / np.maximum(weight, 1e-12)[:, :, None], dtype=np.float32)


def near(mask: Array) -> Array:
    """The mask with its surroundings, as far as the colour correction looks."""
    reach = max(1, round(COLOUR_SIGMA * mask.shape[0]))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.dilate(mask, kernel), dtype=np.float32)


def bounds(mask: Array, crop_to_frame: NDArray[np.float64]) -> tuple[int, int, int, int] | None:
    """Box (x0, y0, x1, y1) of frame pixels that the mask can touch, or None for an empty mask.

    Args:
        mask: (S, S).
        crop_to_frame: (2, 3) affine from crop pixels to frame pixels (pixel centres at integers).
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    x0, x1 = float(columns[0] - 1), float(columns[-1] + 1)
    y0, y1 = float(rows[0] - 1), float(rows[-1] + 1)
    corners = np.array([[x0, y0, 1], [x1, y0, 1], [x0, y1, 1], [x1, y1, 1]])
    points = corners @ crop_to_frame.T
    low, high = np.floor(points.min(axis=0)), np.ceil(points.max(axis=0))
    return int(low[0]), int(low[1]), int(high[0]) + 1, int(high[1]) + 1


def delta(
    edit: Edit, region: Array, crop_to_region: NDArray[np.float64], strength: float = 1.0
) -> tuple[Array, Array]:
    """What to add to a region of the frame; of an edit that :func:`is_overlay`, what
    :func:`overlay` comes to.

    Args:
        edit: what the method did.
        region: (h, w, 3) the source picture X of that region.
        crop_to_region: (2, 3) affine from crop pixels to pixels of the region.
        strength: scales the mask; between 0 and 1 where a face comes into or goes out of use.

    Returns:
        The difference (h, w, 3), exactly 0 where the method changed nothing, and the mask (h, w).
    """
    height, width = region.shape[:2]
    scale = scale_of(crop_to_region)
    mask = warp(edit.mask, crop_to_region, (width, height), cv2.INTER_LINEAR)
    mask *= np.float32(strength)
    changed = bool(edit.change.any())
    if edit.flow is None and not (changed or edit.replace.any()):
        return np.zeros_like(region), mask
    change, drawn = edit.change, edit.drawn
    finer = len(drawn) / len(edit.mask)
    fine = scale / finer  # frame pixels per pixel of the drawn face
    drawn, change = softened(drawn, fine), softened(change, scale)
    result = np.zeros_like(region)
    if changed:
        result = warp(change, crop_to_region, (width, height), cv2.INTER_CUBIC)
    # All that costs more happens around the mouth only.
    busy = edit.replace > 0
    if edit.flow is not None:
        busy |= edit.flow.any(axis=2)
    around = bounds(edit.mask * busy, crop_to_region)
    if around is None:
        return result * mask[:, :, None], mask
    x0, y0, x1, y1 = np.clip(around, 0, (width, height, width, height))
    if x0 < x1 and y0 < y1:
        matrix = crop_to_region.copy()
        matrix[:, 2] -= (x0, y0)
        size, place = (int(x1 - x0), int(y1 - y0)), np.s_[y0:y1, x0:x1]
        part, source = result[place], region[place]
        if edit.flow is not None:
            turn = crop_to_region[:, :2].astype(np.float32)  # the flow's arrows turn and grow too
            arrows = warp(edit.flow @ turn.T, matrix, size, cv2.INTER_LINEAR)
            part += move(region, arrows, (int(x0), int(y0))) - source
        weight = warp(edit.replace, matrix, size, cv2.INTER_LINEAR)
        if weight.any():
            sharp = sharpen(drawn) if fine > SHARPEN_FROM else drawn
            there = warp(sharp, finer_crop(matrix, finer), size, cv2.INTER_CUBIC)
            there -= source
            part += _scaled(there - part, weight)
    return _scaled(result, mask), mask


def is_overlay(edit: Edit) -> bool:
    """Whether the drawn face alone is shown where anything is: then :func:`overlay` says it all."""
    return edit.flow is None and not edit.change.any()


def overlay(
    edit: Edit, crop_to_region: NDArray[np.float64], size: tuple[int, int], strength: float = 1.0
) -> tuple[Array, NDArray[np.float64], Array]:
    """The drawn face of an edit that :func:`is_overlay`, and how to lay it over a region.

    Args:
        edit: what the method did.
        crop_to_region: (2, 3) affine from crop pixels to pixels of the region.
        size: (width, height) of the region.
        strength: as in :func:`delta`.

    Returns:
        The picture (k S, k S, 3), the affine (2, 3) from its pixels to those of the region, and the
        weight (h, w) with which it replaces what is there.
    """
    matrix = finer_crop(crop_to_region, len(edit.drawn) / len(edit.mask))
    drawn = sharpen(edit.drawn) if scale_of(matrix) > SHARPEN_FROM else edit.drawn
    weight = warp(edit.mask * edit.replace, crop_to_region, size, cv2.INTER_LINEAR)
    weight *= np.float32(strength)
    return drawn, matrix, weight


def warp(picture: Array, matrix: NDArray[np.float64], size: tuple[int, int], how: int) -> Array:
    """Enlarge a crop into a region; masks, weights and arrows end at the crop's border."""
    border = cv2.BORDER_REPLICATE if how == cv2.INTER_CUBIC else cv2.BORDER_CONSTANT
    warped = cv2.warpAffine(picture, matrix, size, flags=how, borderMode=border)
    return np.asarray(warped, dtype=np.float32)


def _scaled(picture: Array, weight: Array) -> Array:
    """``picture * weight[:, :, None]``, without numpy's slow last axis."""
    return np.asarray(cv2.multiply(picture, cv2.merge([weight] * 3)), dtype=np.float32)


def sharpen(picture: Array) -> Array:
    """Unsharp mask of one crop pixel, bounded."""
    result = cv2.GaussianBlur(picture, (0, 0), 1.0, borderType=cv2.BORDER_REPLICATE)
    # One array, written over and over: new memory costs more than the sums.
    np.subtract(picture, result, out=result)
    result *= np.float32(SHARPEN_GAIN)
    np.clip(result, -SHARPEN_LIMIT, SHARPEN_LIMIT, out=result)
    result += picture
    return np.asarray(result, dtype=np.float32)


def _resized(picture: Array, side: int, how: int) -> Array:
    if len(picture) == side:
        return picture
    return np.asarray(cv2.resize(picture, (side, side), interpolation=how), dtype=np.float32)


def _soften(picture: Array, sigma: float) -> Array:
    blurred = cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, dtype=np.float32)
