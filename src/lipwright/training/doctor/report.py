"""The doctor's report: facts, curves drawn in letters, and the likely causes in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lipwright.data.codes import CodeCorpus
from lipwright.data.packed import PackedCorpus
from lipwright.errors import LipwrightError
from lipwright.files.whole import write_json
from lipwright.training.config import apply_overrides
from lipwright.training.doctor.facts import Facts, examine
from lipwright.training.doctor.trial import (
    CodeGrids,
    Trial,
    TrialSettings,
    pairs_of,
    run_trial,
    sample_predictions,
)
from lipwright.training.doctor.verdict import LN2, Cause, causes

WIDTH = 40


def diagnose(data: Path, out: Path | None, overrides: list[str]) -> list[Cause]:
    """Examine a corpus, print the findings, and say what is likely to be wrong.

    Args:
        data: a prepared corpus.
        out: a training run; its code grids and its expert are looked at if it has them, and
            ``doctor.json`` is written into it.
        overrides: ``key=value`` of :class:`TrialSettings`.

    Raises:
        LipwrightError: no packed corpus, no training or validation clips, unknown settings.
    """
    settings = trial_settings(overrides)
    packed = PackedCorpus(data)
    for split in ("train", "val"):
        packed.split(split)  # says so when there is none
    facts = examine(packed)
    _print_facts(facts)
    codes = None
    if out is not None and (out / "codes" / "header.json").is_file():
        codes = CodeCorpus(packed, out / "codes")
    trial = run_trial(packed, settings, codes, lambda line: print(f"... {line}", flush=True))
    _print_trial(trial, "the small expert of this trial")
    found = causes(facts, trial, settings)
    trained = _trained(packed, codes, out, settings)
    if trained is not None:
        _print_trial(trained, "the trained expert of the run")
    print("\nLikely causes" if found else "\nNothing is wrong that this doctor can see.")
    for number, cause in enumerate(found, start=1):
        print(f"{number}. {'!' * cause.weight} {cause.words}\n   -> {cause.remedy}")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        content: dict[str, Any] = {"facts": asdict(facts), "trial": asdict(trial)}
        content["trained"] = asdict(trained) if trained is not None else None
        content["causes"] = [asdict(cause) for cause in found]
        write_json(out / "doctor.json", content)
    return found


def trial_settings(overrides: list[str]) -> TrialSettings:
    """Settings of the trial from ``key=value``.

    Raises:
        LipwrightError: an unknown key, or a value of another kind.
    """
    values = apply_overrides({}, overrides)
    known = asdict(TrialSettings())
    for key, value in values.items():
        if key not in known:
            raise LipwrightError(
                f"the doctor knows no setting '{key}'; choose from {', '.join(known)}."
            )
        if not isinstance(value, int | float) or value < 0:
            raise LipwrightError(f"the doctor's setting '{key}' must be a number, not '{value}'.")
    return TrialSettings(**{k: type(known[k])(v) for k, v in values.items()})


def _trained(
    packed: PackedCorpus, codes: CodeCorpus | None, out: Path | None, settings: TrialSettings
) -> Trial | None:
    """The run's own expert on validation, if there is one."""
    if out is None or codes is None or not (out / "expert" / "expert.safetensors").is_file():
        return None
    from lipwright.models.expert import SyncExpert
    from lipwright.weights.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(out / "expert" / "expert.safetensors")
    if checkpoint.header.get("encoder"):
        print(f"The run's expert hears {checkpoint.header['encoder']}; the doctor has mel only.")
        return None
    expert = checkpoint.build("expert", SyncExpert)
    pairs = pairs_of(packed, CodeGrids(codes), "val", settings, expert.window)
    trial = Trial(source="expert")
    if pairs is not None:
        sample_predictions(expert, pairs, trial)
    return trial


def _print_facts(facts: Facts) -> None:
    print(f"{'split':<6} {'clips':>6} {'people':>7} {'minutes':>8}")
    for split in facts.clips:
        print(
            f"{split:<6} {facts.clips[split]:>6} {facts.speakers[split]:>7} "
            f"{facts.minutes[split]:>8.1f}"
        )
    print(
        f"median length {np.median(facts.frames):.0f} frames, still mouths {facts.still:.1%}, "
        f"copies {sum(len(g) - 1 for g in facts.duplicates)}, people on both sides "
        f"{len(facts.shared)}"
    )
    print(f"correlation of lips and sound, as they are: {facts.agreement:.2f}")
    print(f"offset of the sound in frames, and clips (for {facts.unsure} it is unclear):")
    print(bars({k: float(v) for k, v in sorted(facts.offsets.items())}, "{:.0f}"))


def _print_trial(trial: Trial, name: str) -> None:
    print(f"\n{name} (on {trial.source})")
    if trial.overfit:
        print(f"one batch overfitted: loss {trial.overfit[-1]:.3f} in {len(trial.overfit)} steps")
    if trial.train:
        recent = np.mean(trial.train[-max(10, len(trial.train) // 5) :])
        print(f"training loss {recent:.3f} after {trial.steps} steps; ln 2 is {LN2:.3f}")
    if trial.curve:
        print(f"validation loss {trial.val_loss:.3f}, accuracy {trial.val_accuracy:.1%}")
        print("shift of the sound in frames, cosine, and how often the right sound wins:")
        notes = {s: f"{v:.0%}" for s, v in trial.choice.items()}
        print(bars(trial.curve, "{:.3f}", notes))


def bars(
    values: Mapping[int, float],
    form: str,
    notes: Mapping[int, str] | None = None,
) -> str:
    """A bar chart in letters, one line a key; bars begin at 0, so that they show no more than the
    numbers do.
    """
    if not values:
        return "  (none)"
    high = max(0.0, *values.values())
    lines = []
    for key, value in values.items():
        length = round(WIDTH * max(value, 0.0) / high) if high > 0 else 0
        note = f"  {(notes or {}).get(key, '')}".rstrip()
        lines.append(f"  {key:>4} {'#' * length:<{WIDTH}} {form.format(value)}{note}")
    return "\n".join(lines)
