"""What the votes of a file say of one hypothesis, and of the bits of an id that is not known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lipwright.provenance.watermark import search
from lipwright.provenance.watermark.alignment import FloatBox
from lipwright.provenance.watermark.collect import (
    Collected,
    collect,
)
from lipwright.provenance.watermark.grid import ID_BITS, bits_to_id, pilot_bits
from lipwright.provenance.watermark.marker import FaceFinder
from lipwright.provenance.watermark.reading import PLAIN, WAYS
from lipwright.provenance.watermark.significance import Floats, Judge

if TYPE_CHECKING:
    pass


_FEWEST_PILOT_BITS = 8


@dataclass(frozen=True)
class Evidence:
    """The hypothesis that the votes of a file support most.

    Attributes:
        hypothesis: its row in the sums of the collected votes.
        region: 0 around the faces, 1 in whole frames.
        log10: bound on the probability of chance, at most 0.
        number: of the id among those looked for; None for the pilot alone.
    """

    hypothesis: int
    region: int
    log10: float
    number: int | None


def is_settled(first: Collected, evidence: Evidence, limit: float) -> bool:
    """Whether the id is known from what lies in place.

    In a zoomed copy the grid may lie in place by chance in one spot, enough to see the pilot there
    but not to read the id.
    """
    if evidence.log10 > limit:
        return False
    return evidence.number is not None or not unclear_bits_of(first, evidence)


def strongest(collected: Collected, judge: Judge, hypotheses: list[float]) -> Evidence:
    """The hypothesis with the least probability of chance.

    ``hypotheses`` says for each row of ``collected.sums`` how many were tried to arrive at it.
    """
    flat = collected.sums.reshape(-1, collected.sums.shape[2])
    if not len(flat):
        return Evidence(0, 0, 0.0, None)
    tried = np.repeat(np.log10(hypotheses), 2)
    values = judge(flat) + tried[:, None]
    row, column = (int(v) for v in np.unravel_index(int(values.argmin()), values.shape))
    number = judge.named(flat[row], column)
    return Evidence(row // 2, row % 2, min(0.0, float(values[row, column])), number)


def confirm(
    path: str | Path,
    places: search.Found,
    hypotheses: tuple[float, float],
    judge: Judge,
    *,
    known_faces: list[list[FloatBox]] | None = None,
    finder: FaceFinder | None = None,
) -> tuple[Evidence, Collected]:
    """Read the whole file again at the places that a search proposed, of which there is one."""
    candidates = [*places.rescaled, *places.moved]
    tried = [hypotheses[0]] * len(places.rescaled) + [hypotheses[1]] * len(places.moved)
    alignments = [c.alignment for c in candidates]
    second = collect(
        path,
        lambda _: alignments,
        WAYS,
        judge.mark_ids,
        find_faces=finder,
        known_faces=known_faces,
    )
    tried = [t * len(WAYS) for t in tried for _ in WAYS]
    return strongest(second, judge, tried), second


def with_own_id(
    path: str | Path, evidence: Evidence, collected: Collected, mark_ids: list[int]
) -> tuple[Evidence, Collected, list[int]]:
    """Where only the pilot was found: read the id from the sums, count frames that carry it."""
    if unclear_bits_of(collected, evidence):
        return evidence, collected, mark_ids
    sums = collected.sums[evidence.hypothesis, evidence.region]
    own = [bits_to_id(sums[:ID_BITS] > 0)]
    place = collected.alignment(evidence.hypothesis)
    again = collect(path, lambda _: [place], PLAIN, own, known_faces=collected.faces)
    return Evidence(0, evidence.region, evidence.log10, 0), again, own


def unclear_bits_of(collected: Collected, evidence: Evidence) -> int:
    """The unclear bits of the id at the place that the evidence names, of ID_BITS."""
    return unclear_bits(
        collected.sums[evidence.hypothesis, evidence.region],
        collected.counts[evidence.hypothesis // len(collected.readings), evidence.region],
    )


def unclear_bits(sums: Floats, count: Floats) -> int:
    """Bits of an id that is not known beforehand which more likely than 1 in 1000 are wrong.

    The pilot shows how much votes scatter in this file, because its bits are known.
    """
    right = sums[ID_BITS:] * (pilot_bits() * 2.0 - 1.0)
    seen = count[ID_BITS:] > 0
    if seen.sum() < _FEWEST_PILOT_BITS:
        return ID_BITS
    right, weight = right[seen], count[ID_BITS:][seen]
    mean = right.sum() / weight.sum()
    scatter = np.sqrt((((right - mean * weight) ** 2) / weight).mean())
    return int((np.abs(sums[:ID_BITS]) <= 3.1 * scatter * np.sqrt(count[:ID_BITS])).sum())
