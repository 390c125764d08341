"""Sync by an expert that was trained here, or by Wav2Lip's published one: *not* LSE.

The same bookkeeping as LSE (31 shifts), but on another network with unit-length embeddings, so the
scales have nothing in common and the names are kept apart: expert offset, expert cosine at shift 0,
expert confidence (best minus median cosine, over the shifts whose speech lies inside the clip; no
padding enters), and accuracy on 50/50 pairs of matching and shifted windows, which is what table 5
of Gupta et al. (WACV 2023) reports.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.evaluation.metrics.base import ClipResult, Metric, MetricInfo, features_of_one_clip
from lipwright.evaluation.sampling import aligned_25

SHIFT = 15
_SOURCE = "this project, after Gupta et al., WACV 2023, section 3.1"
_NEEDS = ("expert",)
COSINE = MetricInfo(
    "expert_cosine",
    "expert cosine",
    _SOURCE,
    "own",
    "real",
    "mean cosine at shift 0 under the expert named in the result",
    digits=3,
    needs=_NEEDS,
    paired=False,
    protocols=("reconstruction", "unpaired", "noise"),
)
OFFSET = MetricInfo(
    "expert_offset",
    "expert offset",
    _SOURCE,
    "own",
    "low",
    "shift of the best mean cosine, absolute",
    "frames",
    1,
    _NEEDS,
    False,
)
ACCURACY = MetricInfo(
    "expert_accuracy",
    "expert accuracy",
    _SOURCE,
    "own",
    "real",
    "50/50 pairs, threshold 0.5, negatives at least 5 frames away in the same clip",
    digits=3,
    needs=_NEEDS,
    paired=False,
)


@dataclass(frozen=True)
class ExpertScore:
    """Result for one clip: offset in frames (negative: speech lags), cosine at shift 0,
    confidence, and (31,) mean cosine per shift (NaN where no window overlaps).
    """

    offset: int
    cosine: float
    confidence: float
    means: NDArray[np.float64]


def cosine_table(visual: NDArray[np.floating], speech: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N, D) and (N, D) -> (N, N): cosine of visual window i and speech window j."""
    v, s = features_of_one_clip(visual, speech)
    v = v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-6)
    s = s / np.maximum(np.linalg.norm(s, axis=1, keepdims=True), 1e-6)
    return np.asarray(v @ s.T)


def expert_score(visual: NDArray[np.floating], speech: NDArray[np.floating]) -> ExpertScore:
    """Offset, cosine and confidence of one clip's features (N, D)."""
    table = cosine_table(visual, speech)
    n = len(table)
    means = np.array(
        [np.diagonal(table, v).mean() if abs(v) < n else np.nan for v in range(-SHIFT, SHIFT + 1)]
    )
    order = sorted(
        range(2 * SHIFT + 1), key=lambda k: (-np.nan_to_num(means[k], nan=-9.0), abs(k - SHIFT))
    )
    best = order[0]
    confidence = float(means[best] - np.nanmedian(means))
    return ExpertScore(SHIFT - best, float(means[SHIFT]), confidence, means)


def pair_accuracy(
    visual: NDArray[np.floating],
    speech: NDArray[np.floating],
    least: int = 5,
    threshold: float = 0.5,
    seed: int = 0,
    over: int = 1,
) -> float:
    """Accuracy over every position once with its own speech and once with another's.

    ``over`` consecutive windows are judged together, by their mean cosine. NaN when the clip has no
    position ``least`` frames away from another.
    """
    table = cosine_table(visual, speech)
    n = max(0, len(table) - over + 1)
    if over > 1:
        table = np.mean([table[k : k + n, k : k + n] for k in range(over)], axis=0)
    rng = np.random.default_rng(seed)
    right: list[bool] = []
    for i in range(n):
        far = np.flatnonzero(np.abs(np.arange(n) - i) >= least)
        if len(far):
            right += [table[i, i] > threshold, table[i, int(rng.choice(far))] <= threshold]
    return float(np.mean(right)) if right else float("nan")


class ExpertSync(Metric):
    """What a sync expert says about both sides, each with its own sound."""

    infos = (COSINE, OFFSET, ACCURACY)

    def finish(self, out: ClipResult) -> None:
        """Judge both videos."""
        from lipwright.evaluation.experts import expert_features

        expert = self.clip.networks.loaded["expert"]
        for side, speech, values in self.sides_with_sound(out):
            crops = aligned_25(side.path, side.series, expert.size)
            try:
                features = expert_features(expert, crops, expert.speech_input(speech))
            except LipwrightError as error:
                out.notes.append(f"{side.path.name}: {error}")
                continue
            score = expert_score(*features)
            values |= {
                COSINE.name: score.cosine,
                OFFSET.name: float(abs(score.offset)),
                ACCURACY.name: pair_accuracy(*features),
            }
