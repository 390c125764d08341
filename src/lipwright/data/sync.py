"""Step ``sync``: does the sound go with these lips, and by how many frames is it late?

With a trained sync expert (``--expert RUN``) its mean cosine is taken at every shift of the sound;
with ``--lips`` the correlation with what the shipped speech network says lips do (see
:mod:`lipwright.data.sync_lips`); else that of lips and sound (:mod:`lipwright.data.predictor`). An
offset that is clear beyond doubt is corrected; short pieces say little by themselves and follow the
rest of their source, or stay as they are. Uncorrected offsets are what keeps most sync experts from
learning; the field's remedy is offset correction to within one frame (LatentSync, SyncNet).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright.data.predictor import (
    CONTEXT,
    bands_of,
    envelope_curve,
    half_of,
    lip_measures,
    predicted_curve,
)
from lipwright.data.rows import Row, StepContext, accepted_pieces
from lipwright.lip_agreement import REACH, SURE, certainty, needed

OFF = "sound out of step"
NOT_THIS_FACE = "lips and sound do not go together"
SOMEBODY_ELSE = "somebody else may be speaking"

TOLERANCE = 1
"""Offsets up to this many frames are left alone, unless they are very clear:"""
VERY_SURE, BETTER = 5.0, 0.02
"""with so much certainty, and a peak so much higher than the curve at 0."""
TOGETHER = 5
"""So many clips of a person are needed to speak for the others."""
EXPERT_SURE = 0.5
"""Certainty from which the expert's peak is believed; cosines move less than correlations."""
ENOUGH_FRAMES = 125
WEAK = {"envelope": 0.10, "correlation": 0.10, "lips": 0.10, "expert": 0.02}
"""A peak lower than this in so many frames means that these lips do not make this sound."""
PREDICTOR_FILE = "sync-predictor.npy"

Curve = NDArray[np.float64]


def sync(row: Row, work: StepContext) -> Row:
    """Give every piece its offset, confidence and verdict."""
    chosen = accepted_pieces(row)
    if not chosen:
        return row
    curves = {p["clip"]: _curve(row, p, work) for p in chosen}
    kind = judge_of(work)
    frames = np.array([p["frames"] for p in chosen])
    pooled = np.average([curves[p["clip"]] for p in chosen], axis=0, weights=frames)
    general = verdict(pooled, int(frames.sum()), kind)
    rivals = _rivals(chosen, curves)
    pieces = []
    for piece in row["pieces"]:
        if piece["clip"] in curves:
            curve = curves[piece["clip"]]
            own = verdict(curve, piece["frames"], kind)
            sure = own if own["sure"] else general
            judged = {
                **piece,
                "sync": kind if sure["sure"] else "unsure",
                "offset": sure["offset"] if sure["sure"] else 0,
                "confidence": own["confidence"],
                "agreement": own["peak"],
                "curve": [round(float(v), 3) for v in curve],
            }
            if piece["clip"] in rivals:
                judged["reason"] = SOMEBODY_ELSE
            else:
                judged["reason"] = _reason(judged, curve, work, kind)
            piece = judged
        pieces.append(piece)
    return {**row, "pieces": pieces}


def follow_identity(
    rows: list[Row], identity: Callable[[Row], str], work: StepContext
) -> list[Row]:
    """Bring pieces too short to tell into step with the other clips of the same person.

    Clips of one person mostly come from one channel, with one error. Where all of them together
    are sure (and at least ``TOGETHER``), their offset is taken for those that are not.
    """
    kind = judge_of(work)
    people: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        people[identity(row)] += [p for p in accepted_pieces(row) if "curve" in p]
    common: dict[str, int] = {}
    for name, pieces in people.items():
        if len(pieces) >= TOGETHER:
            frames = np.array([p["frames"] for p in pieces])
            pooled = np.average([p["curve"] for p in pieces], axis=0, weights=frames)
            predicted = verdict(pooled, int(frames.sum()), kind)
            if predicted["sure"] and 0 < abs(predicted["offset"]) <= work.settings.max_offset:
                common[name] = predicted["offset"]
    out = []
    for row in rows:
        offset = common.get(identity(row), 0)
        if offset:
            row = {**row, "pieces": [_moved(p, offset) for p in row["pieces"]]}
        out.append(row)
    return out


