r"""What speech networks tell of the lips of people they never saw: no picture is drawn.

    python benchmarks/speech_motion.py --data CORPUS --weights vq-tiny NEW.safetensors

For every checkpoint of the method ``vq`` two rows, all held-out clips and those of people whose
names match ``--people``: correlations with what was seen (opening, first three, all components but
the opening), spread, and closings. A closing is a stretch in which the real lips are shut in the
midst of speech; it is hit where the told opening, stretched as at inference, goes below the
person's closing level within two frames; a told closing without a real one within four is false.
``--transcripts`` adds p, b, m: FOLDER holds a .txt of the words for every source, by its stem.
"""

from __future__ import annotations

import argparse
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipwright.data.encoded_speech import clip_wave
from lipwright.data.packed import ClipRow, PackedCorpus
from lipwright.evaluation.metrics.closures import Mouth, closure_hits, false_closures
from lipwright.evaluation.mouth import correlation
from lipwright.evaluation.phones import Phone, phones_of
from lipwright.lip_motion import LipMotions, NeutralMouth
from lipwright.media.mel import MODEL_FPS
from lipwright.methods.base import predicted_motion
from lipwright.methods.registry import load_method

Array = NDArray[np.float64]
NEAR, FAR = 2, 4
"""Frames within which a closing is hit, and beyond which it is false."""


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="corpus")
    parser.add_argument("--weights", nargs="+", required=True, help="vq-tiny or files")
    parser.add_argument("--people", default="person*,vlog*,more*,demo*")
    parser.add_argument("--gain", type=float, help="of the opening, for the checkpoint's own")
    parser.add_argument("--about", type=float, default=0.0, help="opening that a gain leaves as is")
    parser.add_argument("--transcripts", type=Path)
    args = parser.parse_args()
    corpus = PackedCorpus(args.data)
    rows = corpus.split("val")
    waves = {r.clip: clip_wave(corpus, r) for r in rows}
    phones = {r.clip: said(r, waves[r.clip], args.transcripts) for r in rows}
    wanted = args.people.split(",")
    named = {r.clip for r in rows if any(fnmatchcase(r.identity, p) for p in wanted)}
    print(
        "| network | clips | opening r | first three r | other components r | spread | mean |"
        " closings hit | false a minute | p, b, m hit, real | told | false a minute, real | told |"
    )
    print("|---" * 13 + "|")
    for name in args.weights:
        method = load_method("vq", weights=None if name == "vq-tiny" else name)
        assert method.motions is not None
        assert method.articulation is not None
        gain = args.gain or float(method.articulation[0])
        found = {
            r.clip: judged(
                corpus,
                r,
                predicted_motion(method, waves[r.clip]),
                method.motions,
                gain,
                args.about,
                phones[r.clip],
            )
            for r in rows
        }
        for title, clips in (("all", set(found)), (args.people, named)):
            print(f"| {name}, {title} | {line([found[c] for c in clips])} |", flush=True)
        method.close()


def said(row: ClipRow, wave: NDArray[np.float32], folder: Path | None) -> list[Phone]:
    """Phones of a clip whose words are known."""
    if folder is None:
        return []
    path = next(folder.rglob(f"{Path(row.source).stem}.txt"), None)
    return phones_of(wave, path.read_text(encoding="utf-8").lower()) if path else []


def judged(
    corpus: PackedCorpus,
    row: ClipRow,
    predicted: Array,
    motions: LipMotions,
    gain: float,
    about: float,
    phones: list[Phone],
) -> dict[str, float]:
    """The numbers of one clip."""
    part = slice(row.start, row.start + row.frames)
    opening = corpus.opening[part]
    shapes = corpus.lips[part].reshape(row.frames, -1, 2)
    rest = NeutralMouth.of(opening, shapes)
    real = np.asarray(motions.encode(opening, shapes, rest), np.float64)
    n = min(len(real), len(predicted))
    real, told = real[:n], predicted[:n].copy()
    each = [correlation(a, b) for a, b in zip(told.T, real.T, strict=True)]
    stretched = about + gain * (told[:, 0] - about)
    closed = Mouth.of(real[:, 0], np.ones(n)).closed
    out = {
        "opening": each[0],
        "three": float(np.nanmean(each[:3])),
        "others": float(np.nanmean(each[1:])),
        "told_spread": float(stretched.std()),
        "real_spread": float(real[:, 0].std()),
        "told_mean": float(np.maximum(stretched, 0.0).mean()),
        "real_mean": float(real[:, 0].mean()),
        "frames": float(n),
    }
    out |= closings(real[:, 0], stretched, closed)
    times = np.arange(n) / MODEL_FPS
    for name, values in (("real", real[:, 0]), ("told", stretched)):
        hits = closure_hits(times, values, phones, closed)
        wrong, seconds = false_closures(times, values, phones, closed)
        out |= {f"{name}_hits": float(sum(hits)), f"{name}_wrong": float(wrong)}
        out |= {"phones": float(len(hits)), "spoken": seconds}
    return out


def closings(real: Array, told: Array, closed: float) -> dict[str, float]:
    """Real closings in the midst of speech, those that are hit, and told ones that are not real."""
    shut = real < closed
    runs = stretches(shut)
    inner = [(a, b) for a, b in runs if a > 0 and b < len(real) and b - a <= MODEL_FPS // 2]
    told_shut = told < closed
    hit = sum(bool(told_shut[max(0, a - NEAR) : b + NEAR].any()) for a, b in inner)
    false = sum(not shut[max(0, a - FAR) : b + FAR].any() for a, b in stretches(told_shut))
    return {"inner": float(len(inner)), "inner_hit": float(hit), "inner_false": float(false)}


def stretches(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First frames and ends of the stretches in which a mask is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def line(found: list[dict[str, float]]) -> str:
    """Means over clips; closings and phones of all clips together."""
    mean = {k: float(np.nanmean([f[k] for f in found])) for k in ("opening", "three", "others")}
    total = {k: float(np.nansum([f[k] for f in found])) for k in found[0]}
    minutes, spoken = total["frames"] / 25 / 60, max(total["spoken"] / 60, 1e-9)
    phones = max(total["phones"], 1e-9)
    cells = [
        str(len(found)),
        *(f"{v:.3f}" for v in mean.values()),
        f"{total['told_spread'] / total['real_spread']:.2f}",
        f"{total['told_mean'] / total['real_mean']:.2f}",
        f"{total['inner_hit'] / max(total['inner'], 1):.2f} of {total['inner']:.0f}",
        f"{total['inner_false'] / minutes:.1f}",
        f"{total['real_hits'] / phones:.2f} of {total['phones']:.0f}",
        f"{total['told_hits'] / phones:.2f}",
        f"{total['real_wrong'] / spoken:.0f}",
        f"{total['told_wrong'] / spoken:.0f}",
    ]
    return " | ".join(cells)


if __name__ == "__main__":
    main()
