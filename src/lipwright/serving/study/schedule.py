"""In which order a rater sees what: blind, random, counter-balanced.

The order of the methods follows a Williams square: over its rows every method stands equally often
at every place, and follows every other method equally often (Williams, 1949). Raters take the rows
in turn. Clips come in rounds, each once a round, so that the same clip is never seen twice in
succession.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from lipwright.serving.study.design import Design


@dataclass(frozen=True)
class Item:
    """One page of a study.

    Attributes:
        kind: ``scale``, ``pairs`` or ``check``.
        clip: which one.
        methods: one, or left and right.
        expected: the answer that an attention check asks for.
    """

    kind: Literal["scale", "pairs", "check"]
    clip: str
    methods: tuple[str, ...]
    expected: int | None = None


def williams(count: int) -> list[list[int]]:
    """Rows of a Williams square; twice as many rows for an odd number."""
    first: list[int] = []
    low, high = 0, count - 1
    while low <= high:
        first.append(low)
        low += 1
        if low <= high:
            first.append(high)
            high -= 1
    rows = [[(value + shift) % count for value in first] for shift in range(count)]
    return rows if count % 2 == 0 else rows + [row[::-1] for row in rows]


def items_for(design: Design, rater: int) -> list[Item]:
    """Everything that a rater sees, in order; the same whenever it is asked for.

    Args:
        design: of the study.
        rater: counted from 0.
    """
    rng = random.Random(f"{design.seed} rater {rater}")
    items = _scale(design, rater, rng) if design.mode == "scale" else _pairs(design, rater, rng)
    return _with_checks(design, items, rng)


def _scale(design: Design, rater: int, rng: random.Random) -> list[Item]:
    square = williams(len(design.methods))
    items: list[Item] = []
    for place in range(len(design.methods)):
        for clip in _shuffled(design, rng, items):
            row = square[(rater + design.clips.index(clip)) % len(square)]
            items.append(Item("scale", clip, (design.methods[row[place]],)))
    return items


def _pairs(design: Design, rater: int, rng: random.Random) -> list[Item]:
    items: list[Item] = []
    pairs = design.pairs
    for place in range(len(pairs)):
        for clip in _shuffled(design, rng, items):
            number = design.clips.index(clip)
            which = (place + rater + number) % len(pairs)
            left, right = pairs[which]
            turned = (rater + number + which) % 2 == 1
            items.append(Item("pairs", clip, (right, left) if turned else (left, right)))
    return items


def _shuffled(design: Design, rng: random.Random, before: list[Item]) -> list[str]:
    """The clips in random order, not beginning with the one that was shown last."""
    clips = list(design.clips)
    rng.shuffle(clips)
    if before and len(clips) > 1 and clips[0] == before[-1].clip:
        clips.append(clips.pop(0))
    return clips


def _with_checks(design: Design, items: list[Item], rng: random.Random) -> list[Item]:
    """Attention checks, one in every equal part of the study, never first."""
    parts = design.checks
    places = []
    for part in range(parts):
        low, high = len(items) * part // parts, len(items) * (part + 1) // parts
        places.append(rng.randint(max(1, low), max(1, high)))
    choices = (1, 2, 4, 5) if design.mode == "scale" else (1, 3)
    for place in sorted(places, reverse=True):
        like = items[min(place, len(items) - 1)]
        items.insert(place, Item("check", like.clip, like.methods, rng.choice(choices)))
    return items
