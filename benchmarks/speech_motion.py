r"""What speech networks predict of the lips of people they never saw: no picture is drawn.

    python benchmarks/speech_motion.py --data CORPUS --weights vq-tiny RUN/speech/speech.safetensors

For every checkpoint (of the method ``vq``, or of the training stage ``speech`` on an encoder) two
rows, all held-out clips and those of people whose names match ``--people``: correlations with what
was seen (opening, first three, all components but the opening); of the motions stretched as at
inference (``methods.articulation``) spread and mean beside the real ones, the mean distance of 40
lip points in percent of the crop, and closings. A closing is a stretch in which the real lips are
shut in the midst of speech; it is hit where the predicted opening goes below the person's closing
level within two frames; a predicted closing without a real one within four is false. ``closed``
depends on no stretching: how often a frame with closed lips is predicted less open than one
with open lips of the same clip (0.5 by chance). ``--transcripts`` adds p, b, m: FOLDER holds a .txt
of the words for every source, by its stem. ``--noise`` adds rows with white noise so many dB below
the speech.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from math import inf
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lipwright.data.encoded_speech import clip_wave
from lipwright.data.packed import ClipRow, PackedCorpus
from lipwright.dubbing.adapt import PersonSpeech, features_by_track, learn_person
from lipwright.errors import LipwrightError
from lipwright.evaluation.metrics.closures import Mouth, closure_hits, false_closures
from lipwright.evaluation.mouth import correlation
from lipwright.evaluation.phones import Phone, phones_of
from lipwright.evaluation.protocols.speech import add_noise
from lipwright.lip_motion import LipMotions, NeutralMouth
from lipwright.media import voice_activity
from lipwright.media.audio import SAMPLE_RATE
from lipwright.media.mel import MODEL_FPS, STEPS_PER_FRAME
from lipwright.media.whisper_mel import whisper_log_power
from lipwright.methods.articulation import SPEAKING, stretched
from lipwright.methods.registry import load_method
from lipwright.methods.vq import SHAPE_ARTICULATION
from lipwright.models.encoder_lips import EncoderToLips
from lipwright.models.lip_space import LipSpace
from lipwright.models.speech_networks import build_speech_network
from lipwright.weights.checkpoint import load_checkpoint, read_header

Array = NDArray[np.float64]
NEAR, FAR = 2, 4
"""Frames within which a closing is hit, and beyond which it is false."""
LEAST = 3
"""Frames of either kind without which a clip says nothing of ``closed``."""
DEFAULT_GAIN = 1.9
"""Of a run that has not been joined yet: that of configs/vq/tiny.yaml."""
HEAD = (
    "| network | clips | opening r | first three r | other components r | spread | mean |"
    " lip points, % | closed | closings hit | false a minute | p, b, m hit, real | predicted |"
    " false a minute, real | predicted |\n" + "|---" * 15 + "|"
)
MEANS = ("opening", "three", "others", "points", "closed")


@dataclass(frozen=True)
class Predictor:
    """A speech network.

    Attributes:
        motions: its space.
        gain: (K,) by which its motions are stretched at inference.
        predict: (n,) speech at 16 kHz -> (K, T) motions, 100 columns a second.
    """

    motions: LipMotions
    gain: NDArray[np.float32]
    predict: Callable[[NDArray[np.float32]], NDArray[np.float32]]


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="corpus")
    parser.add_argument("--weights", nargs="+", required=True, help="vq-tiny or files")
    parser.add_argument("--people", default="person*,vlog*,more*,demo*")
    parser.add_argument("--only", action="store_true", help="leave out all other people")
    parser.add_argument("--gain", type=float, help="of opening and jaw, for the checkpoint's own")
    parser.add_argument(
        "--speaking", type=float, default=SPEAKING, help="of methods.articulation, for its own"
    )
    parser.add_argument("--transcripts", type=Path)
    parser.add_argument(
        "--second-halves",
        action="store_true",
        help="judge second halves, without and with what --adapt learns from the first ones,"
        " of the clips that teach something",
    )
    parser.add_argument("--noise", type=float, nargs="+", default=[], help="dB, any number")
    args = parser.parse_args()
    corpus = PackedCorpus(args.data)
    wanted = args.people.split(",")
    rows = corpus.split("val")
    named = {r.clip for r in rows if any(fnmatchcase(r.identity, p) for p in wanted)}
    if args.only:
        rows = [r for r in rows if r.clip in named]
    waves = {r.clip: clip_wave(corpus, r) for r in rows}
    phones = {r.clip: said(r, waves[r.clip], args.transcripts) for r in rows}
    print(HEAD)
    networks = {name: predictor(name, args.gain) for name in args.weights}
    for (name, network), noise in product(networks.items(), [inf, *args.noise]):
        kinds: dict[str, dict[str, dict[str, float]]] = {"": {}}
        if args.second_halves:
            kinds = {", general": {}, ", adapted": {}}
        taught: set[str] = set()
        for r in rows:
            wave = add_noise(waves[r.clip], noise, r.clip)
            columns = network.predict(wave)
            begin = r.frames // 2 if args.second_halves else 0
            for kind, found in kinds.items():
                if kind == ", adapted":
                    person = learnt_from(corpus, r, columns, wave, network.motions)
                    own = features_by_track([person], columns, network.gain)
                    taught |= {r.clip} if own else set()
                    columns = own.get(0, columns)
                told = columns[:, ::STEPS_PER_FRAME].T.astype(np.float64)
                found[r.clip] = judged(
                    corpus, r, told, network, args.speaking, phones[r.clip], begin
                )
        if args.second_halves:
            print(f"{name}: {len(taught)} of {len(rows)} clips taught something", flush=True)
        level = "" if noise == inf else f", noise at {noise:g} dB"
        for kind, found in kinds.items():
            for title, clips in (("all", set(found)), (args.people, named)):
                if title != "all" or not args.only:
                    if args.second_halves:
                        clips = clips & taught
                    cells = line([found[c] for c in clips])
                    print(f"| {name}, {title}{kind}{level} | {cells} |", flush=True)


def learnt_from(
    corpus: PackedCorpus,
    row: ClipRow,
    columns: NDArray[np.float32],
    wave: NDArray[np.float32],
    motions: LipMotions,
) -> PersonSpeech:
    """What the first half of a clip teaches of its person, as ``--adapt`` would learn it."""
    half = row.frames // 2
    wave = wave[: half * SAMPLE_RATE // MODEL_FPS]
    times = np.arange(half) / MODEL_FPS
    heard = voice_activity.detect(wave, SAMPLE_RATE).activity(times) > 0.5
    predicted = columns[:, ::STEPS_PER_FRAME].T[:half].astype(np.float64)
    seen = seen_motions(corpus, row, motions)[0][:half]
    return learn_person({0: (0, seen)}, predicted, np.asarray(heard, np.bool_))


def seen_motions(corpus: PackedCorpus, row: ClipRow, motions: LipMotions) -> tuple[Array, Array]:
    """Of a clip (n, K) motions, and how far its lip points (n, 40, 2) are from where they rest."""
    part = slice(row.start, row.start + row.frames)
    opening, shapes = corpus.opening[part], corpus.lips[part].reshape(row.frames, -1, 2)
    rest = NeutralMouth.of(opening, shapes)
    moved = shapes - rest.shape
    moved -= moved.mean(axis=1, keepdims=True)
    return np.asarray(motions.encode(opening, shapes, rest), np.float64), moved


def predictor(name: str, gain: float | None) -> Predictor:
    """The speech network of a checkpoint; ``gain`` of opening and jaw where it is given.

    Raises:
        LipwrightError: the file cannot be read, or is neither of the method nor of the stage.
    """
    if name != "vq-tiny" and read_header(Path(name))["method"] == "speech":
        return trained(Path(name), DEFAULT_GAIN if gain is None else gain)
    method = load_method("vq", weights=None if name == "vq-tiny" else name)
    assert method.motions is not None
    assert method.articulation is not None
    own = method.articulation
    if gain is not None:
        own = gains(gain, len(own))
    return Predictor(method.motions, own, method.speech_features)


def trained(path: Path, gain: float) -> Predictor:
    """The network of a run of the stage ``speech``, which no method can load yet.

    Raises:
        LipwrightError: it hears the mel spectrogram itself.
    """
    checkpoint = load_checkpoint(path)
    arguments = checkpoint.header["networks"]["speech"]
    if arguments.get("kind") != "encoder":
        raise LipwrightError(f"{path} has no speech encoder; join it by 'lipwright train vq'.")
    network = checkpoint.build("speech", build_speech_network)
    assert isinstance(network, EncoderToLips)
    space = LipSpace(network.dim)
    checkpoint.load_into("space", space)

    @torch.inference_mode()
    def predict(wave: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(network.dense(torch.from_numpy(whisper_log_power(wave))), np.float32)

    return Predictor(space.motions, gains(gain, network.dim), predict)


def gains(opening: float, dim: int) -> NDArray[np.float32]:
    """(dim,) gains: of opening and jaw, and of all others."""
    return np.array([opening] * 2 + [min(opening, SHAPE_ARTICULATION)] * (dim - 2), np.float32)


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
    network: Predictor,
    speaking: float,
    phones: list[Phone],
    begin: int = 0,
) -> dict[str, float]:
    """The numbers of one clip from a frame on; ``predicted`` (N, K) at 25 fps."""
    real, moved = seen_motions(corpus, row, network.motions)
    closed = Mouth.of(real[:, 0], np.ones(len(real))).closed
    here = slice(begin, min(len(real), len(predicted)))
    real, moved, told = real[here], moved[here], predicted[here]
    n = len(real)
    each = [correlation(a, b) for a, b in zip(told.T, real.T, strict=True)]
    drawn = stretched(told, network.gain, speaking)
    apart = drawn[:, 0].astype(np.float64)
    missed = np.linalg.norm(moved - network.motions.contours(drawn), axis=2)
    out = {
        "opening": each[0],
        "three": float(np.nanmean(each[:3])),
        "others": float(np.nanmean(each[1:])),
        "points": 100 * float(missed.mean()),
        "closed": ranked(real[:, 0] < closed, told[:, 0]),
        "told_spread": float(apart.std()),
        "real_spread": float(real[:, 0].std()),
        "told_mean": float(np.maximum(apart, 0.0).mean()),
        "real_mean": float(real[:, 0].mean()),
        "frames": float(n),
    }
    out |= closings(real[:, 0], apart, closed)
    times = (begin + np.arange(n)) / MODEL_FPS
    phones = [p for p in phones if p.middle >= times[0]]
    for name, values in (("real", real[:, 0]), ("told", apart)):
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


def ranked(shut: NDArray[np.bool_], told: Array) -> float:
    """Share of pairs of a shut and an open frame in which the shut one is told less open."""
    a, b = told[shut], told[~shut]
    if len(a) < LEAST or len(b) < LEAST:
        return float("nan")
    return float(np.mean(a[:, None] < b[None, :]))


def stretches(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First frames and ends of the stretches in which a mask is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def line(found: list[dict[str, float]]) -> str:
    """Means over clips; closings and phones of all clips together."""
    mean = {k: float(np.nanmean([f[k] for f in found])) for k in MEANS}
    total = {k: float(np.nansum([f[k] for f in found])) for k in found[0]}
    minutes, spoken = total["frames"] / 25 / 60, max(total["spoken"] / 60, 1e-9)
    phones = max(total["phones"], 1e-9)
    cells = [
        str(len(found)),
        *(f"{mean[k]:.3f}" for k in ("opening", "three", "others")),
        f"{total['told_spread'] / total['real_spread']:.2f}",
        f"{total['told_mean'] / total['real_mean']:.2f}",
        f"{mean['points']:.2f}",
        f"{mean['closed']:.3f}",
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
