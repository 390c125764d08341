"""The people of a video as a sheet and a table: what ``lipwright faces`` writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lipwright.dubbing.contact_sheet import save_picture
from lipwright.dubbing.observer import Observer
from lipwright.dubbing.people import Embed, Person, as_table, people_of
from lipwright.dubbing.people_sheet import draw_people
from lipwright.dubbing.plan import Plan
from lipwright.dubbing.planning import planned
from lipwright.dubbing.speaking import speaking_in
from lipwright.dubbing.speed import Speed
from lipwright.errors import LipwrightError, system_errors
from lipwright.files.whole import write_json
from lipwright.media.source import open_media


def write_people(
    video: Path, folder: Path, observer: Observer | None = None, embed: Embed | None = None
) -> tuple[list[Person], tuple[Path, Path]]:
    """Analyse a video and write ``people.png`` and ``people.json`` into a folder.

    The plan is kept for a dub of the same video.

    Args:
        video: the file.
        folder: made where it is not there yet.
        observer: is told of the progress.
        embed: see :func:`people_of`.

    Returns:
        The people, and the two files.

    Raises:
        LipwrightError: the video cannot be read, shows no usable face, or the folder cannot be
            written.
    """
    speed = Speed()

    def progress(done: int, total: int | None) -> None:
        if observer is not None:
            observer.progress("plan", done, total, speed.update(done))

    with planned(video, progress) as plan:
        people = with_speakers(plan, people_of(plan, embed), video)
        if not people:
            raise LipwrightError(
                f"No usable face was found in {video}; give a video that shows a person's face "
                "from the front."
            )
        with system_errors(f"The folder {folder} cannot be made", "choose another with -o"):
            folder.mkdir(parents=True, exist_ok=True)
        sheet, table = folder / "people.png", folder / "people.json"
        save_picture(draw_people(plan, people, f"People in {video.name}"), sheet)
        write_json(table, {"video": str(video), "people": as_table(people)})
    return people, (sheet, table)


def with_speakers(plan: Plan, people: list[Person], video: Path) -> list[Person]:
    """The people with how long they speak, where the video has sound."""
    try:
        with open_media(video, "video") as container:
            has_sound = bool(container.streams.audio)
    except LipwrightError:
        has_sound = False
    if not has_sound or not people:
        return people
    rows = speaking_in(plan, video).rows
    return [
        replace(p, speaking=round(sum(plan.shown_seconds(t, rows[t.number]) for t in p.tracks), 3))
        for p in people
    ]
