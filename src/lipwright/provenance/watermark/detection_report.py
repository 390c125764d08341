"""What detection reports: whether a file carries a mark, whose, and how surely."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lipwright.provenance.watermark.alignment import Alignment
from lipwright.provenance.watermark.collect import Collected
from lipwright.provenance.watermark.evidence import (
    Evidence,
    unclear_bits_of,
)
from lipwright.provenance.watermark.grid import format_id

if TYPE_CHECKING:
    pass


Denominator = Literal["face", "total"]


_REGIONS: tuple[Literal["face", "frame"], ...] = ("face", "frame")


@dataclass(frozen=True)
class DetectionReport:
    """What was found in a file; ``to_json`` gives plain types.

    Attributes:
        path: the file.
        found: whether there is a Lipwright mark.
        mark_id: eight hexadecimal digits, None if none was found or its bits are not clear.
        known: whether that id is one of those that were looked for.
        false_alarm: bound on the probability that an unmarked file gives so much evidence.
        frames, frames_with_face: how many were looked at; 0 with a face where none was looked for.
        frames_matching: frames in which a face carries ``mark_id``.
        matches_half: the paper's rule: at least half of the frames carry it.
        denominator: half of which frames: ``face``, those with a face; ``total``, all.
        region: where the evidence was strongest: around a ``face``, in the whole ``frame``, or in
            some ``part`` of it.
        alignment: where the grid lies in this file.
        searched: whether a cropped or zoomed grid had to be looked for.
        unclear_bits: bits of the id that could not be read, of 32.
        warnings: what was wrong with the file.
    """

    path: str
    found: bool
    mark_id: str | None
    known: bool
    false_alarm: float
    frames: int
    frames_with_face: int
    frames_matching: int
    matches_half: bool
    denominator: Denominator
    region: Literal["face", "frame", "part"] | None
    alignment: Alignment | None
    searched: bool
    unclear_bits: int
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain types for ``json.dumps``."""
        return asdict(self)

    def sentence(self) -> str:
        """What was found, in one line for people."""
        if not self.found:
            return f"No Lipwright watermark was found in {self.path}."
        chance = f"a chance finding has a probability below {_rounded_up(self.false_alarm)}"
        if self.known:
            return f"{self.path} carries the watermark {self.mark_id}; {chance}."
        who = f"with the id {self.mark_id}" if self.mark_id else "whose id cannot be read"
        return f"{self.path} carries a Lipwright watermark {who}, unknown here; {chance}."


def report_of(
    path: str | Path,
    collected: Collected,
    evidence: Evidence,
    mark_ids: list[int],
    known: list[int],
    denominator: Denominator,
    found: bool,
    searched: bool,
) -> DetectionReport:
    """The report on a file whose votes were collected.

    Args:
        path: the file.
        collected: its votes.
        evidence: the strongest hypothesis.
        mark_ids: ids that ``evidence.number`` counts.
        known: ids that the user looked for.
        denominator: as in the report.
        found: as in the report.
        searched: as in the report.
    """
    mark_id, matching = None, 0
    if found and evidence.number is not None:
        mark_id = mark_ids[evidence.number]
        matching = int(collected.matches[evidence.hypothesis, evidence.number])
    elif collected.matches.size:
        matching = int(collected.matches.max())
    base = collected.frames_with_face if denominator == "face" else collected.frames
    return DetectionReport(
        path=str(path),
        found=found,
        mark_id=format_id(mark_id) if mark_id is not None else None,
        known=mark_id in known,
        false_alarm=min(1.0, 10.0**evidence.log10),
        frames=collected.frames,
        frames_with_face=collected.frames_with_face,
        frames_matching=matching,
        matches_half=base > 0 and 2 * matching >= base,
        denominator=denominator,
        region=_REGIONS[evidence.region] if found else None,
        alignment=collected.alignment(evidence.hypothesis) if found else None,
        searched=searched,
        unclear_bits=unclear_bits_of(collected, evidence) if found and mark_id is None else 0,
    )


def _rounded_up(probability: float) -> str:
    exponent = math.ceil(math.log10(max(probability, 1e-99)) - 1e-9)
    return f"1e{exponent}" if exponent < 0 else "1"
