r"""What VQGANs make of held-out people: fidelity and sharpness of the decoded mouth.

    python benchmarks/vqgan_sharpness.py --data CORPUS vq RUN/vqgan/vqgan.safetensors -o sheet.png

Crops of people that training never saw, frames in a row, are encoded, quantised and
decoded in float32. PSNR against the crop, whole and in the mouth's box; of the mouth's box the
energy of the finest three octaves and the flicker of the high band, decoded over real (1 is right);
CPBD of the lower half of the face, decoded and real. Intervals are 95 % bootstraps over people. The
sheet has the real mouths in its first row and one row for every VQGAN.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from clips import machine
from lipwright.data.packed import ClipRow, PackedCorpus
from lipwright.evaluation.bootstrap import bootstrap_mean
from lipwright.evaluation.metrics.cpbd import cpbd
from lipwright.evaluation.metrics.mouth_detail import DetailMeter, detail_ratios
from lipwright.face_regions import MOUTH_BOX, MOUTH_PICTURE_BOX, cut_box, lower_half, pixel_box
from lipwright.models.vqgan import VQGAN
from lipwright.training.pictures import write_sheet
from lipwright.training.stages.taken_vqgan import joined_path
from lipwright.weights.checkpoint import load_checkpoint

COLUMNS = (
    ("psnr", "PSNR, dB", 2),
    ("mouth_psnr", "mouth PSNR, dB", 2),
    ("mouth_octave_1", "mouth octave 1", 3),
    ("mouth_octave_2", "octave 2", 3),
    ("mouth_octave_3", "octave 3", 3),
    ("mouth_high_flicker", "high-band flicker", 2),
    ("cpbd", "CPBD, lower half", 3),
)
"""Measures, their titles and decimals."""


@torch.no_grad()
def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("vqgans", nargs="+", help="'vq', a joined checkpoint, or one of the stage")
    parser.add_argument("--data", type=Path, required=True, help="corpus")
    parser.add_argument("--people", type=int, default=24, help="at most so many")
    parser.add_argument("--frames", type=int, default=16, help="of each, in a row")
    parser.add_argument("-o", "--sheet", type=Path, default=None, help="a PNG to look at")
    args = parser.parse_args()
    networks = {name: load(name) for name in args.vqgans}
    corpus = PackedCorpus(args.data)
    rows: dict[str, ClipRow] = {}
    for row in sorted(corpus.split("val"), key=lambda r: r.clip):
        if row.frames >= args.frames:
            rows.setdefault(row.identity, row)
    people = [rows[k] for k in sorted(rows)][: args.people]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ("real", *networks)}
    sheet: dict[str, list[Tensor]] = {name: [] for name in ("real", *networks)}
    for row in people:
        real = crops(corpus, row, args.frames)
        found["real"].append({"cpbd": lower_cpbd(real)})
        sheet["real"].append(cut_box(real[:1], MOUTH_PICTURE_BOX))
        for name, network in networks.items():
            drawn = network(real)[0].clamp(-1.0, 1.0)
            found[name].append(measures(real, drawn))
            sheet[name].append(cut_box(drawn[:1], MOUTH_PICTURE_BOX))
    print(machine())
    print(f"{len(people)} people, {len(people) * args.frames} frames; mean [95 % interval]")
    print("\n".join(table(found)))
    if args.sheet is not None:
        write_sheet([torch.cat(pictures) for pictures in sheet.values()], args.sheet)


def load(name: str) -> VQGAN:
    """The Face-VQGAN of a joined checkpoint, or of the stage ``vqgan``."""
    checkpoint = load_checkpoint(joined_path(name))
    part = "face" if "face" in checkpoint.header["networks"] else "vqgan"
    network = VQGAN(**checkpoint.header["networks"][part])
    checkpoint.load_into(part, network)
    return network.eval()


def crops(corpus: PackedCorpus, row: ClipRow, count: int) -> Tensor:
    """(count, 3, S, S) in [-1, 1] from the middle of a clip."""
    start = row.start + (row.frames - count) // 2
    edge = corpus.margin
    inner = slice(edge, edge + corpus.size)
    pixels = np.asarray(corpus.frames[start : start + count, inner, inner])
    return torch.from_numpy(pixels.astype(np.float32).transpose(0, 3, 1, 2)) / 127.5 - 1.0


def measures(real: Tensor, drawn: Tensor) -> dict[str, float]:
    """The numbers of one person's frames."""
    error = (drawn - real).square() / 4.0
    inside = cut_box(error, MOUTH_BOX)
    out = {
        "psnr": float((-10 * error.mean(dim=(1, 2, 3)).log10()).mean()),
        "mouth_psnr": float((-10 * inside.mean(dim=(1, 2, 3)).log10()).mean()),
        "cpbd": lower_cpbd(drawn),
    }
    left, top, right, bottom = pixel_box(MOUTH_BOX, real.shape[-1])
    meters = DetailMeter(), DetailMeter()
    for meter, pictures in zip(meters, (real, drawn), strict=True):
        for picture in eight_bits(pictures):
            meter.add(picture[top:bottom, left:right], after_gap=False)
    return out | detail_ratios(*meters)


def lower_cpbd(pictures: Tensor) -> float:
    """Mean CPBD of the lower halves (frames without an edge are left out)."""
    values = [
        cpbd(np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8))
        for picture in eight_bits(lower_half(pictures))
    ]
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def eight_bits(pictures: Tensor) -> Iterator[NDArray[np.uint8]]:
    """(B, 3, H, W) in [-1, 1] -> (H, W, 3) uint8 RGB, one after another."""
    whole = ((pictures + 1.0) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1)
    for picture in whole.numpy():
        yield np.ascontiguousarray(picture)


def table(found: dict[str, list[dict[str, float]]]) -> list[str]:
    """Lines of Markdown."""
    lines = ["| | " + " | ".join(title for _, title, _ in COLUMNS) + " |"]
    lines.append("|---|" + "---|" * len(COLUMNS))
    for name, people in found.items():
        cells = []
        for key, _, digits in COLUMNS:
            values = [p[key] for p in people if key in p]
            if not values:
                cells.append("-")
                continue
            e = bootstrap_mean(values)
            cells.append(f"{e.value:.{digits}f} [{e.low:.{digits}f}, {e.high:.{digits}f}]")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
