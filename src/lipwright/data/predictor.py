"""A sync judge for when there is no expert yet: how the lips follow the sound, learnt on the spot.

The plainest judge correlates the mouth opening with the speech envelope. Vowels differ in loudness
and opening, so that its peak is broad. A ridge regression from 20 mel bands of nine frames to three
lip measures, fitted to the very corpus in preparation, is about twice as sharp. It is fitted twice:
once on everything as it is, and again with the shifts that the first fit is sure of. Each source is
judged by the fit of the *other* half of the sources, so that no piece votes for its own offset.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from lipwright.data.rows import Row, StepContext, accepted_pieces
from lipwright.data.sources import sound_of
from lipwright.lip_agreement import MEASURES, REACH, certainty, detrended, needed, standardised
from lipwright.media.mel import SILENCE, STEPS_PER_FRAME

Array = NDArray[np.float64]

BANDS = 20
CONTEXT = 4
RIDGE = 3e-3
LEAD = 1
"""Frames by which the mouth opens before the sound is loud; the envelope's curve peaks there."""
ENOUGH_FRAMES = 5000
"""Below this (half a corpus) the envelope judges: a regression would overfit to the few."""
PLENTY_FRAMES = 500_000
"""Above this (over five hours) more examples change nothing."""


def half_of(name: str) -> int:
    """Which half of a corpus a source or a person belongs to: 0 or 1."""
    return hashlib.sha256(name.encode()).digest()[0] % 2


def lip_measures(work: StepContext, clip: str) -> Array:
    """(T, 3) mouth opening, width and outer height of a clip, slow trend removed, unit variance."""
    with np.load(work.scratch / f"{clip}.npz") as stored:
        return measures_of(stored["opening"], stored["lips"])


def measures_of(opening: NDArray[np.floating], lips: NDArray[np.floating]) -> Array:
    """As :func:`lip_measures`, from mouth openings (T,) and lip contours (T, 80)."""
    opening = opening.astype(np.float64)
    points = lips.astype(np.float64).reshape(len(opening), -1, 2)
    # Outer ring: from the mouth's corner along the upper edge, then the lower one back.
    outer = points[:, 20:]
    width = np.linalg.norm(outer[:, 0] - outer[:, 10], axis=1)
    height = np.linalg.norm(outer[:, 5] - outer[:, 15], axis=1)
    return standardised(detrended(np.column_stack([opening, width, height])))


def bands_of(work: StepContext, row: Row, piece: Row, before: int, after: int) -> Array:
    """(before + T + after, BANDS) mel bands at 25 fps around a piece."""
    from lipwright.media.mel import mel_spectrogram

    frames = before + piece["frames"] + after
    wave = sound_of(work, row, piece["first"] - before, frames)
    return bands_of_mel(mel_spectrogram(wave), frames)


def bands_of_mel(mel: NDArray[np.floating], frames: int) -> Array:
    """(frames, BANDS) of log-mel (M, at least 4 columns a frame)."""
    grouped = mel[:, : STEPS_PER_FRAME * frames].reshape(BANDS, -1, frames, STEPS_PER_FRAME)
    return np.asarray(grouped.mean(axis=(1, 3)).T, np.float64)


def with_context(bands: Array) -> Array:
    """(T, BANDS) -> (T - 2 CONTEXT, BANDS (2 CONTEXT + 1)): neighbours beside each frame."""
    count = len(bands) - 2 * CONTEXT
    return np.concatenate([bands[i : i + count] for i in range(2 * CONTEXT + 1)], axis=1)


def envelope_curve(lips: Array, bands: Array) -> Array:
    """Correlation of the mouth opening with loudness, moved so that its own lead counts as 0.

    Args:
        lips: (T, 3) as :func:`lip_measures` gives them.
        bands: (T + 2 (REACH + CONTEXT), BANDS).

    Returns:
        (2 REACH + 1,) for sound that comes so many frames late: -REACH .. REACH.
    """
    loud = (np.maximum(bands[:, 1:16], SILENCE)).mean(axis=1)
    margin = CONTEXT + LEAD
    inner = loud[margin : margin + len(lips) + 2 * REACH]
    return shifted_correlation(lips[:, :1], inner[:, None], (1.0,))


def predicted_curve(lips: Array, bands: Array, weights: Array) -> Array:
    """Correlation of the lips with what a fit expects them to be; else as the envelope's curve."""
    return shifted_correlation(lips, with_context(bands) @ weights, MEASURES)


def shifted_correlation(lips: Array, expected: Array, weights: Iterable[float]) -> Array:
    """Weighted correlation of (T, K) lips with (T + 2 REACH, K) expectations at every shift."""
    count = len(lips)
    out = np.zeros(2 * REACH + 1)
    for shift in range(2 * REACH + 1):
        part = standardised(detrended(expected[shift : shift + count]))
        out[shift] = sum(w * float((lips[:, k] * part[:, k]).mean()) for k, w in enumerate(weights))
    return out


def fit(rows: Iterable[Row], work: StepContext) -> Array | None:
    """Fit both halves of a corpus on all pieces that nothing speaks against.

    Returns:
        (2, BANDS (2 CONTEXT + 1), MEASURES); None for too small a corpus.
    """
    pieces = []
    gathered = 0
    for row in rows:
        for piece in accepted_pieces(row) if gathered < PLENTY_FRAMES else ():
            gathered += piece["frames"]
            margin = REACH + CONTEXT
            bands = bands_of(work, row, piece, margin, margin)
            pieces.append((half_of(str(row["name"])), lip_measures(work, piece["clip"]), bands))
    lengths = [sum(len(lips) for half, lips, _ in pieces if half == h) for h in (0, 1)]
    if min(lengths) < ENOUGH_FRAMES:
        return None
    shifts = [0] * len(pieces)
    weights = np.zeros((2, BANDS * (2 * CONTEXT + 1), len(MEASURES)))
    for _ in range(2):
        for half in (0, 1):
            chosen = [i for i, piece in enumerate(pieces) if piece[0] != half]
            weights[half] = _ridge([(*pieces[i][1:], shifts[i]) for i in chosen])
        for i, (half, lips, bands) in enumerate(pieces):
            curve = predicted_curve(lips, bands, weights[half])
            shift = int(curve.argmax()) - REACH
            shifts[i] = shift if certainty(curve, len(lips)) > needed(shift) else 0
    return weights


def _ridge(pieces: list[tuple[Array, Array, int]]) -> Array:
    """Weights that predict lips from bands which are late by a shift."""
    return fitted(
        (lips, with_context(bands)[REACH + shift : REACH + shift + len(lips)])
        for lips, bands, shift in pieces
    )


def fitted(clips: Iterable[tuple[Array, Array]], least: float = 0.0) -> Array:
    """Ridge regression from sound to lips, (BANDS (2 CONTEXT + 1), MEASURES).

    Args:
        clips: lips (T, MEASURES) and the bands about each frame (T, BANDS (2 CONTEXT + 1)).
        least: strength of the ridge beside what the sound's power makes it.
    """
    left: Array = np.zeros((BANDS * (2 * CONTEXT + 1),) * 2)
    right: Array = np.zeros((len(left), len(MEASURES)))
    for lips, bands in clips:
        near = bands - bands.mean(axis=0)
        left += near.T @ near
        right += near.T @ lips
    left += (RIDGE * np.trace(left) / len(left) + least) * np.eye(len(left))
    return np.asarray(np.linalg.solve(left, right))
