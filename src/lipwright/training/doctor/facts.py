"""What can be said of a corpus before anything is trained on it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lipwright.data.packed import ClipRow, PackedCorpus
from lipwright.data.predictor import (
    CONTEXT,
    bands_of_mel,
    fitted,
    half_of,
    measures_of,
    with_context,
)
from lipwright.lip_agreement import MEASURES, certainty, correlation, needed
from lipwright.media.mel import MODEL_FPS, SILENCE

STILL = 0.004
"""Standard deviation of the mouth opening below which a mouth is still."""
REACH = 10
"""Shifts tried, in frames. Packed clips carry no sound beyond their ends."""
SHORTEST = 2 * REACH + 10


@dataclass
class Facts:
    """Findings about a corpus.

    Attributes:
        clips, minutes, speakers: by split.
        longest_share: share of training minutes by the speaker who has most.
        frames: lengths of the training clips.
        still: share of clips with a still mouth.
        duplicates: groups of clips with the same sound or the same pictures.
        shared: identities in training and validation both.
        offsets: frames by which the sound comes late, clips by offset, as far as it is clear.
        unsure: clips whose offset is unclear.
        by_identity: offset of all clips of an identity taken together, where it is sure.
        agreement: correlation of lips with what the sound lets expect, mean over clips, offset 0.
    """

    clips: dict[str, int] = field(default_factory=dict)
    minutes: dict[str, float] = field(default_factory=dict)
    speakers: dict[str, int] = field(default_factory=dict)
    longest_share: float = 0.0
    frames: list[int] = field(default_factory=list)
    still: float = 0.0
    duplicates: list[list[str]] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    offsets: dict[int, int] = field(default_factory=dict)
    unsure: int = 0
    by_identity: dict[str, int] = field(default_factory=dict)
    agreement: float = 0.0

    def off_share(self) -> float:
        """Share of the clips with a sure offset that are off by two frames or more."""
        total = sum(self.offsets.values())
        off = sum(n for k, n in self.offsets.items() if abs(k) >= 2)
        return off / total if total else 0.0


def examine(packed: PackedCorpus) -> Facts:
    """Look at all clips of a corpus."""
    facts = Facts()
    people: dict[str, set[str]] = defaultdict(set)
    for split in sorted({r.split for r in packed.rows}):
        rows = [r for r in packed.rows if r.split == split]
        people[split] = {r.identity for r in rows}
        facts.clips[split] = len(rows)
        facts.speakers[split] = len(people[split])
        facts.minutes[split] = round(sum(r.frames for r in rows) / MODEL_FPS / 60, 2)
    train = [r for r in packed.rows if r.split == "train"] or packed.rows
    per = Counter[str]()
    for r in train:
        per[r.identity] += r.frames
    facts.longest_share = max(per.values()) / sum(per.values())
    facts.frames = [r.frames for r in train]
    facts.shared = sorted(people["train"] & people["val"])
    openings = [packed.opening[r.start : r.start + r.frames].std() for r in packed.rows]
    facts.still = float(np.mean(np.array(openings) < STILL))
    facts.duplicates = duplicates(packed)
    _offsets(packed, facts)
    return facts


def duplicates(packed: PackedCorpus) -> list[list[str]]:
    """Groups of clips that have the same sound, or the same first picture."""
    groups: dict[str, list[str]] = defaultdict(list)
    for r in packed.rows:
        sound = packed.mel[r.column : r.column + r.columns].tobytes()
        picture = packed.frames[r.start].tobytes()
        for kind, content in (("sound", sound), ("picture", picture)):
            groups[kind + hashlib.sha256(content).hexdigest()].append(r.clip)
    found = {tuple(clips) for clips in groups.values() if len(clips) > 1}
    return [list(clips) for clips in sorted(found)]


def _offsets(packed: PackedCorpus, facts: Facts) -> None:
    rows = [r for r in packed.rows if r.frames >= SHORTEST]
    lips = {r.clip: _lips(packed, r) for r in rows}
    bands = {r.clip: _bands(packed, r) for r in rows}
    curves: dict[str, NDArray[np.float64]] = {}
    for half in (0, 1):
        known = [r for r in rows if half_of(r.identity) != half]
        if not known:
            continue
        weights = fitted(((lips[r.clip], bands[r.clip]) for r in known), least=1e-9)
        for r in rows:
            if half_of(r.identity) == half:
                curves[r.clip] = _curve(lips[r.clip], bands[r.clip] @ weights)
    people: dict[str, list[ClipRow]] = defaultdict(list)
    for r in rows:
        if r.clip in curves:
            people[r.identity].append(r)
            offset, sure = clear_offset(curves[r.clip], r.frames)
            if sure:
                facts.offsets[offset] = facts.offsets.get(offset, 0) + 1
            else:
                facts.unsure += 1
    for identity, clips in people.items():
        frames = [r.frames for r in clips]
        pooled = np.average([curves[r.clip] for r in clips], axis=0, weights=frames)
        offset, sure = clear_offset(pooled, sum(frames))
        if sure:
            facts.by_identity[identity] = offset
    if curves:
        facts.agreement = float(np.mean([c[REACH] for c in curves.values()]))


def clear_offset(curve: NDArray[np.float64], frames: int) -> tuple[int, bool]:
    """The offset that a curve over shifts -REACH .. REACH shows, and whether it is sure."""
    offset = int(curve.argmax()) - REACH
    return offset, certainty(curve, frames) > needed(offset) and abs(offset) < REACH


def _lips(packed: PackedCorpus, row: ClipRow) -> NDArray[np.float64]:
    part = slice(row.start, row.start + row.frames)
    lips = packed.lips[part]
    if lips.shape[1] == 80:
        return measures_of(packed.opening[part], lips)
    # Other measures than the lip contours: the opening alone.
    alone = measures_of(packed.opening[part], np.zeros((row.frames, 80)))[:, :1]
    return np.repeat(alone, len(MEASURES), axis=1)


def _bands(packed: PackedCorpus, row: ClipRow) -> NDArray[np.float64]:
    """(T, BANDS (2 CONTEXT + 1)); silence beyond the clip."""
    bands = bands_of_mel(packed.clip_mel(row).astype(np.float64), row.frames)
    return with_context(np.pad(bands, ((CONTEXT, CONTEXT), (0, 0)), constant_values=SILENCE))


def _curve(lips: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation over the part in which both are known, for sound -REACH .. REACH frames late."""
    count = len(lips)
    out = np.zeros(2 * REACH + 1)
    for shift in range(-REACH, REACH + 1):
        low, high = max(0, -shift), min(count, count - shift)
        heard = expected[low + shift : high + shift]
        out[shift + REACH] = correlation(lips[low:high], heard, MEASURES)
    return out
