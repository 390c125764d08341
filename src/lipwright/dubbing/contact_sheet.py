"""One sheet of pictures: faces before and after a dub, when it was, and what was said there.

``--preview`` and the demo draw the same sheet. For every face there is a row of source pictures and
under it a row of results, under each pair its time and status, and at the foot the loudness of the
speech with a line from every column to its moment.

The font is the one that OpenCV brings along (Rubik, SIL Open Font License).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.report import Status
from lipwright.errors import system_errors
from lipwright.media.voice_activity import HOP_SECONDS

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

SPEAKING, RESTING = 6, 2
"""Columns with speech, and columns without, where the speech has pauses."""
SIDE = 240
"""Side of one picture in pixels."""
GAP = 6
MARGIN = 28
LABELS = 92
"""Width of the column that names the rows."""
CAPTION = 52
BETWEEN = 26
"""Space between two faces."""
CURVE = 120
"""Height of the loudness curve."""
LEADERS = 44
"""Height of the lines that lead from the columns to the curve."""
RANGE_DB = 50.0
"""The curve shows levels from the loudest down to this much below it."""

PAPER: Colour = (250, 250, 248)
EMPTY: Colour = (226, 226, 224)
"""What lies outside the video."""
INK: Colour = (32, 34, 40)
FAINT: Colour = (118, 122, 130)
RULE: Colour = (204, 206, 212)
LEADER: Colour = (170, 174, 182)
WAVE: Colour = (178, 204, 226)
STATUS: dict[Status, tuple[str, Colour]] = {
    "synced": ("synced", (24, 132, 116)),
    "silent": ("at rest", (120, 124, 134)),
    "held": ("bridged", (196, 130, 20)),
    "passed_through": ("untouched", (176, 60, 60)),
}

_FONT: list[cv2.FontFace] = []


@dataclass(frozen=True)
class Moment:
    """One column of a face.

    Attributes:
        frame: output frame.
        seconds: its time.
        status: what became of the frame.
        before, after: (SIDE, SIDE, 3) RGB, source and result.
        face: number of the face, where that is to be told.
    """

    frame: int
    seconds: float
    status: Status
    before: Picture
    after: Picture
    face: int | None = None


@dataclass(frozen=True)
class Strip:
    """The two rows of one face."""

    title: str
    moments: Sequence[Moment]


@dataclass(frozen=True)
class Loudness:
    """The curve at the foot.

    Attributes:
        level: (n,) dB, one value every ``gate.HOP_SECONDS``.
        seconds: length of the output.
    """

    level: NDArray[np.float64]
    seconds: float


def choose_moments(
    statuses: Sequence[Status], speaking: int = SPEAKING, resting: int = RESTING
) -> list[int]:
    """Output frames that show a mouth at work, evenly spread, and some where it rests.

    Nothing else but time decides which frames are taken: they are no better than the others.

    Args:
        statuses: of the frames; frames to be left out may be called ``passed_through``.
        speaking: how many with speech.
        resting: how many without; where one kind is rare, the other takes its columns.

    Returns:
        Increasing frame numbers, at most ``speaking + resting``.
    """
    marks = np.asarray(statuses, dtype=object)
    talk, rest = np.flatnonzero(marks == "synced"), np.flatnonzero(marks == "silent")
    if not talk.size and not rest.size:
        talk = np.flatnonzero(marks == "held")
    columns = speaking + resting
    few = min(rest.size, max(resting, columns - talk.size))
    return sorted({*_spread(talk, columns - few), *_spread(rest, few)})


def _spread(frames: NDArray[np.int64], count: int) -> list[int]:
    """The middles of ``count`` equal parts of a list."""
    count = min(count, frames.size)
    places = (np.arange(count) + 0.5) * frames.size / max(1, count)
    return [int(frames[int(place)]) for place in places]


def draw_sheet(strips: Sequence[Strip], loudness: Loudness, title: str, note: str = "") -> Picture:
    """The whole sheet.

    Args:
        strips: one for every face, with at least one moment each.
        loudness: of the speech.
        title: the head line.
        note: smaller, at the right of it.

    Returns:
        (height, width, 3) RGB.
    """
    columns = max(len(strip.moments) for strip in strips)
    left = MARGIN + LABELS
    wide = columns * (SIDE + GAP) - GAP
    head = MARGIN + 34
    strip_height = 2 * SIDE + GAP + CAPTION
    height = head + len(strips) * (strip_height + BETWEEN) - BETWEEN
    height += LEADERS + CURVE + 30 + MARGIN
    sheet = np.full((height, left + wide + MARGIN, 3), PAPER, np.uint8)
    note_wide = text_width(note, 15) if note else 0
    write_text(
        sheet, _fitting(title, wide + LABELS - note_wide - 24, 20, 600), (MARGIN, 42), 20, 600
    )
    write_text(sheet, note, (left + wide - note_wide, 42), 15, 400, FAINT)
    top = head
    for strip in strips:
        _draw_strip(sheet, strip, left, top)
        top += strip_height + BETWEEN
    _draw_curve(sheet, strips, loudness, left, wide, top - BETWEEN)
    return sheet


def _draw_strip(sheet: Picture, strip: Strip, left: int, top: int) -> None:
    second = top + SIDE + GAP
    write_text(sheet, strip.title, (MARGIN, top + 20), 17, 600)
    write_text(sheet, "Source", (MARGIN, top + SIDE // 2 + 6), 16, 400)
    write_text(sheet, "Result", (MARGIN, second + SIDE // 2 + 6), 16, 400)
    for column, moment in enumerate(strip.moments):
        x = left + column * (SIDE + GAP)
        sheet[top : top + SIDE, x : x + SIDE] = moment.before
        sheet[second : second + SIDE, x : x + SIDE] = moment.after
        word, colour = STATUS[moment.status]
        line = second + SIDE + 22
        write_text(sheet, clock(moment.seconds), (x, line), 16, 600)
        _dot(sheet, (x + 6, line + 17), 5, colour)
        write_text(sheet, word, (x + 18, line + 22), 15, 400, colour)
        number = f"frame {moment.frame}"
        if moment.face is not None:
            number = f"face {moment.face}, {number}"
        write_text(sheet, number, (x + SIDE - text_width(number, 14), line), 14, 400, FAINT)


def _draw_curve(
    sheet: Picture, strips: Sequence[Strip], loudness: Loudness, left: int, wide: int, top: int
) -> None:
    """Loudness over time, a scale of seconds, and a leader from every column of the last strip."""
    upper = top + LEADERS
    lower = upper + CURVE
    length = max(1e-3, loudness.seconds)

    def place(seconds: float) -> float:
        return left + min(1.0, seconds / length) * wide

    heights = _heights(loudness, wide)
    for x in range(wide):
        rise = round(float(heights[x]) * (CURVE - 8))
        sheet[lower - rise : lower, left + x] = WAVE
    write_text(sheet, "Speech", (MARGIN, lower - CURVE // 2), 16, 400)
    write_text(sheet, "loudness", (MARGIN, lower - CURVE // 2 + 19), 14, 400, FAINT)
    cv2.line(sheet, (left, lower), (left + wide, lower), RULE, 1, cv2.LINE_AA)
    step = _tick_step(length, wide)
    for index in range(int(length / step) + 1):
        x = round(place(index * step))
        cv2.line(sheet, (x, lower), (x, lower + 5), FAINT, 1)
        label = clock(index * step, whole=step >= 1)
        write_text(sheet, label, (x - text_width(label, 14) // 2, lower + 23), 14, 400, FAINT)
    last = strips[-1].moments
    for strip in strips:
        for column, moment in enumerate(strip.moments):
            colour = STATUS[moment.status][1]
            at = place(moment.seconds)
            if strip.moments is last:
                start = left + column * (SIDE + GAP) + SIDE / 2
                _line(sheet, (start, top + 2), (at, upper), LEADER)
            _line(sheet, (at, upper), (at, lower), colour)
            _dot(sheet, (at, upper), 4, colour)


def _heights(loudness: Loudness, wide: int) -> NDArray[np.float64]:
    """(wide,) how high the curve stands in each pixel column, in [0, 1]."""
    level = np.asarray(loudness.level, np.float64)
    shown = np.zeros(wide)
    if not level.size:
        return shown
    share = np.clip(1.0 + (level - level.max()) / RANGE_DB, 0.0, 1.0)
    edges = np.linspace(0.0, loudness.seconds / HOP_SECONDS, wide + 1)
    for x in range(wide):
        first = int(edges[x])
        if first >= level.size:
            break
        shown[x] = share[first : max(first + 1, int(edges[x + 1]))].max()
    return shown


def _tick_step(seconds: float, wide: int) -> float:
    """Seconds between two marks of the scale: a round number, no two labels closer than 140 px."""
    least = 140.0 * seconds / max(1, wide)
    steps = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0)
    return next((step for step in steps if step >= least), 3600.0 * np.ceil(least / 3600.0))


def clock(seconds: float, whole: bool = False) -> str:
    """``64.2`` gives ``1:04.20``, or ``1:04`` in whole seconds."""
    hundredths = round(seconds * 100)
    minutes, rest = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{head}:{rest // 100:02d}" + ("" if whole else f".{rest % 100:02d}")


def text_width(text: str, size: int, weight: int = 400) -> int:
    """Pixels that a line of text takes."""
    _, _, wide, _ = cv2.getTextSize((0, 0), text, (0, 0), _font(), size, weight)
    return int(wide)


def _fitting(text: str, room: int, size: int, weight: int) -> str:
    """The text, its middle left out where it is too long."""
    if text_width(text, size, weight) <= room:
        return text
    keep = len(text)
    while keep > 2 and text_width(_shortened(text, keep), size, weight) > room:
        keep -= 1
    return _shortened(text, keep)


def _shortened(text: str, keep: int) -> str:
    return f"{text[: keep - keep // 2]}…{text[len(text) - keep // 2 :]}"


def _font() -> cv2.FontFace:
    if not _FONT:
        _FONT.append(cv2.FontFace("sans"))
    return _FONT[0]


def write_text(
    sheet: Picture,
    text: str,
    baseline: tuple[int, int],
    size: int,
    weight: int,
    colour: Colour = INK,
) -> None:
    """Write a line of text into the sheet; ``size`` in pixels, ``weight`` 400 plain, 600 bold."""
    if text:
        cv2.putText(sheet, text, baseline, colour, _font(), size, weight)


def _dot(sheet: Picture, centre: tuple[float, float], radius: int, colour: Colour) -> None:
    place = (round(centre[0] * 16), round(centre[1] * 16))  # sixteenths of a pixel
    cv2.circle(sheet, place, radius * 16, colour, -1, cv2.LINE_AA, 4)


def _line(
    sheet: Picture, start: tuple[float, float], end: tuple[float, float], colour: Colour
) -> None:
    a, b = ((round(x * 16), round(y * 16)) for x, y in (start, end))
    cv2.line(sheet, a, b, colour, 1, cv2.LINE_AA, 4)


def save_picture(picture: Picture, path: Path) -> None:
    """Write an RGB picture, PNG or JPEG by suffix.

    Raises:
        LipwrightError: it cannot be written.
    """
    suffix = path.suffix.lower() if path.suffix.lower() in (".png", ".jpg", ".jpeg") else ".png"
    _, data = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    with system_errors(f"The picture {path} cannot be written", "choose another place for it"):
        path.write_bytes(data.tobytes())
