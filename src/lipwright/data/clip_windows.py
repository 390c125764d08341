"""The sampler of clip windows: which frames of which clip are targets, and which are references.

Every training stage draws its examples here, whatever tensors it makes of them afterwards. Three
rules hold for each example, at every window length:

* a reference of the same clip is at least ``min_distance`` frames from *every* target frame, so
  that no network can learn to copy the target (Gupta et al., WACV 2023, section 3.1, take frames
  of other moments; docs/methods/vq.md has the distance);
* a mismatched window (the negative of a sync expert) starts at least ``min_offset`` frames away;
* clips that are too short for the two rules are left out and counted, never used with a weaker
  rule.

All randomness comes from the generator that is passed in, so that a step is a function of its seed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lipwright.data.packed import ClipRow, row_weights
from lipwright.errors import LipwrightError

log = logging.getLogger("lipwright.train")

Frames = NDArray[np.int64]
"""Frame numbers, of a clip or of the corpus."""


@dataclass(frozen=True)
class ReferenceRule:
    """Which frames may serve as references of a window.

    Attributes:
        count: references of an example; a batch may have fewer, see ``min_count``.
        min_distance: least distance in frames between any target and any reference of the same
            clip; 0 lets a target be its own reference.
        other_clip: probability that the references come from another clip of the same identity,
            where there is one.
        order: ``random`` frames, a ``window`` of consecutive ones, or one frame of each of
            ``count`` quantiles of mouth ``opening``.
        min_count: each batch draws its number of references from ``min_count`` to ``count``; 0
            means ``count``. Not for ``window``.
    """

    count: int = 1
    min_distance: int = 0
    other_clip: float = 0.0
    order: Literal["random", "window", "opening"] = "random"
    min_count: int = 0

    def batch_count(self, rng: np.random.Generator) -> int:
        """The number of references of one batch."""
        lowest = min(self.min_count or self.count, self.count)
        return self.count if lowest == self.count else int(rng.integers(lowest, self.count + 1))

    @property
    def room(self) -> int:
        """Frames that must lie on one side of a window of targets for its references."""
        if not self.count:
            return 0
        span = self.count if self.order == "window" else 1
        return self.min_distance + span - 1 if self.min_distance else 0

    def allowed(self, targets: Frames, frames: int) -> NDArray[np.bool_]:
        """(frames,) which frames of the targets' own clip may be references."""
        out = np.ones(frames, bool)
        if self.min_distance:
            # A frame is near when one of the targets is: mark the stretch about each of them.
            for t in targets:
                out[max(0, t - self.min_distance + 1) : t + self.min_distance] = False
        return out


@dataclass(frozen=True)
class ClipWindow:
    """One example.

    Attributes:
        row: the clip.
        times: (T,) target frames of the clip; beyond its end the last frame again.
        valid: (T,) which of them exist.
        reference_row: the clip of the references, of the same identity.
        references: (R,) frames of that clip.
        mismatched: first frame of a mismatched window of the same clip, or -1 without one.
        group: examples with equal numbers show different moments of one clip.
    """

    row: ClipRow
    times: Frames
    valid: NDArray[np.bool_]
    reference_row: ClipRow
    references: Frames
    mismatched: int = -1
    group: int = 0

    @property
    def first(self) -> int:
        """The first target frame of the clip."""
        return int(self.times[0])

    @property
    def frames(self) -> Frames:
        """(T,) target frames of the corpus."""
        return self.row.start + self.times

    @property
    def reference_frames(self) -> Frames:
        """(R,) reference frames of the corpus."""
        return self.reference_row.start + self.references


@dataclass(frozen=True)
class WindowBatch:
    """B examples of T targets and R references each."""

    windows: Sequence[ClipWindow]

    def __len__(self) -> int:
        return len(self.windows)

    def __iter__(self) -> Iterator[ClipWindow]:
        return iter(self.windows)

    @property
    def frames(self) -> Frames:
        """(B, T) target frames of the corpus."""
        return np.stack([w.frames for w in self.windows])

    @property
    def reference_frames(self) -> Frames:
        """(B, R) reference frames of the corpus."""
        return np.stack([w.reference_frames for w in self.windows])

    @property
    def pairs(self) -> NDArray[np.bool_]:
        """(B, B) whether window i and the speech of window j are a pair to learn from.

        True on the diagonal (a matching pair), and for two moments of one clip (a mismatched one).
        """
        group = np.array([w.group for w in self.windows])
        return np.asarray(group[:, None] == group[None, :])


