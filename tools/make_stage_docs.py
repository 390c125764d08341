"""Write docs/stages.md from the registry of training stages and their config classes.

python tools/make_stage_docs.py            # write
python tools/make_stage_docs.py --check    # exit 1 if the file is not up to date
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from lipwright.training.stages.registry import STAGES, StageSpec, methods

TARGET = Path(__file__).resolve().parents[1] / "docs" / "stages.md"
HEAD = """<!-- Made by tools/make_stage_docs.py from the program itself; do not edit. -->

# Training stages

`lipwright train STAGE --data CORPUS --config FILE -o RUN [KEY=VALUE...]` runs one stage, and
`train all` those of a config in this order. Keys are those of the stage's section in the config;
the sections `optimiser` and `run` are the same everywhere and stand at the end.
[training.md](training.md) says how to use them.
"""
SHARED = ("optimiser", "run")


def make_page() -> str:
    """The whole page in Markdown."""
    parts = [HEAD]
    for method, specs in methods().items():
        parts.append(f"## {method}\n")
        parts += [_stage(spec) for spec in specs]
    parts.append("## Keys that all trained stages have\n")
    base = STAGES["vqgan"].load_config().model_fields
    for name in SHARED:
        parts.append(f"`{name}`: {_summary(base[name].annotation)}\n")
        parts.append(_table(_rows(base[name].annotation, f"{name}.")))
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _stage(spec: StageSpec) -> str:
    needs = ", ".join(f"`{n}`" for n in spec.needs) or "nothing but the corpus"
    if spec.needs_by_config:
        needs += "; by its config also an expert or codes"
    lines = [
        f"### `{spec.name}`\n",
        f"Makes {spec.summary}: `RUN/{spec.result_path}`. Needs {needs}.",
    ]
    if spec.optional:
        lines.append("`all` leaves it out when the config has no section for it.")
    config = spec.load_config()
    rows = [
        (key, value)
        for key, value in _rows(config, "")
        if key.split(".")[0] not in SHARED or key.count(".") == 0
    ]
    for name in SHARED:
        if name in config.model_fields:
            rows += _changed(config, name)
    text = " ".join(lines[1:])
    return "\n".join([lines[0], text, "", _table(rows) if rows else "It has no keys.\n"])


def _rows(model: Any, prefix: str) -> list[tuple[str, str]]:
    """(dotted key, default) of a config class, sections unfolded."""
    out = []
    for name, field in model.model_fields.items():
        default = field.default
        if default is PydanticUndefined:
            default = field.default_factory() if field.default_factory else "needed"
        if isinstance(default, BaseModel):
            if name not in SHARED:
                out += [(f"{prefix}{name}.{k}", v) for k, v in _values(default)]
            continue
        out.append((prefix + name, _text(default)))
    return out


def _values(section: BaseModel, prefix: str = "") -> list[tuple[str, str]]:
    out = []
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            out += _values(value, f"{prefix}{name}.")
        else:
            out.append((prefix + name, _text(value)))
    return out


def _changed(config: Any, name: str) -> list[tuple[str, str]]:
    """The defaults of a shared section that are this stage's own."""
    own = dict(_values(config.model_fields[name].default))
    plain = dict(_values(type(config.model_fields[name].default)()))
    return [(f"{name}.{k}", v) for k, v in own.items() if v != plain[k]]


def _text(value: Any) -> str:
    if value == {} or value is None:
        return "-"
    return json.dumps(value, default=asdict) if not isinstance(value, str) else value


def _table(rows: list[tuple[str, str]]) -> str:
    lines = ["| key | default |", "|---|---|"]
    return "\n".join(lines + [f"| `{key}` | {value} |" for key, value in rows]) + "\n"


def _summary(model: Any) -> str:
    text = re.sub(r"\s+", " ", (model.__doc__ or "").split("Attributes:")[0]).strip()
    return text.replace("``", "`")


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description="Write docs/stages.md.")
    parser.add_argument("--check", action="store_true", help="only compare")
    page = make_page()
    if parser.parse_args().check:
        return int(TARGET.read_text(encoding="utf-8") != page)
    TARGET.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
