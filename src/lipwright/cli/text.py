"""Small helpers for printing to people."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lipwright.printable import printable


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on a terminal, and one line per row with tabs between the cells elsewhere."""
    rows = [[printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in (titles, *rows):
            print("\t".join(row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(*titles, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def print_cells(cells: Sequence[Sequence[str]]) -> None:
    """Print a table of Markdown, its columns in line, whose first row is the head."""
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    for n, row in enumerate(cells):
        print("| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |")
        if not n:
            print("|" + "|".join("-" * (w + 2) for w in widths) + "|")


def megabytes(size: int) -> str:
    """Bytes for people: ``1234567`` gives ``1.2 MB``; small ones in kB."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


def duration(seconds: float) -> str:
    """Seconds for people: ``75.2`` gives ``1:15``, ``3.24`` gives ``3.2 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return clock(seconds)


def clock(seconds: float) -> str:
    """Whole seconds as a clock shows them: ``9.2`` gives ``0:09``, ``3725`` gives ``1:02:05``."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
