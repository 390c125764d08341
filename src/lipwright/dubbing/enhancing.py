"""Stage 2 in the render pass: the drawn mouth in the frame, sharpened where it was drawn.

The enhancer sees the frame's own pixels with the first stage's mouth in them, as the paper has it,
and what it changes is added to the frame where the drawn face is shown: outside the mask, and where
the source was kept, not a bit changes.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.plan import PlannedFace, Track
from lipwright.dubbing.schedule import Schedule
from lipwright.enhance.base import Context, Enhancer, References
from lipwright.face_regions import MOUTH_WINDOW
from lipwright.faces import alignment
from lipwright.media.info import VideoInfo
from lipwright.media.region import Box, RegionEdit, brightness_weights, crop_to_storage
from lipwright.media.warping import scale_of, softened

Picture = NDArray[np.float32]

FACES = 4
"""So many faces are kept ready; 40 MB each."""
FULL_FROM = 0.25
"""The enhancer sees the mixture of what was drawn and what was filmed, so what it changes is right
as it is, however little was drawn; weighted once more, a half-drawn lip would lose half of its high
band. Only below this share of drawn face the change fades out, down to where nothing was drawn."""
LARGER = 1.2
"""A face that is no larger than this many times what the first stage draws lacks nothing."""


class FaceEnhancer:
    """An enhancer and what it has made of the faces of a job.

    Args:
        enhancer: the enhancer.
        info: of the video.
        schedule: of the job.
        drawn: pixels a side of the crop that the method draws.
    """

    def __init__(self, enhancer: Enhancer, info: VideoInfo, schedule: Schedule, drawn: int) -> None:
        self.enhancer, self._info, self._schedule, self._drawn = enhancer, info, schedule, drawn
        self._states: OrderedDict[int, Any] = OrderedDict()

    def wants(self, planned: PlannedFace) -> bool:
        """Whether a face is so large that it shows what the first stage lacks."""
        return planned.side > LARGER * self._drawn

    def grown(self, box: Box, planned: PlannedFace) -> Box:
        """A rectangle of the frame with what the enhancer sees around a face."""
        info = self.enhancer.info
        if info.size == 0 or info.window == MOUTH_WINDOW:
            return box
        window = alignment.part(crop_to_storage(self._info, planned.crop), info.window)
        corners = alignment.apply(window, np.array([[0, 0], [1, 0], [0, 1], [1, 1]]))
        low = np.floor(corners.min(axis=0) + 1e-6)
        high = np.ceil(corners.max(axis=0) - 1e-6)
        return (
            min(box[0], max(0, int(low[0]))),
            min(box[1], max(0, int(low[1]))),
            max(box[2], min(self._info.width, int(high[0]))),
            max(box[3], min(self._info.height, int(high[1]))),
        )

    def opened(self, region: RegionEdit) -> Picture:
        """What :meth:`sharpen` takes as ``source``: a region as the enhancer sees it."""
        return region.brightness if self.enhancer.info.brightness else region.rgb

    def sharpen(
        self,
        region: RegionEdit,
        source: Picture,
        planned: PlannedFace,
        lips: NDArray[np.floating] | None,
        weight: Picture,
    ) -> None:
        """Change a region in which a mouth was drawn.

        Args:
            region: a rectangle of the frame.
            source: what it showed before, see :meth:`opened`.
            planned: the face.
            lips: (40, 2) contours of the drawn lips in parts of the crop, or None.
            weight: (h, w) in [0, 1], how far the drawn face is shown.
        """
        to_region = crop_to_storage(self._info, planned.crop)
        to_region[:, 2] -= region.box[:2]
        info = self.enhancer.info
        picture, before = self.opened(region), source
        state = self._state(planned.track)
        to_window = None
        if info.size:
            window = alignment.to_pixels(alignment.part(to_region, info.window), info.size)
            picture, before = (_sampled(p, window, info.size) for p in (picture, source))
            to_window = window
            matrix = alignment.invert(window)
            to_picture = matrix[:, :2] @ to_region[:, :2]
            offset = alignment.apply(matrix, to_region[:, 2])
            to_picture = np.column_stack([to_picture, offset])
        else:
            to_picture = to_region
        context = Context(
            to_picture,
            _planar(before) if "source" in info.needs else None,
            lips if "lips" in info.needs else None,
            planned.points if "lips" in info.needs else None,
            None if info.size else weight,
        )
        given = _planar(picture)
        made = self.enhancer.enhance(given[None], [context], state)[0]
        if to_window is None and info.scale == 1:
            made -= given
            change = _interleaved(made)
        else:
            assert to_window is not None
            change = _spread(made, given, to_window, info.scale, region.shape)
        share = np.minimum(np.float32(1), weight * np.float32(1 / FULL_FROM))
        if change.ndim == 2:
            change *= share  # 0 where nothing is shown, so no pixel changes there
            region.apply(change)
        else:
            region.apply(change * share[:, :, None], weight > 0)

    def _state(self, track: int) -> Any:
        if track not in self._states:
            self._states[track] = self.enhancer.start(self._references(track))
            while len(self._states) > FACES:
                self._states.popitem(last=False)
        self._states.move_to_end(track)
        return self._states[track]

    def _references(self, number: int) -> References:
        plan, track = self._schedule.plan, self._schedule.track(number)
        if "references" not in self.enhancer.info.needs or not track.references:
            return References((), np.zeros((0, 40, 2)), np.zeros((0, 0, 2)), self._drawn)
        outlines = [_outline(track, frame) for frame, _ in track.references]
        return References(
            list(plan.details(track)),
            np.stack(track.reference_lips),
            np.stack(outlines),
            self._drawn,
            brightness_weights(self._info),
        )


def _outline(track: Track, frame: int) -> NDArray[np.float32]:
    face = track.face(frame)
    assert face is not None  # a reference is a frame in which the face was seen
    return face.points


def _planar(picture: Picture) -> Picture:
    """(h, w, 3) or (h, w) -> (C, h, w), within [0, 1]."""
    if picture.ndim == 2:
        return np.asarray(picture.clip(0.0, 1.0)[None], np.float32)
    return np.stack(cv2.split(picture)).clip(0.0, 1.0)


def _interleaved(planes: Picture) -> Picture:
    """(3, h, w) -> (h, w, 3), (1, h, w) -> (h, w)."""
    if len(planes) == 1:
        return np.asarray(planes[0], np.float32)
    return np.asarray(cv2.merge(list(planes)), np.float32)


def _sampled(region: Picture, window: NDArray[np.float64], size: int) -> Picture:
    """(size, size, 3) or (size, size); ``window`` takes its pixels to those of the region."""
    soft = softened(region, 1.0 / max(1e-6, scale_of(window)))
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    sampled = cv2.warpAffine(
        soft, window, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(sampled, np.float32)


def _spread(
    made: Picture,
    given: Picture,
    window: NDArray[np.float64],
    scale: int,
    shape: tuple[int, int],
) -> Picture:
    """What an enhancer changed in a window, in the pixels of the region, (h, w, 3) or (h, w)."""
    size = given.shape[-1]
    side = scale * size
    large = cv2.resize(_interleaved(given), (side, side), interpolation=cv2.INTER_CUBIC)
    change = _interleaved(made) - large
    # The change fades out towards the border of the window.
    ramp = np.clip(np.minimum(np.arange(side), np.arange(side)[::-1]) / (0.06 * side), 0.0, 1.0)
    fade = (ramp[:, None] * ramp[None, :]).astype(np.float32)
    change *= fade if change.ndim == 2 else fade[:, :, None]
    matrix = window.copy()
    matrix[:, :2] /= scale
    matrix[:, 2] += window[:, :2] @ np.full(2, 0.5 / scale - 0.5)
    return np.asarray(
        cv2.warpAffine(
            softened(change, scale_of(matrix)),
            matrix,
            (shape[1], shape[0]),
            flags=cv2.INTER_CUBIC,
        ),
        np.float32,
    )
