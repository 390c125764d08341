"""Edit decision lists as CMX 3600 writes them: which sound is heard when.

An event is a line of eight fields: number, reel, channels, transition, source in and out, record in
and out. Only events with sound count. The name of the file follows as ``* FROM CLIP NAME:`` or
``* SOURCE FILE:``. ``FCM:`` says whether what follows is drop-frame. A speed change (``M2``) of
sound and transitions other than cuts are refused.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from lipwright.dubbing.cast.stretches import Line
from lipwright.media.timecode import seconds_of

_EVENT = re.compile(
    r"(?P<number>\d+)\s+(?P<reel>\S+)\s+(?P<channels>\S+)\s+(?P<how>C|D|K\w?|W\d+)"
    r"(?:\s+\d+)?\s+(?P<codes>\S+\s+\S+\s+\S+\s+\S+)\s*"
)
_NAME = re.compile(r"\*\s*(?:FROM CLIP NAME|SOURCE FILE|CLIP NAME)\s*:\s*(?P<name>.+?)\s*", re.I)


def read_edl(
    text: str, where: str, rate: Fraction, begins: Fraction | None, problems: list[str]
) -> list[Line]:
    """The sound events of a list.

    Args:
        text: the list.
        where: its name, for messages.
        rate: exact frames per second of its time codes.
        begins: seconds that the record time code of the film's first frame stands for; None: the
            full hour of the earliest event, as lists usually begin at 01:00:00:00.
        problems: takes a sentence for whatever cannot be used.

    Returns:
        Lines whose speaker is the reel.
    """
    drop = False
    events: list[Line] = []
    hours: list[Fraction] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line, at = raw.strip(), f"Line {number} of {where}"
        if line.upper().startswith("FCM:"):
            drop = "NON" not in line.upper()
            continue
        name = _NAME.fullmatch(line)
        if name is not None and events and events[-1].source is None:
            events[-1] = replace(events[-1], source=name["name"])
            continue
        if re.match(r"M2\s", line) and events:
            problems.append(f"{at} changes the speed of a sound; render it at its speed first.")
            continue
        found = _EVENT.fullmatch(line)
        if found is None or not set(found["channels"].upper()) & set("AB"):
            continue
        if found["how"] != "C":
            problems.append(f"{at} is a transition ({found['how']}), not a cut; make cuts of it.")
            continue
        codes = found["codes"].split()
        try:
            times = [seconds_of(code, rate, drop) for code in codes]
            mark = ";" if drop or set(codes[2]) & set(";,") else ":"
            hours.append(seconds_of(f"{codes[2][:2]}:00:00{mark}00", rate))
        except ValueError as error:
            problems.append(f"{at} has a time code that cannot be read: {error}.")
            continue
        events.append(Line(found["reel"], times[2], times[3], at, offset=times[0]))
    zero = min(hours, default=Fraction(0)) if begins is None else begins
    return [replace(event, start=event.start - zero, end=event.end - zero) for event in events]
