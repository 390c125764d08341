"""What an Audio-Lip Memory begins with: clusters of the features that it is to hold.

Slots of random numbers answer nothing for a long time, and most of them never come to be the
nearest one of any feature. Once lip and audio features say something of lips (the steps
``lips_first``), the audio features of a few thousand frames are put into as many clusters as there
are slots; the middle of a cluster becomes a key, and the mean lip feature of its frames the value.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lipwright.data.talking import TalkingBatch
from lipwright.training.stages.memory_network import TrainedMemory, at_frames

ROUNDS = 30
"""Of the clustering."""


@torch.no_grad()
def fill_memory(
    network: TrainedMemory, batches: list[TalkingBatch], rng: np.random.Generator
) -> None:
    """Cluster the frames whose lips are in these batches, and begin the memory with that."""
    was_training = network.training
    network.eval()
    audio, lips = [], []
    for batch in batches:
        features = network.talker.audio.sequence(batch.speech)
        audio.append(at_frames(features, batch.lip_frames).float())
        lips.append(network.further(batch).float())
    network.train(was_training)
    audio_rows, lip_rows = torch.cat(audio), torch.cat(lips)
    memory = network.talker.memory
    number = clusters(audio_rows, memory.slots, rng)
    memory.initialise(*(means(x, number, memory.slots) for x in (audio_rows, lip_rows)))


def clusters(features: Tensor, count: int, rng: np.random.Generator) -> Tensor:
    """(N, C) features to the numbers (N,) of ``count`` clusters, by directions (spherical k-means).

    Begins with features that are drawn far from those drawn before (k-means++).

    Raises:
        ValueError: fewer features than clusters.
    """
    if len(features) < count:
        raise ValueError(f"{len(features)} features cannot fill {count} clusters")
    unit = F.normalize(features, dim=-1)
    middles = unit[[int(rng.integers(len(unit)))]]
    for _ in range(count - 1):
        far = (1.0 - (unit @ middles.T).amax(1)).clamp_min(0.0).cpu().numpy().astype(np.float64)
        chance = far + 1e-9
        drawn = int(rng.choice(len(unit), p=chance / chance.sum()))
        middles = torch.cat([middles, unit[[drawn]]])
    number = (unit @ middles.T).argmax(1)
    for _ in range(ROUNDS):
        middles = F.normalize(means(unit, number, count), dim=-1)
        number = (unit @ middles.T).argmax(1)
    return number


def means(features: Tensor, number: Tensor, count: int) -> Tensor:
    """(N, C) features and the cluster of each: (count, C); an empty cluster gets a random one."""
    total = features.new_zeros(count, features.shape[1]).index_add(0, number, features)
    frames = torch.bincount(number, minlength=count)
    out = total / frames.clamp_min(1)[:, None]
    empty = (frames == 0).nonzero()[:, 0]
    out[empty] = features[empty % len(features)]
    return out
