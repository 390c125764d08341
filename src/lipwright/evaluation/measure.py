"""All numbers of one clip: the result against the real video, and the real video by itself."""

from __future__ import annotations

from pathlib import Path

from lipwright.errors import LipwrightError
from lipwright.evaluation.faces import watch
from lipwright.evaluation.metrics.base import ClipPair, ClipResult, Moment, Side
from lipwright.evaluation.metrics.catalogue import CATALOGUE, metrics_for
from lipwright.evaluation.networks import Networks
from lipwright.evaluation.sampling import at_25, match_times, matched_crops
from lipwright.faces.tracker import FaceTracker

__all__ = ["ClipResult", "measure_clip"]


def measure_clip(
    result: Path,
    real: Path,
    names: list[str],
    networks: Networks,
    front: str = "tracked",
    tracker: FaceTracker | None = None,
) -> ClipResult:
    """Measure one pair of videos, in one pass over both.

    Args:
        result: the result.
        real: the real video.
        names: numbers that are wanted; those whose networks are absent are left out.
        networks: those that are given.
        front: SyncNet's front end, ``tracked`` or ``whole``.
        tracker: a tracker to be used again.

    Raises:
        LipwrightError: unreadable, no face in one of them, different sizes, no common time.
    """
    tracker = tracker or FaceTracker()
    theirs, ours = watch(real, tracker), watch(result, tracker)
    partner = match_times(theirs.times, ours.times)
    if not (partner >= 0).any():
        raise LipwrightError(
            f"{result} and {real} share no moment; check that they belong together."
        )
    wanted = frozenset(n for n in names if networks.has(CATALOGUE[n].needs))
    clip = ClipPair(Side(result, ours), Side(real, theirs), partner, wanted, networks, front)
    metrics = [kind(clip) for kind in metrics_for(wanted)]
    out = ClipResult()
    grid = at_25(theirs.times)
    last = -1
    for crops in matched_crops(real, result, theirs, partner):
        moment = Moment(crops, crops.index != last + 1, int((grid == crops.index).sum()))
        last = crops.index
        for metric in metrics:
            if out.frames % metric.every == 0:
                metric.add(moment)
        out.frames += 1
    for metric in metrics:
        metric.finish(out)
    kept = wanted.union(*(metric.also for metric in metrics))
    for values in (out.real, out.result):
        for name in [n for n in values if n not in kept]:
            del values[name]
    return out
