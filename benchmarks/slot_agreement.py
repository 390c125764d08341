r"""How often speech could find the slot of the lips at all: a bound for the Audio-Lip Memory.

    python benchmarks/slot_agreement.py --data CORPUS --slots 16 24 32 48 96

No memory is trained. The true lip motions of training people (eight numbers a frame, every one by
its deviation) are put into as many clusters as there are slots. Of held-out people the slot of a
frame is the nearest cluster of its true motion; speech chooses one by what the shipped speech
network predicts: the nearest cluster of the prediction, or the slot that is most frequent among the
training frames with similar predictions. A memory whose slots are as fine as these clusters, and
whose audio hears no more than that network, cannot agree much more often. ``most frequent`` is what
always naming one slot reaches, ``by chance`` two frames at random.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from scipy.spatial import cKDTree

from clips import machine
from lipwright.data.encoded_speech import clip_wave
from lipwright.data.packed import PackedCorpus
from lipwright.media.mel import STEPS_PER_FRAME
from speech_motion import Predictor, predictor, seen_motions

Array = NDArray[np.float64]
NEIGHBOURS = 150
"""Training frames with similar predictions that are asked for their slots."""
SHORTEST = 40
"""Frames of a clip that is taken."""


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="corpus")
    parser.add_argument("--weights", default="vq-tiny", help="whose speech network hears")
    parser.add_argument("--slots", type=int, nargs="+", default=[16, 24, 32, 48, 96])
    parser.add_argument("--people", type=int, default=70, help="training people, at most")
    args = parser.parse_args()
    corpus, network = PackedCorpus(args.data), predictor(args.weights, None)
    predicted, real = frames_of(corpus, network, "train", args.people)
    held_predicted, held_real = frames_of(corpus, network, "val", args.people)
    print(machine())
    print(f"{len(real)} frames of training people, {len(held_real)} of held-out people\n")
    print("| slots | in use | nearest | likeliest | most frequent | by chance |")
    print("|---|---|---|---|---|---|")
    unit, scale = real.std(0), predicted.std(0)
    tree = cKDTree(predicted / scale)
    near = tree.query(held_predicted / scale, NEIGHBOURS)[1]
    for slots in args.slots:
        centres, label = kmeans2(real / unit, slots, minit="++", seed=0)
        index = cKDTree(centres)
        true, found = (index.query(x / unit)[1] for x in (held_real, held_predicted))
        likely = np.array([np.bincount(row, minlength=slots).argmax() for row in label[near]])
        share = np.bincount(true, minlength=slots) / len(true)
        used = np.exp(-np.sum(share[share > 0] * np.log(share[share > 0])))
        figures = (np.mean(found == true), np.mean(likely == true), share.max(), np.sum(share**2))
        cells = " | ".join(f"{100 * f:.1f} %" for f in figures)
        print(f"| {slots} | {used:.1f} | {cells} |", flush=True)


def frames_of(
    corpus: PackedCorpus, network: Predictor, split: str, people: int
) -> tuple[Array, Array]:
    """Predicted and true motions (N, K) of one clip each of so many people."""
    rows, taken = [], set()
    for row in sorted(corpus.split(split), key=lambda r: r.clip):
        if row.frames >= SHORTEST and row.identity not in taken and len(taken) < people:
            taken.add(row.identity)
            rows.append(row)
    predicted, real = [], []
    for row in rows:
        motions = network.predict(clip_wave(corpus, row))[:, ::STEPS_PER_FRAME].T[: row.frames]
        predicted.append(motions.astype(np.float64))
        real.append(seen_motions(corpus, row, network.motions)[0][: len(motions)])
    return np.concatenate(predicted), np.concatenate(real)


if __name__ == "__main__":
    main()