def _moved(piece: Row, offset: int) -> Row:
    if piece["reason"] or piece.get("sync") != "unsure":
        return piece
    return {**piece, "sync": "identity", "offset": offset}


def judge_of(work: StepContext) -> str:
    """Who judges.

    The ``expert``, the shipped speech network (``lips``), the fitted ``correlation``, or the
    loudness ``envelope``.
    """
    if work.expert:
        return "expert"
    if work.lips:
        return "lips"
    return "correlation" if (Path(work.folder) / PREDICTOR_FILE).is_file() else "envelope"


def verdict(curve: Curve, frames: int, kind: str = "correlation") -> dict[str, Any]:
    """What a curve over shifts says: offset in frames, confidence, and whether it is sure."""
    peak = float(curve.max())
    confidence = certainty(curve, frames)
    offset = int(curve.argmax()) - REACH
    # The envelope's own lead differs from voice to voice, so that it tells no single frames.
    clear = confidence > VERY_SURE and peak - float(curve[REACH]) > BETTER and kind != "envelope"
    if abs(offset) <= TOLERANCE and not clear:
        offset = 0
    threshold = EXPERT_SURE if kind == "expert" else needed(offset)
    sure = confidence > threshold and _inside(curve)
    return {
        "offset": offset,
        "confidence": round(confidence, 2),
        "peak": round(peak, 3),
        "sure": bool(sure),
    }


def _inside(curve: Curve) -> bool:
    """Whether the peak is a peak and not a slope that goes on beyond the shifts tried."""
    return 0 < int(curve.argmax()) < len(curve) - 1


def _reason(piece: Row, curve: Curve, work: StepContext, kind: str) -> str:
    if abs(piece["offset"]) > work.settings.max_offset:
        return f"{OFF}: by {piece['offset']} frames"
    if piece["frames"] >= ENOUGH_FRAMES and curve.max() - np.median(curve) < WEAK[kind]:
        return f"{NOT_THIS_FACE}: agreement {curve.max():.2f} at best"
    return ""


def _rivals(pieces: list[Row], curves: dict[str, Curve]) -> set[str]:
    """Clips that share most of their time with one that goes better with the sound.

    Where neither is sure, the larger face is kept.
    """
    out = set()
    for piece in pieces:
        for other in pieces:
            if other is piece or _shared(piece, other) < 0.5:
                continue
            ours, theirs = (_standing(p, curves[p["clip"]]) for p in (piece, other))
            if theirs > ours:
                out.add(str(piece["clip"]))
    return out


def _standing(piece: Row, curve: Curve) -> tuple[float, float, str]:
    sure = certainty(curve, piece["frames"])
    return (sure if sure > SURE else 0.0, float(piece["face_height"]), str(piece["clip"]))


def _shared(piece: Row, other: Row) -> float:
    """Share of a piece's time in which another one lasts too."""
    start, end = max(piece["first"], other["first"]), min(_end(piece), _end(other))
    return max(0, int(end - start)) / int(piece["frames"])


def _end(piece: Row) -> int:
    return int(piece["first"] + piece["frames"])


def _curve(row: Row, piece: Row, work: StepContext) -> Curve:
    if work.expert:
        from lipwright.data.sync_expert import expert_curve

        return expert_curve(row, piece, work)
    if work.lips:
        from lipwright.data.sync_lips import lips_curve

        return lips_curve(row, piece, work)
    lips = lip_measures(work, piece["clip"])
    bands = bands_of(work, row, piece, REACH + CONTEXT, REACH + CONTEXT)
    if judge_of(work) == "envelope":
        return envelope_curve(lips, bands)
    weights = _weights(Path(work.folder) / PREDICTOR_FILE)
    return predicted_curve(lips, bands, weights[half_of(str(row["name"]))])


@lru_cache(maxsize=1)
def _weights(path: Path) -> NDArray[np.float64]:
    return np.asarray(np.load(path))
