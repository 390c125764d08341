"""Print pip constraints that hold every dependency at the lowest version which is allowed.

    python tools/lowest_versions.py --skip torch > lowest.txt
    pip install -e '.[dev]' -c lowest.txt

``make lowest`` does this in an environment of its own and runs the tests there: the proof of the
lower bounds in pyproject.toml. PyTorch is best skipped where its old builds bring CUDA along.
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]


def lowest(requirements: list[str]) -> dict[str, str]:
    """The lower bound of each requirement by name; of several bounds the highest.

    Raises:
        ValueError: a requirement has a lower bound that is not written with >= or ==.
    """
    from packaging.version import Version

    found: dict[str, str] = {}
    for text in requirements:
        requirement = Requirement(text)
        for clause in requirement.specifier:
            if clause.operator in ("<", "<=", "!="):
                continue
            if clause.operator not in (">=", "=="):
                raise ValueError(f"{text}: write the lower bound with >=.")
            known = found.get(requirement.name)
            if known is None or Version(clause.version) > Version(known):
                found[requirement.name] = clause.version
    return found


def main() -> None:
    """Print one constraint a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skip", nargs="*", default=[], help="packages that are left free")
    skipped = set(parser.parse_args().skip)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    bounds = lowest([line for group in groups for line in group])
    for name, version in sorted(bounds.items()):
        if name not in skipped:
            print(f"{name}=={version}")


if __name__ == "__main__":
    main()
