"""Where the config of a stage is found, and which method a config is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lipwright.errors import LipwrightError
from lipwright.training.stages.registry import STAGES, StageSpec, methods

DEFAULT_METHOD = "vq"
"""The method of a size name (``tiny``) where no stage tells."""


def config_folders() -> list[Path]:
    """Folders of shipped configs: inside an installed package, at the root of a source tree."""
    here = Path(__file__).resolve()
    roots = (here.parents[2], here.parents[4])
    return [root / "configs" for root in roots if (root / "configs").is_dir()]


def find_config(name: str, spec: StageSpec | None = None) -> Path:
    """A config file by path, or a shipped one by its size: ``tiny``, ``base`` or ``paper``.

    Args:
        name: path, size, or the whole name of a shipped one (``wav2lip-tiny``).
        spec: the stage that it is for; None for all stages of the default method.

    Raises:
        LipwrightError: there is none; the message names those that there are.
    """
    path = Path(name)
    if path.is_file():
        return path
    method = spec.method if spec else DEFAULT_METHOD
    prefix = spec.config_name if spec else ""
    # Whole names are understood, too; one file for all sizes is named after the stage alone.
    whole = [name] if name.startswith(f"{prefix}-") else []
    names = [f"{prefix}-{name}", *whole, prefix] if prefix else [name]
    for folder in config_folders():
        for candidate in names:
            found = folder / method / f"{candidate}.yaml"
            if found.is_file():
                return found
    sizes = ", ".join(_sizes(method, prefix))
    raise LipwrightError(
        f"there is no config '{name}'{f' for the stage {spec.name}' if spec else ''}; give a YAML "
        + (f"file, or one of {sizes}." if sizes else "file: none comes with Lipwright.")
    )


def _sizes(method: str, prefix: str) -> list[str]:
    """Names that ``--config`` understands for a method."""
    names = sorted(
        {path.stem for folder in config_folders() for path in (folder / method).glob("*.yaml")}
    )
    if not prefix:
        return names
    return [n.removeprefix(f"{prefix}-") for n in names if n.startswith(f"{prefix}-")]


def method_of(sections: dict[str, Any], path: Path) -> str:
    """The method whose stages a config has sections for.

    Raises:
        LipwrightError: a section is no stage, or the sections are of several methods.
    """
    found = set()
    for name in sections:
        if name not in STAGES:
            raise LipwrightError(
                f"the config {path} has a section '{name}', which is no training stage; the stages "
                f"are {', '.join(STAGES)}."
            )
        found.add(STAGES[name].method)
    if len(found) > 1:
        raise LipwrightError(
            f"the config {path} has stages of several methods ({', '.join(sorted(found))}); run "
            "them one by one."
        )
    return found.pop() if found else next(iter(methods()))
