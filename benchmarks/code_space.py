"""Generators of the paper's kind on held-out windows, in code space: L1, and what an expert says.

Nothing is decoded or dubbed, so that variants are compared in a minute:

    python benchmarks/code_space.py --data CORPUS --run RUN --expert E.safetensors G.safetensors

RUN holds the code grids (stage ``codes``) and, in ``expert/features``, what the expert hears.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lipwright.data.clip_windows import ReferenceRule
from lipwright.data.codes import CodeCorpus
from lipwright.data.packed import PackedCorpus
from lipwright.media.mel import AudioSpec
from lipwright.models.expert import SyncExpert
from lipwright.models.generator import CodeGenerator
from lipwright.training.code_windows import CodeWindows
from lipwright.training.expert_speech import speech_for
from lipwright.training.losses.codes import cell_weights, code_l1
from lipwright.training.losses.sync import sync_loss
from lipwright.weights.checkpoint import load_checkpoint


def main() -> None:
    """Parse, measure, print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("generators", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--expert", type=Path, required=True)
    parser.add_argument("--windows", type=int, default=60)
    args = parser.parse_args()
    codes = CodeCorpus(PackedCorpus(args.data), args.run / "codes")
    checkpoint = load_checkpoint(args.expert)
    expert = checkpoint.build("expert", SyncExpert)
    encoder = checkpoint.header.get("encoder", "")
    speech = speech_for(codes.whole, encoder, args.run / "expert" / "features")
    drawn = {
        str(path): load_checkpoint(path).build("generator", CodeGenerator)
        for path in args.generators
    }
    rule = ReferenceRule(1, 25, 0.0, "opening", 1)
    rows, size = codes.packed.split("val"), expert.window
    clips = CodeWindows(codes, rows, AudioSpec(), size, rule, speech=True, balance=1.0)
    here = torch.device("cpu")
    weight = cell_weights(4.0, 1.5, 0.5, here)
    rng = np.random.default_rng(5)
    found: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(args.windows):
        examples = clips.draw(rng, 1)
        batch = clips.tensors(examples, None, here)
        heard = speech.of_windows([e.window for e in examples], size)
        copied = batch.references[:, 0].repeat_interleave(size, 0)
        grids: dict[str, Tensor] = {"real": batch.target, "copy of the reference": copied}
        with torch.no_grad():
            for name, generator in drawn.items():
                grids[name] = generator(batch.pose, copied, batch.condition)
            for name, grid in grids.items():
                cosine = expert(grid.unflatten(0, (-1, size)), heard)
                loss = float(sync_loss(cosine, torch.ones_like(cosine)))
                error = float(code_l1(grid, batch.target, weight))
                found.setdefault(name, []).append((error, loss, float(cosine > 0.5)))
    print("| | L1 | sync loss | in sync |\n|---|---|---|---|")
    for name, values in found.items():
        table = np.array(values)
        half = 1.96 * table.std(0) / len(table) ** 0.5
        cells = [f"{m:.3f} ± {h:.3f}" for m, h in zip(table.mean(0), half, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
