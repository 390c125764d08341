"""Sync by lips: do the lips go with the sound, measured without a sync network?

The shipped speech network says what lips do with the sound that is heard; that is correlated with
what the lips in the video do, at every shift of the sound (:mod:`lipwright.lip_agreement`). Unlike
LSE it sees landmarks only: it cannot be fooled by texture, and cannot see teeth or tongue. A dub
that was made by the same speech network agrees with it by construction, so a value above that of
the real video is no merit; compare with the real video's own.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lipwright.evaluation.metrics.base import ClipResult, Metric, MetricInfo, Side
from lipwright.lip_agreement import (
    Agreement,
    agreement,
    agreement_curve,
    rows_around,
    steady,
)
from lipwright.lip_motion import NeutralMouth
from lipwright.media.mel import MODEL_FPS
from lipwright.methods.base import predicted_motion

if TYPE_CHECKING:
    from lipwright.methods.base import Method

SOURCE = "this project: correlation of predicted and measured lip motion over shifts of the sound"
LIP_SYNC = MetricInfo(
    "lip_sync_r",
    "lip sync r",
    SOURCE,
    "own",
    "real",
    "at the peak within 15 frames; opening 0.6, first two components of the lip shape 0.2 each; "
    "the predictor is the speech network of the shipped default, so that its own dubs score above "
    "real videos",
    paired=False,
    protocols=("reconstruction", "unpaired", "noise"),
)
LIP_SYNC_OFFSET = MetricInfo(
    "lip_sync_offset",
    "lip sync offset",
    SOURCE,
    "own",
    "low",
    "absolute value; the sign is in the per-clip results as lip_sync_lag (positive: the sound is "
    "late), how sure it is as lip_sync_certainty (from 2.5 on it can be believed)",
    "frames",
    1,
    paired=False,
    protocols=("reconstruction", "unpaired", "noise"),
)


@cache
def predictor() -> Method:
    """The shipped default method, whose speech network predicts."""
    from lipwright.methods.registry import load_method

    return load_method("vq", "cpu")


def lips_of(side: Side) -> tuple[int, NDArray[np.float64]]:
    """Measured lip motion of a video at 25 fps: number of the first frame, (T, K) with NaN."""
    series, space = side.series, predictor().motions
    assert space is not None
    seen = series.found & np.isfinite(series.opening)
    if not seen.any():
        return 0, np.zeros((0, space.dim))
    openings, shapes = series.opening[seen], series.lips[seen]
    motions = space.encode(openings, shapes, NeutralMouth.of(openings, shapes))
    return steady(series.times[seen], motions.astype(np.float64), MODEL_FPS)


def lip_agreement(side: Side) -> Agreement | None:
    """How lips and sound of a video agree; None without sound or with too few frames."""
    if side.speech is None:
        return None
    first, measured = lips_of(side)
    predicted = predicted_motion(predictor(), side.speech)
    # Before and behind the sound there is none.
    around = rows_around(predicted, first, len(measured), np.nan)
    curve = agreement_curve(measured, around)
    if np.isnan(curve).all():
        return None
    return agreement(curve, int(np.isfinite(measured[:, 0]).sum()))


class LipSync(Metric):
    """Predicted against measured lip motion, for both sides with their own sound."""

    infos = (LIP_SYNC, LIP_SYNC_OFFSET)
    also = ("lip_sync_lag", "lip_sync_certainty")

    def finish(self, out: ClipResult) -> None:
        """Both sides."""
        for side, _, values in self.sides_with_sound(out):
            found = lip_agreement(side)
            if found is None:
                values |= {info.name: float("nan") for info in self.infos}
                continue
            values |= {
                LIP_SYNC.name: found.peak,
                LIP_SYNC_OFFSET.name: float(abs(found.offset)),
                "lip_sync_lag": float(found.offset),
                "lip_sync_certainty": found.certainty,
            }
