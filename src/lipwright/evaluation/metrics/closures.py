"""Closures: do lips close for p, b and m, and only there? Are they rounded where they should be?

The commonest complaint about generated lips. A mean error hides it, since a closure lasts three
frames. Phones are placed by a forced aligner on the sound that is heard (:mod:`phones`); the level
below which a mouth counts as closed is the real person's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.evaluation.metrics.base import ClipResult, Metric, MetricInfo, Side
from lipwright.evaluation.phones import Phone, phones_of, transcript_of
from lipwright.runs import runs_of

Array = NDArray[np.float64]

CLOSING = ("P", "B", "M")
NEARLY_CLOSING = ("F", "V")
"""These bring the lip to the teeth; a mouth that counts as closed there is no mistake."""
ROUNDED = ("W", "UW", "OW", "UH")
REACH = 0.08
"""A closure counts within two frames at 25 fps of the phone's middle, seconds."""
LEVEL = 0.2
"""A mouth is closed below this share of the way from rest to the 90 % quantile of openings."""
REST_SHARE, OPEN_SHARE = 20, 90
LEAST = 3
"""Fewer phones of a kind are not judged."""
FRAME = 1 / 25

_DEVIATIONS = (
    "p, b, m placed by PocketSphinx (American English; with a transcript beside the video, else of "
    "recognised words); closed: opening below 20 % of the way from the real person's resting mouth "
    "to the 90 % quantile, within 2 frames of the phone's middle"
)
HIT = MetricInfo(
    "closures",
    "closures",
    "this project: share of p, b, m at which the lips are closed",
    "own",
    "real",
    _DEVIATIONS,
    paired=False,
)
FALSE = MetricInfo(
    "closures_false",
    "false closures",
    "this project: closings of the lips per minute of speech at other sounds",
    "own",
    "real",
    "as closures; f, v and pauses are left out",
    "a minute",
    1,
    paired=False,
)
ROUNDING = MetricInfo(
    "rounding",
    "rounding",
    "this project: how much narrower the mouth is at w, u, o than in speech on average",
    "own",
    "real",
    "in standard deviations of the real person's mouth width",
    paired=False,
)


@dataclass(frozen=True)
class Mouth:
    """What the real person's mouth does in this clip.

    Attributes:
        closed: opening below which it is closed.
        spread: standard deviation of its width.
    """

    closed: float
    spread: float

    @classmethod
    def of(cls, opening: Array, width: Array) -> Mouth:
        """From (T,) openings and widths, NaN where unknown."""
        known = opening[np.isfinite(opening)]
        rest = float(np.median(known[known <= np.percentile(known, REST_SHARE)]))
        wide = float(np.percentile(known, OPEN_SHARE))
        return cls(rest + LEVEL * (wide - rest), float(np.nanstd(width)))


def closure_hits(times: Array, opening: Array, phones: list[Phone], closed: float) -> list[bool]:
    """Whether the lips are closed at every p, b, m at which the face is seen."""
    hits = []
    for phone in phones:
        if phone.name in CLOSING:
            near = opening[np.abs(times - phone.middle) <= REACH + 1e-6]
            if np.isfinite(near).any():
                hits.append(bool(np.nanmin(near) < closed))
    return hits


def false_closures(
    times: Array, opening: Array, phones: list[Phone], closed: float
) -> tuple[int, float]:
    """Closings at sounds that do not ask for them, and the seconds of speech that were looked at.

    Stretches of closed frames count once, if no frame of theirs is within reach of a p, b, m, f or
    v, or in a pause.
    """
    spoken = np.zeros(len(times), np.bool_)
    excused = np.zeros(len(times), np.bool_)
    for phone in phones:
        # Before and after a phone the lips are on their way.
        within = (times >= phone.start - REACH - 1e-6) & (times <= phone.end + REACH + 1e-6)
        if phone.name in (*CLOSING, *NEARLY_CLOSING, ""):
            excused |= within
        if phone.name:
            spoken |= (times >= phone.start) & (times < phone.end)
    shut = np.nan_to_num(opening, nan=np.inf) < closed
    count = sum(
        bool(spoken[a:b].all() and not excused[a:b].any()) for a, b in runs_of(shut).tolist()
    )
    step = float(np.median(np.diff(times))) if len(times) > 1 else FRAME
    return int(count), float((spoken & np.isfinite(opening)).sum() * step)


def rounding(times: Array, width: Array, phones: list[Phone], spread: float) -> float:
    """How much narrower the mouth is at rounded phones; NaN with fewer than ``LEAST`` of them."""
    at = []
    spoken = np.zeros(len(times), np.bool_)
    for phone in phones:
        if phone.name:
            spoken |= (times >= phone.start) & (times < phone.end)
        if phone.name in ROUNDED:
            near = width[np.abs(times - phone.middle) <= FRAME + 1e-6]
            if np.isfinite(near).any():
                at.append(float(np.nanmean(near)))
    if len(at) < LEAST or not spoken.any() or spread < 1e-9:
        return float("nan")
    return float((np.nanmean(width[spoken]) - np.mean(at)) / spread)


class Closures(Metric):
    """Closures, false closures and rounding of both sides, each with its own sound."""

    infos = (HIT, FALSE, ROUNDING)
    also = ("closures_count",)

    def finish(self, out: ClipResult) -> None:
        """Both sides."""
        real = self.clip.real
        if not np.isfinite(real.series.opening).any():
            return self._nothing(out)
        mouth = Mouth.of(real.series.opening, width_of(real))
        phones: list[Phone] = []
        for side, speech, values in self.sides_with_sound(out):
            if side is real or not same_sound(side, real):
                try:
                    phones = phones_of(speech, transcript_of(side.path))
                except LipwrightError as error:
                    if str(error) not in out.notes:
                        out.notes.append(str(error))
                    return self._nothing(out)
            values |= measured(side, phones, mouth)
        return None

    def _nothing(self, out: ClipResult) -> None:
        nothing = {info.name: float("nan") for info in self.infos}
        out.result |= nothing
        out.real |= nothing


def measured(side: Side, phones: list[Phone], mouth: Mouth) -> dict[str, float]:
    """The numbers of one video."""
    times, opening = side.series.times, side.series.opening
    hits = closure_hits(times, opening, phones, mouth.closed)
    wrong, seconds = false_closures(times, opening, phones, mouth.closed)
    return {
        HIT.name: float(np.mean(hits)) if len(hits) >= LEAST else float("nan"),
        "closures_count": float(len(hits)),
        FALSE.name: 60 * wrong / seconds if seconds > 1.0 else float("nan"),
        ROUNDING.name: rounding(times, width_of(side), phones, mouth.spread),
    }


def width_of(side: Side) -> Array:
    """(T,) distance of the corners of the mouth in parts of the crop's side; NaN without a face."""
    outer = side.series.lips[:, 20:]
    return np.asarray(np.linalg.norm(outer[:, 0] - outer[:, 10], axis=1))


def same_sound(a: Side, b: Side) -> bool:
    """Whether two videos have the same sound, codecs aside."""
    if a.speech is None or b.speech is None:
        return False
    n = min(len(a.speech), len(b.speech))
    if n < 1600 or max(len(a.speech), len(b.speech)) > 1.1 * n:
        return False
    x, y = a.speech[:n], b.speech[:n]
    return bool(x.std() > 0 and y.std() > 0 and np.corrcoef(x, y)[0, 1] > 0.9)
