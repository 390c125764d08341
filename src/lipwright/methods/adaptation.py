"""How one person articulates: a correction of predicted lip motion, fitted in closed form.

A speech network knows people in general. A few seconds in which a person is seen and heard say how
far this mouth opens, what its corners and protrusion do with which sound, and where it is between
words. The correction is a ridge regression *towards the general model*: from what the general model
says of seven neighbouring frames (its last outputs, K numbers each) to what it missed, so that
without evidence nothing changes, and with more evidence more may. Then the opening is stretched to
the spread of the openings that were seen, as a regression by itself mumbles.

Hoerl and Kennard, "Ridge Regression" (Technometrics 1970); the prior mean is the general model
instead of zero. docs/experiments.md compares other spaces for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lipwright.media.mel import STEPS_PER_FRAME

Array = NDArray[np.float64]

NEIGHBOURS = 3
"""Frames at 25 fps on either side that the correction sees."""
PRIOR_FRAMES = 130.0
"""The general model counts like so many frames of this person's own speech, for inputs of unit
variance: chosen on halves of clips of held-out people."""
LEVEL_PRIOR_FRAMES = 25.0
"""The same for where the mouth is on average."""
FOLDS = 4
"""Blocks of time, each predicted from the others, that say how well the correction generalises."""
MIXING = 1.4
"""The opening is stretched by so much more, as mixing reference frames takes it away again."""
GAIN_RANGE = (0.5, 3.0)
"""The spread of the opening is matched by a factor within these bounds."""


@dataclass(frozen=True)
class Adaptation:
    """``x -> level + gain (x + (neighbours of x - mean) weights - centre)``, see :meth:`apply`.

    Attributes:
        mean: (F,) of the neighbourhoods in the person's own speech, F = (2 NEIGHBOURS + 1) K.
        weights: (F, K).
        bias: (K,) what the general model misses on average.
        centre: (K,) mean of the corrected motion, about which the gain works.
        gain: (K,) 1 but for the opening.
    """

    mean: Array
    weights: Array
    bias: Array
    centre: Array
    gain: Array

    def apply(self, motions: NDArray[np.floating]) -> NDArray[np.float32]:
        """(K, T) general motions, 100 columns a second -> this person's."""
        general = np.asarray(motions, np.float64).T
        corrected = general + (neighbourhoods(general, STEPS_PER_FRAME) - self.mean) @ self.weights
        corrected += self.bias
        adapted = self.centre + self.gain * (corrected - self.centre)
        return np.ascontiguousarray(adapted.T, np.float32)


def neighbourhoods(motions: Array, step: int = 1) -> Array:
    """(T, K) -> (T, (2 NEIGHBOURS + 1) K): the rows ``step`` apart; the ends are repeated."""
    reach, count = NEIGHBOURS * step, len(motions)
    padded = np.pad(motions, ((reach, reach), (0, 0)), mode="edge")
    parts = [padded[i : i + count] for i in range(0, 2 * reach + 1, step)]
    return np.concatenate(parts, axis=1)


def ridge(inputs: Array, targets: Array, strength: float) -> Array:
    """(F, K) weights w of least ``|inputs w - targets|^2 + strength |w|^2``.

    Args:
        inputs: (N, F), centred.
        targets: (N, K), centred.
        strength: > 0.
    """
    square = inputs.T @ inputs + strength * np.eye(inputs.shape[1])
    return np.asarray(np.linalg.solve(square, inputs.T @ targets))


def fit_adaptation(inputs: Array, general: Array, measured: Array) -> tuple[Adaptation, Array]:
    """Fit to one person.

    Args:
        inputs: (N, F) neighbourhoods of what the general model says, see :func:`neighbourhoods`.
        general: (N, K) what it says of the frames themselves.
        measured: (N, K) what the lips did there.

    Returns:
        The adaptation, and (N, K) what such fits say of the frames that they did not see.
    """
    held_out = np.empty_like(general)
    edges = np.linspace(0, len(general), FOLDS + 1).round().astype(int)
    for start, stop in pairwise(edges):
        rest = np.r_[0:start, stop : len(general)]
        mean, weights, bias = _correction(inputs[rest], general[rest], measured[rest])
        held_out[start:stop] = general[start:stop] + (inputs[start:stop] - mean) @ weights + bias
    mean, weights, bias = _correction(inputs, general, measured)
    gain = np.ones(general.shape[1])
    # Only where it generalises: what was fitted to the very frames varies as they do.
    ratio = float(measured[:, 0].std()) / max(float(held_out[:, 0].std()), 1e-6)
    gain[0] = np.clip(MIXING * ratio, *GAIN_RANGE)
    centre = general.mean(axis=0) + bias
    return Adaptation(mean, weights, bias, centre, gain), held_out


def _correction(inputs: Array, general: Array, measured: Array) -> tuple[Array, Array, Array]:
    missed = measured - general
    mean, usual = inputs.mean(axis=0), missed.mean(axis=0)
    weights = ridge(inputs - mean, missed - usual, PRIOR_FRAMES)
    count = len(general)
    return mean, weights, usual * (count / (count + LEVEL_PRIOR_FRAMES))
