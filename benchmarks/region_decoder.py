r"""How far pictures differ that are decoded where the mask shows them, from those decoded whole.

    python benchmarks/region_decoder.py --data CORPUS [--weights vq-tiny] [--clips 16]

Of held-out clips every fourth frame is a reference frame (at most 32); sixteen others are drawn
from them with the motion of their own lips, in float32 by PyTorch: once with the whole picture
decoded and normalised by its own statistics, once as a dub does it (``models/region_decoder.py``,
``models/known_norms.py``, ``models/pose_cells.py``). Printed are the median and the least PSNR of a
frame in the mouth's box, and how much of the kernel's weights lies elsewhere.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from clips import machine
from lipwright.data.packed import ClipRow, PackedCorpus
from lipwright.face_regions import MOUTH_BOX, blank_lower_half, cut_box
from lipwright.lip_motion import LipMotions, NeutralMouth
from lipwright.methods.registry import shipped
from lipwright.methods.vq import norm_rows, put_back
from lipwright.methods.vq_networks import build_networks
from lipwright.models.gallery_generator import GalleryGenerator
from lipwright.models.vq_pipeline import FrameRenderer, ReferenceEncoder, enlarged
from lipwright.weights.checkpoint import load_checkpoint

REFERENCES = 32
BATCH = 8


@torch.no_grad()
def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="corpus")
    parser.add_argument("--weights", default="vq-tiny", help="a shipped checkpoint or a file")
    parser.add_argument("--clips", type=int, default=16, help="at most so many")
    args = parser.parse_args()
    path = Path(args.weights) if Path(args.weights).exists() else shipped("vq")
    references, frames, _, space = build_networks(load_checkpoint(path))
    assert isinstance(references, ReferenceEncoder)
    assert isinstance(frames, FrameRenderer)
    motions = LipMotions(space.basis.double().numpy(), space.scale.double().numpy())
    corpus = PackedCorpus(args.data).without_short(50)
    rows: dict[str, ClipRow] = {}
    for row in corpus.split("val"):
        rows.setdefault(row.identity, row)
    psnr: list[float] = []
    moved: list[float] = []
    for row in list(rows.values())[: args.clips]:
        for batch in batches(corpus, row, motions, references.finer):
            one, two = compare(references, frames, *batch)
            psnr += one
            moved += two
    print(machine())
    print(f"{min(len(rows), args.clips)} clips, {len(psnr)} frames")
    print("| PSNR, median, dB | least | weights elsewhere, mean | most |")
    print("|---|---|---|---|")
    print(f"| {np.median(psnr):.1f} | {min(psnr):.1f} | {np.mean(moved):.4f} | {max(moved):.3f} |")


def batches(
    corpus: PackedCorpus, row: ClipRow, motions: LipMotions, finer: int
) -> list[tuple[Tensor, ...]]:
    """References, their motions, faces and the motions that these shall show."""
    part = slice(row.start, row.start + row.frames)
    edge = corpus.margin
    pixels = corpus.frames[part, edge : edge + corpus.size, edge : edge + corpus.size]
    faces = torch.from_numpy(pixels.astype(np.float32).transpose(0, 3, 1, 2)) / 127.5 - 1
    shapes = corpus.lips[part].reshape(row.frames, -1, 2)
    opening = corpus.opening[part]
    measured = motions.encode(opening, shapes, NeutralMouth.of(opening, shapes))
    wanted = torch.from_numpy(np.asarray(measured, np.float32))
    chosen = torch.arange(0, row.frames, max(4, row.frames // REFERENCES))[:REFERENCES]
    others = torch.tensor([i for i in range(row.frames) if i not in set(chosen.tolist())])
    large = enlarged(faces[chosen], finer)
    return [(large, wanted[chosen], faces[i], wanted[i]) for i in others.split(BATCH)[:2]]


def compare(
    references: ReferenceEncoder,
    frames: FrameRenderer,
    pictures: Tensor,
    motions: Tensor,
    faces: Tensor,
    wanted: Tensor,
) -> tuple[list[float], list[float]]:
    """PSNR in the mouth's box by frame, and the share of the weights that lies elsewhere."""
    generator = frames.generator
    assert isinstance(generator, GalleryGenerator)
    norms = references.norms(pictures[norm_rows(len(pictures))]).mean(0, keepdim=True)
    known = references(pictures, motions, norms)
    drawn, _, _, weights = frames(faces, wanted / frames.articulation, *known[:-1])
    side = pictures.shape[-1]
    restored = torch.from_numpy(
        put_back(drawn.numpy(), weights.numpy(), known[-1][0].numpy(), side)
    )
    pose = frames.encode_pose(blank_lower_half(faces)) / frames.pose_sigma
    small = F.avg_pool2d(pictures, references.finer)
    codes = references.encode_face(small)
    poses = references.encode_pose(blank_lower_half(small)) / frames.pose_sigma
    encoded = generator.encode_references(
        codes[None] / frames.face_sigma, poses[None], motions[None]
    )
    mixed, exact = generator(pose, encoded, wanted)
    reconstructed = enlarged(_whole(frames, codes), references.finer)
    missing = exact @ (pictures - reconstructed).flatten(1)
    residual = missing.reshape(len(faces), *pictures.shape[1:])
    whole = enlarged(_whole(frames, mixed * frames.face_sigma), references.finer) + residual
    error = cut_box(restored, MOUTH_BOX) - cut_box(whole.clamp(-1.0, 1.0), MOUTH_BOX)
    level = 10.0 * torch.log10(4.0 / error.square().mean((1, 2, 3)))
    return level.tolist(), (0.5 * (weights - exact).abs().sum(1)).tolist()


def _whole(frames: FrameRenderer, codes: Tensor) -> Tensor:
    picture: Tensor = frames.decoder(frames.post(codes)).clamp(-1.0, 1.0)
    return picture


if __name__ == "__main__":
    main()
