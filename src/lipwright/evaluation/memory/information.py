"""Do slots stand for sounds? Mutual information of the top slot and what is said.

For a table of counts n(slot, label) over frames, I = sum p(s, l) log2(p(s, l) / (p(s) p(l))), in
bits. Counted tables always show some, and neighbouring frames are alike; so the same is counted
with labels that belong to other frames: every clip's labels are turned in a circle by a random
number of frames and given to another clip. What the true labels have beyond this control is what
slots know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.int64]
SHUFFLES = 200


@dataclass(frozen=True)
class Information:
    """What slots tell of labels.

    Attributes:
        bits: mutual information with the true labels.
        control: mean over the shuffled ones; ``control_95`` and ``control_max``: of them.
        label_bits: entropy of the labels, the most that could be told.
        frames: how many were counted.
        p: share of shuffles (the true one counted in) that reach the true value.
    """

    bits: float
    control: float
    control_95: float
    control_max: float
    label_bits: float
    frames: int
    p: float


def mutual_information(slots: Array, labels: Array) -> float:
    """Bits of mutual information of two sequences (N,) of non-negative numbers."""
    if not len(slots):
        return 0.0
    table = np.zeros((int(slots.max()) + 1, int(labels.max()) + 1))
    np.add.at(table, (slots, labels), 1.0)
    joint = table / table.sum()
    apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    there = joint > 0
    return float((joint[there] * np.log2(joint[there] / apart[there])).sum())


def entropy(labels: Array) -> float:
    """Bits of entropy of a sequence (N,)."""
    counts = np.bincount(labels).astype(np.float64)
    p = counts[counts > 0] / max(1.0, counts.sum())
    return float(-(p * np.log2(p)).sum())


def information(
    slots: Sequence[Array],
    labels: Sequence[Sequence[str]],
    leave_out: frozenset[str] = frozenset(),
    seed: int = 0,
    shuffles: int = SHUFFLES,
) -> Information:
    """Compare with the shuffled control.

    Args:
        slots: per clip the top slot of every frame.
        labels: per clip the label of every frame, as long.
        leave_out: labels whose frames are not counted (silence alone would be informative).
        seed: of the control.
        shuffles: how many.
    """
    names = sorted({name for clip in labels for name in clip})
    number = {name: i for i, name in enumerate(names)}
    coded = [np.array([number[name] for name in clip], np.int64) for clip in labels]
    left = np.array([number[name] for name in leave_out if name in number], np.int64)

    def count(each: Sequence[Array]) -> tuple[Array, Array]:
        s, t = np.concatenate(slots), np.concatenate(each)
        keep = ~np.isin(t, left)
        return s[keep], t[keep]

    s, t = count(coded)
    true = mutual_information(s, t)
    rng = np.random.default_rng(seed)
    chance = np.array([mutual_information(*count(_elsewhere(coded, rng))) for _ in range(shuffles)])
    return Information(
        true,
        float(chance.mean()),
        float(np.quantile(chance, 0.95)),
        float(chance.max()),
        entropy(t),
        len(s),
        float((1 + (chance >= true).sum()) / (1 + shuffles)),
    )


def _elsewhere(coded: Sequence[Array], rng: np.random.Generator) -> list[Array]:
    """Every clip gets the labels of another one, turned in a circle, cut or repeated to length."""
    n = len(coded)
    order = rng.permutation(n)
    out = []
    for i, own in enumerate(coded):
        other = coded[order[i]]
        turned = np.roll(other, int(rng.integers(len(other))))
        out.append(np.resize(turned, len(own)))
    return out
