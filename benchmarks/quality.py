"""The quality table: what a method does to videos of people that it never saw.

Every clip is dubbed three times by the whole pipeline, codec included: with its own speech, with
the next clip's speech, and with silence. Rows: the real video, a copy of the source frames, the
method. See docs/evaluation.md for what the columns mean.

    python benchmarks/quality.py --labels CORPUS/clips.csv --set demo,people -o quality/

The labels are a CSV with the columns file, identity, split and, for --set, set; only rows of split
``val`` are used.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import wave as wavefile
from pathlib import Path
from typing import Any

import numpy as np

from lipwright.dubbing.job import DubOptions, dub
from lipwright.evaluation.faces import FaceSeries, crop_transforms, crops, watch
from lipwright.evaluation.mouth import (
    best_lag,
    correlation,
    lip_distance,
    speech_envelope,
    spread_ratio,
)
from lipwright.evaluation.pixels import colour_difference, flicker, lip_colour, psnr, ssim
from lipwright.faces.tracker import FaceTracker
from lipwright.media.audio import SAMPLE_RATE, load_speech
from lipwright.methods.registry import load_method
from lipwright.training.losses.reconstruction import MOUTH_BOX

SIZE = 128


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--set", default="demo,people", help="values of the column 'set'")
    parser.add_argument("--clips", type=int, default=0, help="at most so many (0: all)")
    parser.add_argument("--per-identity", type=int, default=2)
    parser.add_argument("--method", default="vq")
    parser.add_argument("--weights", default=None)
    parser.add_argument("-o", "--out", type=Path, default=Path("quality"))
    parser.add_argument("--keep", action="store_true", help="keep the dubbed videos")
    args = parser.parse_args()
    clips = choose(args.labels, args.set.split(","), args.per_identity, args.clips)
    args.out.mkdir(parents=True, exist_ok=True)
    method = load_method(args.method, weights=args.weights)
    tracker = FaceTracker()
    rows: list[dict[str, Any]] = []
    sources = {clip: watch(clip, tracker) for clip in clips}
    waves = {clip: load_speech(clip) for clip in clips}
    order = list(clips)
    for n, clip in enumerate(order):
        other = order[(n + 1) % len(order)]
        with tempfile.TemporaryDirectory() as scratch:
            folder = args.out if args.keep else Path(scratch)
            silence = Path(scratch) / "silence.wav"
            write_silence(silence, float(sources[clip].times[-1]) + 0.1)
            results = {}
            for kind, speech in (("own", clip), ("foreign", other), ("silent", silence)):
                out = folder / f"{n:02d}-{kind}.mp4"
                options = DubOptions(length="video", manifest=False, crf=16)
                dub(clip, speech, out, options, method=method)
                results[kind] = out
            row = {"clip": clip.name, "identity": clips[clip]}
            row |= measure(clip, sources[clip], waves[clip], waves[other], results, tracker)
        rows.append(row)
        print(json.dumps(row), flush=True)
    table = summarise(rows)
    content = {"model": method.model_id, "clips": rows, "table": table}
    (args.out / "quality.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    text = markdown(table)
    (args.out / "quality.md").write_text(text, encoding="utf-8")
    print(f"{method.model_id}, {len(rows)} clips, {len(set(clips.values()))} identities\n{text}")


def choose(labels: Path, sets: list[str], per_identity: int, most: int) -> dict[Path, str]:
    """Validation clips and their identities, at most ``per_identity`` each, in file order."""
    found: dict[Path, str] = {}
    count: dict[str, int] = {}
    with labels.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["split"] != "val" or row.get("set", "") not in sets:
                continue
            count[row["identity"]] = count.get(row["identity"], 0) + 1
            if count[row["identity"]] <= per_identity:
                found[labels.parent / row["file"]] = row["identity"]
    return dict(list(found.items())[: most or None])


def write_silence(path: Path, seconds: float) -> None:
    """Digital silence as a WAV file."""
    with wavefile.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(bytes(2 * round(seconds * SAMPLE_RATE)))


def measure(
    clip: Path,
    source: FaceSeries,
    wave: np.ndarray,
    foreign_wave: np.ndarray,
    results: dict[str, Path],
    tracker: FaceTracker,
) -> dict[str, Any]:
    """All numbers of one clip: ``real.*`` of the source video, ``ours.*`` of the method."""
    series = {kind: watch(path, tracker) for kind, path in results.items()}
    n = min(len(source.times), *(len(s.times) for s in series.values()))
    times = source.times[:n]
    real = source.opening[:n]
    own, foreign, silent = (series[k].opening[:n] for k in ("own", "foreign", "silent"))
    envelope = speech_envelope(wave, times)
    foreign_envelope = speech_envelope(foreign_wave, times)
    heard = times < len(foreign_wave) / SAMPLE_RATE
    out: dict[str, Any] = {
        "frames": n,
        "real.own_envelope": correlation(real, envelope),
        "real.foreign_envelope": correlation(real[heard], foreign_envelope[heard]),
        "ours.own_opening": correlation(own, real),
        "ours.own_envelope": correlation(own, envelope),
        "ours.foreign_envelope": correlation(foreign[heard], foreign_envelope[heard]),
        "ours.offset": best_lag(own, real),
        "ours.spread": spread_ratio(own, real),
        "ours.silence": spread_ratio(silent, own),
        "ours.silent_opening": float(np.nanmean(silent)),
        "real.opening": float(np.nanmean(real)),
        "ours.lmd": lip_distance(series["own"].lips[:n], source.lips[:n]),
    }
    out |= pixels(clip, results["own"], source, series["own"], n)
    return out


def pixels(
    clip: Path, result: Path, source: FaceSeries, series: FaceSeries, n: int
) -> dict[str, float]:
    """PSNR, SSIM, flicker and lip colour of the own-speech result against the real video."""
    transforms = crop_transforms(source, SIZE)[:n]
    left, top, right, bottom = (round(v * SIZE) for v in MOUTH_BOX)
    values: dict[str, list[float]] = {"psnr": [], "ssim": [], "lip_colour": []}
    mouths: dict[str, list[np.ndarray]] = {"real": [], "ours": []}
    pairs = zip(crops(clip, transforms, SIZE), crops(result, transforms, SIZE), strict=False)
    for i, (a, b) in enumerate(pairs):
        if a is None or b is None:
            continue
        values["psnr"].append(min(psnr(a, b), 60.0))
        if i % 5 == 0:
            values["ssim"].append(ssim(a, b))
        if series.found[i]:
            colours = lip_colour(a, source.lips[i]), lip_colour(b, series.lips[i])
            values["lip_colour"].append(colour_difference(*colours))
        mouths["real"].append(a[top:bottom, left:right])
        mouths["ours"].append(b[top:bottom, left:right])
    still, moving = flicker(np.stack(mouths["real"])), flicker(np.stack(mouths["ours"]))
    out = {f"ours.{k}": float(np.nanmean(v)) for k, v in values.items()}
    return out | {"ours.flicker": moving / still if still else float("nan")}


COLUMNS = (
    ("own_opening", "opening r, own speech", "{:.2f}"),
    ("own_envelope", "envelope r, own", "{:.2f}"),
    ("foreign_envelope", "envelope r, foreign", "{:.2f}"),
    ("offset", "|offset|, frames", "{:.1f}"),
    ("spread", "opening spread", "{:.2f}"),
    ("silence", "silence ratio", "{:.2f}"),
    ("lmd", "LMD, % face", "{:.2f}"),
    ("psnr", "PSNR, dB", "{:.1f}"),
    ("ssim", "SSIM", "{:.3f}"),
    ("lip_colour", "lip colour, dE", "{:.1f}"),
    ("flicker", "flicker", "{:.2f}"),
)


def summarise(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Means over clips for the rows real, copy and ours (copy: the source frames as they are)."""

    def mean(key: str) -> float:
        return float(np.nanmean([abs(r[key]) if key.endswith("offset") else r[key] for r in rows]))

    real = {k: mean(f"real.{k}") for k in ("own_envelope", "foreign_envelope")}
    copy = {**real, "silence": 1.0}
    ours = {k: mean(f"ours.{k}") for k, _, _ in COLUMNS}
    return {
        "real video, own speech": {"own_envelope": real["own_envelope"]},
        "copy of the source": copy,
        "this method": ours,
    }


def markdown(table: dict[str, dict[str, float]]) -> str:
    """The table as Markdown; a dash where a cell has no meaning."""
    lines = ["| | " + " | ".join(title for _, title, _ in COLUMNS) + " |"]
    lines.append("|---|" + "---|" * len(COLUMNS))
    for name, row in table.items():
        cells = [f.format(row[k]) if k in row else "-" for k, _, f in COLUMNS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
