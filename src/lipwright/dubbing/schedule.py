"""Whose mouth moves in which output frame, and what the report says of that frame.

A pure function of the plan, the timeline and the speech: the status of every frame is known before
the first one is rendered.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing import report
from lipwright.dubbing.plan import (
    COVERED,
    LOST,
    MISSING,
    NOT_SPEAKING,
    OUTSIDE,
    TOO_SMALL,
    TURNED_AWAY,
    USABLE,
    Plan,
    PlannedFace,
    Track,
)
from lipwright.dubbing.report import Run, Status, TrackSummary, run_lengths
from lipwright.dubbing.timeline import Timeline
from lipwright.errors import LipwrightError

REASONS = {
    TOO_SMALL: report.TOO_SMALL,
    TURNED_AWAY: report.TURNED_AWAY,
    OUTSIDE: report.OUTSIDE,
    COVERED: report.COVERED,
    NOT_SPEAKING: report.NOT_SPEAKING,
}


def select(plan: Plan, face: str, video: Path) -> frozenset[int]:
    """Numbers of the tracks that speak.

    Args:
        plan: of the video.
        face: ``largest``: in every shot the face that fills most of it, counted over its frames;
            ``all``, or ``speaking``, all of a plan that was limited to them; track numbers
            separated by commas; ``person:2``, the tracks of a person;
            ``x,y@time``, the person at a point (display pixels) at a time (seconds).
        video: for the message.

    Raises:
        LipwrightError: if that is no one.
    """
    able = [
        t for t in plan.tracks if np.isin(t.states, (*USABLE, NOT_SPEAKING)).any() and t.offsets
    ]
    if not able:
        raise LipwrightError(
            f"No usable face was found in {video}{_why_not(plan)}; give a video that shows a "
            "person's face from the front."
        )
    if face in ("all", "speaking"):
        return frozenset(track.number for track in able)
    if face == "largest":
        best: dict[int, Track] = {}
        for track in able:
            if track.shot not in best or _presence(track) > _presence(best[track.shot]):
                best[track.shot] = track
        return frozenset(track.number for track in best.values())
    if face.startswith("person:") or "@" in face:
        return _of_people(plan, face, video)
    try:
        wanted = frozenset(int(word) for word in face.split(","))
    except ValueError:
        raise LipwrightError(
            f"The face {face!r} is neither 'largest' nor 'all' nor a face number; the report of a "
            "first run lists the numbers."
        ) from None
    known = {track.number for track in able}
    if not wanted <= known:
        missing = ", ".join(str(number) for number in sorted(wanted - known))
        listed = ", ".join(
            f"{track.number} (frames {track.first} to {track.last})" for track in able[:8]
        )
        more = f" and {len(able) - 8} more" if len(able) > 8 else ""
        raise LipwrightError(
            f"There is no usable face {missing} in {video}; choose from {listed}{more}."
        )
    return wanted


def _of_people(plan: Plan, face: str, video: Path) -> frozenset[int]:
    """Tracks of the people that are named or pointed at."""
    from lipwright.dubbing.people import people_of

    if "@" not in face:
        people = {person.number: person for person in people_of(plan)}
        wanted = {int(word) for word in face.removeprefix("person:").split(",")}
        if not wanted <= people.keys():
            missing = ", ".join(str(number) for number in sorted(wanted - people.keys()))
            raise LipwrightError(
                f"There is no person {missing} in {video}; there are {len(people)}, 'lipwright "
                "faces' shows them."
            )
        return frozenset(t.number for number in wanted for t in people[number].tracks)
    place, _, moment = face.partition("@")
    x, y = (float(word) for word in place.split(","))
    track = _at(plan, x, y, Fraction(moment))
    if track is None:
        raise LipwrightError(
            f"There is no usable face at {place} in {video} {moment} s after its start; 'lipwright "
            "faces' shows who is there, and when."
        )
    if len(plan.tracks) == 1:
        return frozenset({track.number})
    for person in people_of(plan):
        if any(each.number == track.number for each in person.tracks):
            return frozenset(each.number for each in person.tracks)
    return frozenset({track.number})


def _at(plan: Plan, x: float, y: float, seconds: Fraction) -> Track | None:
    """The track whose crop covers a point at a time; of several the one whose middle is nearest."""
    ticks = (seconds + plan.pts[0] * plan.time_base) / plan.time_base
    frame = max(0, bisect_right(plan.pts, ticks) - 1)
    found: list[tuple[float, Track]] = []
    for track in plan.tracks:
        face = track.face(frame)
        if face is None or face.state not in USABLE or not track.offsets:
            continue
        x0, y0, x1, y1 = face.box
        if x0 <= x <= x1 and y0 <= y <= y1:
            found.append((abs(x - (x0 + x1) / 2) + abs(y - (y0 + y1) / 2), track))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _presence(track: Track) -> float:
    """Area of a face, summed over the frames in which it can be used."""
    return float((track.sides[track.usable] ** 2).sum())


def _why_not(plan: Plan) -> str:
    """In brackets, the commonest reason for which the faces of a video cannot be used."""
    states = [int(state) for track in plan.tracks for state in track.states if state in REASONS]
    if not states:
        return ""
    commonest = max(set(states), key=states.count)
    return f" ({REASONS[commonest]} wherever there is one)"


class Schedule:
    """What is to be done with every output frame."""

    def __init__(
        self,
        plan: Plan,
        timeline: Timeline,
        speaking: frozenset[int],
        activity: NDArray[np.float32],
        activities: Mapping[int, NDArray[np.float32]] | None = None,
    ) -> None:
        """Args:
        plan: of the video.
        timeline: of the output.
        speaking: numbers of the tracks that speak.
        activity: (n,) how much speech there is at each output frame.
        activities: the same of each track's own speech, where they have several.
        """
        self.plan, self.timeline, self.activity = plan, timeline, activity
        self.speaking, self.activities = speaking, activities
        self._tracks = {track.number: track for track in plan.tracks}
        self._by_shot: list[list[Track]] = [[] for _ in plan.shots]
        for track in plan.tracks:
            self._by_shot[track.shot].append(track)
        self._starts = [first for first, _ in plan.shots]
        shot = np.searchsorted(self._starts, timeline.source, side="right") - 1
        self._shot: NDArray[np.int64] = np.asarray(shot, dtype=np.int64)
        index = np.arange(shot.size)
        fresh = np.concatenate(([True], shot[1:] != shot[:-1]))
        self._pass = np.maximum.accumulate(np.where(fresh, index, 0))

    def __len__(self) -> int:
        return len(self.timeline)

    def track(self, number: int) -> Track:
        """A track by its number."""
        return self._tracks[number]

    def activity_of(self, number: int) -> NDArray[np.float32]:
        """(n,) how much of a track's speech there is at each output frame."""
        if self.activities is None:
            return self.activity
        return self.activities.get(number, self.activity)

    def _is_spoken(self, k: int) -> bool:
        """Whether a mouth of output frame ``k`` has anything to say."""
        if self.activities is None:
            return bool(self.activity[k] > 0.0)
        return any(self.activity_of(face.track)[k] > 0.0 for face in self.faces(k))

    def shot_pass(self, k: int) -> int:
        """The first output frame of the stretch around ``k`` that stays inside one shot."""
        return int(self._pass[k])

    def faces(self, k: int) -> list[PlannedFace]:
        """Faces to be drawn in output frame ``k``, by track number."""
        frame = int(self.timeline.source[k])
        found = (
            track.face(frame)
            for track in self._by_shot[int(self._shot[k])]
            if track.number in self.speaking
        )
        return [face for face in found if face is not None and face.state in USABLE]

    def statuses(self) -> Iterator[tuple[Status, str]]:
        """Status and reason of every output frame."""
        of_source = [self._status(frame) for frame in range(len(self.plan.pts))]
        for k, frame in enumerate(self.timeline.source):
            status, reason = of_source[int(frame)]
            if status == "synced" and not self._is_spoken(k):
                status, reason = "silent", report.NO_SPEECH
            yield status, reason

    def runs(self) -> list[Run]:
        """The statuses, joined into stretches."""
        return run_lengths(self.statuses())

    def _status(self, frame: int) -> tuple[Status, str]:
        """What becomes of a source frame while somebody speaks."""
        shot = bisect_right(self._starts, frame) - 1
        others = False
        reason = ""
        lost = False
        for track in self._by_shot[shot]:
            face = track.face(frame)
            if face is None:
                continue
            if track.number not in self.speaking:
                others = True
            elif face.state in REASONS:
                reason = reason or REASONS[face.state]
            elif face.state == LOST:
                lost = True
            else:
                return "synced", ""
        if lost:
            return "held", report.LOST
        if not reason:
            reason = report.OTHER_PERSON if others else report.NO_FACE
        return "passed_through", reason

    def summaries(self) -> list[TrackSummary]:
        """The track table of the report."""
        table = []
        for track in self.plan.tracks:
            seen = track.states != MISSING
            ticks = self.plan.pts[track.last] - self.plan.pts[track.first]
            table.append(
                TrackSummary(
                    track=track.number,
                    first=track.first,
                    last=track.last,
                    seconds=round(float(ticks * self.plan.time_base), 3),
                    frames=int(seen.sum()),
                    size=round(float(np.median(track.sides[seen]))) if seen.any() else 0,
                    speaks=track.number in self.speaking,
                    references=tuple(frame for frame, _ in track.references),
                )
            )
        return table