class ClipWindows:
    """Draws windows of clips.

    Args:
        rows: the clips to draw from, as a rule those of a split.
        length: target frames T of a window.
        references: how references are chosen; ``ReferenceRule(count=0)`` for none.
        min_length: clips of at least so many frames are used though they are shorter than
            ``length``; their windows repeat the last frame. Default ``length``.
        before: frames that a clip must have before the window (an example frame, for instance).
        scattered: the targets lie anywhere in the clip instead of in a row.
        min_offset: least distance in frames between the starts of a window and of a mismatched one;
            0 for no mismatched windows.
        balance: 0 draws every frame alike, 1 every identity.
        opening: (N,) mouth opening of all frames of the corpus, for ``order="opening"``.

    Attributes:
        rows: the clips that are long enough.
        left_out: how many were not.
        needed: frames that a clip must have.

    Raises:
        LipwrightError: no clip is long enough.
    """

    def __init__(
        self,
        rows: Sequence[ClipRow],
        length: int,
        references: ReferenceRule = ReferenceRule(count=0),
        *,
        min_length: int | None = None,
        before: int = 0,
        scattered: bool = False,
        min_offset: int = 0,
        balance: float = 0.5,
        opening: NDArray[np.float32] | None = None,
    ) -> None:
        if scattered and (references.order == "window" or min_offset):
            raise ValueError("scattered targets have single references and no mismatched window")
        if references.order == "opening" and opening is None:
            raise ValueError("references by opening need the openings")
        self.length, self.references = length, references
        self.before, self.scattered, self.min_offset = before, scattered, min_offset
        self.opening = opening
        self._room = max(references.room, min_offset)
        shortest = length if min_length is None else min(length, min_length)
        if scattered:
            # The worst case: every target forbids as many frames as it can, and one is left.
            self.needed = shortest * max(2 * references.min_distance - 1, 1) + (self._room > 0)
        else:
            self.needed = before + shortest + self._room
        if references.order == "window":
            self.needed = max(self.needed, references.count)
        self._everybody = list(rows)
        self.rows = [r for r in rows if r.frames >= self.needed]
        self.left_out = len(rows) - len(self.rows)
        if not self.rows:
            raise LipwrightError(
                f"none of {len(rows)} clips has the {self.needed} frames that a window of {length} "
                f"frames needs{self._because()}; use longer clips or a shorter window."
            )
        if self.left_out:
            log.info(
                "%d of %d clips are left out: shorter than the %d frames that a window needs%s",
                self.left_out,
                len(rows),
                self.needed,
                self._because(),
            )
        self.weights = row_weights(self.rows, balance)

    def _because(self) -> str:
        """What the frames beside the window are needed for."""
        reasons = []
        if self.references.count and self.references.min_distance:
            reasons.append(f"references {self.references.min_distance} frames away")
        if self.min_offset:
            reasons.append(f"another window {self.min_offset} frames away")
        return f" with {' and '.join(reasons)}" if reasons else ""

    def draw(self, rng: np.random.Generator, count: int) -> WindowBatch:
        """``count`` examples with equally many references."""
        references = self.references.batch_count(rng)
        return WindowBatch([self.one(rng, references=references) for _ in range(count)])

    def one(
        self,
        rng: np.random.Generator,
        *,
        length: int | None = None,
        references: int | None = None,
        among: Callable[[ClipRow], NDArray[np.bool_]] | None = None,
    ) -> ClipWindow:
        """One example.

        Args:
            rng: where all randomness comes from.
            length: frames of this window, where it is not that of the sampler.
            references: number of references, where it is not ``references.count``.
            among: (frames,) of a clip: which frames its window should start at; ignored for a clip
                where the rules allow none of them.
        """
        row = self.rows[int(rng.choice(len(self.rows), p=self.weights))]
        length = length or self.length
        count = self.references.count if references is None else references
        if self.scattered:
            valid = np.arange(length) < row.frames
            chosen = np.sort(rng.permutation(row.frames)[:length])
            times = np.append(chosen, np.repeat(chosen[-1:], length - len(chosen)))
        else:
            present = min(length, row.frames - self.before - self._room)
            starts = self._starts(row, present)
            if among is not None:
                wanted = starts[among(row)[starts]]
                starts = wanted if len(wanted) else starts
            first = int(rng.choice(starts))
            valid = np.arange(length) < present
            times = first + np.minimum(np.arange(length), present - 1)
        source, chosen = self._references(rng, row, times, count)
        mismatched = self._mismatched(rng, row, int(times[0]), int(valid.sum()))
        return ClipWindow(row, times.astype(np.int64), valid, source, chosen, mismatched)

    def _starts(self, row: ClipRow, length: int) -> Frames:
        """First frames whose window leaves room for references and mismatched windows."""
        starts = np.arange(self.before, row.frames - length + 1)
        far = (starts - self.before >= self._room) | (starts <= row.frames - length - self._room)
        return starts[far]

    def _references(
        self, rng: np.random.Generator, row: ClipRow, targets: Frames, count: int
    ) -> tuple[ClipRow, Frames]:
        """The clip of the references, and their frames."""
        rule = self.references
        if not count:
            return row, np.zeros(0, np.int64)
        source = row
        if rule.other_clip > 0 and rng.random() < rule.other_clip:
            others = [
                r for r in self._everybody if r.identity == row.identity and r.clip != row.clip
            ]
            if rule.order == "window":
                others = [r for r in others if r.frames >= count]
            source = others[int(rng.integers(len(others)))] if others else row
        allowed = np.ones(source.frames, bool)
        if source is row:
            allowed = rule.allowed(targets, row.frames)
        return source, self._choose(rng, source, allowed, count)

    def _choose(
        self, rng: np.random.Generator, row: ClipRow, allowed: NDArray[np.bool_], count: int
    ) -> Frames:
        """``count`` of the allowed frames of a clip, by the rule's order."""
        if self.references.order == "window":
            # A window starts where it and the next count - 1 frames are allowed.
            inside = np.convolve(allowed, np.ones(count, int), "valid") == count
            first = int(rng.choice(np.flatnonzero(inside)))
            return np.arange(first, first + count)
        frames = np.flatnonzero(allowed)
        if self.references.order == "random":
            return np.sort(rng.choice(frames, count, replace=len(frames) < count))
        assert self.opening is not None
        order = frames[np.argsort(self.opening[row.start + frames], kind="stable")]
        bins = np.array_split(order, count) if len(order) >= count else [order] * count
        return np.array([int(rng.choice(b)) for b in bins])

    def _mismatched(self, rng: np.random.Generator, row: ClipRow, first: int, length: int) -> int:
        """Start of another window, ``min_offset`` or more frames away."""
        if not self.min_offset:
            return -1
        starts = np.arange(self.before, row.frames - length + 1)
        return int(rng.choice(starts[np.abs(starts - first) >= self.min_offset]))

    def draw_groups(self, rng: np.random.Generator, count: int, group: int) -> WindowBatch:
        """``count`` windows, up to ``group`` moments of one clip side by side, without references.

        Drawn like this every window is one matching pair and, with the speech of the clip's other
        moments, several mismatched ones: one voice in one room, which only the lips tell apart
        (Chung et al., "Perfect Match", ICASSP 2019). Two moments of a clip start at least
        ``min_offset`` frames apart; short clips give fewer.
        """
        out: list[ClipWindow] = []
        number = 0
        while len(out) < count:
            row = self.rows[int(rng.choice(len(self.rows), p=self.weights))]
            last = row.frames - self.length - self.before
            starts = spread_starts(rng, last, max(1, self.min_offset), group)
            for start in starts[: count - len(out)]:
                times = self.before + start + np.arange(self.length)
                valid = np.ones(self.length, bool)
                none = np.zeros(0, np.int64)
                out.append(ClipWindow(row, times, valid, row, none, group=number))
            number += 1
        return WindowBatch(out)


def spread_starts(
    rng: np.random.Generator, last: int, min_distance: int, max_count: int
) -> list[int]:
    """Up to ``max_count`` numbers of 0 .. last at random, ``min_distance`` or more apart."""
    count = min(max_count, last // min_distance + 1)
    slack = last - (count - 1) * min_distance
    free = np.sort(rng.integers(0, slack + 1, count))
    return [int(v) for v in free + min_distance * np.arange(count)]
