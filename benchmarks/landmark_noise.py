r"""How far noise in the speech leads the mouth astray, by signal-to-noise ratio and kind of noise.

Chen et al. (CVPR 2019) claim that a cascade by way of landmarks withstands noise better than a
network that goes from sound to pictures directly. Here a still picture (the first frame of each
validation clip) is set in motion by the clip's own speech with noise added; further frames of the
clip serve as references to methods that take them. The landmarks of what was drawn are read by the
network that read those of the real frames, and the mouth's opening is correlated with the real one.

    python benchmarks/landmark_noise.py --data CORPUS --landmarks RUN/landmarks \\
        --method vq --method landmark --method speech2vid=RUN/... -o noise/

Writes noise.json, noise.md and, where matplotlib is installed, noise.png. Whether one method
withstands noise better than another is told by the share of its clean correlation that it keeps
(means over clips and kinds of noise), with 95 % intervals over clips (bootstrap) and, between two
methods, the interval of the difference. What noise.json has already, of the same clips, is not
drawn again, so that a method can be added or an unfinished run goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright.data.encoded_speech import clip_wave
from lipwright.data.landmarks import LandmarkCorpus
from lipwright.data.packed import ClipRow, PackedCorpus
from lipwright.evaluation.bootstrap import LEVEL, RESAMPLES, bootstrap_mean
from lipwright.evaluation.mouth import correlation
from lipwright.evaluation.protocols.speech import active_power
from lipwright.faces.crop_points import CropPoints
from lipwright.faces.points68 import opening_68
from lipwright.lip_motion import NeutralMouth
from lipwright.media.mel import MODEL_FPS, SAMPLE_RATE
from lipwright.methods.base import Method, ReferenceLips, heard, resized
from lipwright.methods.registry import load_method

LEVELS = (20.0, 10.0, 5.0, 0.0)
"""Signal-to-noise ratios in dB, beside the speech as it is."""
KINDS = ("white", "babble", "music")
REFERENCES = 16
Wave = NDArray[np.float32]


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="corpus")
    parser.add_argument("--landmarks", type=Path, required=True, help="cache of its landmarks")
    parser.add_argument("--method", action="append", required=True, metavar="NAME[=CHECKPOINT]")
    parser.add_argument("--label", action="append", default=[], help="names for the table")
    parser.add_argument("--noise", default=",".join(KINDS), help="kinds of noise")
    parser.add_argument("--clips", type=int, default=5, help="of so many people")
    parser.add_argument("--people", default="person,vlog,more", help="beginnings of identities")
    parser.add_argument("--frames", type=int, default=75, help="of each clip at most")
    parser.add_argument("-o", "--out", type=Path, default=Path("noise"))
    args = parser.parse_args()
    corpus = LandmarkCorpus(PackedCorpus(args.data), args.landmarks)
    wanted = tuple(args.people.split(","))
    rows = [r for r in corpus.split("val") if r.identity.startswith(wanted)]
    rows = choose([r for r in rows if r.frames >= args.frames], args.clips)
    waves = {r.clip: clip_wave(corpus.packed, r)[: args.frames * 640] for r in rows}
    conditions: list[tuple[str, float | None]] = [("clean", None)]
    conditions += [(kind, level) for kind in args.noise.split(",") for level in LEVELS]
    result: dict[str, Any] = {
        "clips": [r.clip for r in rows],
        "identities": [r.identity for r in rows],
        "methods": {},
    }
    args.out.mkdir(parents=True, exist_ok=True)
    kept = args.out / "noise.json"
    if kept.is_file():
        before = json.loads(kept.read_text(encoding="utf-8"))
        if before["clips"] == result["clips"]:
            result = before
    for number, given in enumerate(args.method):
        name, _, path = given.partition("=")
        label = args.label[number] if number < len(args.label) else name
        method = load_method(name, weights=path or None)
        known = result["methods"].setdefault(label, {"model": method.model_id, "conditions": {}})
        table: dict[str, Any] = known["conditions"]
        for kind, level in conditions:
            title = kind if level is None else f"{kind} {level:g} dB"
            if title in table:
                continue
            each = [
                moved(method, corpus, r, noisy(waves, r.clip, level, kind), args.frames)
                for r in rows
            ]
            table[title] = {
                "opening_r": [correlation(drawn, real) for real, drawn in each],
                "spread": [float(drawn.std() / real.std()) for real, drawn in each],
            }
            print(label, title, np.round(table[title]["opening_r"], 2).tolist(), flush=True)
            kept.write_text(json.dumps(result, indent=1), encoding="utf-8")
        method.close()
    (args.out / "noise.md").write_text(page(result), encoding="utf-8")
    print(page(result))
    draw(result, args.out / "noise.png")


def choose(rows: list[ClipRow], count: int) -> list[ClipRow]:
    """One clip each of different people, the longest of each person."""
    found: dict[str, ClipRow] = {}
    for row in sorted(rows, key=lambda r: (-r.frames, r.clip)):
        found.setdefault(row.identity, row)
    return [found[i] for i in sorted(found)][:count]


def noisy(waves: dict[str, Wave], name: str, level: float | None, kind: str) -> Wave:
    """Speech with noise at a ratio of powers (pauses of the speech do not count)."""
    wave = waves[name]
    if level is None:
        return wave
    rng = np.random.default_rng([KINDS.index(kind), sorted(waves).index(name)])
    if kind == "white":
        noise = rng.standard_normal(len(wave))
    elif kind == "babble":
        others = [waves[n] for n in sorted(waves) if n != name]
        parts = [np.roll(np.resize(w, len(wave)), int(rng.integers(len(wave)))) for w in others]
        noise = np.sum([p / max(float(p.std()), 1e-9) for p in parts], axis=0)
    else:
        noise = music(len(wave), rng)
    power = active_power(wave) / max(float(np.mean(noise**2)), 1e-12)
    mixed = wave + noise * np.sqrt(power / 10 ** (level / 10))
    return np.asarray(mixed / max(1.0, float(np.abs(mixed).max())), np.float32)


def music(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Four chords a second of plucked strings with harmonics, over a beat of noise bursts."""
    out = np.zeros(count + SAMPLE_RATE)
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    for start in range(0, count, SAMPLE_RATE // 4):
        root = 110.0 * 2.0 ** (int(rng.integers(0, 12)) / 12)
        for interval in (0, 4, 7, 12):
            pitch = root * 2.0 ** (interval / 12)
            for harmonic in range(1, 9):
                loud = np.exp(-time * (2.0 + harmonic)) / harmonic
                phase = rng.uniform(0, 2 * np.pi)
                tone = loud * np.sin(2 * np.pi * pitch * harmonic * time + phase)
                out[start : start + SAMPLE_RATE] += tone
        burst = rng.standard_normal(SAMPLE_RATE) * np.exp(-time * 60.0)
        out[start : start + SAMPLE_RATE] += 2.0 * burst
    return out[:count]


def moved(
    method: Method, corpus: LandmarkCorpus, row: ClipRow, wave: Wave, most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Openings (T,) of the real mouth and of the drawn one, in parts of the crop's side."""
    packed, count = corpus.packed, min(row.frames, most)
    margin, size = packed.margin, packed.size

    def crops(index: NDArray[np.int64], side: int) -> NDArray[np.float32]:
        inner = slice(margin, margin + size)
        whole = np.stack([packed.frames[row.start + i][inner, inner] for i in index])
        unit = np.ascontiguousarray(whole.transpose(0, 3, 1, 2), np.float32) / 127.5 - 1.0
        return resized(np.asarray(unit, np.float32), side)

    references = np.unique(np.linspace(0, row.frames - 1, REFERENCES).astype(np.int64))
    part = slice(row.start, row.start + row.frames)
    openings, shapes = packed.opening[part], packed.lips[part].reshape(row.frames, -1, 2)
    lips = ReferenceLips(
        openings[references], shapes[references], NeutralMouth.of(openings, shapes)
    )
    state = method.start(crops(references, method.info.reference_size), lips)
    sound = heard(method, wave, [Fraction(n, MODEL_FPS) for n in range(count)])
    still = np.repeat(crops(np.zeros(1, np.int64), method.size), count, axis=0)
    made = method.render(still, sound, state)
    pictures = made.faces if made.restored is None else made.restored
    bytes_ = np.rint((pictures + 1.0) * 127.5).clip(0, 255).astype(np.uint8)
    drawn = reader(pictures.shape[-1])(np.ascontiguousarray(bytes_.transpose(0, 2, 3, 1)))
    real = corpus.clip_points(row)[:count]
    return gap(real), gap(drawn)


def gap(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """(T, 68, 2) -> (T,)."""
    return np.asarray(opening_68(points), np.float64)


_readers: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.float64]]] = {}


