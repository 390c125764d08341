"""Looking at a part of a frame, and changing it, without converting the rest.

A crop is warped straight from the stored planes: luma and chroma are sampled where they lie and
only the crop's own pixels are converted to RGB. An edit is a *difference* in RGB that is carried
to the planes by the linear part of the colour conversion,

    codes_new = codes_old + round(M * delta_RGB),

so that nothing is converted there and back: a zero difference leaves every bit as it was. A luma
sample changes only inside the mask; a chroma sample only if all luma samples that it covers do.
Where a drawn picture is to take over (:meth:`RegionEdit.blend`), the picture is converted instead
and laid into each plane at the plane's own resolution, which is several times cheaper in 4K.
"""

from __future__ import annotations

from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from lipwright.media.bands import bands, touched
from lipwright.media.coded_frame import layout_and_code
from lipwright.media.colour import ColourCode, component_matrix
from lipwright.media.info import Affine, VideoInfo
from lipwright.media.planes import PixelLayout, Plane, add_to_plane, plane_views
from lipwright.media.warping import group_mean, scale_of, softened, warped

Picture = npt.NDArray[np.float32]
Box = tuple[int, int, int, int]

_CENTRED_CHROMA = ("mjpeg", "mpeg1video", "png", "webp", "gif")


def crop_to_storage(info: VideoInfo, crop_to_display: Affine) -> Affine:
    """Turn an affine (2, 3) that ends in display coordinates into one that ends in storage."""
    inverse = cv2.invertAffineTransform(info.storage_to_display)
    result: Affine = inverse @ np.vstack([crop_to_display, [0.0, 0.0, 1.0]])
    return result


def storage_box(info: VideoInfo, box_display: tuple[float, float, float, float]) -> Box:
    """Smallest box of stored pixels that covers a box (x0, y0, x1, y1) of display pixels.

    ``x1`` and ``y1`` are exclusive in both. The result is clipped to the picture and may be empty.
    """
    x0, y0, x1, y1 = box_display
    corners = np.array([[x0 - 0.5, y0 - 0.5, 1.0], [x1 - 0.5, y1 - 0.5, 1.0]])
    inverse = cv2.invertAffineTransform(info.storage_to_display)
    points = np.nan_to_num(corners @ inverse.T) + 0.5
    low = np.floor(points.min(axis=0) + 1e-6)
    high = np.ceil(points.max(axis=0) - 1e-6)
    left, top = (int(v) for v in np.clip(low, 0, [info.width, info.height]))
    right, bottom = (int(v) for v in np.clip(high, 0, [info.width, info.height]))
    return left, top, max(left, right), max(top, bottom)


def brightness_weights(info: VideoInfo) -> tuple[float, float, float]:
    """How R, G and B make up the brightness of a video: its luma; BT.601 where it stores RGB."""
    name = "bt601" if info.colour.name == "rgb" else info.colour.name
    red, green, blue = component_matrix(name)[0]
    return float(red), float(green), float(blue)


def sample_crop(
    frame: av.VideoFrame,
    info: VideoInfo,
    crop_to_display: Affine,
    size: tuple[int, int],
    *,
    sharp: bool = False,
) -> Picture:
    """Warp a crop out of a frame.

    Bilinear, after averaging whole pixels where the crop shrinks the picture by 2 or more; beyond
    the picture its edge is repeated.

    Args:
        frame: a plain planar frame, as the reader gives it.
        info: of its video.
        crop_to_display: (2, 3) crop pixels -> display pixels.
        size: (width, height) of the crop.
        sharp: cubic instead of bilinear, which loses less of the finest structures.

    Returns:
        (height, width, 3) float32 RGB in [0, 1].

    Raises:
        ValueError: the map is not finite or the frame is not plain planar.
    """
    layout, code = layout_and_code(frame, info)
    to_luma = crop_to_storage(info, crop_to_display)
    if not np.isfinite(to_luma).all():
        raise ValueError("crop_to_display is not finite")
    views = plane_views(frame)
    channels = [warped(views[layout.planes[0]], to_luma, size, sharp=sharp)]
    to_chroma = _luma_to_chroma(layout, info) @ np.vstack([to_luma, [0.0, 0.0, 1.0]])
    channels += [warped(views[plane], to_chroma, size) for plane in layout.planes[1:]]
    return np.clip(_to_rgb(channels, code), 0.0, 1.0)


