"""Does this file carry a Lipwright mark, and whose?

Two answers are given. The rule of Gupta et al. (WACV 2023), section 3.3: find the faces in every
frame, decode around each, and call it a match if at least half of the frames carry the string. And
one that goes further: the votes of all frames are summed before anything is decided, so that a mark
too faint to be read in any single frame is still found.

Two efforts are offered. ``full`` does all of that. ``quick`` reads in place until it is certain and
looks for no face unless it must search (``in_place``); it gives no number of frames with a face.

Both come with the probability that an unmarked file would be called marked (``significance``). The
paper's rule: a frame counts if the bits read from it differ from the id in so few places that
guessing would do as well in less than 1e-6 of all files. (The expected part of frames that match by
chance is the chance of one frame, however alike the frames are, so by Markov's inequality half of
them match with at most twice that probability.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lipwright.errors import LipwrightError
from lipwright.media.info import VideoInfo
from lipwright.provenance.watermark import search
from lipwright.provenance.watermark.alignment import Alignment, FloatBox
from lipwright.provenance.watermark.collect import (
    Collected,
    Picture,
    Sample,
    box_in_samples,
    collect,
    other_matrix,
)
from lipwright.provenance.watermark.grid import ID_BITS, bits_to_id, format_id, pilot_bits
from lipwright.provenance.watermark.in_place import InPlaceResult, Progress, Window, read_in_place
from lipwright.provenance.watermark.marker import FaceFinder, face_finder
from lipwright.provenance.watermark.reading import PLAIN, READINGS, WAYS
from lipwright.provenance.watermark.significance import FALSE_ALARM, Floats, Judge

if TYPE_CHECKING:
    from lipwright.faces.detector import Detection

Denominator = Literal["face", "total"]
Search = Literal["auto", "off"]
Effort = Literal["quick", "full"]

_MOST_SIZES = 2
_LARGEST_SCALE = 3.0
_FEWEST_PILOT_BITS = 8
_STAGES = 3  # in place, rescaled, moved: each may use a third of the accepted false alarms
_NEARLY = 0.8  # of the evidence has to be there before a place is refined
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


@dataclass(frozen=True)
class _Evidence:
    hypothesis: int
    region: int
    log10: float
    number: int | None  # of the id; None for the pilot alone


def detect_file(
    path: str | Path,
    mark_ids: Sequence[int],
    *,
    sizes: Sequence[tuple[int, int]] = (),
    find_faces: FaceFinder | None = None,
    faces: bool = True,
    mode: Search = "auto",
    denominator: Denominator = "face",
    effort: Effort = "full",
    progress: Progress | None = None,
) -> DetectionReport:
    """Look for a watermark in a video or picture.

    Args:
        path: the file.
        mark_ids: ids to look for. A mark with any other id is found by its pilot.
        sizes: (width, height) of originals that the file may be a scaled copy of.
        find_faces: finds the faces of the next frame; default the product's tracker.
        faces: False looks at whole frames only, without loading any network.
        mode: ``auto`` looks for cropped, zoomed, turned copies when there is nothing in place;
            ``off`` does not.
        denominator: see :class:`DetectionReport`.
        effort: ``quick`` or ``full``, see above.
        progress: called with the number of frames that were read, and of how many.

    Raises:
        LipwrightError: the file cannot be read.
    """
    ids = list(dict.fromkeys(mark_ids))
    if effort == "quick":
        return _quickly(path, ids, sizes, find_faces, faces, mode, denominator, progress)
    warnings: list[str] = []
    if faces and find_faces is None:
        try:
            find_faces = face_finder()
        except LipwrightError as error:
            warnings.append(f"Faces were not looked for: {error}")
    limit = math.log10(FALSE_ALARM / _STAGES)

    def places(info: VideoInfo, scales: list[search.Scale]) -> list[Alignment]:
        other = other_matrix(info)
        matrices = ("", other) if other else ("",)
        return [Alignment(*s, matrix=m) for m in matrices for s in scales]

    first = collect(
        path,
        lambda info: places(info, [(1.0, 1.0)]),
        READINGS,
        ids,
        find_faces=find_faces if faces else None,
        keep_samples=mode == "auto",
        progress=progress,
    )
    judge = Judge(ids)
    known = _scales_of(sizes, first.info)
    tried = 2.0 * len(first.sums) * (1 + len(known))  # regions, readings, matrices, scales
    evidence = _strongest(first, judge, [tried] * len(first.sums))
    collected, searched = first, False
    if known and not _is_settled(first, evidence, limit):
        scaled = collect(
            path,
            lambda info: places(info, known),
            READINGS,
            ids,
            known_faces=first.faces,
            progress=progress,
        )
        late = _strongest(scaled, judge, [tried] * len(scaled.sums))
        if late.log10 < evidence.log10:
            evidence, collected = late, scaled
    if mode == "auto" and not _is_settled(collected, evidence, limit):
        steps = list(dict.fromkeys([*known, *((z, z) for z in search.STEPS)]))
        grids = search.find_grid(first.samples, steps, judge)
        if grids.rescaled or grids.moved:
            counted = search.hypotheses(steps)
            late, second = _confirm(path, grids, counted, judge, known_faces=first.faces)
            if late.log10 <= min(limit, evidence.log10):
                evidence, collected, searched = late, second, True
    found = evidence.log10 <= limit
    if found and evidence.number is None:
        evidence, collected, own = _with_own_id(path, evidence, collected, ids)
    else:
        own = ids
    report = _report(path, collected, evidence, own, ids, denominator, found, searched)
    report.warnings.extend(warnings + first.warnings)
    return report


def _quickly(
    path: str | Path,
    ids: list[int],
    sizes: Sequence[tuple[int, int]],
    find_faces: FaceFinder | None,
    faces: bool,
    mode: Search,
    denominator: Denominator,
    progress: Progress | None,
) -> DetectionReport:
    """In place first; a search in a few frames only if that is not certain; then all of them."""
    judge = Judge(ids)
    limit = math.log10(FALSE_ALARM / _STAGES)

    def is_clear(window: Window) -> bool:
        return window.number is not None or not _unclear_bits(window.sums, window.counts)

    in_place = read_in_place(
        path, judge, limit, is_clear, keep_samples=mode == "auto", progress=progress
    )
    best = in_place.best
    settled = best is not None and best.log10 <= limit and is_clear(best)
    if mode == "auto" and not settled and in_place.samples:
        steps = [*_scales_of(sizes, in_place.info), *((z, z) for z in search.STEPS)]
        steps = list(dict.fromkeys(steps))
        samples, warnings = _with_faces(in_place, faces)
        region = 0 if any(s.faces for s in samples) else 1
        rescaled, moved = (math.log10(h * len(WAYS)) for h in search.hypotheses(steps))
        places = search.find_grid(samples, steps, judge, (region,), worth=-_NEARLY * moved)
        worth = search.Found(
            [c for c in places.rescaled if search.fit(c, samples, judge, WAYS) + rescaled <= 0],
            [c for c in places.moved if search.fit(c, samples, judge, WAYS) + moved <= 0],
        )
        in_place.warnings += warnings
        if worth.rescaled or worth.moved:
            finder = find_faces or (face_finder() if faces and region == 0 else None)
            late, second = _confirm(path, worth, search.hypotheses(steps), judge, finder=finder)
            if late.log10 <= limit and (best is None or late.log10 <= best.log10):
                own_ids = ids
                if late.number is None:
                    late, second, own_ids = _with_own_id(path, late, second, ids)
                report = _report(path, second, late, own_ids, ids, denominator, True, True)
                report.warnings.extend(in_place.warnings)
                return report
            return detect_file(  # something is there: worth the time of the full effort
                path,
                ids,
                sizes=sizes,
                find_faces=find_faces,
                faces=faces,
                mode=mode,
                denominator=denominator,
                progress=progress,
            )
    found = best is not None and best.log10 <= limit
    number = best.number if best and found else None
    own: int | None = ids[number] if number is not None else None
    unclear = 0
    if best is not None and found and number is None:
        unclear = _unclear_bits(best.sums, best.counts)
        own = bits_to_id(best.sums[:ID_BITS] > 0) if not unclear else None
    return DetectionReport(
        path=str(path),
        found=found,
        mark_id=format_id(own) if own is not None else None,
        known=own is not None and own in ids,
        false_alarm=min(1.0, 10.0**best.log10) if best else 1.0,
        frames=in_place.frames,
        frames_with_face=0,
        frames_matching=0,
        matches_half=False,
        denominator=denominator,
        region=("frame" if best.whole else "part") if best and found else None,
        alignment=best.alignment if best and found else None,
        searched=False,
        unclear_bits=unclear,
        warnings=list(in_place.warnings),
    )


def _with_faces(in_place: InPlaceResult, faces: bool) -> tuple[list[Sample], list[str]]:
    """The frames kept by a quick look, with their faces, and what was wrong."""
    found: list[list[FloatBox]] = [[] for _ in in_place.samples]
    warnings: list[str] = []
    if faces:
        from lipwright.faces.detector import FaceDetector

        try:
            for small_too in (False, True):  # the network for small faces only if it is needed
                detect = partial(
                    FaceDetector(full_range=small_too).detect,
                    effort="normal" if small_too else "quick",
                )
                found = [
                    _boxes(s.picture, detect(s.picture.image), in_place.info)
                    for s in in_place.samples
                ]
                if any(found):
                    break
        except LipwrightError as error:
            warnings.append(f"Faces were not looked for: {error}")
    samples = [Sample(s.half, boxes) for s, boxes in zip(in_place.samples, found, strict=True)]
    return samples, warnings


def _boxes(picture: Picture, found: list[Detection], info: VideoInfo) -> list[FloatBox]:
    """The faces of a small picture, in 2-pixel samples of the stored one."""
    boxes = []
    for face in found:
        x0, y0, x1, y1 = ((float(v) + 0.5) * picture.scale - 0.5 for v in face.box)
        boxes.append(box_in_samples(info, (x0, y0, x1, y1)))
    return [box for box in boxes if box]


def _is_settled(first: Collected, evidence: _Evidence, limit: float) -> bool:
    """Whether the id is known from what lies in place.

    In a zoomed copy the grid may lie in place by chance in one spot, enough to see the pilot there
    but not to read the id.
    """
    if evidence.log10 > limit:
        return False
    return evidence.number is not None or not _unclear_bits_of(first, evidence)


def _strongest(collected: Collected, judge: Judge, hypotheses: list[float]) -> _Evidence:
    """The hypothesis with the least probability of chance.

    ``hypotheses`` says for each row of ``collected.sums`` how many were tried to arrive at it.
    """
    flat = collected.sums.reshape(-1, collected.sums.shape[2])
    if not len(flat):
        return _Evidence(0, 0, 0.0, None)
    tried = np.repeat(np.log10(hypotheses), 2)
    values = judge(flat) + tried[:, None]
    row, column = (int(v) for v in np.unravel_index(int(values.argmin()), values.shape))
    number = judge.named(flat[row], column)
    return _Evidence(row // 2, row % 2, min(0.0, float(values[row, column])), number)


def _confirm(
    path: str | Path,
    places: search.Found,
    hypotheses: tuple[float, float],
    judge: Judge,
    *,
    known_faces: list[list[FloatBox]] | None = None,
    finder: FaceFinder | None = None,
) -> tuple[_Evidence, Collected]:
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
    return _strongest(second, judge, tried), second


def _with_own_id(
    path: str | Path, evidence: _Evidence, collected: Collected, mark_ids: list[int]
) -> tuple[_Evidence, Collected, list[int]]:
    """Where only the pilot was found: read the id from the sums, count frames that carry it."""
    if _unclear_bits_of(collected, evidence):
        return evidence, collected, mark_ids
    sums = collected.sums[evidence.hypothesis, evidence.region]
    own = [bits_to_id(sums[:ID_BITS] > 0)]
    place = collected.alignment(evidence.hypothesis)
    again = collect(path, lambda _: [place], PLAIN, own, known_faces=collected.faces)
    return _Evidence(0, evidence.region, evidence.log10, 0), again, own


def _report(
    path: str | Path,
    collected: Collected,
    evidence: _Evidence,
    mark_ids: list[int],
    known: list[int],
    denominator: Denominator,
    found: bool,
    searched: bool,
) -> DetectionReport:
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
        unclear_bits=_unclear_bits_of(collected, evidence) if found and mark_id is None else 0,
    )


def _unclear_bits_of(collected: Collected, evidence: _Evidence) -> int:
    return _unclear_bits(
        collected.sums[evidence.hypothesis, evidence.region],
        collected.counts[evidence.hypothesis // len(collected.readings), evidence.region],
    )


def _unclear_bits(sums: Floats, count: Floats) -> int:
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


def _scales_of(originals: Sequence[tuple[int, int]], info: VideoInfo) -> list[search.Scale]:
    """The most plausible scales that would make this file's size one of some others'.

    How long that takes must not depend on how many originals are known or how large they are.
    """
    scales = set()
    for width, height in set(originals):
        scale = (width / info.width, height / info.height)
        in_range = all(0.25 <= s <= _LARGEST_SCALE for s in scale)
        if scale != (1.0, 1.0) and in_range and 0.8 <= scale[0] / scale[1] <= 1.25:
            scales.add(scale)

    def distance(scale: search.Scale) -> float:
        x, y = math.log(scale[0]), math.log(scale[1])
        return abs(x + y) / 2 + 10 * abs(x - y)

    return sorted(scales, key=distance)[:_MOST_SIZES]


def _rounded_up(probability: float) -> str:
    exponent = math.ceil(math.log10(max(probability, 1e-99)) - 1e-9)
    return f"1e{exponent}" if exponent < 0 else "1"