def reader(size: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float64]]:
    """One landmark network per size of crop."""
    if size not in _readers:
        _readers[size] = CropPoints(size)
    return _readers[size]


def page(result: dict[str, Any]) -> str:
    """Mean correlations with their intervals, and how much is lost against the clean speech."""
    labels = list(result["methods"])
    head = "".join(f" {n}: r (95 %) | lost |" for n in labels)
    lines = [f"| speech |{head}", "|---|" + "---|---|" * len(labels)]
    for condition in next(iter(result["methods"].values()))["conditions"]:
        cells = []
        for label in labels:
            table = result["methods"][label]["conditions"]
            here, clean = table[condition]["opening_r"], table["clean"]["opening_r"]
            mean, lost = bootstrap_mean(here), bootstrap_mean(np.subtract(clean, here).tolist())
            cells.append(f"{mean.value:.2f} ({mean.low:.2f} to {mean.high:.2f})")
            cells.append(f"{lost.value:.2f} ({lost.low:.2f} to {lost.high:.2f})")
        lines.append(f"| {condition} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *shares(result)]) + "\n"


def shares(result: dict[str, Any]) -> list[str]:
    """Rows of the share of the clean correlation that is kept at each level, over all kinds of
    noise, and of how much more the first method keeps than each other.
    """
    labels = list(result["methods"])
    first = labels[0]
    head = [*labels, *(f"{first} - {n}" for n in labels[1:])]
    lines = ["| kept of the clean r | " + " | ".join(head) + " |", "|---|" + "---|" * len(head)]
    drawn = resampled(len(result["clips"]))
    for level in (*LEVELS, None):
        found = {n: kept_share(result["methods"][n]["conditions"], level, drawn) for n in labels}
        cells = [interval(found[n]) for n in labels]
        cells += [interval(found[first] - found[n]) for n in labels[1:]]
        name = "all levels" if level is None else f"{level:g} dB"
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def resampled(count: int) -> NDArray[np.int64]:
    """(1 + RESAMPLES, count) clips: first as they are, then drawn with replacement."""
    rng = np.random.default_rng(0)
    return np.concatenate([np.arange(count)[None], rng.integers(0, count, (RESAMPLES, count))])


def kept_share(
    conditions: dict[str, Any], level: float | None, drawn: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean correlation in noise over mean clean correlation, for every draw of clips."""
    ends = [f" {v:g} dB" for v in (LEVELS if level is None else (level,))]
    names = [n for n in conditions if any(n.endswith(e) for e in ends)]
    noisy_r = np.mean([conditions[n]["opening_r"] for n in names], axis=0)
    clean = np.array(conditions["clean"]["opening_r"])
    return np.asarray(noisy_r[drawn].mean(1) / clean[drawn].mean(1), np.float64)


def interval(values: NDArray[np.float64]) -> str:
    """The value of the clips as they are, and the 95 % interval of the draws."""
    low, high = np.quantile(values[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return f"{values[0]:.2f} ({low:.2f} to {high:.2f})"


def draw(result: dict[str, Any], path: Path) -> None:
    """One panel per kind of noise: correlation against the ratio, bars are 95 % intervals."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        print("matplotlib is not installed; no plot")
        return
    first = next(iter(result["methods"].values()))["conditions"]
    kinds = list(dict.fromkeys(c.split()[0] for c in first if c != "clean"))
    figure, axes = pyplot.subplots(
        1, len(kinds), figsize=(3.4 * len(kinds), 3.2), layout="constrained", sharey=True
    )
    for axis, kind in zip(np.atleast_1d(axes), kinds, strict=True):
        names = ["clean", *(f"{kind} {level:g} dB" for level in LEVELS)]
        for label, found in result["methods"].items():
            means = [bootstrap_mean(found["conditions"][n]["opening_r"]) for n in names]
            value = np.array([m.value for m in means])
            bars = np.abs(np.array([[m.low for m in means], [m.high for m in means]]) - value)
            axis.errorbar(range(len(names)), value, bars, marker="o", capsize=3, label=label)
        axis.set_xticks(range(len(names)), ["clean", *(f"{level:g} dB" for level in LEVELS)])
        axis.set_title(kind)
    np.atleast_1d(axes)[0].set_ylabel("opening of the mouth, r")
    np.atleast_1d(axes)[0].legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
