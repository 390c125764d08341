"""What a reference keeps of its frame: the crop, and of a large face the mouth in full detail."""

from __future__ import annotations

from functools import partial

import numpy as np

from lipwright.dubbing.covering import HIDDEN_REFERENCE, outside_share
from lipwright.dubbing.references import Reference, ReferenceSelector, encode_detail, quality
from lipwright.dubbing.sighting import Sighting
from lipwright.face_regions import MOUTH_WINDOW
from lipwright.faces import alignment
from lipwright.media.info import VideoInfo
from lipwright.media.reader import Frame
from lipwright.media.region import sample_crop

REFERENCE_SIZE = 256
DETAIL_FROM = 1.2
"""Of faces so many times larger than this the mouth is kept as fine as it is in the video ..."""
DETAIL_SIDE = 768
"""... with at most so many pixels a side (``face_regions.MOUTH_WINDOW``)."""
WITH_A_HAND = 0.25
"""What a reference frame with a hand before the face is worth beside one without."""


def consider(
    selector: ReferenceSelector, seen: Sighting, frame: Frame, info: VideoInfo, score: float
) -> None:
    """Take a reference picture if there is use for one.

    Args:
        selector: of the face's track; takes it.
        seen: the face.
        frame: in which it was seen.
        info: of the video.
        score: how sure the tracker is of the face, in [0, 1].
    """
    seconds = float(frame.time)
    if not selector.wants(seen.opening, seconds):
        return
    to_display = alignment.to_pixels(seen.crop, REFERENCE_SIZE)
    size = (REFERENCE_SIZE, REFERENCE_SIZE)
    picture = sample_crop(frame.native, info, to_display, size)
    crop = np.asarray(np.rint(picture * 255.0), np.uint8)
    good = quality(crop, seen.yaw, score)
    hidden = seen.covered + outside_share(seen.crop, info.display_size)
    if seen.hidden.packed:
        hidden += 2 * HIDDEN_REFERENCE
        good *= WITH_A_HAND
    selector.add(
        Reference(frame.index, seconds, seen.opening, good, crop, seen.lips, hidden),
        partial(detail_of, seen, frame, info),
    )


def detail_of(seen: Sighting, frame: Frame, info: VideoInfo) -> bytes:
    """JPEG of the mouth as fine as it is in the video; empty for a small face."""
    if seen.side < DETAIL_FROM * REFERENCE_SIZE:
        return b""
    size = min(DETAIL_SIDE, round(seen.side * (MOUTH_WINDOW[2] - MOUTH_WINDOW[0])))
    to_display = alignment.to_pixels(alignment.part(seen.crop, MOUTH_WINDOW), size)
    picture = sample_crop(frame.native, info, to_display, (size, size), sharp=True)
    return encode_detail(np.asarray(np.rint(picture * 255.0), np.uint8))
