"""A look before the long job: a few moments of every face, source above result.

The moments are spread evenly over the speech and its pauses, see ``contact_sheet.choose_moments``.
Nothing else of the video is rendered. A method with a memory is shown a run-up of up to a second
before each moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.contact_sheet import (
    EMPTY,
    SIDE,
    Loudness,
    Moment,
    Picture,
    Strip,
    choose_moments,
    draw_sheet,
    save_picture,
)
from lipwright.dubbing.plan import LOST, USABLE, PlannedFace, Track
from lipwright.dubbing.render import preview
from lipwright.dubbing.render_job import Job
from lipwright.dubbing.report import Status
from lipwright.dubbing.schedule import Schedule
from lipwright.errors import LipwrightError
from lipwright.faces import alignment
from lipwright.media.info import VideoInfo
from lipwright.media.region import sample_crop

GROW = 1.25
"""What is shown of a face, as a multiple of the method's crop."""
MOST_STRIPS = 6


def write_preview(
    job: Job,
    level: NDArray[np.float64],
    title: str,
    path: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Render the sheet and save it.

    Args:
        job: what would be rendered.
        level: loudness of the speech, see ``contact_sheet.Loudness``.
        title: head line of the sheet.
        path: PNG or JPEG.
        progress: called with the number of frames drawn, and of all.

    Returns:
        How many frames were rendered.

    Raises:
        LipwrightError: no frame shows a face that speaks, or the file cannot be written.
    """
    chosen, left_out = choose_strips(job.schedule)
    frames = sorted({k for _, moments in chosen for k in moments})
    pictures: dict[tuple[int, int], tuple[Picture, Picture]] = {}
    statuses = [status for status, _ in job.schedule.statuses()]
    for done, (k, (before, after)) in enumerate(zip(frames, preview(job, frames), strict=True)):
        progress(done, len(frames))
        for face in job.schedule.faces(k):
            pair = _face_picture(before, job.info, face), _face_picture(after, job.info, face)
            pictures[k, face.track] = pair
    progress(len(frames), len(frames))
    strips = []
    for tracks, moments in chosen:
        columns = []
        for k in moments:
            number = next(t.number for t in tracks if (k, t.number) in pictures)
            seconds = float(job.schedule.timeline.time(k))
            columns.append(Moment(k, seconds, statuses[k], *pictures[k, number], number))
        numbers = sorted({moment.face for moment in columns if moment.face is not None})
        if len(numbers) == 1:  # then the row says it
            columns = [replace(moment, face=None) for moment in columns]
        word = "Face" if len(numbers) == 1 else "Faces"
        strips.append(Strip(f"{word} {', '.join(map(str, numbers))}", columns))
    note = f"method {job.method.name}, {len(frames)} of {len(job.schedule)} frames"
    note += f", {left_out} more faces" if left_out else ""
    loudness = Loudness(level, float(job.schedule.timeline.end))
    save_picture(draw_sheet(strips, loudness, title, note), path)
    return len(frames)


def choose_strips(schedule: Schedule) -> tuple[list[tuple[list[Track], list[int]]], int]:
    """Which faces share a row, and their moments.

    Faces of different times, as those of different shots, share a row; faces that are seen together
    have rows of their own. The ones that are seen longest come first into the sheet.

    Returns:
        The tracks and output frames of each row, in order of appearance, and how many rows were
        left out.

    Raises:
        LipwrightError: no face can be shown.
    """
    rows: list[list[Track]] = []
    for track in sorted(schedule.plan.tracks, key=lambda t: (t.first, t.number)):
        if track.number not in schedule.speaking:
            continue
        free = [row for row in rows if row[-1].last < track.first]
        if free:
            free[0].append(track)
        else:
            rows.append([track])
    found = []
    for row in rows:
        statuses = statuses_of(schedule, row)
        moments = choose_moments(statuses)
        if moments:
            drawn = sum(status != "passed_through" for status in statuses)
            found.append((drawn, row, moments))
    if not found:
        raise LipwrightError("No frame of the output shows a face that speaks; nothing to preview.")
    longest = sorted(range(len(found)), key=lambda i: -found[i][0])[:MOST_STRIPS]
    shown = [found[i][1:] for i in sorted(longest)]
    return shown, len(found) - len(shown)


def statuses_of(schedule: Schedule, tracks: Sequence[Track]) -> list[Status]:
    """What becomes of some faces in every output frame; ``passed_through`` where none is drawn."""
    source = schedule.timeline.source
    state = np.full(len(schedule.plan.pts), -1, np.int64)
    for track in tracks:
        state[track.first : track.last + 1] = track.states
    statuses: list[Status] = []
    for k, frame in enumerate(source):
        known = int(state[frame])
        if known not in USABLE:
            statuses.append("passed_through")
        elif known == LOST:
            statuses.append("held")
        else:
            statuses.append("synced" if schedule.activity[k] > 0 else "silent")
    return statuses


def _face_picture(frame: av.VideoFrame, info: VideoInfo, face: PlannedFace) -> Picture:
    """The face with its surroundings, upright, at the size of the sheet."""
    middle = alignment.apply(face.crop, np.array([[0.5, 0.5]]))[0]
    scale = GROW * face.side / SIDE
    corner = middle - scale * (SIDE - 1) / 2
    to_display = np.array([[scale, 0.0, corner[0]], [0.0, scale, corner[1]]])
    picture = np.rint(255 * sample_crop(frame, info, to_display, (SIDE, SIDE))).astype(np.uint8)
    # Beyond the edges the sampling repeats the outermost pixels; the sheet shows nothing there.
    place = np.arange(SIDE) * scale
    width, height = info.display_size
    x, y = corner[0] + place, corner[1] + place
    inside = ((y >= -0.5) & (y <= height - 0.5))[:, None] & ((x >= -0.5) & (x <= width - 0.5))
    picture[~inside] = EMPTY
    return picture
