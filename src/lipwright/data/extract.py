"""Pixels of an aligned face crop, out of a decoded frame or a whole picture.

Enlarged crops are interpolated with cubics, reduced ones averaged over whole pixels first (Gupta et
al., WACV 2023, section 2, cut crops of one size from faces of all sizes).
"""

from __future__ import annotations

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.faces.crop_pixels import Affine, finer, warped
from lipwright.media.info import VideoInfo
from lipwright.media.region import RegionEdit, crop_to_storage, sample_crop

ALIAS = 1.25
"""What is left of a reduction beyond whole pixels is averaged 2 x 2 when it is larger than this."""


def sample_face(
    frame: av.VideoFrame, info: VideoInfo, to_display: Affine, side: int
) -> NDArray[np.uint8]:
    """Sample a crop straight from the planes of a frame.

    Args:
        frame: a plain planar frame, as the reader gives it.
        info: of its video.
        to_display: (2, 3) crop pixels -> display pixels.
        side: of the crop.

    Returns:
        (side, side, 3) uint8 RGB.
    """
    step = float(np.sqrt(abs(np.linalg.det(to_display[:, :2]))))
    if step < 1.0:
        picture = _enlarged(frame, info, to_display, side)
    elif step / int(step) > ALIAS:
        fine = finer(to_display, 2)
        picture = sample_crop(frame, info, fine, (2 * side, 2 * side))
        picture = np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA))
    else:
        picture = sample_crop(frame, info, to_display, (side, side))
    return np.asarray(np.rint(np.clip(picture, 0.0, 1.0) * 255.0), np.uint8)


def _enlarged(
    frame: av.VideoFrame, info: VideoInfo, to_display: Affine, side: int
) -> NDArray[np.float32]:
    to_storage = crop_to_storage(info, to_display)
    corners = np.array([[0.0, 0.0], [side, 0.0], [0.0, side], [side, side]])
    reach = corners @ to_storage[:, :2].T + to_storage[:, 2]
    low, high = np.floor(reach.min(axis=0)) - 3, np.ceil(reach.max(axis=0)) + 4
    edit = RegionEdit(frame, info, (int(low[0]), int(low[1]), int(high[0]), int(high[1])))
    if not all(edit.shape):  # the face has left the picture
        return sample_crop(frame, info, to_display, (side, side))
    matrix = to_storage.copy()
    matrix[:, 2] -= edit.box[:2]
    return np.asarray(warped(np.ascontiguousarray(edit.rgb), matrix, side, cv2.INTER_CUBIC))
