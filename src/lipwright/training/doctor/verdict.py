"""From findings to words: the likely causes why a sync expert does not learn, worst first.

The thresholds come from the field's own reports: the loss sits at ln 2 until an expert has learnt
anything; data must be in step to within a frame; tens of speakers and hours are usual (LRS2: 28 h,
150,000 to 200,000 steps until the loss falls).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lipwright.training.doctor.facts import Facts
from lipwright.training.doctor.trial import LEARNT, Trial, TrialSettings

LN2 = math.log(2.0)
FEW_SPEAKERS, FEW_MINUTES = 20, 60.0


@dataclass(frozen=True)
class Cause:
    """A likely cause and what to do; ``weight`` 3 stops any expert, 1 is a remark."""

    weight: int
    words: str
    remedy: str


def causes(facts: Facts, trial: Trial, settings: TrialSettings) -> list[Cause]:
    """Likely causes, worst first; empty when nothing is wrong."""
    found = [*_of_data(facts, settings), *_of_learning(facts, trial, settings)]
    return sorted(found, key=lambda c: -c.weight)


def _of_data(facts: Facts, settings: TrialSettings) -> list[Cause]:
    out = []
    sure = sum(facts.offsets.values())
    if sure >= 5 and facts.off_share() > 0.1:
        out.append(
            Cause(
                3 if facts.off_share() > 0.3 else 2,
                f"The sound is out of step: {facts.off_share():.0%} of the {sure} clips whose "
                "offset is clear are off by two frames or more.",
                "Prepare the videos with this version of lipwright prepare, which corrects "
                "offsets, or with --expert once an expert is at hand.",
            )
        )
    off = {k: v for k, v in facts.by_identity.items() if abs(v) >= 2}
    if off:
        shown = ", ".join(f"{name} by {by}" for name, by in sorted(off.items())[:6])
        out.append(
            Cause(
                1 if len(off) < 0.1 * len(facts.by_identity) else 2,
                f"All clips together, {len(off)} of {len(facts.by_identity)} people are out of "
                f"step (sound late by frames: {shown}).",
                "Look at their sources; shift or drop them.",
            )
        )
    if facts.shared:
        out.append(
            Cause(
                2,
                f"{len(facts.shared)} people are in training and validation both "
                f"({', '.join(facts.shared[:5])}): the validation accuracy is too good to be true.",
                "Put all clips of a person on one side in the label file.",
            )
        )
    if facts.duplicates:
        count = sum(len(g) - 1 for g in facts.duplicates)
        out.append(
            Cause(
                1 if count < 0.05 * sum(facts.clips.values()) else 2,
                f"{count} clips are copies of others, such as {facts.duplicates[0][1]}.",
                "Remove the copies; the same names in different folders are a usual source.",
            )
        )
    if facts.still > 0.1:
        out.append(
            Cause(
                2,
                f"{facts.still:.0%} of the clips show a mouth that does not move: every pair with "
                "them is a coin toss.",
                "Raise min_motion in the preparation, and see that the speaker is the one on view.",
            )
        )
    least = 25 + settings.min_offset
    short = float(np.mean(np.array(facts.frames) < least)) if facts.frames else 1.0
    if short > 0.2:
        out.append(
            Cause(
                2 if short > 0.6 else 1,
                f"{short:.0%} of the training clips are shorter than the {least} frames that a "
                "window of 25 and a shifted one need.",
                "Use a smaller model.window, or longer clips.",
            )
        )
    speakers, minutes = facts.speakers.get("train", 0), facts.minutes.get("train", 0.0)
    if speakers < FEW_SPEAKERS or minutes < FEW_MINUTES:
        out.append(
            Cause(
                1 if speakers >= FEW_SPEAKERS else 2,
                f"There is little to learn from: {speakers} speakers, {minutes:.0f} minutes. "
                "Experts that reach 90 % saw tens of hours.",
                "Add speakers rather than minutes of the same ones; augment; expect a plateau.",
            )
        )
    if facts.longest_share > 0.4:
        out.append(
            Cause(
                1,
                f"One speaker has {facts.longest_share:.0%} of the training minutes.",
                "Draw clips by identity (balance) or take fewer of theirs.",
            )
        )
    return out


def _of_learning(facts: Facts, trial: Trial, settings: TrialSettings) -> list[Cause]:
    out = []
    if not trial.overfit:
        return [
            Cause(
                3,
                f"No clip of both splits is long enough for a window of {settings.window} frames, "
                "so nothing could be tried.",
                "Use longer clips or a smaller window.",
            )
        ]
    best = min(trial.overfit)
    if best > 3 * LEARNT:
        out.append(
            Cause(
                3,
                f"Even one batch cannot be overfitted (loss {best:.2f} after "
                f"{len(trial.overfit)} steps; ln 2 is {LN2:.2f}). That is no matter of data: "
                "learning rate, frozen weights, dead activations, or inputs that do not vary.",
                "Try lr=1e-4 and lr=3e-3; look at the pictures and the spectrogram of one batch.",
            )
        )
        return out
    recent = float(np.mean(trial.train[-max(10, len(trial.train) // 5) :]))
    flat = recent > 0.97 * LN2
    if flat:
        why = (
            "with the sound out of step there is nothing to find"
            if facts.off_share() > 0.3
            else "at this length of training that is usual: experts stay there for a long time"
        )
        out.append(
            Cause(
                1,
                f"After {trial.steps} steps the loss is still at chance "
                f"({recent:.3f}; ln 2 is {LN2:.3f}); {why}.",
                "Train longer (steps=, minutes=) before you judge; a longer window learns sooner.",
            )
        )
    elif trial.val_loss > LN2 and trial.val_accuracy < 0.55:
        out.append(
            Cause(
                2,
                f"It learns the training clips (loss {recent:.2f}) but nothing that holds for "
                f"other people (accuracy {trial.val_accuracy:.0%}).",
                "More speakers, augmentation of pictures and sound, a smaller network.",
            )
        )
    peak = max(trial.curve, key=lambda s: trial.curve[s]) if trial.curve else 0
    spread = max(trial.curve.values()) - min(trial.curve.values()) if trial.curve else 0.0
    if abs(peak) >= 2 and spread > 0.05:
        out.append(
            Cause(
                2,
                f"On validation the sound fits best when it is taken {abs(peak)} frames "
                f"{'later' if peak > 0 else 'earlier'}: training and validation sets, or the two "
                "halves of a pipeline, disagree about time.",
                "Compare the windows of the data set with those of inference.",
            )
        )
    return out
