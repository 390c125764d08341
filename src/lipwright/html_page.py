"""What the HTML pages of this package have in common: head, tables, and writing them whole."""

from __future__ import annotations

import html
from collections.abc import Sequence

from lipwright.printable import printable

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem;
       color: #222; background: #fff; }
h1, h2 { font-weight: 600; } h2 { margin-top: 2.2rem; }
table { border-collapse: collapse; margin: .8rem 0; }
th, td { padding: .25rem .9rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
"""


def head(title: str, style: str) -> list[str]:
    """The lines up to the body, with ``style`` added to what all pages have."""
    return [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>{html.escape(printable(title))}</title><style>{STYLE}{style}</style></head><body>",
    ]


def table(top: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """A table with one line of headings; everything is escaped."""

    def line(cells: Sequence[object], tag: str) -> str:
        return (
            "<tr>" + "".join(f"<{tag}>{html.escape(printable(c))}</{tag}>" for c in cells) + "</tr>"
        )

    return "<table>" + line(top, "th") + "".join(line(row, "td") for row in rows) + "</table>"
