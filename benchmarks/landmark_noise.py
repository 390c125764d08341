r"""How far noise in the speech leads the mouth astray: landmark error by signal-to-noise ratio.

Chen et al. (CVPR 2019) claim that a cascade by way of landmarks withstands noise better than a
network that goes from sound to pictures directly. Here a still picture (the first frame of each
validation clip) is set in motion by the clip's own speech with noise added, the landmarks of what
was drawn are read by the network that read those of the real frames, and the mouth's motion is
compared.

    python benchmarks/landmark_noise.py --data CORPUS --landmarks RUN/landmarks \\
        --method landmark=RUN/landmark.safetensors --method speech2vid=... -o noise/

Writes noise.json, noise.md and, where matplotlib is installed, noise.png.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipwright.data.augment import NONE, crop_batch
from lipwright.data.landmarks import LandmarkCorpus, SourceMfcc
from lipwright.data.packed import ClipRow, PackedCorpus
from lipwright.faces.crop_points import CropPoints
from lipwright.media.audio import load_speech
from lipwright.media.features import speech_features
from lipwright.media.mel import MODEL_FPS, SAMPLE_RATE, windows
from lipwright.methods.base import Method
from lipwright.methods.registry import load_method
from lipwright.models.landmark_space import LandmarkSpace
from lipwright.training.stages.landmark_audio import load_space
from lipwright.weights.checkpoint import load_checkpoint

LEVELS = (None, 20.0, 10.0, 5.0, 0.0)
"""Signal-to-noise ratios in dB; None is the speech as it is."""
UPPER, LOWER = 62, 66


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="corpus")
    parser.add_argument("--landmarks", type=Path, required=True, help="cache of its landmarks")
    parser.add_argument("--method", action="append", required=True, metavar="NAME=CHECKPOINT")
    parser.add_argument("--space", type=Path, help="landmark space; default: beside the landmarks")
    parser.add_argument("--noise", choices=("white", "babble"), default="babble")
    parser.add_argument("--clips", type=int, default=24, help="at most so many")
    parser.add_argument("--frames", type=int, default=75, help="of each clip at most")
    parser.add_argument("-o", "--out", type=Path, default=Path("noise"))
    args = parser.parse_args()
    corpus = LandmarkCorpus(PackedCorpus(args.data), args.landmarks)
    space = load_space(
        load_checkpoint(
            args.space or args.landmarks.parent / "landmark-space" / "landmark-space.safetensors"
        )
    )
    rows = choose(corpus.split("val"), args.clips)
    starts = SourceMfcc(corpus.packed).starts
    waves = {r.clip: clip_wave(r, starts[r.clip], args.frames) for r in rows}
    result: dict[str, Any] = {"noise": args.noise, "clips": len(rows), "methods": {}}
    for given in args.method:
        name, _, path = given.partition("=")
        method = load_method(name, weights=path or None)
        table = {}
        for level in LEVELS:
            heard = noisy(waves, level, args.noise)
            made = [moved(method, corpus, r, heard[r.clip], args.frames, space) for r in rows]
            table["clean" if level is None else f"{level:g} dB"] = compare(made, corpus.packed.size)
            print(name, level, table[next(reversed(table))], flush=True)
        result["methods"][name] = {"model": method.model_id, "levels": table}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "noise.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    (args.out / "noise.md").write_text(page(result), encoding="utf-8")
    draw(result, args.out / "noise.png")


def choose(rows: list[ClipRow], count: int) -> list[ClipRow]:
    """Clips of as many identities as possible."""
    turn: dict[str, int] = {}
    keyed = []
    for row in rows:
        turn[row.identity] = turn.get(row.identity, 0) + 1
        keyed.append((turn[row.identity], row.identity, row.clip, row))
    return [key[-1] for key in sorted(keyed, key=lambda k: k[:3])][:count]


def clip_wave(row: ClipRow, start: float, frames: int) -> NDArray[np.float32]:
    """The clip's own speech."""
    wave = load_speech(Path(row.source))
    first = round(start * SAMPLE_RATE)
    return wave[first : first + min(row.frames, frames) * SAMPLE_RATE // MODEL_FPS]


def noisy(
    waves: dict[str, NDArray[np.float32]], level: float | None, kind: str
) -> dict[str, NDArray[np.float32]]:
    """Speech with noise at a ratio of powers; babble is the sum of six other clips' speech."""
    if level is None:
        return waves
    rng = np.random.default_rng(5)
    names = sorted(waves)
    out = {}
    for name, wave in waves.items():
        if kind == "white":
            noise = rng.standard_normal(len(wave))
        else:
            others = rng.choice([n for n in names if n != name], min(6, len(names) - 1))
            noise = np.sum([np.resize(waves[o], len(wave)) for o in others], axis=0)
        power = float(np.mean(wave**2)) / max(float(np.mean(noise**2)), 1e-12)
        scaled = noise * np.sqrt(power / 10 ** (level / 10))
        out[name] = (wave + scaled).astype(np.float32)
    return out


@torch.inference_mode()
def moved(
    method: Method,
    corpus: LandmarkCorpus,
    row: ClipRow,
    wave: NDArray[np.float32],
    most: int,
    space: LandmarkSpace,
) -> tuple[Tensor, Tensor]:
    """Motion (T, 68, 2) of the mouth in the real frames and in those that were drawn."""
    count = min(row.frames, most)
    size = corpus.packed.size
    first = torch.from_numpy(np.array(corpus.packed.frames[row.start : row.start + 1]))
    still = crop_batch(first, size, NONE)
    if method.size != size:
        still = torch.nn.functional.interpolate(still, (method.size,) * 2, mode="bilinear")
    features = speech_features(torch.from_numpy(wave), method.audio)
    sound = windows(features, [Fraction(n, MODEL_FPS) for n in range(count)], method.audio)
    state = method.start(still)
    made = method.render(still.expand(count, -1, -1, -1), sound, state).faces
    pictures = ((made + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    drawn = torch.from_numpy(reader(method.size)(pictures)).float()
    real = torch.from_numpy(corpus.clip_points(row)[:count])
    return relative(space, real), relative(space, drawn)


_readers: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.float64]]] = {}


