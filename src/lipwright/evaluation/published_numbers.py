"""The numbers of tables 2 to 5 of Gupta et al. (WACV 2023), marked not comparable."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

NOT_COMPARABLE = "published, not comparable"


def published_tables() -> dict[str, Any]:
    """The content of ``published_tables.json``: source, note, and tables by number."""
    text = (resources.files("lipwright.evaluation") / "published_tables.json").read_text("utf-8")
    loaded = json.loads(text)
    assert isinstance(loaded, dict)
    return loaded


def table_markdown(numbers: tuple[str, ...]) -> str:
    """The published tables whose number begins with one of ``numbers``, as Markdown.

    Every row is marked "published, not comparable"; a misprint is flagged where it stands.
    """
    content = published_tables()
    lines = [f"{content['source']}. {content['note']}", ""]
    for name, table in content["tables"].items():
        if not name.startswith(numbers):
            continue
        misprints = {(row, column): why for row, column, why in table.get("misprints", [])}
        lines.append(f"Table {name}:")
        lines.append("")
        lines.append("| | " + " | ".join(table["columns"]) + " |")
        lines.append("|---|" + "---|" * len(table["columns"]))
        for row, values in table["rows"].items():
            cells = []
            for column, value in zip(table["columns"], values, strict=True):
                flag = " (misprint)" if (row, column) in misprints else ""
                cells.append("-" if value is None else f"{value:g}{flag}")
            lines.append(f"| {row} ({NOT_COMPARABLE}) | " + " | ".join(cells) + " |")
        lines += [f"Misprint: {row}, {column}: {why}." for (row, column), why in misprints.items()]
        lines.append("")
    return "\n".join(lines)
