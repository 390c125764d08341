"""What a render needs to know, and what travels through its threads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import av
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.enhancing import FaceEnhancer
from lipwright.dubbing.frames import FrameStore
from lipwright.dubbing.options import Detail
from lipwright.dubbing.plan import Plan, PlannedFace
from lipwright.dubbing.schedule import Schedule
from lipwright.media.info import VideoInfo
from lipwright.methods.base import Method

Picture = NDArray[np.float32]


class Marker(Protocol):
    """The last pixel step: the invisible watermark."""

    def mark(
        self,
        frame: av.VideoFrame,
        info: VideoInfo,
        face_boxes_display: Iterable[Sequence[float]],
    ) -> None:
        """Write the mark into a frame, in place; the boxes are the drawn faces, display px."""
        ...


class Sink(Protocol):
    """Takes the finished frames in order."""

    def write(self, k: int, native: av.VideoFrame) -> None:
        """Output frame ``k``."""
        ...

    def end_segment(self) -> None:
        """All frames up to a segment's end have been written."""
        ...


@dataclass
class Face:
    """A face on its way through the threads."""

    planned: PlannedFace
    source: Picture
    generated: Picture | None = None
    baseline: Picture | None = None
    restored: Picture | None = None
    redrawn: bool = False
    lips: NDArray[np.float64] | None = None
    """(40, 2) contours of the drawn lips in parts of the crop, where they are known."""
    support: Picture | None = None
    """How far its references show a face at each place, see ``composite.support``."""


@dataclass
class PendingFrame:
    """A frame on its way through the threads: its number, picture and faces."""

    k: int
    native: av.VideoFrame
    faces: list[Face] = field(default_factory=list)


class StartedFaces:
    """What a method without a memory made of the reference frames of faces, for later jobs.

    Holds the faces of one video, and of one method; who changes the method has to clear it.
    """

    def __init__(self) -> None:
        self._of: object = None
        self._states: dict[int, Any] = {}

    def state(self, plan: Plan, track: int, start: Callable[[], Any]) -> Any:
        """The state of a face, started unless it was before."""
        of = plan.source, json.dumps(plan.settings, sort_keys=True)
        if of != self._of:
            self.clear()
            self._of = of
        if track not in self._states:
            self._states[track] = start()
        return self._states[track]

    def clear(self) -> None:
        """Forget all."""
        self._of = None
        self._states.clear()


@dataclass(frozen=True)
class Job:
    """What a render needs to know.

    Attributes:
        info: of the video.
        schedule: what is to be done with each output frame.
        method: draws the faces.
        store: frames of the video; None where they come from elsewhere.
        audio_features: (C, T) what the method made of the speech (``Method.speech_features``);
            None where a renderer knows better.
        adapted: the same by track, for tracks whose person's articulation is known.
        expressiveness: what predicted lip motions are multiplied by.
        enhancer: stage 2, or None.
        marker: writes the watermark, or None.
        batch_size: frames per window.
        segment: frames per segment of the output.
        detail: see ``composite.prepare``.
        started: faces that earlier jobs with this method have started, or None.
    """

    info: VideoInfo
    schedule: Schedule
    method: Method
    store: FrameStore | None = None
    audio_features: Picture | None = None
    enhancer: FaceEnhancer | None = None
    marker: Marker | None = None
    batch_size: int = 8
    segment: int = 250
    detail: Detail = "keep"
    started: StartedFaces | None = None
    expressiveness: float = 1.0
    adapted: Mapping[int, Picture] = field(default_factory=dict)


@dataclass
class Beyond:
    """Drawn faces whose lips the method could not place where the speech wants them.

    Attributes:
        faces: so many were drawn while somebody spoke, of methods that tell.
        short: so many of them fell short by more than ``SHORT``.
    """

    faces: int = 0
    short: int = 0
