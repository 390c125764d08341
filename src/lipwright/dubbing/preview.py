"""A look before the long job: a few frames of the video, source above result.

The frames are spread over the stretches in which a mouth moves, their faces enlarged to one size.
Nothing else of the video is rendered. A recurrent method is shown as if the shot began with each
of these frames.
"""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.plan import PlannedFace
from lipwright.dubbing.render import Job, preview
from lipwright.errors import LipwrightError
from lipwright.faces import alignment
from lipwright.media.info import VideoInfo
from lipwright.media.region import sample_crop

COLUMNS = 8
SIDE = 288
"""Side of one picture of the sheet in pixels."""
GROW = 1.25
"""What is shown of a face, as a multiple of the method's crop."""

Picture = NDArray[np.uint8]


def choose_frames(job: Job, count: int = COLUMNS) -> list[int]:
    """Output frames that show something: faces at work, spread evenly, speech preferred."""
    schedule = job.schedule
    statuses = list(schedule.statuses())
    for wanted in (("synced",), ("synced", "silent", "held")):
        frames = [k for k, (status, _) in enumerate(statuses) if status in wanted]
        # A frame of the way back shows nothing new.
        frames = [k for k in frames if k < len(schedule.plan.pts)] or frames
        if frames:
            places = np.linspace(0, len(frames) - 1, min(count, len(frames)) + 2)[1:-1]
            return sorted({frames[round(float(place))] for place in places})
    raise LipwrightError("No frame of the output shows a face that speaks; nothing to preview.")


def make_sheet(job: Job, frames: list[int]) -> Picture:
    """The contact sheet of some output frames, RGB, source above result."""
    columns = []
    for k, (before, after) in zip(frames, preview(job, frames), strict=True):
        face = job.schedule.faces(k)[0]
        tile = [_face_picture(frame, job.info, face) for frame in (before, after)]
        seconds = float(job.schedule.timeline.time(k))
        _label(tile[0], f"{k}  {int(seconds // 60)}:{seconds % 60:05.2f}")
        columns.append(np.concatenate(tile, axis=0))
    return np.concatenate(columns, axis=1)


def write_sheet(job: Job, path: Path) -> None:
    """Render the sheet and save it.

    Raises:
        LipwrightError: if the suffix is no picture's or the file cannot be written.
    """
    sheet = make_sheet(job, choose_frames(job))
    save_picture(sheet, path)


def save_picture(picture: Picture, path: Path) -> None:
    """Write an RGB picture, PNG or JPEG by suffix."""
    suffix = path.suffix.lower() if path.suffix.lower() in (".png", ".jpg", ".jpeg") else ".png"
    _, data = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise LipwrightError(
            f"The preview {path} cannot be written ({error.strerror or error}); choose another "
            "place for it."
        ) from error


def _face_picture(frame: av.VideoFrame, info: VideoInfo, face: PlannedFace) -> Picture:
    """The face with its surroundings, upright, at the size of the sheet."""
    middle = alignment.apply(face.crop, np.array([[0.5, 0.5]]))[0]
    scale = GROW * face.side / SIDE
    corner = middle - scale * (SIDE - 1) / 2
    to_display = np.array([[scale, 0.0, corner[0]], [0.0, scale, corner[1]]])
    return np.asarray(np.rint(255 * sample_crop(frame, info, to_display, (SIDE, SIDE))), np.uint8)


def _label(picture: Picture, text: str) -> None:
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        place = (6, SIDE - 8)
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, width, cv2.LINE_AA)
