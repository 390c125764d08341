"""Do networks that learn from marked frames draw the mark themselves?

Gupta et al. (WACV 2023, section 3.3) mark their whole dataset and expect the outputs of the trained
networks to carry the mark. The test: two Face-VQGANs with the same seed, steps and frames, but for
one of them every training frame is marked with one id. Both then reconstruct frames of people
that neither has seen, without and with the mark, and the id is looked for in the pictures.

    python benchmarks/learned_mark.py CORPUS --steps 100 --report learned.json

CORPUS is what ``lipwright prepare`` made. By default both start from the shipped Face-VQGAN, so
that they can draw fine detail after few steps; ``--initial none`` starts from nothing. Crops are
not jittered, so that every block of the mark always lies in the same place: the best case for the
claim. ``--jitter`` moves, turns and mirrors them as in training.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

import lipwright
from lipwright.data.augment import NONE, Jitter, crop_batch
from lipwright.data.cut import mark_crop
from lipwright.data.packed import PackedCorpus
from lipwright.models.vqgan import VQGAN
from lipwright.provenance.watermark.grid import ID_BITS, chips, code_word, format_id
from lipwright.provenance.watermark.reading import Reading, votes
from lipwright.provenance.watermark.scheme import BLOCK, half_of_rgb, strengths
from lipwright.provenance.watermark.significance import errors_allowed, log10_binomial
from lipwright.training.config import OptimiserConfig, RunConfig
from lipwright.training.stages.vqgan import VQGANConfig, VQGANLoss, VQGANStage
from lipwright.training.trainer import train
from lipwright.weights.checkpoint import load_checkpoint, save_checkpoint

Pictures = npt.NDArray[np.uint8]
SHIPPED = Path(lipwright.__file__).parent / "weights" / "shipped" / "vq-tiny.safetensors"
SMALL = {
    "channels": [32, 48, 96],
    "blocks": 1,
    "decoder_blocks": 1,
    "z_channels": 96,
    "dim": 64,
    "n_codes": 512,
    "attention": False,
    "groups": 16,
    "patch": 2,
    "codebook": "cosine",
}


class MarkedFrames:
    """The frames of a corpus, marked as they are read, as ``prepare --watermark`` marks them."""

    def __init__(self, frames: Pictures, mark: str) -> None:
        self._frames, self._mark = frames, mark
        self.shape, self.dtype = frames.shape, frames.dtype

    def __getitem__(self, index: int) -> Pictures:
        return mark_crop(np.asarray(self._frames[index]), self._mark)


@dataclass
class Row:
    """What was read from some pictures.

    Attributes:
        pictures: which.
        psnr: of them against the pictures that went in, dB.
        blocks: share of 8x8 blocks whose vote agrees with the id; 0.5 is chance.
        bits: mean share of the bits that are right in a frame; 0.5 is chance.
        frames_matching: share of frames that carry the id by the rule of one frame.
        bits_of_all: right bits when the votes of all frames are summed.
        bits_there: of so many, those of the grid's 160 that occur in a crop.
        log10_chance: of as many right bits by guessing.
    """

    pictures: str
    psnr: float
    blocks: float
    bits: float
    frames_matching: float
    bits_of_all: int
    bits_there: int
    log10_chance: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/learned-mark"))
    parser.add_argument("--steps", type=int, default=100, help="0: the start only")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--initial", default=str(SHIPPED), help="a vq checkpoint, or none")
    parser.add_argument("--jitter", action="store_true", help="as in training")
    parser.add_argument("--frames", type=int, default=200, help="held-out frames that are judged")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    plain = PackedCorpus(given.corpus)
    mark_id = int(np.random.default_rng(given.seed).integers(2**ID_BITS))
    mark = format_id(mark_id)
    marked = copy.copy(plain)
    marked.frames = MarkedFrames(plain.frames, mark)
    frames = held_out(plain, given.frames)
    inputs = {
        "unmarked": centre(frames, plain),
        "marked": centre(np.stack([mark_crop(f, mark) for f in frames]), plain),
    }
    rows = [judge(f"{name} frames", x, x, plain, mark_id) for name, x in inputs.items()]
    networks = {"shipped network": shipped(given.initial)} if given.initial != "none" else {}
    if given.steps:
        for corpus, teacher_forced in ((plain, "unmarked"), (marked, "marked")):
            networks[f"trained on {teacher_forced}"] = learn(
                corpus, given, given.out / teacher_forced
            )
    given.out.mkdir(parents=True, exist_ok=True)
    for how, network in networks.items():
        for name, x in inputs.items():
            y = reconstruct(network, x)
            rows.append(judge(f"{how}, given {name}", y, x, plain, mark_id))
            show(given.out / f"{how}-given-{name}.png".replace(" ", "-"), x, y)
    print(table(rows))
    if given.report:
        settings = {k: str(v) for k, v in vars(given).items()}
        content = {"id": mark, **settings, "rows": [asdict(row) for row in rows]}
        given.report.write_text(json.dumps(content, indent=1))


def held_out(corpus: PackedCorpus, count: int) -> Pictures:
    """(count, C, C, 3) frames of people that are not trained on, spread over their clips."""
    rows = sorted(corpus.split("val"), key=lambda row: row.clip)
    rng = np.random.default_rng(1)
    chosen = [rows[k * len(rows) // count % len(rows)] for k in range(count)]
    return np.stack([corpus.frames[r.start + int(rng.integers(r.frames))] for r in chosen])


def centre(frames: Pictures, corpus: PackedCorpus) -> Pictures:
    """(N, S, S, 3) the frames without their margin."""
    m = corpus.margin
    return np.ascontiguousarray(frames[:, m : m + corpus.size, m : m + corpus.size])


def shipped(path: str) -> VQGAN:
    """The Face-VQGAN of a checkpoint of the method vq."""
    checkpoint = load_checkpoint(Path(path))
    network = VQGAN(**checkpoint.header["networks"]["face"])
    checkpoint.load_into("face", network)
    return network.eval()


def learn(corpus: PackedCorpus, given: argparse.Namespace, out: Path) -> VQGAN:
    """Train one network; everything but the frames is the same for both."""
    model, initial = SMALL, None
    if given.initial != "none":
        model = load_checkpoint(Path(given.initial)).header["networks"]["face"]
        initial = out / "initial.safetensors"
        header = {"method": "vqgan", "networks": {"vqgan": model}}
        save_checkpoint(initial, header, {"vqgan": shipped(given.initial)})
    config = VQGANConfig(
        model=model,
        jitter=asdict(Jitter() if given.jitter else NONE),
        loss=VQGANLoss(gradient=1.0),
        initial=initial,
        optimiser=OptimiserConfig(lr=given.lr, warmup=20),
        run=RunConfig(
            steps=given.steps,
            batch=given.batch,
            seed=given.seed,
            precision="fp32",
            ema=0.0,
            validate_every=given.steps,
            validate_batches=1,
        ),
    )
    stage = VQGANStage(config, corpus)
    progress = train(stage, out, given.device)
    print(f"{out.name}: {progress.step} steps, {progress.seconds:.0f} s", flush=True)
    assert isinstance(stage.network, VQGAN)
    return stage.network.eval()


@torch.inference_mode()
def reconstruct(network: VQGAN, pictures: Pictures) -> Pictures:
    """(N, S, S, 3) through encoder, codes and decoder, rounded to 8 bits as an output is."""
    device = next(network.parameters()).device
    done = []
    for start in range(0, len(pictures), 16):
        frames = torch.from_numpy(pictures[start : start + 16]).to(device)
        y, _ = network(crop_batch(frames, pictures.shape[1]))
        done.append(((y.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu())
    return torch.cat(done).contiguous().numpy()


def judge(
    name: str, pictures: Pictures, originals: Pictures, corpus: PackedCorpus, mark_id: int
) -> Row:
    """Look for the mark, id and pilot together, in centre crops of frames of the corpus."""
    edge, side = corpus.margin // BLOCK, corpus.size // BLOCK
    index = chips(edge, edge, side, side)
    there = np.unique(index)
    word = code_word(mark_id) == 1
    said = np.stack([votes(strengths(half_of_rgb(p)), Reading()) for p in pictures])
    sums = np.stack([np.bincount(index.ravel(), v.ravel(), word.size)[there] for v in said])
    right = (sums > 0) == word[there]
    together = int(((sums.sum(axis=0) > 0) == word[there]).sum())
    allowed = errors_allowed(there.size, 1.0)
    error = ((pictures.astype(np.float64) - originals) ** 2).mean()
    return Row(
        name,
        10 * math.log10(255**2 / error) if error else math.inf,
        float(((said > 0) == word[index]).mean()),
        float(right.mean()),
        float(((~right).sum(axis=1) <= allowed).mean()),
        together,
        there.size,
        log10_binomial(there.size, there.size - together),
    )


def show(path: Path, x: Pictures, y: Pictures) -> None:
    """Six inputs above their reconstructions."""
    sheet = np.concatenate([np.concatenate(list(part[::33][:6]), axis=1) for part in (x, y)])
    cv2.imwrite(str(path), np.ascontiguousarray(sheet[..., ::-1]))


def table(rows: list[Row]) -> str:
    lines = [
        "| pictures | PSNR | blocks that agree | bits right in a frame | frames that match "
        "| bits right in all frames | by chance |",
        "|---|---|---|---|---|---|---|",
    ]
    lines.extend(
        f"| {row.pictures} | {row.psnr:.1f} dB | {100 * row.blocks:.1f} % "
        f"| {100 * row.bits:.1f} % | {100 * row.frames_matching:.0f} % "
        f"| {row.bits_of_all} of {row.bits_there} | {10**row.log10_chance:.2g} |"
        for row in rows
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
