"""A sheet of the people of a video: a row each, with the numbers that ``--face`` takes."""

from __future__ import annotations

import cv2
import numpy as np

from lipwright.dubbing.contact_sheet import (
    FAINT,
    GAP,
    MARGIN,
    PAPER,
    Picture,
    clock,
    text_width,
    write_text,
)
from lipwright.dubbing.people import Person
from lipwright.dubbing.plan import Plan

SIDE = 160
COLUMNS = 6
TEXT = 250
"""Width of the column beside the pictures."""


def draw_people(plan: Plan, people: list[Person], title: str) -> Picture:
    """(height, width, 3) RGB: per person up to six pictures, from different shots where there are.

    Args:
        plan: of the video.
        people: of the plan, at least one.
        title: the head line.
    """
    head = MARGIN + 34
    width = 2 * MARGIN + TEXT + COLUMNS * (SIDE + GAP) - GAP
    height = head + len(people) * (SIDE + 3 * GAP) + MARGIN
    sheet = np.full((height, width, 3), PAPER, np.uint8)
    write_text(sheet, title, (MARGIN, 42), 20, 600)
    for row, person in enumerate(people):
        top = head + row * (SIDE + 3 * GAP)
        shots = len({track.shot for track in person.tracks})
        numbers = ", ".join(str(track.number) for track in person.tracks)
        faces = "face number" + "s" * (len(person.tracks) != 1)
        while text_width(f"{faces} {numbers}", 14) > TEXT - 10 and ", " in numbers:
            numbers = numbers.rstrip("…, ").rpartition(", ")[0] + ", …"
            if numbers == ", …":
                break
        write_text(sheet, f"Person {person.number}", (MARGIN, top + 30), 20, 600)
        lines = (
            f"--face {person.name}",
            f"{person.seconds:.1f} s in {shots} shot{'s' * (shots != 1)}" + _spoken(person),
            f"{clock(person.first)} to {clock(person.last)}",
            f"{faces} {numbers}",
        )
        for line, text in enumerate(lines):
            write_text(
                sheet, text, (MARGIN, top + 58 + 24 * line), 15 if line < 3 else 14, 400, FAINT
            )
        for column, picture in enumerate(_pictures(plan, person)):
            x = MARGIN + TEXT + column * (SIDE + GAP)
            sheet[top : top + SIDE, x : x + SIDE] = cv2.resize(
                picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA
            )
    return sheet


def _spoken(person: Person) -> str:
    return "" if person.speaking is None else f", speaks {person.speaking:.1f} s"


def _pictures(plan: Plan, person: Person) -> list[Picture]:
    """Up to :data:`COLUMNS` reference frames, as many tracks as possible among them."""
    of_tracks = [
        list(plan.references(track))
        for track in person.tracks[:: max(1, len(person.tracks) // COLUMNS)]
    ]
    chosen: list[Picture] = []
    depth = 0
    while len(chosen) < COLUMNS and any(len(pictures) > depth for pictures in of_tracks):
        for pictures in of_tracks:
            if len(pictures) > depth and len(chosen) < COLUMNS:
                # From the middle outwards: neither the most closed mouth nor the widest.
                middle = len(pictures) // 2
                place = middle + (depth + 1) // 2 * (1 if depth % 2 else -1)
                chosen.append(pictures[place % len(pictures)])
        depth += 1
    return chosen