def reader(size: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float64]]:
    """One landmark network per size of crop."""
    if size not in _readers:
        _readers[size] = CropPoints(size)
    return _readers[size]


def relative(space: LandmarkSpace, points: Tensor) -> Tensor:
    """Motion about the clip's own mean."""
    shape, _ = space.align(points)
    return shape - shape.mean(0)


def compare(pairs: list[tuple[Tensor, Tensor]], size: int) -> dict[str, float]:
    """Mean distance of the mouth's points in px, and the correlation of its opening."""
    error = torch.cat([(a - b)[:, 48:].norm(dim=-1).mean(1) for a, b in pairs]).mean()
    still = torch.cat([a[:, 48:].norm(dim=-1).mean(1) for a, _ in pairs]).mean()
    gaps = [torch.cat([p[i][:, LOWER, 1] - p[i][:, UPPER, 1] for p in pairs]) for i in (0, 1)]
    opening = torch.corrcoef(torch.stack(gaps))[0, 1]
    spread = gaps[1].std() / gaps[0].std()
    return {
        "mouth_px": round(float(error) * size, 3),
        "mouth_px_of_a_still": round(float(still) * size, 3),
        "opening_r": round(float(torch.nan_to_num(opening)), 3),
        "opening_spread": round(float(spread), 3),
    }


def page(result: dict[str, Any]) -> str:
    """The numbers as a Markdown table."""
    lines = ["| method | noise | mouth error, px | of a still | opening r | opening spread |"]
    lines.append("|---|---|---|---|---|---|")
    for name, found in result["methods"].items():
        for level, row in found["levels"].items():
            numbers = " | ".join(f"{value:.3f}" for value in row.values())
            lines.append(f"| {name} | {level} | {numbers} |")
    return "\n".join(lines) + "\n"


def draw(result: dict[str, Any], path: Path) -> None:
    """Landmark error and correlation against the ratio."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        print("matplotlib is not installed; no plot")
        return
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for name, found in result["methods"].items():
        for axis, key in zip(axes, ("mouth_px", "opening_r"), strict=True):
            axis.plot(
                list(found["levels"]), [r[key] for r in found["levels"].values()], "o-", label=name
            )
            axis.set_ylabel({"mouth_px": "mouth error, px", "opening_r": "opening, r"}[key])
            axis.set_xlabel(f"{result['noise']} noise, signal-to-noise ratio")
    axes[0].legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
