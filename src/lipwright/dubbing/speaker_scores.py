"""What a network that sees faces says of who speaks: its scores for every track of a plan.

A plan holds no pictures of every frame, so the video is read once more. Pictures are taken 25 times
a second, as the networks were trained, and are dropped as soon as their stretch has been judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.plan import LOST, MISSING, Plan, PlannedFace, Track
from lipwright.faces import alignment
from lipwright.faces.measure import CHIN, FOREHEAD
from lipwright.faces.paste import JAW, OUTLINE_POINTS
from lipwright.faces.speaker import RATE
from lipwright.media.audio import SAMPLE_RATE
from lipwright.media.info import VideoInfo
from lipwright.media.reader import Frame, VideoReader
from lipwright.media.region import sample_crop

LONGEST = 500
"""Pictures that are judged at once, 20 s: more would fill the memory."""
PER_PICTURE = SAMPLE_RATE // RATE
_CHIN, _FOREHEAD = JAW.index(CHIN), OUTLINE_POINTS.index(FOREHEAD)


class SeeingNetwork(Protocol):
    """See :class:`lipwright.methods.speaker_network.LrAsdNetwork`."""

    @property
    def side(self) -> int:
        """Of its pictures."""
        ...

    @property
    def face_share(self) -> float:
        """What they show, in parts of the face's height."""
        ...

    @property
    def lower(self) -> float:
        """How far below the middle of the face."""
        ...

    def __call__(self, faces: NDArray[np.uint8], wave: NDArray[np.float32]) -> NDArray[np.float64]:
        """Pictures (T, S, S) and their sound to scores (T,)."""
        ...

    def evidence(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores to log-likelihood ratios of speaking and not speaking, which may be added."""
        ...


def speaker_scores(
    plan: Plan,
    video: Path,
    wave: NDArray[np.float32],
    late: Mapping[int, int],
    network: SeeingNetwork,
) -> dict[int, tuple[int, NDArray[np.float64]]]:
    """Scores of every track that is seen at all.

    Args:
        plan: of the video.
        video: the file.
        wave: (n,) its own sound at 16 kHz from its first frame on.
        late: frames at 25 a second by which the sound comes after each track's lips.
        network: the network.

    Returns:
        By track number: the first place on the clock of 25 a second, and (m,) scores from there on,
        NaN where the face was not seen.
    """
    times = plan.seconds()
    found: dict[int, tuple[int, list[NDArray[np.float64]]]] = {}
    waiting: dict[int, tuple[int, list[NDArray[np.uint8]]]] = {}
    samples = np.pad(wave, SAMPLE_RATE)

    def judge(number: int) -> None:
        place, pictures = waiting.pop(number)
        begin = SAMPLE_RATE + (place + late.get(number, 0)) * PER_PICTURE
        scores = network(np.stack(pictures), samples[begin : begin + len(pictures) * PER_PICTURE])
        first, parts = found.setdefault(number, (place, []))
        gap = place - first - sum(map(len, parts))
        parts += [np.full(gap, np.nan), scores]

    of_shot: dict[int, list[Track]] = {}
    for track in plan.tracks:
        of_shot.setdefault(track.shot, []).append(track)
    shot = 0
    stream, whole = plan.settings.get("stream"), bool(plan.settings.get("whole", False))
    with VideoReader(video, stream=stream, deinterlace=whole) as reader:
        for frame in reader:
            if frame.index >= len(times):
                break
            following = frame.index + 1
            until = times[following] if following < len(times) else times[-1] + 1 / RATE
            # The pictures whose time lies in this frame.
            places = range(*(int(np.ceil(t * RATE - 1e-6)) for t in (times[frame.index], until)))
            while frame.index > plan.shots[shot][1]:
                shot += 1
            for track in of_shot.get(shot, []):
                face = track.face(frame.index)
                if face is None or face.state in (LOST, MISSING):
                    continue
                for place in places:
                    start, pictures = waiting.get(track.number, (place, []))
                    if start + len(pictures) != place or len(pictures) >= LONGEST:
                        judge(track.number)
                        start, pictures = place, []
                    pictures.append(_picture(frame, reader.info, face, network))
                    waiting[track.number] = (start, pictures)
            for track in of_shot.get(shot, []):
                if track.last == frame.index and track.number in waiting:
                    judge(track.number)
    for number in list(waiting):
        judge(number)
    return {number: (first, np.concatenate(parts)) for number, (first, parts) in found.items()}


def _picture(
    frame: Frame, info: VideoInfo, face: PlannedFace, network: SeeingNetwork
) -> NDArray[np.uint8]:
    """(S, S) grey: an upright square around the lower face, as face detectors' boxes give it."""
    points = alignment.apply(face.crop, face.points)
    chin, forehead = points[_CHIN], points[_FOREHEAD]
    height = float(np.linalg.norm(chin - forehead))
    middle = (chin + forehead) / 2 + np.array([0.0, network.lower * height])
    side = network.face_share * height
    scale = side / network.side
    corner = middle - side / 2 + scale / 2
    to_display = np.array([[scale, 0.0, corner[0]], [0.0, scale, corner[1]]])
    picture = sample_crop(frame.native, info, to_display, (network.side, network.side))
    grey = cv2.cvtColor(np.asarray(picture, np.float32), cv2.COLOR_RGB2GRAY)
    return np.asarray(np.rint(grey * 255), np.uint8)
