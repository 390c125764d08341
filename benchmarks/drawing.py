r"""How well a method draws the lip motion that it is given: what is lost behind the speech network.

    python benchmarks/drawing.py --labels CORPUS/clips.csv --clips 10

Clips of held-out people are dubbed with their own speech by the whole pipeline, but the lip motion
is the one that was measured in the clip itself (``--motion true``) or the predicted one
(``--motion predicted``). The result is measured beside the clip: correlations (opening, also with
the clip's own sound brought into step, first three components, all eight), spread of the opening,
mean distance of 40 lip points in percent of the face, closings as in ``speech_motion.py``, and
PSNR, SSIM, lip colour and flicker as in ``quality.py``. The target motion is what the method is to
draw, at rest where nobody speaks; ``drawn beside target`` is the drawing's own faithfulness.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from copy import copy
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.job import DubOptions, dub
from lipwright.evaluation.faces import watch
from lipwright.evaluation.metrics.closures import Mouth
from lipwright.evaluation.mouth import lip_distance, spread_ratio
from lipwright.faces.tracker import FaceTracker
from lipwright.media import voice_activity
from lipwright.media.audio import SAMPLE_RATE, load_speech
from lipwright.media.mel import HOP, column_at
from lipwright.methods.articulation import stretched, unstretched
from lipwright.methods.registry import load_method
from lipwright.methods.vq import VQMethod
from quality import (
    agreement_of,
    choose,
    lip_motions,
    motion_correlations,
    pixels,
    shifted_correlation,
    sound_late,
)
from speech_motion import closings

COLUMNS = (
    ("opening r", "opening", "{:.3f}"),
    ("in step", "in_step", "{:.3f}"),
    ("first three r", "three", "{:.3f}"),
    ("eight r", "eight", "{:.3f}"),
    ("target: opening r", "target_opening", "{:.3f}"),
    ("in step", "target_in_step", "{:.3f}"),
    ("first three r", "target_three", "{:.3f}"),
    ("eight r", "target_eight", "{:.3f}"),
    ("drawn beside target: opening r", "kept_opening", "{:.3f}"),
    ("first three r", "kept_three", "{:.3f}"),
    ("eight r", "kept_eight", "{:.3f}"),
    ("target: spread", "target_spread", "{:.2f}"),
    ("spread", "spread", "{:.2f}"),
    ("mean opening", "mean", "{:.2f}"),
    ("LMD, %", "lmd", "{:.2f}"),
    ("PSNR", "psnr", "{:.1f}"),
    ("SSIM", "ssim", "{:.3f}"),
    ("lip colour", "lip_colour", "{:.1f}"),
    ("flicker", "flicker", "{:.2f}"),
)
Array = NDArray[np.float64]


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--set", default="demo,people", help="values of the column 'set'")
    parser.add_argument("--clips", type=int, default=0, help="at most so many (0: all)")
    parser.add_argument("--files", nargs="+", help="these clips of the labels, of any split")
    parser.add_argument("--seconds", type=float, default=6.0, help="dub the beginning only")
    parser.add_argument("--motion", choices=("true", "predicted"), default="true")
    parser.add_argument("--weights", default=None)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--enhance", default="none", help="stage 2, as in lipwright dub")
    parser.add_argument("-o", "--out", type=Path, help="keep videos and figures here")
    args = parser.parse_args()
    if args.files:
        clips = [args.labels.parent / file for file in args.files]
    else:
        clips = list(choose(args.labels, args.set.split(","), 1, args.clips))
    method = load_method("vq", weights=args.weights, backend=args.backend)
    assert isinstance(method, VQMethod)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, clip in enumerate(clips):
        with tempfile.TemporaryDirectory() as scratch:
            result = (args.out or Path(scratch)) / f"{number:02d}.mp4"
            options = DubOptions(
                length="video",
                manifest=False,
                crf=16,
                adapt="off",
                enhance=args.enhance,
                end=Fraction(args.seconds),
            )
            rows.append({"clip": clip.name} | judged(clip, result, method, args.motion, options))
        print(json.dumps(rows[-1]), flush=True)
    if args.out:
        (args.out / "drawing.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print(f"{method.model_id}, {args.motion} motion\n{table(rows)}")


def judged(
    clip: Path, result: Path, method: VQMethod, motion: str, options: DubOptions
) -> dict[str, Any]:
    """Dub one clip into ``result``, and measure that."""
    tracker = FaceTracker()
    series, wave = watch(clip, tracker), load_speech(clip)
    real = lip_motions(series, series)
    if motion == "true":
        method = given(method, real, series.times)
    lead = voice_activity.lead_of(method.info.whole_speech)
    speaking = voice_activity.detect(wave, SAMPLE_RATE, lead).activity(series.times)
    target = target_motions(method, wave, series.times) * speaking[:, None]
    dub(clip, clip, result, options, method=method)
    drawn_series = watch(result, tracker)
    drawn = lip_motions(drawn_series, series)
    n = min(len(drawn), len(real))
    keep = np.isfinite(drawn[:n]).all(axis=1) & np.isfinite(real[:n]).all(axis=1)
    a, b, c = drawn[:n][keep], real[:n][keep], target[:n][keep]
    closed = Mouth.of(real[np.isfinite(real[:, 0]), 0], np.ones(1)).closed
    late = sound_late(agreement_of(clip, series, wave))
    out = {
        "late": late,
        "in_step": shifted_correlation(drawn[:n, 0], real[:n, 0], series.times[:n], late),
        "target_in_step": shifted_correlation(target[:n, 0], real[:n, 0], series.times[:n], late),
        "frames": int(keep.sum()),
        **motion_correlations(a, b),
        **prefixed("target_", motion_correlations(c, b)),
        **prefixed("kept_", motion_correlations(a, c)),
        "target_spread": spread_ratio(c[:, 0], b[:, 0]),
        "spread": spread_ratio(a[:, 0], b[:, 0]),
        "mean": float(a[:, 0].mean() / b[:, 0].mean()),
        "lmd": lip_distance(drawn_series.lips[:n][keep], series.lips[:n][keep]),
    }
    out |= closings(b[:, 0], a[:, 0], closed)
    shown = pixels(clip, result, series, drawn_series, n)
    return out | {name.removeprefix("ours."): value for name, value in shown.items()}


def prefixed(prefix: str, values: dict[str, float]) -> dict[str, float]:
    """The same under longer names."""
    return {prefix + name: value for name, value in values.items()}


def target_motions(
    method: VQMethod, wave: NDArray[np.float32], times: NDArray[np.floating]
) -> Array:
    """(N, K) motions that the method is to draw at these times."""
    features = stretched(method.speech_features(wave).T, method.articulation)
    columns = np.minimum([column_at(Fraction(float(t))) for t in times], len(features) - 1)
    return features[columns].astype(np.float64)


def given(method: VQMethod, motions: Array, times: NDArray[np.floating]) -> VQMethod:
    """The method, but its speech network says these (N, K) motions at these times."""
    known = np.isfinite(motions).all(axis=1)
    columns = np.arange(round(float(times[-1]) * SAMPLE_RATE / HOP) + 8) * HOP / SAMPLE_RATE
    wanted = np.stack([np.interp(columns, times[known], m) for m in motions[known].T])
    features = unstretched(wanted.T, method.articulation).T
    made = copy(method)
    made.speech_features = lambda wave: np.ascontiguousarray(features)  # type: ignore[method-assign]
    return made


def table(rows: list[dict[str, Any]]) -> str:
    """Means over clips; closings of all clips together."""
    heads = [head for head, _, _ in COLUMNS] + ["closings hit", "false a minute"]
    cells = [form.format(np.nanmean([r[name] for r in rows])) for _, name, form in COLUMNS]
    total = {k: sum(r[k] for r in rows) for k in ("inner", "inner_hit", "inner_false", "frames")}
    cells.append(f"{total['inner_hit'] / max(total['inner'], 1):.2f} of {total['inner']:.0f}")
    cells.append(f"{total['inner_false'] / max(total['frames'] / 25 / 60, 1e-9):.1f}")
    lines = (heads, ["---"] * len(heads), cells)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
