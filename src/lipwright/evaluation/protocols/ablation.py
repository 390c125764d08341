"""The ablations of tables 4 and 5 of Gupta et al. (WACV 2023) from one config.

A config file of the method, and per variant a few overrides: without the sync loss, with the sync
loss at T = 5 and at T = 25, without post-processing. Variants share the VQGANs and the code grids
(trained once, in ``OUT/shared``) and differ from the expert on. Each is trained, joined, run
through the reconstruction protocol and given one row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipwright.errors import LipwrightError
from lipwright.evaluation.metrics.catalogue import CATALOGUE
from lipwright.evaluation.protocols.clips import Clip
from lipwright.evaluation.protocols.run import run_protocol
from lipwright.evaluation.published_numbers import table_markdown
from lipwright.files.whole import write_text
from lipwright.training.stages.run import run_stage
from lipwright.weights.checkpoint import read_header

SHARED = ("vqgan", "pose-vqgan", "codes")


@dataclass(frozen=True)
class Variant:
    """One row of the ablation.

    Attributes:
        expert: overrides of the stage ``expert``, or None for no expert at all.
        generator: overrides of the stage ``generator``.
        dub: options of the dub (``enhance``).
        same_as: train nothing, take the networks of that variant.
    """

    expert: list[str] | None = None
    generator: list[str] = field(default_factory=list)
    dub: dict[str, Any] = field(default_factory=dict)
    same_as: str | None = None


VARIANTS: dict[str, Variant] = {
    "without sync loss": Variant(None, ["loss.sync=0"]),
    # Table 5 says why T = 5 is too short: its expert is not refused for that.
    "sync loss, T = 5": Variant(
        ["model.window=5"], ["loss.sync=0.03", "loss.min_accuracy=0", "window=5"]
    ),
    "sync loss, T = 25": Variant(["model.window=25"], ["loss.sync=0.03", "window=25"]),
    "without stage 2": Variant(dub={"enhance": "none"}, same_as="sync loss, T = 25"),
}
"""The paper's. The row with stage 2 is added by :func:`run_ablation` when an enhancer is named."""


def run_ablation(
    data: Path,
    config: Path | str,
    clips: Sequence[Clip],
    out: Path,
    variants: dict[str, Variant] | None = None,
    overrides: Sequence[str] = (),
    enhance: str | None = None,
    weights: dict[str, Path] | None = None,
    device: str = "auto",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Train every variant and fill the table; an interrupted run goes on where it was.

    Args:
        data: packed corpus.
        config: YAML with the stages of VQ lip-sync, ``expert`` included.
        clips: real videos for the reconstruction protocol.
        out: folder of runs and table.
        variants: default :data:`VARIANTS`.
        overrides: ``stage.key=value`` for every variant (shorter runs, say).
        enhance: name of the post-processing for a row "with stage 2".
        weights: networks of the metrics.
        device: of the training.
        progress: called with (done, total) rows.

    Returns:
        ``out/ablation.json``; Markdown beside it.

    Raises:
        LipwrightError: wrong config, or training failed.
    """
    rows = dict(variants or VARIANTS)
    if enhance is not None:
        rows["with stage 2"] = Variant(dub={"enhance": enhance}, same_as="sync loss, T = 25")
    by_stage: dict[str, list[str]] = {}
    for text in overrides:
        stage, dot, rest = text.partition(".")
        if not dot or "=" not in rest:
            raise LipwrightError(f"'{text}' is no override; write stage.key=value.")
        by_stage.setdefault(stage, []).append(rest)
    shared = out / "shared"
    for stage in SHARED:
        run_stage(stage, data, config, shared, by_stage.get(stage, []), device)
    table: dict[str, Any] = {}
    for n, (name, variant) in enumerate(rows.items()):
        owner = variant.same_as or name
        folder = out / _slug(owner)
        trained = _train(rows[owner], folder, shared, data, config, by_stage, device)
        found = run_protocol(
            "reconstruction",
            clips,
            out / _slug(name) / "reconstruction",
            "vq",
            trained,
            weights,
            options=variant.dub,
        )
        content = json.loads(found.read_text(encoding="utf-8"))
        values = list(content["rows"].values())[-1]
        table[name] = {"values": values, "expert": _expert_accuracy(folder)}
        progress(n + 1, len(rows))
    path = out / "ablation.json"
    write_text(path, json.dumps({"rows": table}, indent=1) + "\n")
    write_text(path.with_suffix(".md"), ablation_markdown(table))
    return path


def _train(
    variant: Variant,
    folder: Path,
    shared: Path,
    data: Path,
    config: Path | str,
    overrides: dict[str, list[str]],
    device: str,
) -> Path:
    """Networks of a variant; earlier stages are linked from the shared run."""
    folder.mkdir(parents=True, exist_ok=True)
    for stage in SHARED:
        link = folder / stage
        if not link.exists():
            link.symlink_to((shared / stage).resolve(), target_is_directory=True)
    if variant.expert is not None:
        changes = [*overrides.get("expert", []), *variant.expert]
        run_stage("expert", data, config, folder, changes, device)
    changes = [*overrides.get("generator", []), *variant.generator]
    run_stage("generator", data, config, folder, changes, device)
    run_stage("vq", data, config, folder, overrides.get("vq", []), device)
    return folder / "vq.safetensors"


def _expert_accuracy(folder: Path) -> float | None:
    path = folder / "expert" / "expert.safetensors"
    if not path.is_file():
        return None
    accuracy = read_header(path)["training"]["validation"].get("accuracy")
    return None if accuracy is None else float(accuracy)


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name).strip("-")


def ablation_markdown(table: dict[str, Any]) -> str:
    """One line per variant, then the paper's tables 4 and 5, marked."""
    names = [n for n in CATALOGUE if any(n in row["values"] for row in table.values())]
    heads = ["expert accuracy", *(CATALOGUE[n].title for n in names)]
    lines = ["| variant | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for name, row in table.items():
        cells = ["-" if row["expert"] is None else f"{row['expert']:.3f}"]
        for metric in names:
            value = row["values"].get(metric, {}).get("value")
            cells.append("-" if value is None else f"{value:.{CATALOGUE[metric].digits}f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n\n" + table_markdown(("4", "5"))
