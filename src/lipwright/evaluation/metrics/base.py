"""What every metric says about itself, and the checks that all of them share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError

if TYPE_CHECKING:
    from lipwright.evaluation.bootstrap import Estimate
    from lipwright.evaluation.faces import FaceSeries
    from lipwright.evaluation.networks import Networks
    from lipwright.evaluation.sampling import Matched

Features = dict[str, NDArray[np.float32]]
Fidelity = Literal["exact", "adapted", "own"]
"""``exact``: the published definition; ``adapted``: with the deviations named; ``own``: ours."""
Protocol = Literal["reconstruction", "unpaired", "silent", "noise"]
Better = Literal["high", "low", "real"]
"""``real``: best where it equals the value of the real videos, which a table always shows."""


@dataclass(frozen=True)
class MetricInfo:
    """The identity card of a number in a table.

    Attributes:
        name: key in results, for example ``lse_c``.
        title: column head.
        source: paper or code that defines it.
        fidelity: see :data:`Fidelity`.
        deviations: in words; empty only for ``exact``.
        better: whether high or low values are good, or those near the real video's; see
            :data:`Better`.
        unit: of the value.
        digits: decimals that are worth printing.
        needs: names of the published networks without which it is left out.
        paired: it compares with the real video, so the real video itself has no value.
        protocols: the evaluation protocols that report it.
        aim: the best value, where that is a number and not the value of the real video.
    """

    name: str
    title: str
    source: str
    fidelity: Fidelity
    better: Better
    deviations: str = ""
    unit: str = ""
    digits: int = 2
    needs: tuple[str, ...] = ()
    paired: bool = True
    protocols: tuple[Protocol, ...] = ("reconstruction", "unpaired")
    aim: float | None = None

    def card(self) -> dict[str, Any]:
        """As plain data for the result file."""
        return asdict(self)


@dataclass(frozen=True)
class Side:
    """One of the two videos of a clip.

    Attributes:
        path: the file.
        series: its face.
    """

    path: Path
    series: FaceSeries

    @cached_property
    def speech(self) -> NDArray[np.float32] | None:
        """(n,) sound at 16 kHz in [-1, 1]; None without sound."""
        from lipwright.media.audio import load_speech

        try:
            return load_speech(self.path)
        except LipwrightError:
            return None


@dataclass(frozen=True)
class ClipPair:
    """What a metric may look at.

    Attributes:
        result: the result.
        real: the real video.
        partner: (T,) for each real frame the frame of the result, -1 without one.
        names: the numbers that are wanted.
        networks: those that were given.
        front: front end of SyncNet, ``tracked`` or ``whole``.
    """

    result: Side
    real: Side
    partner: NDArray[np.int64]
    names: frozenset[str]
    networks: Networks
    front: str = "tracked"

    def matched(self, values: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """A property of the series (``opening``, ``lips``) of result and real on matched frames."""
        both = self.partner >= 0
        real = getattr(self.real.series, values)[both]
        return getattr(self.result.series, values)[self.partner[both]], real


@dataclass(frozen=True)
class Moment:
    """A pair of crops of one moment, and its place in the clip.

    Attributes:
        crops: ``crops.real`` and ``crops.result``, (S, S, 3) uint8 RGB, aligned alike by the real
            face.
        after_gap: the frame before it was left out (no face, no partner).
        times_at_25: how often the frame occurs where the clip is seen at 25 frames a second.
    """

    crops: Matched
    after_gap: bool
    times_at_25: int


@dataclass
class ClipResult:
    """What one clip gave.

    Attributes:
        result: metric values of the result by name.
        real: those of the real video that exist without a partner.
        features: ``NAME.real`` and ``NAME.result``, (N, D) each, for numbers of a set of clips.
        frames: frames compared.
        notes: what limits the numbers, one sentence each.
    """

    result: dict[str, float] = field(default_factory=dict)
    real: dict[str, float] = field(default_factory=dict)
    features: Features = field(default_factory=dict)
    frames: int = 0
    notes: list[str] = field(default_factory=list)

    def without_sound(self, side: Side) -> None:
        """Note, once, that a video has no sound."""
        note = f"{side.path.name}: no sound, so its sync was not measured"
        if note not in self.notes:
            self.notes.append(note)


class Metric:
    """One measure of one clip: made, given the moments of the clip in order, asked for its values.

    A new metric is a subclass in a file of its own and a line in the list of :mod:`catalogue`.

    Attributes:
        infos: the numbers that it gives, each with its identity card.
        also: further values of a clip that have no row in tables.
        every: :meth:`add` is called for moments 0, ``every``, 2 ``every`` and so on of a clip.
    """

    infos: ClassVar[tuple[MetricInfo, ...]]
    also: ClassVar[tuple[str, ...]] = ()
    every: ClassVar[int] = 1

    def __init__(self, clip: ClipPair) -> None:
        """Begin a clip."""
        self.clip = clip

    def add(self, moment: Moment) -> None:
        """The next moment; metrics of landmarks or sound need none."""

    def finish(self, out: ClipResult) -> None:
        """Write values, features and notes of the whole clip."""

    def sides_with_sound(
        self, out: ClipResult
    ) -> Iterator[tuple[Side, NDArray[np.float32], dict[str, float]]]:
        """The real and the resulting video, as far as they have sound: side, sound, its values.

        Of a video without sound there is a note.
        """
        for side, values in ((self.clip.real, out.real), (self.clip.result, out.result)):
            if side.speech is not None:
                yield side, side.speech, values
            else:
                out.without_sound(side)

    @classmethod
    def over_clips(
        cls, names: Sequence[str], features: Mapping[str, list[NDArray[np.float32]]]
    ) -> tuple[dict[str, Estimate], list[str]]:
        """Numbers that exist for a set of clips only, and notes.

        Args:
            names: the numbers that are wanted.
            features: those of all clips by name.
        """
        return {}, []


class MeanMetric(Metric):
    """A metric whose value is the mean of one number a moment; NaN is left out."""

    def __init__(self, clip: ClipPair) -> None:
        super().__init__(clip)
        self.values: list[float] = []

    def add(self, moment: Moment) -> None:
        """Measure the moment."""
        self.values.append(self.value(moment))

    def value(self, moment: Moment) -> float:
        """The number of one moment."""
        raise NotImplementedError

    def finish(self, out: ClipResult) -> None:
        """Mean over the moments."""
        out.result[self.infos[0].name] = mean(self.values)


def mean(values: Sequence[float]) -> float:
    """Mean of what is finite; NaN where nothing is."""
    known = [v for v in values if np.isfinite(v)]
    return float(np.mean(known)) if known else float("nan")


def same_images(a: NDArray[Any], b: NDArray[Any]) -> None:
    """Check two pictures or stacks of pictures before they are compared.

    Raises:
        LipwrightError: other shapes, no pixels, or values that are not finite.
    """
    if a.shape != b.shape:
        raise LipwrightError(
            f"pictures of {a.shape} and {b.shape} cannot be compared; bring both to one size."
        )
    if a.size == 0:
        raise LipwrightError("there are no pixels to compare; check that both videos show a face.")
    for x in (a, b):
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            raise LipwrightError("a picture holds values that are not finite; repair the input.")


def features_of_one_clip(
    visual: NDArray[Any], speech: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features (N, D) of a clip's pictures and of its sound as float64.

    Raises:
        LipwrightError: other shapes, no rows, or values that are not finite.
    """
    v = finite_features(visual, "the visual features")
    s = finite_features(speech, "the speech features")
    if v.shape != s.shape:
        raise LipwrightError(f"features of {v.shape} and {s.shape} do not belong to one clip.")
    return v, s


def finite_features(x: NDArray[Any], what: str, least: int = 1) -> NDArray[np.float64]:
    """(N, D) features as float64.

    Raises:
        LipwrightError: another shape, fewer than ``least`` rows, or values that are not finite.
    """
    y = np.asarray(x, np.float64)
    if y.ndim != 2:
        raise LipwrightError(f"{what} must be a table of features (N, D), not {y.shape}.")
    if len(y) < least:
        raise LipwrightError(f"{what} has {len(y)} rows where at least {least} are needed.")
    if not np.isfinite(y).all():
        raise LipwrightError(f"{what} holds features that are not finite; repair the input.")
    return y
