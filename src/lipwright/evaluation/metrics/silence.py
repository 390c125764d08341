"""Silence activity: does the mouth rest where nobody speaks?

Standard deviation over time of inner-lip gap over mouth width (methods.md calls it silence
activity; the paper's table 3 asks the question with digital silence). Frames count as silent where
the loudness within 0.3 s around lies 35 dB or more below the clip's loudest tenth; digital silence
is silent throughout.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipwright.evaluation.metrics.base import ClipResult, Metric, MetricInfo
from lipwright.evaluation.metrics.sound_power import power_around

INFO = MetricInfo(
    "silence_activity",
    "silence activity",
    "this project, after Gupta et al., WACV 2023, table 3",
    "own",
    "real",
    "standard deviation of lip gap over mouth width on silent frames (35 dB below the loudest "
    "tenth within 0.3 s, at least 10 frames)",
    digits=4,
    paired=False,
    protocols=("reconstruction", "unpaired", "silent"),
)
LEAST = 10
DROP = 10 ** (-35 / 20)
FLOOR = 1e-4
"""RMS under which sound is silence whatever the rest of the clip is (-80 dB)."""


def lip_gap(landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
    """(T, P, >=2) landmarks -> (T,) gap between the inner lips over the width of the mouth."""
    points = np.asarray(landmarks, np.float64)
    gap = np.linalg.norm(points[:, 13, :2] - points[:, 14, :2], axis=-1)
    corners = np.linalg.norm(points[:, 61, :2] - points[:, 291, :2], axis=-1)
    return np.asarray(gap / np.maximum(corners, 1e-9))


def silent_frames(
    wave: NDArray[np.float32], times: NDArray[np.float64], width: float = 0.3
) -> NDArray[np.bool_]:
    """(T,) True where the speech around a frame's time is silence; also beyond its end."""
    rms = np.sqrt(power_around(wave, times, width))
    loud = float(np.quantile(rms, 0.9)) if len(rms) else 0.0
    return np.asarray(rms <= max(FLOOR, loud * DROP))


def silence_activity(gap: NDArray[np.float64], silent: NDArray[np.bool_]) -> float:
    """Standard deviation of ``gap`` over silent known frames; NaN with fewer than 10."""
    x = gap[silent & np.isfinite(gap)]
    return float(x.std()) if len(x) >= LEAST else float("nan")


class SilenceActivity(Metric):
    """Activity of the mouth in silence, for both sides."""

    infos = (INFO,)

    def finish(self, out: ClipResult) -> None:
        """Both sides, each with its own sound."""
        for side, speech, values in self.sides_with_sound(out):
            silent = silent_frames(speech, side.series.times)
            value = silence_activity(lip_gap(side.series.landmarks), silent)
            values[INFO.name] = value
            if not np.isfinite(value):
                out.notes.append(
                    f"{side.path.name}: fewer than {LEAST} silent frames, no silence activity"
                )
