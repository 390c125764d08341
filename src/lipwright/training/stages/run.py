"""From a command to stages that run: everything is checked before anything is computed."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from lipwright.data.packed import PackedCorpus
from lipwright.errors import LipwrightError
from lipwright.training.config import Section, apply_overrides, parse, read_yaml
from lipwright.training.devices import check_device
from lipwright.training.run_folder import SETTINGS, STATE
from lipwright.training.stages.configs import find_config, method_of
from lipwright.training.stages.registry import STAGES, StageSpec, methods

log = logging.getLogger("lipwright.train")

ALL = "all"
"""The word for all stages of a config in their order."""

FREE = ("steps", "max_minutes", "validate_every", "validate_batches", "log_every")
FREE_IN_RUN = (*FREE, "checkpoint_minutes", "compile")
"""Keys of ``run`` that may change when a run goes on: they decide how long and how often, not what
is learned from a step."""

C = TypeVar("C", bound=Section)


@dataclass(frozen=True)
class StageRun(Generic[C]):
    """A stage with all that it is built from.

    Attributes:
        spec: the stage.
        config: its section, checked.
        data: the corpus' folder.
        out: the run's folder; the stage keeps its files in ``out/<stage>``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
    """

    spec: StageSpec
    config: C
    data: Path
    out: Path
    device: str

    @property
    def folder(self) -> Path:
        """Where the stage keeps its files."""
        return self.out / self.spec.name

    @property
    def result(self) -> Path:
        """The file or folder that the stage writes."""
        return self.out / self.spec.result_path

    @cached_property
    def corpus(self) -> PackedCorpus:
        """The packed corpus.

        Raises:
            LipwrightError: the folder holds none, or it is damaged.
        """
        return PackedCorpus(self.data)

    def made(self, stage: str) -> Path:
        """The result of an earlier stage.

        Raises:
            LipwrightError: it has not run.
        """
        path = self.out / STAGES[stage].result_path
        if not path.exists():
            raise LipwrightError(f"{path} is missing; run the stage '{stage}' first.")
        return path

    def expert(self, stage: str, weight: float) -> Path | None:
        """The checkpoint of the expert that a sync loss of this weight needs; None without one.

        Raises:
            LipwrightError: the expert's stage has not run.
        """
        if weight <= 0:
            return None
        path = self.out / STAGES[stage].result_path
        if not path.is_file():
            raise LipwrightError(
                f"the sync loss needs the expert {path}; run the stage '{stage}' first, or set "
                "loss.sync=0."
            )
        return path


def plan_stages(
    stage: str,
    data: Path,
    config: Path | str,
    out: Path,
    overrides: list[str],
    device: str = "auto",
) -> list[StageRun[Any]]:
    """The stages that a command runs, after everything about them has been checked.

    Arguments are those of :func:`run_stage`.

    Raises:
        LipwrightError: unknown stage; wrong config or override; no such device; no corpus; an
            earlier stage is missing; a folder that was begun with another config or corpus.
    """
    if stage != ALL and stage not in STAGES:
        raise LipwrightError(
            f"there is no training stage '{stage}'; choose from {', '.join((*STAGES, ALL))}."
        )
    check_device(device)
    path = find_config(str(config), None if stage == ALL else STAGES[stage])
    sections = read_yaml(path)
    if stage == ALL:
        specs, sections = _all_stages(sections, path, overrides)
    else:
        specs = [STAGES[stage]]
        _check_single(stage, overrides)
        sections = {stage: apply_overrides(sections.get(stage) or {}, overrides)}
    PackedCorpus(data)
    runs = [
        StageRun(
            spec,
            parse(spec.load_config(), sections.get(spec.name) or {}, f"{path} ({spec.name})"),
            data,
            out,
            device,
        )
        for spec in specs
    ]
    planned: set[str] = set()
    for run in runs:
        for need in run.spec.all_needs(run.config):
            if need not in planned and not (run.out / STAGES[need].result_path).exists():
                raise LipwrightError(_missing(run, need, stage == ALL, path))
        planned.add(run.spec.name)
        check_settings(run)
        _check_embedding(run)
    return runs


def _missing(run: StageRun[Any], need: str, everything: bool, config: Path) -> str:
    """What to say when a stage that is needed is neither there nor planned."""
    name = run.spec.name
    if everything:
        return (
            f"the stage '{name}' needs the stage '{need}', for which the config {config} has no "
            f"section; add one ('{need}: {{}}')."
        )
    sentence = f"{run.out / STAGES[need].result_path} is missing; run the stage '{need}' first"
    return f"{sentence}, or set loss.sync=0." if "expert" in need else f"{sentence}."


def run_stage(
    stage: str,
    data: Path,
    config: Path | str,
    out: Path,
    overrides: list[str],
    device: str = "auto",
) -> Path:
    """Run one training stage, or ``all`` of a config in order.

    Every stage keeps its files in ``out/<stage>/`` and finds those of earlier stages there. A stage
    that has finished is not run again; an interrupted one is resumed.

    Args:
        stage: a name of :data:`~lipwright.training.stages.registry.STAGES`, or ``all``.
        data: a prepared corpus (``lipwright prepare``).
        config: a YAML file with one section per stage, or the name of a shipped one.
        out: the run folder.
        overrides: ``key=value``; inside one stage ``run.steps=100``, with ``all`` the stage comes
            first: ``generator.run.steps=100``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Returns:
        What the last stage wrote.

    Raises:
        LipwrightError: see :func:`plan_stages`; or the training failed.
        Interrupted: Ctrl-C or SIGTERM; the same command goes on.
    """
    from lipwright.training.trainer import train

    runs = plan_stages(stage, data, config, out, overrides, device)
    for number, run in enumerate(runs, 1):
        log.info("Stage %d of %d: %s (%s)", number, len(runs), run.spec.name, run.spec.summary)
        built = run.spec.load_build()(run)
        if built is None:
            continue
        progress = train(built, run.folder, device, settings_of(run))
        if progress.step >= built.run.steps and run.spec.final and run.result.is_file():
            from lipwright.methods.graphs import export_graphs

            export_graphs(run.result)  # inference then needs no PyTorch
        if progress.step < built.run.steps and run is not runs[-1]:
            log.info(
                "Stage %s stopped at its time limit, %d of %d steps; the same command goes on "
                "from there.",
                run.spec.name,
                progress.step,
                built.run.steps,
            )
            return run.result
    return runs[-1].result


def _all_stages(
    sections: dict[str, Any], path: Path, overrides: list[str]
) -> tuple[list[StageSpec], dict[str, Any]]:
    """The stages that ``all`` runs for a config, and its sections with the overrides applied."""
    specs = [
        spec
        for spec in methods()[method_of(sections, path)]
        if sections.get(spec.name) is not None or not spec.optional
    ]
    names = [spec.name for spec in specs]
    for text in overrides:
        first, dot, _ = text.partition("=")[0].partition(".")
        if first in names and dot:
            continue
        if first in STAGES:
            raise LipwrightError(
                f"'{text}' cannot be applied: the config {path} has no stage {first}; with 'all' "
                f"it runs {', '.join(names)}."
            )
        raise LipwrightError(
            f"'{text}' does not begin with a stage; with 'all' write {names[0]}.{text}."
        )
    return specs, apply_overrides(sections, overrides)


def _check_single(stage: str, overrides: list[str]) -> None:
    """Raises: LipwrightError: an override of a single stage begins with the name of a stage."""
    for text in overrides:
        first, dot, rest = text.partition("=")[0].partition(".")
        if first == stage and dot:
            value = text.partition("=")[2]
            raise LipwrightError(
                f"'{text}' names the stage again; with a single stage write {rest}={value}."
            )


def _check_embedding(run: StageRun[Any]) -> None:
    """Find the weights of speech encoders now, and not after an hour of other stages."""
    from lipwright.weights.fetch import resolve
    from lipwright.weights.registry import WHISPER_TINY_EN

    model = getattr(run.config, "model", None)
    if isinstance(model, Mapping) and model.get("embedding"):
        resolve("speech-embedding")
    encoder = getattr(run.config, "encoder", "")
    if isinstance(encoder, Mapping):
        encoder = WHISPER_TINY_EN.name
    if isinstance(model, Mapping):
        kind = dict(model.get("audio") or {}).get("kind")
        if kind == "encoder" or model.get("features") == "whisper":
            encoder = WHISPER_TINY_EN.name
    if encoder:
        resolve(encoder)


def settings_of(run: StageRun[Any]) -> dict[str, Any]:
    """Config and corpus of a stage, as its folder keeps them."""
    rows = (run.data / "packed" / "rows.json").read_bytes()
    return {
        "config": run.config.model_dump(mode="json"),
        "corpus": hashlib.sha256(rows).hexdigest(),
    }


def check_settings(run: StageRun[Any]) -> None:
    """Compare with what a training in the stage's folder was begun with.

    Stages that do all of their work each time they run have nothing to compare.

    Raises:
        LipwrightError: another config (beyond :data:`FREE_IN_RUN`) or another corpus.
    """
    path = run.folder / SETTINGS
    if not (run.folder / STATE).is_file() or not path.is_file():
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        config = run.spec.load_config().model_validate(before["config"]).model_dump(mode="json")
        corpus = str(before["corpus"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LipwrightError(
            f"{path} cannot be read ({type(error).__name__}); delete {run.folder} to begin the "
            f"stage '{run.spec.name}' again."
        ) from error
    now = settings_of(run)
    for key, old, new in _differences(config, now["config"]):
        if key.removeprefix("run.") not in FREE_IN_RUN:
            raise LipwrightError(
                f"{run.folder} was begun with {key}={old}, not {new}; use the same config, or "
                "another folder for another run."
            )
    if corpus != now["corpus"]:
        raise LipwrightError(
            f"{run.folder} was begun on another corpus than {run.data}; use the same one, or "
            "another folder for another run."
        )


def _differences(
    before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = ""
) -> list[tuple[str, Any, Any]]:
    """Dotted keys whose values differ, with both values."""
    out: list[tuple[str, Any, Any]] = []
    for key in sorted({*before, *now}):
        old, new = before.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            out += _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            out.append((prefix + key, old, new))
    return out
