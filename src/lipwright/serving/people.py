"""Who is in a video: its people and, shot by shot, their faces, with a picture of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.contact_sheet import save_picture
from lipwright.dubbing.observer import Observer
from lipwright.dubbing.people import as_table, people_of
from lipwright.dubbing.people_report import with_speakers
from lipwright.dubbing.people_sheet import draw_people
from lipwright.dubbing.plan import Plan, Track
from lipwright.dubbing.planning import planned
from lipwright.errors import LipwrightError
from lipwright.media.info import probe
from lipwright.media.reader import VideoReader

SHEET = "people.png"
FRAME_SIDE = 960
FACE_SIDE = 256
MOST_PEOPLE = 48


def find_people(video: Path, folder: Path, observer: Observer) -> dict[str, Any]:
    """Look for faces; the plan stays in the cache for the dub.

    Args:
        video: the file.
        folder: gets a picture of every face, and one of the frame with the most faces.
        observer: is told of the progress.

    Returns:
        ``people``: one entry per person, as ``lipwright faces`` lists them, none where the network
        that tells people apart cannot be had (``note`` says why); ``faces``: one per track with its
        number, times and size; ``boxes``: of the picture with the most faces; ``files``: names of
        the pictures by role, the contact sheet of the people among them.
    """
    frames = probe(video).frame_count

    def progress(done: int, total: int | None) -> None:
        observer.progress("plan", done, total or frames, 0.0)

    with planned(video, progress) as plan:
        tracks = sorted(plan.tracks, key=_prominence, reverse=True)[:MOST_PEOPLE]
        tracks.sort(key=lambda track: track.number)
        found = _describe(plan, tracks, video, folder)
        found |= _people(plan, video, folder)
        if found["people"]:
            found["files"]["sheet"] = SHEET
        return found


def _prominence(track: Track) -> float:
    """Area times duration."""
    return float(np.median(track.sides) ** 2 * len(track.states))


def _describe(plan: Plan, tracks: list[Track], video: Path, folder: Path) -> dict[str, Any]:
    files, faces = {}, []
    best = max(tracks, key=_prominence, default=None)
    for track in tracks:
        pictures = plan.references(track)
        if pictures:
            name = f"face-{track.number}.jpg"
            picture = cv2.resize(pictures[0], (FACE_SIDE, FACE_SIDE), interpolation=cv2.INTER_AREA)
            save_picture(np.asarray(picture, np.uint8), folder / name)
            files[f"face-{track.number}"] = name
        faces.append(
            {
                "face": track.number,
                "from": round(float((plan.pts[track.first] - plan.pts[0]) * plan.time_base), 3),
                "to": round(float((plan.pts[track.last] - plan.pts[0]) * plan.time_base), 3),
                "frames": int(track.usable.sum()),
                "size": round(float(np.median(track.sides))),
                "usable": bool(track.usable.any()),
                "largest": track is best,
            }
        )
    frame, boxes = _crowd(plan, tracks, video)
    if frame is not None:
        save_picture(frame, folder / "frame.jpg")
        files["frame"] = "frame.jpg"
    return {"faces": faces, "boxes": boxes, "files": files, "shots": len(plan.shots)}


def _people(plan: Plan, video: Path, folder: Path) -> dict[str, Any]:
    """``people`` and, where they cannot be told apart, ``note``; writes the sheet."""
    usable = [track for track in plan.tracks if track.offsets and track.usable.any()]
    if len(usable) < 2:
        return {"people": [], "note": ""}  # nothing to tell apart, no network to be fetched
    try:
        people = with_speakers(plan, people_of(plan), video)
    except LipwrightError as error:
        return {"people": [], "note": error.sentence}
    save_picture(draw_people(plan, people, f"People in {video.name}"), folder / SHEET)
    return {"people": as_table(people), "note": ""}


def _crowd(
    plan: Plan, tracks: list[Track], video: Path
) -> tuple[NDArray[np.uint8] | None, list[dict[str, Any]]]:
    """The frame with the most faces, and their boxes in parts of its sides."""
    shown = np.zeros(len(plan.pts), np.int32)
    for track in tracks:
        shown[track.first : track.last + 1] += track.usable
    if not shown.any():
        return None, []
    wanted = int(np.flatnonzero(shown == shown.max())[0])
    width, height = probe(video).display_size
    boxes = []
    for track in tracks:
        face = track.face(wanted)
        if face is None or not track.usable[wanted - track.first]:
            continue
        x0, y0, x1, y1 = face.box
        boxes.append(
            {
                "face": track.number,
                "x": round(max(0.0, x0 / width), 4),
                "y": round(max(0.0, y0 / height), 4),
                "width": round(min(1.0, x1 / width) - max(0.0, x0 / width), 4),
                "height": round(min(1.0, y1 / height) - max(0.0, y0 / height), 4),
            }
        )
    with VideoReader(video) as reader:
        for frame in reader:
            if frame.index == wanted:
                return frame.thumbnail(FRAME_SIDE)[0], boxes
    return None, []
