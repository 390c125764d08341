r"""Does more weight on closings teach a speech network closings, or only lower every mouth?

    python benchmarks/closing_loss.py --data CORPUS --weights vq-tiny --closing 0 4

A speech network is trained further on one half of the held-out people and judged on the other half,
and the other way round, once for every value of ``speech.loss.closing`` from the same start on the
same stretches. The rows are those of ``speech_motion.py``; ``closed`` cannot be bought by lower
mouths, ``closings hit`` and ``false a minute`` can. The first row is the network as it is. For
comparisons between the rows only: these are the people that everything else is judged by.
"""

from __future__ import annotations

import argparse
from copy import deepcopy
from fnmatch import fnmatchcase
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipwright.data.encoded_speech import Features, clip_wave, rows_about
from lipwright.data.packed import ClipRow, PackedCorpus, row_weights
from lipwright.methods.articulation import SPEAKING
from lipwright.methods.registry import shipped
from lipwright.models.encoder_lips import EncoderToLips
from lipwright.models.lip_space import LipSpace
from lipwright.models.speech_networks import build_speech_network
from lipwright.training.losses.motion import correlation_loss, motion_loss
from lipwright.training.speech_encoding import frame_encoder
from lipwright.weights.checkpoint import load_checkpoint
from speech_motion import DEFAULT_GAIN, HEAD, Predictor, gains, judged, line, said, seen_motions

FRAMES, BATCH = 48, 16
"""Of a stretch, and stretches per member and step."""
BALANCE, DECAY, CLIP = 0.5, 0.05, 1.0
"""As in configs/vq/tiny.yaml."""

Array = NDArray[np.float32]


def main() -> None:
    """Parse, train, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="corpus")
    parser.add_argument("--weights", default="vq-tiny", help="vq-tiny or a file with an encoder")
    parser.add_argument("--people", default="person*,vlog*,more*,demo*")
    parser.add_argument("--closing", type=float, nargs="+", default=[0.0, 4.0])
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--transcripts", type=Path, help="as in speech_motion.py")
    args = parser.parse_args()
    corpus = PackedCorpus(args.data)
    wanted = args.people.split(",")
    rows = [r for r in corpus.split("val") if any(fnmatchcase(r.identity, p) for p in wanted)]
    name = shipped("vq") if args.weights == "vq-tiny" else Path(args.weights)
    checkpoint = load_checkpoint(name)
    start = checkpoint.build("speech", build_speech_network)
    assert isinstance(start, EncoderToLips)
    space = LipSpace(start.dim)
    checkpoint.load_into("space", space)
    waves = {r.clip: clip_wave(corpus, r) for r in rows}
    phones = {r.clip: said(r, waves[r.clip], args.transcripts) for r in rows}
    encode = frame_encoder(start.encoder)
    heard = {r.clip: encode(waves[r.clip]).astype(np.float16) for r in rows}
    motions = {r.clip: seen_motions(corpus, r, space.motions)[0].astype(np.float32) for r in rows}
    print(HEAD)
    for closing in (None, *args.closing):
        found = []
        for fold in (0, 1):
            learnt = [r for r in rows if half(r) != fold]
            network = start
            if closing is not None:
                network = further(start, learnt, heard, motions, closing, args.steps, args.lr)
            judge = Predictor(space.motions, gains(DEFAULT_GAIN, start.dim), unheard)
            found += [
                judged(corpus, r, told(network, heard[r.clip]), judge, SPEAKING, phones[r.clip])
                for r in rows
                if half(r) == fold
            ]
        title = "as it is" if closing is None else f"closing {closing:g}"
        print(f"| {title} | {line(found)} |", flush=True)


def unheard(wave: Array) -> Array:
    """Predictions are made of features here."""
    raise NotImplementedError


def half(row: ClipRow) -> int:
    """0 or 1, the same for all clips of a person."""
    return crc32(row.identity.encode()) % 2


@torch.inference_mode()
def told(network: EncoderToLips, heard: Features) -> NDArray[np.float64]:
    """(n, C) features -> (n, K) motions."""
    rows = rows_about(heard, -network.layers, len(heard) + 2 * network.layers)
    out = network.sequence(torch.from_numpy(rows.T[None].copy()))
    return np.asarray(out[0].numpy(), np.float64)


def further(
    start: EncoderToLips,
    rows: list[ClipRow],
    heard: dict[str, Features],
    motions: dict[str, Array],
    closing: float,
    steps: int,
    rate: float,
) -> EncoderToLips:
    """A copy that was trained on these clips, with a rate that falls to nothing."""
    torch.manual_seed(0)
    network = deepcopy(start)
    weights = [p.requires_grad_() for p in network.members.parameters()]
    optimiser = torch.optim.AdamW(weights, rate, betas=(0.9, 0.99), weight_decay=DECAY)
    chances = row_weights(rows, BALANCE)
    for step in range(steps):
        rng = np.random.default_rng([0, step])
        for group in optimiser.param_groups:
            group["lr"] = rate * 0.5 * (1 + np.cos(np.pi * step / steps))
        loss = torch.zeros(())
        for member in network.members.train():
            batch = [
                stretch(rng, rows[int(rng.choice(len(rows), p=chances))], heard, motions, network)
                for _ in range(BATCH)
            ]
            features, real, valid = (torch.stack(v) for v in zip(*batch, strict=True))
            predicted: Tensor = member(features)
            loss = loss + sum(motion_loss(predicted, real, valid, closing), torch.zeros(()))
            loss = loss + correlation_loss(predicted, real, valid)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(weights, CLIP)
        optimiser.step()
    return network.eval()


def stretch(
    rng: np.random.Generator,
    row: ClipRow,
    heard: dict[str, Features],
    motions: dict[str, Array],
    network: EncoderToLips,
) -> tuple[Tensor, Tensor, Tensor]:
    """Features (C, n + 2 layers), motions (n, K) and which of the n frames exist."""
    features, motion = heard[row.clip], motions[row.clip]
    length = min(len(features), len(motion))
    n = min(FRAMES, length)
    first = int(rng.integers(length - n + 1))
    rows = rows_about(features, first - network.layers, FRAMES + 2 * network.layers)
    real = np.zeros((FRAMES, network.dim), np.float32)
    real[:n] = motion[first : first + n]
    valid = np.arange(FRAMES) < n
    return torch.from_numpy(rows.T.copy()), torch.from_numpy(real), torch.from_numpy(valid)


if __name__ == "__main__":
    main()
