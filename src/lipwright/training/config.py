"""Training configurations: YAML files with named sections, checked before anything starts.

A stage's config is a mapping ``model``, ``data``, ``loss``, ``optimiser`` and ``run``. A file may
say ``base: other.yaml`` to start from another one. ``key=value`` overrides use dotted keys
(``run.steps=100``) and YAML values.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from lipwright.errors import LipwrightError
from lipwright.files.yaml_text import parse_yaml

T = TypeVar("T", bound=BaseModel)


class Section(BaseModel):
    """A strict config section: unknown keys are errors, since they are usually typing mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OptimiserConfig(Section):
    """AdamW or Adam with a linear warm-up and an optional cosine decay to ``final`` times lr."""

    name: str = "adamw"
    lr: float = 6e-4
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    warmup: int = 100
    schedule: str = "cosine"
    final: float = 0.02
    clip: float = 1.0


class RunConfig(Section):
    """How long and how often.

    Attributes:
        steps: optimiser steps of the whole schedule.
        batch: examples per process and step.
        seed: every step's randomness is a function of (seed, step, process).
        precision: ``bf16`` or ``fp32``.
        ema: decay of the averaged weights that are validated and exported; 0 switches it off.
        validate_every, log_every: in steps.
        checkpoint_minutes: between two resumable checkpoints.
        max_minutes: stop cleanly after so long, resumable; None means run to the end.
        compile: torch.compile the networks (worth it on a GPU only).
    """

    steps: int = 1000
    batch: int = 16
    seed: int = 0
    precision: str = "bf16"
    ema: float = 0.998
    validate_every: int = 500
    validate_batches: int = 8
    log_every: int = 20
    checkpoint_minutes: float = 5.0
    max_minutes: float | None = None
    compile: bool = False


def read_yaml(path: Path, _above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """One YAML mapping with its ``base`` chain merged.

    Raises:
        LipwrightError: missing, not YAML, not a mapping, or a chain that comes back to itself.
    """
    try:
        real = path.resolve()
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError, RuntimeError) as error:
        raise LipwrightError(f"the config {path} cannot be read ({error}).") from error
    if real in _above:
        raise LipwrightError(f"the config {path} has itself as its base; name another.")
    loaded = parse_yaml(text, f"the config {path}", aliases=True)
    if not isinstance(loaded, dict):
        raise LipwrightError(f"the config {path} must be a YAML mapping of sections.")
    base = loaded.pop("base", None)
    if not base:
        return loaded
    return merge(read_yaml(path.parent / str(base), (*_above, real)), loaded)


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """``base`` with the values of ``over``; nested mappings are merged, all else replaced."""
    out = dict(base)
    for key, value in over.items():
        old = out.get(key)
        out[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return out


def apply_overrides(config: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """Apply ``a.b=value`` overrides; values are YAML, and nothing is the empty string.

    A shell takes quotes away: of ``taken_from=''`` nothing but ``taken_from=`` arrives. Use
    ``null`` for no value.

    Raises:
        LipwrightError: an override has no ``=``.
    """
    for text in overrides:
        key, found, value = text.partition("=")
        if not found or not key:
            raise LipwrightError(f"'{text}' is not an override; write key=value, as run.steps=100.")
        nested: Any = parse_yaml(value, f"the override '{text}'") if value.strip() else ""
        for part in reversed(key.split(".")):
            nested = {part: nested}
        config = merge(config, nested)
    return config


def parse(model: type[T], values: dict[str, Any], where: str) -> T:
    """Validate ``values`` as ``model``.

    Raises:
        LipwrightError: with the first wrong key named.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(p) for p in first["loc"])
        raise LipwrightError(f"the config {where} is wrong at '{key}': {first['msg']}.") from error
