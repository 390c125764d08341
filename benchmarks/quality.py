"""The quality table: what a method does to videos of people that it never saw.

Every clip is dubbed three times by the whole pipeline, codec included: with its own speech, with
the next clip's speech, and with silence. Rows: the real video, a copy of the source frames, the
method. See docs/evaluation.md for what the columns mean.

    python benchmarks/quality.py --labels CORPUS/clips.csv --set demo,people -o quality/

An encoder changes fine structures by itself, where nothing was drawn, too. With ``--encoded-real``
sharpness and high-band flicker are measured a second time, against the real clip that went through
the same pipeline and encoder with nothing drawn (method ``copy``); with ``--lossless`` all videos
are written without loss, so that what was drawn is measured itself.

Videos that an earlier run has kept (``--keep``) are measured without dubbing again by ``--kept``,
say with a judge that was trained later (``--expert``).

The labels are a CSV with the columns file, identity, split and, for --set, set; only rows of split
``val`` are used. Closures are measured at the p, b, m of the words in a .txt beside the clip, else
of recognised words (English only).
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import wave as wavefile
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np

from lipwright.dubbing.job import DubOptions, dub
from lipwright.errors import LipwrightError
from lipwright.evaluation.experts import Expert, expert_features, load_expert
from lipwright.evaluation.faces import FaceSeries, crop_transforms, crops, watch
from lipwright.evaluation.metrics.base import Side
from lipwright.evaluation.metrics.closures import Mouth, measured, width_of
from lipwright.evaluation.metrics.expert_sync import cosine_table, expert_score, pair_accuracy
from lipwright.evaluation.metrics.lip_sync import lip_agreement, predictor
from lipwright.evaluation.metrics.mouth_detail import detail_ratios, measure_detail
from lipwright.evaluation.metrics.silence import lip_gap, silence_activity, silent_frames
from lipwright.evaluation.mouth import (
    best_lag,
    correlation,
    lip_distance,
    speech_envelope,
    spread_ratio,
)
from lipwright.evaluation.phones import Phone, phones_of, transcript_of
from lipwright.evaluation.pixels import colour_difference, flicker, lip_colour, psnr, ssim
from lipwright.evaluation.protocols.speech import write_wave
from lipwright.evaluation.sampling import aligned_25, match_times
from lipwright.face_regions import MOUTH_BOX, pixel_box
from lipwright.faces.tracker import FaceTracker
from lipwright.lip_agreement import Agreement
from lipwright.lip_motion import NeutralMouth
from lipwright.media.audio import SAMPLE_RATE, load_speech
from lipwright.media.mel import MODEL_FPS
from lipwright.methods.registry import load_method

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
    parser.add_argument("--adapt", choices=("auto", "off"), default="auto")
    parser.add_argument("--kinds", default="own,foreign,silent", help="which speeches are dubbed")
    parser.add_argument(
        "--second-halves",
        action="store_true",
        help="measure second halves, adapted from the first ones",
    )
    parser.add_argument("--expert", type=Path, help="a pixel sync expert that judges, too")
    parser.add_argument("-o", "--out", type=Path, default=Path("quality"))
    parser.add_argument("--enhance", default="auto", help="stage 2, as in lipwright dub")
    parser.add_argument("--enhance-weights", type=Path, help="its checkpoint, likewise")
    parser.add_argument("--reference", default="auto", help="as in lipwright dub, for vq-paper")
    parser.add_argument("--files", nargs="+", help="these clips of the labels, of any split")
    parser.add_argument("--seconds", type=float, default=0.0, help="dub the beginning only")
    parser.add_argument(
        "--encoded-real",
        action="store_true",
        help="octaves and high-band flicker also against the real clip encoded alike",
    )
    parser.add_argument(
        "--lossless", action="store_true", help="write videos without loss: what was drawn"
    )
    parser.add_argument("--keep", action="store_true", help="keep the dubbed videos")
    parser.add_argument(
        "--kept", action="store_true", help="measure the videos kept in the folder as they are"
    )
    args = parser.parse_args()
    if args.expert and args.second_halves:
        parser.error("an expert judges whole clips; leave out --second-halves")
    if args.files:
        clips = {args.labels.parent / file: file for file in args.files}
    else:
        clips = choose(args.labels, args.set.split(","), args.per_identity, args.clips)
    args.out.mkdir(parents=True, exist_ok=True)
    method = load_method(args.method, weights=args.weights)
    copy = load_method("copy") if args.encoded_real else None
    expert = load_expert(args.expert) if args.expert else None
    suffix = ".mkv" if args.lossless else ".mp4"
    tracker = FaceTracker()
    rows: list[dict[str, Any]] = []
    sources = {clip: watch(clip, tracker) for clip in clips}
    waves = {clip: load_speech(clip) for clip in clips}
    said = {clip: phones_of(waves[clip], transcript_of(clip)) for clip in clips}
    order = list(clips)
    for n, clip in enumerate(order):
        other = order[(n + 1) % len(order)]
        with tempfile.TemporaryDirectory() as scratch:
            folder = args.out if args.keep or args.kept else Path(scratch)
            series_of, options = sources[clip], {"adapt": args.adapt}
            begin, own, own_wave = 0, clip, waves[clip]
            if args.second_halves:
                half = half_time(series_of)
                begin = second_half(series_of)
                own_wave = own_wave[round(half * SAMPLE_RATE) :]
                own = write_wave(Path(scratch) / "own.wav", own_wave)
                options["start"] = half
                if args.adapt == "auto":
                    options["adapt"] = first_seconds(clip, Path(scratch) / "first.mkv", half)
            silence = Path(scratch) / "silence.wav"
            write_silence(silence, float(series_of.times[-1]) + 0.1)
            results, learnt = {}, []
            speeches = {"own": own, "foreign": other, "silent": silence}
            for kind in ("own", *(k for k in args.kinds.split(",") if k != "own")):
                speech = speeches[kind]
                out = folder / f"{n:02d}-{kind}{suffix}"
                given = DubOptions(
                    length="video",
                    manifest=False,
                    crf=16,
                    lossless=args.lossless,
                    enhance=args.enhance,
                    enhance_weights=args.enhance_weights,
                    reference=args.reference,
                    end=Fraction(args.seconds),
                    **options,
                )
                if not (args.kept and out.is_file()):
                    learnt = dub(clip, speech, out, given, method=method).adaptation
                results[kind] = out
            row = {"clip": clip.name, "identity": clips[clip], "adaptation": learnt}
            series = {kind: watch(path, tracker) for kind, path in results.items()}
            source = part(series_of, begin)
            if copy is not None and begin == 0:
                encoded = folder / f"{n:02d}-real{suffix}"
                if not (args.kept and encoded.is_file()):
                    alike = replace(given, enhance="none", adapt="off")
                    dub(clip, clip, encoded, alike, method=copy)
                row |= detail(encoded, watch(encoded, tracker), results, series, "_encoded")
            row |= measure(clip, source, own_wave, waves[other], results, series, begin)
            if "silent" in series and begin == 0:
                row |= silent(clip, source, own_wave, results["silent"], series["silent"])
            own_phones = from_time(said[clip], float(series_of.times[begin]))
            row |= consonants(clip, source, series, own_phones, said[other])
            if expert is not None:
                seconds = series["own"].times[-1]
                heard = {"own": waves[clip], "foreign": waves[other]}
                heard["silent"] = np.zeros_like(waves[clip])
                for kind, wave in heard.items():
                    name = f"copy.{kind}" if kind == "silent" else f"real.{kind}"
                    row |= judged(expert, name, clip, sources[clip], wave, seconds)
                    if kind in results:
                        found = series[kind]
                        row |= judged(expert, f"ours.{kind}", results[kind], found, wave, seconds)
        rows.append(row)
        print(json.dumps(row), flush=True)
    table = summarise(rows)
    content = {"model": method.model_id, "expert": str(args.expert or ""), "clips": rows}
    content |= {"table": table, "landmarks": tracker.name}
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
    series: dict[str, FaceSeries],
    begin: int = 0,
) -> dict[str, Any]:
    """All numbers of one clip: ``real.*`` of the source video, ``ours.*`` of the method.

    ``source`` begins with frame ``begin`` of the clip.
    """
    n = min(len(source.times), *(len(s.times) for s in series.values()))
    times = source.times[:n]
    real = source.opening[:n]
    absent = np.full(n, np.nan)
    own, foreign, silent = (
        series[k].opening[:n] if k in series else absent for k in ("own", "foreign", "silent")
    )
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
        "ours.silent_opening": float(np.mean(silent)),
        "real.opening": float(np.nanmean(real)),
        "ours.lmd": lip_distance(series["own"].lips[:n], source.lips[:n]),
    }
    theirs, ours = (lip_motions(s, source) for s in (source, series["own"]))
    found = motion_correlations(ours[:n], theirs[:n])
    out |= {"ours.first_three": found["three"], "ours.eight": found["eight"]}
    heard_by = {"real.own": (source, wave), "real.foreign": (source, foreign_wave)}
    heard_by["ours.own"] = series["own"], wave
    if "foreign" in series:
        heard_by["ours.foreign"] = series["foreign"], foreign_wave
    for name, (faces, sound) in heard_by.items():
        agreed = agreement_of(clip, faces, sound)
        out[f"{name}_lip_sync"] = float("nan") if agreed is None else agreed.peak
        if name == "real.own":
            late = out["real.sound_late"] = sound_late(agreed)
            out["ours.own_shifted"] = shifted_correlation(own, real, times, late)
    out |= pixels(clip, results["own"], source, series["own"], n, begin)
    return out | (detail(clip, source, results, series) if begin == 0 else {})


def detail(
    real: Path,
    source: FaceSeries,
    results: dict[str, Path],
    series: dict[str, FaceSeries],
    suffix: str = "",
) -> dict[str, float]:
    """Octaves and high-band flicker of the dubs, over those of a real video.

    Args:
        real: the real video.
        source: its faces.
        results: the dubs, by kind of speech.
        series: their faces.
        suffix: of the names.
    """
    out: dict[str, float] = {}
    for kind, prefix in (("own", "ours."), ("foreign", "ours.foreign_")):
        if kind not in series:
            continue
        partner = match_times(source.times, series[kind].times)
        meters = measure_detail(real, results[kind], source, partner)
        if meters is not None:
            out |= {f"{prefix}{k}{suffix}": v for k, v in detail_ratios(*meters).items()}
    return out


def motion_correlations(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    """Of (N, K) lip motions: of the opening, and means over the first three and all components."""
    each = [correlation(x, y) for x, y in zip(a.T, b.T, strict=True)]
    return {
        "opening": each[0],
        "three": float(np.nanmean(each[:3])),
        "eight": float(np.nanmean(each)),
    }


def agreement_of(clip: Path, series: FaceSeries, sound: np.ndarray) -> Agreement | None:
    """How the lips of a video agree with a sound."""
    side = Side(clip, series)
    side.__dict__["speech"] = sound  # a cached property
    return lip_agreement(side)


def sound_late(agreed: Agreement | None) -> float:
    """Seconds by which the sound of a video comes after its lips; 0 where that is not sure."""
    return agreed.offset / MODEL_FPS if agreed is not None and agreed.sure else 0.0


def shifted_correlation(own: np.ndarray, real: np.ndarray, times: np.ndarray, late: float) -> float:
    """Correlation of two openings (n,) where the real video's sound comes so many seconds late.

    What is drawn follows the sound, so it comes later than the real lips by as much.
    """
    by = round(late / float(np.median(np.diff(times))))
    n = len(real)
    a, b = own[max(0, by) : n + min(0, by)], real[max(0, -by) : n + min(0, -by)]
    return correlation(a, b)


def half_time(series: FaceSeries) -> Fraction:
    """Seconds at which the second half of a clip begins."""
    return Fraction(float(series.times[-1]) / 2).limit_denominator(100)


def second_half(series: FaceSeries) -> int:
    """The first frame of the second half."""
    return int(np.searchsorted(series.times, float(half_time(series))))


def from_time(phones: list[Phone], start: float) -> list[Phone]:
    """The phones from a time on, their own counted from there."""
    return [Phone(p.name, p.start - start, p.end - start) for p in phones if p.start >= start]


def consonants(
    clip: Path,
    source: FaceSeries,
    series: dict[str, FaceSeries],
    own: list[Phone],
    foreign: list[Phone],
) -> dict[str, float]:
    """Closures and rounding of the real mouth and of the dubbed ones, each at its own phones."""
    side = Side(clip, source)
    mouth = Mouth.of(source.opening, width_of(side))
    sides = {"real.": (side, own), "ours.": (Side(clip, series["own"]), own)}
    if "foreign" in series:
        sides["ours.foreign_"] = Side(clip, series["foreign"]), foreign
    return {
        f"{prefix}{name}": value
        for prefix, (each, phones) in sides.items()
        for name, value in measured(each, phones, mouth).items()
    }


def lip_motions(series: FaceSeries, reference: FaceSeries) -> np.ndarray:
    """(T, K) lip motions beside the resting mouth of ``reference``; NaN without a face."""
    space = predictor().motions
    assert space is not None
    known = reference.found
    rest = NeutralMouth.of(reference.opening[known], reference.lips[known])
    moved = space.encode(np.nan_to_num(series.opening), np.nan_to_num(series.lips), rest)
    return np.where(series.found[:, None], moved.astype(np.float64), np.nan)


def part(series: FaceSeries, begin: int) -> FaceSeries:
    """A series from a frame on, its time counted from there."""
    times = series.times[begin:]
    return FaceSeries(times - times[0], series.landmarks[begin:], series.shots[begin:])


def first_seconds(clip: Path, path: Path, seconds: Fraction) -> Path:
    """Copy the packets of the beginning of a clip into a file of its own."""
    with av.open(str(clip)) as source, av.open(str(path), "w") as target:
        streams = [source.streams.video[0], source.streams.audio[0]]
        copies = {s.index: target.add_stream_from_template(s) for s in streams}
        start = min(s.start_time * s.time_base for s in streams if s.start_time is not None)
        for packet in source.demux(streams):
            if packet.pts is None or packet.pts * packet.time_base - start >= seconds:
                continue
            packet.stream = copies[packet.stream_index]
            target.mux(packet)
    return path


def silent(
    clip: Path, source: FaceSeries, wave: np.ndarray, result: Path, series: FaceSeries
) -> dict[str, float]:
    """Does a mouth that hears silence rest, and is it drawn as well as the real one?

    ``real.*`` without a further word is the real mouth where its own speech pauses, ``copy.*`` the
    source's mouth, which goes on speaking.
    """
    n = min(len(source.times), len(series.times))
    gap, drawn = (lip_gap(s.landmarks[:n]) for s in (source, series))
    closed = Mouth.of(source.opening, width_of(Side(clip, source))).closed
    always = np.ones(n, np.bool_)
    out = {
        "real.silent_activity": silence_activity(gap, silent_frames(wave, source.times[:n])),
        "copy.silent_activity": silence_activity(gap, always),
        "ours.silent_activity": silence_activity(drawn, always),
        "copy.silent_closed": share_below(source.opening[:n], closed),
        "ours.silent_closed": share_below(series.opening[:n], closed),
    }
    partner = match_times(source.times, series.times)
    meters = measure_detail(clip, result, source, partner)
    if meters is not None:
        out |= {f"ours.silent_{k}": v for k, v in detail_ratios(*meters).items()}
    transforms = crop_transforms(source, SIZE)[:n]
    pairs = zip(crops(clip, transforms, SIZE), crops(result, transforms, SIZE), strict=False)
    colours = [
        colour_difference(lip_colour(a, source.lips[i]), lip_colour(b, series.lips[i]))
        for i, (a, b) in enumerate(pairs)
        if a is not None and b is not None and series.found[i]
    ]
    return out | {"ours.silent_lip_colour": float(np.nanmean(colours))}


def share_below(values: np.ndarray, level: float) -> float:
    """Share of the known values that are below a level."""
    return float(np.mean(values[np.isfinite(values)] < level))


def judged(
    expert: Expert,
    name: str,
    video: Path,
    series: FaceSeries,
    wave: np.ndarray,
    seconds: float,
) -> dict[str, Any]:
    """What a sync expert says of a video with this speech; nothing where that is too short.

    Judged are so many seconds of the video: as many of the real one as were dubbed.
    """
    heard = expert.speech_input(wave)
    # Beyond the end of the speech there is nothing to be in step with.
    n = min(heard.shape[1] // expert.columns, round(seconds * 25) + 1)
    crops_25 = islice(aligned_25(video, series, expert.size), n)
    try:
        features = expert_features(expert, crops_25, heard)
    except LipwrightError:
        return {}
    in_step = {f"{name}_in_step": float(np.mean(np.diagonal(cosine_table(*features)) > 0.5))}
    if not wave.any():  # the same at all times: no pair is mismatched, no shift the best
        return in_step
    return in_step | {
        f"{name}_accuracy": pair_accuracy(*features),
        f"{name}_expert_offset": expert_score(*features).offset,
    }


def pixels(
    clip: Path, result: Path, source: FaceSeries, series: FaceSeries, n: int, begin: int = 0
) -> dict[str, float]:
    """PSNR, SSIM, flicker and lip colour of the own-speech result against the real video."""
    transforms = crop_transforms(source, SIZE)[:n]
    left, top, right, bottom = pixel_box(MOUTH_BOX, SIZE)
    values: dict[str, list[float]] = {"psnr": [], "ssim": [], "lip_colour": []}
    mouths: dict[str, list[np.ndarray]] = {"real": [], "ours": []}
    real = islice(crops(clip, [None] * begin + transforms, SIZE), begin, None)
    pairs = zip(real, crops(result, transforms, SIZE), strict=False)
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
    ("own_shifted", "the same, clips brought into step", "{:.2f}"),
    ("own_envelope", "envelope r, own", "{:.2f}"),
    ("foreign_envelope", "envelope r, foreign", "{:.2f}"),
    ("offset", "abs. offset, frames", "{:.1f}"),
    ("spread", "opening spread", "{:.2f}"),
    ("silence", "silence ratio", "{:.2f}"),
    ("first_three", "first three r", "{:.2f}"),
    ("eight", "eight r", "{:.2f}"),
    ("own_lip_sync", "lip sync r, own", "{:.2f}"),
    ("foreign_lip_sync", "lip sync r, foreign", "{:.2f}"),
    ("closures", "closures", "{:.2f}"),
    ("foreign_closures", "closures, foreign", "{:.2f}"),
    ("closures_false", "false closures a minute", "{:.0f}"),
    ("rounding", "rounding", "{:.2f}"),
    ("lmd", "LMD, % face", "{:.2f}"),
    ("psnr", "PSNR, dB", "{:.1f}"),
    ("ssim", "SSIM", "{:.3f}"),
    ("lip_colour", "lip colour, dE", "{:.1f}"),
    ("flicker", "flicker", "{:.2f}"),
    ("mouth_octave_1", "mouth octave 1", "{:.2f}"),
    ("mouth_octave_2", "octave 2", "{:.2f}"),
    ("mouth_octave_3", "octave 3", "{:.2f}"),
    ("mouth_high_flicker", "high-band flicker", "{:.2f}"),
)
JUDGED = (
    ("own_accuracy", "expert accuracy, own", "{:.2f}"),
    ("foreign_accuracy", "expert accuracy, foreign", "{:.2f}"),
    ("own_expert_offset", "abs. expert offset, own", "{:.1f}"),
)
"""Further columns where an expert judges."""
ENCODED = tuple(
    (f"{key}_encoded", f"{title}, real encoded alike", form)
    for key, title, form in COLUMNS
    if key.startswith("mouth_")
)
"""Further columns of ``--encoded-real``."""


def summarise(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Means over clips for the rows real, copy and ours (copy: the source frames as they are)."""

    def mean(key: str) -> float:
        values = [r.get(key, np.nan) for r in rows]
        if key.endswith("closures"):  # of all p, b, m, whosoever's
            counts = np.array([r.get(f"{key}_count", 0.0) for r in rows]) * np.isfinite(values)
            return float(np.nansum(np.array(values) * counts) / counts.sum())
        return float(np.nanmean(np.abs(values) if key.endswith("offset") else values))

    of_real = ("own_envelope", "foreign_envelope", "own_lip_sync", "foreign_lip_sync")
    of_sounds = ("closures", "closures_false", "rounding")
    real = {k: mean(f"real.{k}") for k in of_real}
    copy = {**real, "silence": 1.0}
    ours = {k: mean(f"ours.{k}") for k, _, _ in COLUMNS}
    ours |= {k: mean(f"ours.{k}") for k, _, _ in ENCODED if any(f"ours.{k}" in r for r in rows)}
    first = {k: real[k] for k in ("own_envelope", "own_lip_sync")}
    first |= {k: mean(f"real.{k}") for k in of_sounds}
    if any("real.own_accuracy" in r for r in rows):
        keys = [k for k, _, _ in JUDGED]
        ours |= {k: mean(f"ours.{k}") for k in keys}
        first |= {k: mean(f"real.{k}") for k in keys if not k.startswith("foreign")}
        copy |= {k: mean(f"real.{k}") for k in keys}
    return {
        "real video, own speech": first,
        "copy of the source": copy,
        "this method": ours,
    }


def markdown(table: dict[str, dict[str, float]]) -> str:
    """The table as Markdown; a dash where a cell has no meaning."""
    known = {k for row in table.values() for k in row}
    columns = COLUMNS + tuple(c for c in ENCODED + JUDGED if c[0] in known)
    lines = ["| | " + " | ".join(title for _, title, _ in columns) + " |"]
    lines.append("|---|" + "---|" * len(columns))
    for name, row in table.items():
        cells = [f.format(row[k]) if k in row else "-" for k, _, f in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
