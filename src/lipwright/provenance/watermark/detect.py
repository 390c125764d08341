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
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lipwright.errors import LipwrightError
from lipwright.media.info import VideoInfo
from lipwright.provenance.watermark import search
from lipwright.provenance.watermark.alignment import Alignment, FloatBox
from lipwright.provenance.watermark.collect import (
    Picture,
    Sample,
    box_in_samples,
    collect,
    other_matrix,
)
from lipwright.provenance.watermark.detection_report import Denominator, DetectionReport, report_of
from lipwright.provenance.watermark.evidence import (
    confirm,
    is_settled,
    strongest,
    unclear_bits,
    with_own_id,
)
from lipwright.provenance.watermark.grid import ID_BITS, bits_to_id, format_id
from lipwright.provenance.watermark.in_place import InPlaceResult, Progress, Window, read_in_place
from lipwright.provenance.watermark.marker import FaceFinder, face_finder
from lipwright.provenance.watermark.reading import READINGS, WAYS
from lipwright.provenance.watermark.significance import FALSE_ALARM, Judge

if TYPE_CHECKING:
    from lipwright.faces.detector import Detection

Search = Literal["auto", "off"]
Effort = Literal["quick", "full"]

_MOST_SIZES = 2
_LARGEST_SCALE = 3.0
_STAGES = 3  # in place, rescaled, moved: each may use a third of the accepted false alarms
_NEARLY = 0.8  # of the evidence has to be there before a place is refined


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
    evidence = strongest(first, judge, [tried] * len(first.sums))
    collected, searched = first, False
    if known and not is_settled(first, evidence, limit):
        scaled = collect(
            path,
            lambda info: places(info, known),
            READINGS,
            ids,
            known_faces=first.faces,
            progress=progress,
        )
        late = strongest(scaled, judge, [tried] * len(scaled.sums))
        if late.log10 < evidence.log10:
            evidence, collected = late, scaled
    if mode == "auto" and not is_settled(collected, evidence, limit):
        steps = list(dict.fromkeys([*known, *((z, z) for z in search.STEPS)]))
        grids = search.find_grid(first.samples, steps, judge)
        if grids.rescaled or grids.moved:
            counted = search.hypotheses(steps)
            late, second = confirm(path, grids, counted, judge, known_faces=first.faces)
            if late.log10 <= min(limit, evidence.log10):
                evidence, collected, searched = late, second, True
    found = evidence.log10 <= limit
    if found and evidence.number is None:
        evidence, collected, own = with_own_id(path, evidence, collected, ids)
    else:
        own = ids
    report = report_of(path, collected, evidence, own, ids, denominator, found, searched)
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
        return window.number is not None or not unclear_bits(window.sums, window.counts)

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
            late, second = confirm(path, worth, search.hypotheses(steps), judge, finder=finder)
            if late.log10 <= limit and (best is None or late.log10 <= best.log10):
                own_ids = ids
                if late.number is None:
                    late, second, own_ids = with_own_id(path, late, second, ids)
                report = report_of(path, second, late, own_ids, ids, denominator, True, True)
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
        unclear = unclear_bits(best.sums, best.counts)
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
