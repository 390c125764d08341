"""What became of every stretch of a cast, for the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lipwright.dubbing.cast.stretches import Stretch
from lipwright.dubbing.plan import LOST, USABLE
from lipwright.dubbing.schedule import REASONS, Schedule

AWAY = "person not in the picture"
VOICE_ONLY = "voice only"


def outcomes(
    stretches: Sequence[Stretch],
    faces: Mapping[str, str | None],
    tracks: Mapping[str, frozenset[int]],
    schedule: Schedule,
) -> list[dict[str, Any]]:
    """A row per stretch: how many frames were drawn, and why others were not.

    Args:
        stretches: with their ends.
        faces: of the cast.
        tracks: numbers of the tracks of each name.
        schedule: of the output.
    """
    times = schedule.timeline.seconds()
    rows = []
    for each in stretches:
        assert each.end is not None
        first, last = np.searchsorted(times, [float(each.start), float(each.end)])
        counted: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        for k in range(int(first), int(last)):
            status, reason = _status_of(schedule, k, tracks.get(each.name), faces.get(each.name))
            counted[status] += 1
            if reason:
                reasons[reason] += 1
        rows.append(
            {
                "person": each.name,
                "face": faces.get(each.name),
                "start": round(float(each.start), 3),
                "end": round(float(each.end), 3),
                "speech": str(each.speech),
                "offset": round(float(each.offset), 3),
                "frames": int(last - first),
                "synced": counted["synced"],
                "silent": counted["silent"],
                "held": counted["held"],
                "passed_through": counted["passed_through"],
                "reasons": dict(reasons.most_common()),
            }
        )
    return rows


def _status_of(
    schedule: Schedule, k: int, tracks: frozenset[int] | None, face: str | None
) -> tuple[str, str]:
    if face is None:
        return "passed_through", VOICE_ONLY
    frame = int(schedule.timeline.source[k])
    seen = [schedule.track(number).face(frame) for number in sorted(tracks or ())]
    found = [planned for planned in seen if planned is not None]
    drawn = [planned for planned in found if planned.state in USABLE]
    if drawn:
        if all(planned.state == LOST for planned in drawn):
            return "held", ""
        spoken = any(schedule.activity_of(p.track)[k] > 0 for p in drawn)
        return ("synced" if spoken else "silent"), ""
    if found:
        return "passed_through", REASONS.get(found[0].state, AWAY)
    return "passed_through", AWAY
