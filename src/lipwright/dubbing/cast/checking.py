"""What is wrong with a cast, all of it, before any work is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from lipwright.dubbing.cast.stretches import Cast, Stretch
from lipwright.dubbing.options import is_face

OVERHANG = Fraction(1, 2)
"""Seconds by which a speech that is not cut by an ``end`` may outlast the film."""
ROUNDING = Fraction(1, 20)
"""Seconds by which an ``end`` may lie behind that of the film or of the speech."""


def settled(
    cast: Cast, film: Fraction, lengths: Mapping[Path, Fraction], problems: list[str]
) -> list[Stretch]:
    """The stretches with their ends.

    Args:
        cast: as read.
        film: seconds that the film lasts.
        lengths: seconds of every speech that can be read.
        problems: takes a sentence for everything that is wrong.
    """
    for name, face in cast.faces.items():
        if face is not None and (not is_face(face) or face in ("largest", "all", "speaking")):
            problems.append(
                f"{name} in {cast.path} has the face '{face}', which is neither a person "
                "(person:1) nor face numbers nor a point (320,180@2.5)."
            )
    out = []
    for each in cast.stretches:
        if each.speech not in lengths:
            continue  # that file's own sentence says it
        sounds = lengths[each.speech] - each.offset
        where = each.where[0].upper() + each.where[1:]
        if sounds <= 0:
            problems.append(
                f"{where} leaves out {float(each.offset):g} s of {each.speech}, which lasts "
                f"{float(lengths[each.speech]):.2f} s only."
            )
            continue
        if each.start >= film:
            problems.append(
                f"{where} starts at {float(each.start):g} s; the film ends at {float(film):.2f} s."
            )
            continue
        end = each.start + sounds if each.end is None else each.end
        if each.end is not None and each.end <= each.start:
            problems.append(f"{where} ends at {float(each.end):g} s, before it starts.")
            continue
        if end > film + (OVERHANG if each.end is None else ROUNDING):
            problems.append(
                f"{where} lasts until {float(end):.2f} s, beyond the end of the film at "
                f"{float(film):.2f} s."
            )
            continue
        if each.end is not None and each.end - each.start > sounds + ROUNDING:
            # A line may be longer than what is said in it: the rest is a pause.
            end = each.start + sounds
        out.append(replace(each, end=min(end, film)))
    _overlaps(cast, out, problems)
    return out


def _overlaps(cast: Cast, stretches: list[Stretch], problems: list[str]) -> None:
    """One mouth cannot say two things at once."""
    last: dict[str, Stretch] = {}
    for each in sorted(stretches, key=lambda s: s.start):
        mouth = cast.faces.get(each.name) or f"voice {each.name}"
        before = last.get(mouth)
        assert each.end is not None
        if before is not None and before.end is not None and each.start < before.end:
            problems.append(
                f"{each.where[0].upper()}{each.where[1:]} starts at {float(each.start):g} s, while "
                f"{before.name} still speaks until {float(before.end):g} s with the same mouth "
                f"({before.where})."
            )
        if before is None or before.end is None or each.end > before.end:
            last[mouth] = each
