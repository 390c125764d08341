"""Stage ``landmark-space``: mean shape, principal components and the estimator of neutral faces.

Chen et al. (CVPR 2019) after the published code: Procrustes to a mean shape, identity removed, PCA.
Everything is fitted in closed form on the training split; there is nothing to descend.

Order: the mean shape (a few rounds of alignment and averaging, every identity counting alike, made
symmetric), motion about the mean of each clip, its principal components, and a ridge regression
from single aligned shapes to their motion, by which the neutral shape of a single picture is found.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lipwright.data.landmarks import LandmarkCorpus
from lipwright.data.packed import ClipRow
from lipwright.faces.points68 import opening_68
from lipwright.models.landmark_space import MIRROR, POINTS, STABLE, LandmarkSpace
from lipwright.training.config import Section
from lipwright.training.stages.run import StageRun
from lipwright.weights.checkpoint import RESEARCH_ONLY, save_checkpoint

log = logging.getLogger("lipwright.train")

ROUNDS = 4


class LandmarkSpaceConfig(Section):
    """Config of the stage.

    Attributes:
        components: K.
        scale: the factor 5.
        per_clip: at most that many frames of a clip are used; the paper takes one of each of 80,000
            clips, which smaller corpora do not have.
        ridge: regularisation of the estimator, relative to the mean variance of the shapes.
        seed: which frames.
    """

    components: int = 6
    scale: float = 5.0
    per_clip: int = 40
    ridge: float = 0.01
    seed: int = 0


def fit_space(clips: Sequence[Tensor], config: LandmarkSpaceConfig) -> tuple[LandmarkSpace, float]:
    """Fit to clips of points.

    Args:
        clips: (T, 68, 2) each, T free, in any unit.
        config: see there.

    Returns:
        The space, in double precision, and the share of the motion's variance that it explains.
    """
    space = LandmarkSpace(config.components, config.scale).double()
    clips = [clip.double() for clip in clips]
    space.mean.copy_(mean_shape(clips))
    shapes = [space.align(clip)[0] for clip in clips]
    motion = torch.cat([shape - shape.mean(0) for shape in shapes])
    flat = config.scale * motion.flatten(1)
    space.centre.copy_(flat.mean(0))
    centred = flat - flat.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    order = values.argsort(descending=True)[: config.components]
    basis = vectors[:, order]
    # The sign of an eigenvector is chance: let growing coefficients lower the chin.
    chin = basis.unflatten(0, (POINTS, 2))[8, 1]
    space.basis.copy_(basis * torch.where(chin < 0, -1.0, 1.0))
    coefficients = space.encode(motion)
    space.deviation.copy_(coefficients.std(0))
    _fit_estimator(space, torch.cat(shapes), coefficients, config.ridge)
    explained = float(values[order].sum() / values.sum())
    return space, explained


def mean_shape(clips: Sequence[Tensor]) -> Tensor:
    """(68, 2) symmetric mean shape; its stable points have centroid 0 and eyes that are level.

    The unit is that of the clips on average, so that aligned crops keep their scale.
    """
    index = list(STABLE)
    space = LandmarkSpace().double()
    space.mean.copy_(clips[0].mean(0))
    size = torch.stack([_size(clip.mean(0)[index]) for clip in clips]).mean()
    for _ in range(ROUNDS):
        mean = torch.stack([space.align(clip)[0].mean(0) for clip in clips]).mean(0)
        mean = mean - mean[index].mean(0)
        mirrored = mean[list(MIRROR)] * mean.new_tensor([-1.0, 1.0])
        mean = (mean + mirrored) / 2.0
        space.mean.copy_(mean * size / _size(mean[index]))
    return space.mean.clone()


def _size(points: Tensor) -> Tensor:
    return (points - points.mean(0)).square().sum().sqrt()


def _fit_estimator(
    space: LandmarkSpace, shapes: Tensor, coefficients: Tensor, ridge: float
) -> None:
    x = space.scale * (shapes - space.mean).flatten(1)
    middle = x.mean(0)
    x = x - middle
    gram = x.T @ x / len(x)
    gram += ridge * gram.diagonal().mean() * torch.eye(len(gram), dtype=x.dtype)
    weights = torch.linalg.solve(gram, x.T @ coefficients / len(x))
    space.regression.copy_(weights)
    space.offset.copy_(coefficients.mean(0) - middle @ weights)


def training_clips(
    corpus: LandmarkCorpus, rows: list[ClipRow], config: LandmarkSpaceConfig
) -> list[Tensor]:
    """At most ``per_clip`` frames of every clip, spread over it."""
    rng = np.random.default_rng(config.seed)
    clips = []
    for row in rows:
        points = corpus.clip_points(row)
        if len(points) > config.per_clip:
            start = rng.uniform(0, len(points) / config.per_clip)
            step = len(points) / config.per_clip
            chosen = (start + step * np.arange(config.per_clip)).astype(int)
            points = points[np.minimum(chosen, len(points) - 1)]
        clips.append(torch.from_numpy(points))
    return clips


def run_landmark_space(corpus: LandmarkCorpus, config: LandmarkSpaceConfig, out: Path) -> Path:
    """Fit on the training split, measure on the validation split, write the checkpoint."""
    space, explained = fit_space(training_clips(corpus, corpus.split("train"), config), config)
    held = training_clips(corpus, corpus.split("val"), config)
    measures = {"explained": explained, **measure_space(space, held)}
    log.info("landmark-space: %s", " ".join(f"{k} {v:.4f}" for k, v in measures.items()))
    path = out / "landmark-space" / "landmark-space.safetensors"
    header = {
        "method": "landmark-space",
        "size": corpus.packed.size,
        "networks": {"space": {"components": config.components, "scale": config.scale}},
        "training": {
            "validation": {k: round(v, 4) for k, v in measures.items()},
            "data": corpus.packed.summary(),
        },
        "licence": RESEARCH_ONLY,
    }
    save_checkpoint(path, header, {"space": space.float()}, half=False)
    return path


def measure_space(space: LandmarkSpace, clips: Sequence[Tensor]) -> dict[str, float]:
    """Measures on held-out clips.

    Returns:
        ``held_out``, ``held_out_mouth``: share of the variance that is explained; ``opening_told``:
        correlation of the mouth's real opening with the one that single shapes tell.
    """
    space = space.double()
    shapes = [space.align(clip.double())[0] for clip in clips]
    motion = torch.cat([s - s.mean(0) for s in shapes])
    rest = motion - space.decode(space.encode(motion))
    guessed = torch.cat([space.decode(space.estimate(s)) for s in shapes])
    return {
        "held_out": 1.0 - float(rest.square().sum() / motion.square().sum()),
        "held_out_mouth": 1.0 - float(rest[:, 48:].square().sum() / motion[:, 48:].square().sum()),
        "opening_told": float(torch.corrcoef(opening_68(torch.stack([motion, guessed])))[0, 1]),
    }


def build(run: StageRun[LandmarkSpaceConfig]) -> None:
    """Fit the space, in closed form."""
    corpus = LandmarkCorpus(run.corpus, run.made("landmarks"))
    run_landmark_space(corpus, run.config, run.out)
