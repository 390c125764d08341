"""Who is who in a video: the tracks of a plan grouped into people.

A track is one face in one shot; a person who appears in ten shots has ten of them. Their reference
frames are embedded (``faces.identity``) and grouped (``faces.people``). The same video gives the
same people with the same numbers: they are counted from 1 in the order in which they first appear.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.findings import finding
from lipwright.dubbing.plan import NOT_SPEAKING, USABLE, Plan, Track
from lipwright.faces.people import group
from lipwright.weights.registry import find

PICTURES = 6
"""Reference frames per track that are embedded; their embeddings are averaged."""

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Person:
    """One person of a video.

    Attributes:
        number: counted from 1, in order of appearance.
        tracks: the tracks, in order of appearance.
        seconds: on screen with a face that can be dubbed.
        first, last: seconds at which the person first and last appears.
        speaking: seconds in which the person speaks in the film's own sound; None if unknown.
    """

    number: int
    tracks: tuple[Track, ...]
    seconds: float
    first: float
    last: float
    speaking: float | None = None

    @property
    def name(self) -> str:
        """As ``--face`` takes it."""
        return f"person:{self.number}"


def people_of(plan: Plan, embed: Embed | None = None) -> list[Person]:
    """The people of a plan; tracks that cannot be dubbed are left out.

    Args:
        plan: of the video.
        embed: (N, S, S, 3) uint8 RGB aligned crops -> (N, D); the registry's network by default.

    Raises:
        LipwrightError: the network cannot be had.
    """
    # People are the same whether some of their mouths are left alone (``speaking.limited``) or not.
    able = (*USABLE, NOT_SPEAKING)
    tracks = [track for track in plan.tracks if track.offsets and np.isin(track.states, able).any()]
    tracks.sort(key=lambda track: (track.first, track.number))
    if not tracks:
        return []

    def grouped() -> list[list[int]]:
        if embed is not None:
            return _grouped(plan, tracks, embed)
        from lipwright.faces.identity import identity_network

        return _grouped(plan, tracks, identity_network())

    if embed is None:
        groups = finding(plan, "people", __name__, find("face-identity").sha256, grouped)
    else:
        groups = grouped()
    of_number = {track.number: track for track in tracks}
    return [
        _person(plan, number, [of_number[n] for n in numbers])
        for number, numbers in enumerate(groups, 1)
    ]


def _grouped(plan: Plan, tracks: list[Track], embed: Embed) -> list[list[int]]:
    """The numbers of the tracks of each person."""
    embeddings = [_embedding(plan, track, embed) for track in tracks]
    together = {
        (i, j)
        for j, b in enumerate(tracks)
        for i, a in enumerate(tracks[:j])
        if a.last >= b.first and b.last >= a.first
    }
    members: dict[int, list[int]] = {}
    for track, label in zip(tracks, group(embeddings, together), strict=True):
        members.setdefault(label, []).append(track.number)
    return [numbers for _, numbers in sorted(members.items())]


def _embedding(plan: Plan, track: Track, embed: Embed) -> NDArray[np.float32]:
    pictures = plan.references(track)
    places = np.unique(np.linspace(0, len(pictures) - 1, PICTURES).round().astype(int))
    return np.asarray(embed(np.stack([pictures[i] for i in places])).mean(axis=0), np.float32)


def _person(plan: Plan, number: int, tracks: list[Track]) -> Person:
    seconds = sum(plan.shown_seconds(track, track.usable) for track in tracks)
    first = min(track.first for track in tracks)
    last = max(track.last for track in tracks)
    return Person(
        number,
        tuple(tracks),
        round(seconds, 3),
        round(float(plan.pts[first] * plan.time_base), 3),
        round(float(plan.pts[last] * plan.time_base), 3),
    )


def as_table(people: list[Person]) -> list[dict[str, object]]:
    """Plain JSON values, one row a person."""
    return [
        {
            "person": person.number,
            "face": person.name,
            "seconds": person.seconds,
            "seconds_speaking": person.speaking,
            "first": person.first,
            "last": person.last,
            "shots": sorted({track.shot for track in person.tracks}),
            "tracks": [track.number for track in person.tracks],
            "face_height": round(
                float(np.median(np.concatenate([t.sides[t.usable] for t in person.tracks])))
            ),
        }
        for person in people
    ]