class RegionEdit:
    """A rectangle of a frame, opened as RGB for an edit.

    Attributes:
        box: (x0, y0, x1, y1) in stored pixels, x1 and y1 exclusive: the box that was asked for,
            clipped to the picture and grown to whole chroma samples. It may be empty.
    """

    def __init__(self, frame: av.VideoFrame, info: VideoInfo, box: Box) -> None:
        """Open the rectangle ``box`` (x0, y0, x1, y1 of stored pixels) of a plain planar frame."""
        self._frame = frame
        self._info = info
        self._layout, self._code = layout_and_code(frame, info)
        across, down = self._layout.chroma_x, self._layout.chroma_y
        x0, x1 = max(0, box[0]) // across * across, min(frame.width, -(-box[2] // across) * across)
        y0, y1 = max(0, box[1]) // down * down, min(frame.height, -(-box[3] // down) * down)
        empty = box[0] >= box[2] or box[1] >= box[3] or x0 >= x1 or y0 >= y1
        self.box: Box = (x0, y0, x0, y0) if empty else (x0, y0, x1, y1)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the rectangle."""
        x0, y0, x1, y1 = self.box
        return y1 - y0, x1 - x0

    @property
    def rgb(self) -> Picture:
        """(h, w, 3) float32: the rectangle as stored (not turned), nominally in [0, 1].

        Codes beyond the nominal range give values beyond [0, 1].
        """
        x0, y0, x1, y1 = self.box
        if x0 == x1:
            return np.zeros((0, 0, 3), np.float32)
        views = plane_views(self._frame)
        channels = [views[self._layout.planes[0]][y0:y1, x0:x1].astype(np.float32)]
        shift = np.array([[1.0, 0.0, x0], [0.0, 1.0, y0], [0.0, 0.0, 1.0]])
        to_chroma = _luma_to_chroma(self._layout, self._info) @ shift
        for plane in self._layout.planes[1:]:
            if self._layout.chroma_x == self._layout.chroma_y == 1:
                channels.append(views[plane][y0:y1, x0:x1].astype(np.float32))
            else:
                channels.append(warped(views[plane], to_chroma, (x1 - x0, y1 - y0)))
        return _to_rgb(channels, self._code)

    @property
    def brightness(self) -> Picture:
        """(h, w) float32: R, G and B of the rectangle by :func:`brightness_weights`.

        It is the luma plane but for its range, so that colour need not be computed.
        """
        x0, y0, x1, y1 = self.box
        if x0 == x1:
            return np.zeros((0, 0), np.float32)
        if self._layout.is_rgb:
            weights = np.array([brightness_weights(self._info)], np.float32)
            return np.asarray(cv2.transform(self.rgb, weights), np.float32)
        luma = plane_views(self._frame)[self._layout.planes[0]][y0:y1, x0:x1]
        span = float(self._code.to_codes[0].sum())
        offset = float(self._code.offset[0])
        shifted = cv2.addWeighted(luma, 1 / span, luma, 0.0, -offset / span, dtype=cv2.CV_32F)
        return np.asarray(shifted, np.float32)

    def apply(self, delta: Picture, mask: npt.NDArray[Any] | None = None) -> None:
        """Add a difference to the frame, in place.

        The frame's memory is made private first, should the decoder still refer to it. (Two Python
        names for one frame stay one frame: copy with ``planes.private_copy`` what is to be kept.)

        Args:
            delta: (h, w, 3) float32 difference in RGB, or (h, w) the same for R, G and B.
            mask: (h, w), nonzero where pixels may change; default: where ``delta`` is not zero.
        """
        if delta.shape[:2] != self.shape or (mask is not None and mask.shape != self.shape):
            raise ValueError(f"the region has the shape {self.shape}, not {delta.shape[:2]}")
        if 0 in self.shape:
            return
        if delta.ndim == 2 and not self._layout.is_rgb:
            self._brighten(delta, mask)
            return
        if delta.ndim == 2:
            delta = cv2.merge([delta, delta, delta])
        if not np.isfinite(cv2.sumElems(delta)[:3]).all():  # cheap, and hardly ever so
            delta = np.where(np.isfinite(delta).all(axis=2, keepdims=True), delta, np.float32(0.0))
        inside = _nonzero(delta) if mask is None else np.asarray(mask) > 0
        layout, highest = self._layout, self._code.highest
        matrix = self._code.to_codes.astype(np.float32)
        x0, y0, x1, y1 = self.box
        self._frame.make_writable()
        views = plane_views(self._frame)
        weight = inside.astype(np.float32)
        whole = layout.chroma_x == layout.chroma_y == 1 and not layout.is_gray
        rows = matrix if whole else np.ascontiguousarray(matrix[:1])
        planes = layout.planes if whole else layout.planes[:1]
        changes = cv2.split(cv2.transform(delta, rows))
        for plane, change in zip(planes, changes, strict=True):
            add_to_plane(views[plane][y0:y1, x0:x1], change * weight, highest)
        if whole or layout.is_gray:
            return
        across, down = layout.chroma_x, layout.chroma_y
        small = group_mean(delta, across, down)
        covered = _all_covered(inside, across, down)
        left, top = x0 // across, y0 // down
        area = np.s_[top : top + covered.shape[0], left : left + covered.shape[1]]
        changes = cv2.split(cv2.transform(small, np.ascontiguousarray(matrix[1:])))
        for plane, change in zip(layout.planes[1:], changes, strict=True):
            add_to_plane(views[plane][area], change * covered, highest)

    def _brighten(self, delta: Picture, mask: npt.NDArray[Any] | None) -> None:
        """Add the same to R, G and B, which is a change of luma alone."""
        if not np.isfinite(cv2.sumElems(delta)[0]):
            delta = np.where(np.isfinite(delta), delta, np.float32(0.0))
        change = cv2.multiply(delta, float(self._code.to_codes[0].sum()))
        if mask is not None:
            change *= np.asarray(mask) > 0
        x0, y0, x1, y1 = self.box
        self._frame.make_writable()
        luma = plane_views(self._frame)[self._layout.planes[0]]
        add_to_plane(luma[y0:y1, x0:x1], change, self._code.highest)

    def blend(self, picture: Picture, to_region: Affine, weight: Picture) -> None:
        """Move the region towards a picture: X + weight (picture - X), in place.

        Args:
            picture: (k, k, 3) float32 RGB in [0, 1]; nothing changes if it holds what is no number.
            to_region: (2, 3) pixels of the picture -> pixels of the region.
            weight: (h, w) float32 in [0, 1]; where it is 0 nothing changes.
        """
        if weight.shape != self.shape:
            raise ValueError(f"the region has the shape {self.shape}, not {weight.shape}")
        if 0 in self.shape or not np.isfinite(cv2.sumElems(picture)[:3]).all():
            return
        layout, x0, y0 = self._layout, *self.box[:2]
        matrix = np.hstack([self._code.to_codes, self._code.offset.reshape(3, 1)])
        matrix = matrix.astype(np.float32)
        self._frame.make_writable()
        views = plane_views(self._frame)
        coarse = layout.chroma_x > 1 or layout.chroma_y > 1
        shares = [weight] * len(layout.planes)
        if coarse and len(shares) > 1:
            small = group_mean(weight, layout.chroma_x, layout.chroma_y)
            small *= _all_covered(weight > 0, layout.chroma_x, layout.chroma_y)
            shares[1:] = [small] * len(shares[1:])
        to_frame = np.vstack([to_region, [0.0, 0.0, 1.0]])
        to_frame[:2, 2] += (x0, y0)
        for i, (plane, share) in enumerate(zip(layout.planes, shares, strict=True)):
            left, top = x0, y0
            to_plane = np.eye(2, 3)
            if i > 0 and coarse:
                left, top = x0 // layout.chroma_x, y0 // layout.chroma_y
                to_plane = _luma_to_chroma(layout, self._info)
            height, width = share.shape
            where: Affine = to_plane @ to_frame
            where[:, 2] -= (left, top)
            target = views[plane][top : top + height, left : left + width]
            codes = cv2.transform(picture, matrix[i : i + 1])
            _lay(target, softened(codes, scale_of(where)), where, share, self._code.highest)


def _luma_to_chroma(layout: PixelLayout, info: VideoInfo) -> Affine:
    """(2, 3) stored luma coordinates -> coordinates on the chroma planes.

    Horizontally, chroma lies on the left luma sample of each group (H.264, HEVC, VP9 by default)
    or in the middle of it (JPEG, MPEG-1); vertically in the middle.
    """
    across, down = float(layout.chroma_x), float(layout.chroma_y)
    centred = info.codec in _CENTRED_CHROMA
    return np.array(
        [
            [1.0 / across, 0.0, (0.5 / across - 0.5) if centred else 0.0],
            [0.0, 1.0 / down, 0.5 / down - 0.5],
        ]
    )


def _to_rgb(channels: list[Picture], code: ColourCode) -> Picture:
    if len(channels) == 1:
        gray = (channels[0] - np.float32(code.offset[0])) / np.float32(code.to_codes[0].sum())
        return np.asarray(cv2.merge([gray, gray, gray]), np.float32)
    return np.asarray(cv2.transform(cv2.merge(channels), code.decode), np.float32)


def _nonzero(delta: Picture) -> npt.NDArray[np.bool_]:
    red, green, blue = cv2.split(delta)
    return np.asarray((red != 0) | (green != 0) | (blue != 0))


def _all_covered(inside: npt.NDArray[np.bool_], across: int, down: int) -> Picture:
    """1 where all luma samples of a chroma sample are inside, else 0."""
    share = group_mean(inside.astype(np.uint8) * np.uint8(255), across, down)
    return np.asarray(share == np.float32(255), np.float32)


def _lay(target: Plane, codes: Picture, to_target: Affine, share: Picture, highest: int) -> None:
    """Move a part of a plane towards a picture by a share, where that is not 0."""
    matrix = to_target.copy()
    for rows in bands(len(share)):
        columns = touched(share[rows])
        size = (columns.stop - columns.start, rows.stop - rows.start)
        if not size[0]:
            continue
        matrix[:, 2] = to_target[:, 2] - (columns.start, rows.start)
        there = cv2.warpAffine(
            codes, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        part = target[rows, columns]
        change = cv2.subtract(there, part, dtype=cv2.CV_32F)
        add_to_plane(part, cv2.multiply(change, share[rows, columns]), highest)
