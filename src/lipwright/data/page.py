"""The statistics of a corpus as one HTML file: tables, and plots drawn by matplotlib inside."""

from __future__ import annotations

import base64
import html
import io
import logging
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lipwright.data.portraits import SIDE, Portrait
from lipwright.files.whole import write_text
from lipwright.html_page import head, table
from lipwright.printable import printable

log = logging.getLogger("lipwright.prepare")

STYLE = """.big { display: flex; flex-wrap: wrap; gap: 2.5rem; margin: 1rem 0; }
.big div b { display: block; font-size: 1.9rem; line-height: 1.2; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; } .plots svg { max-width: 100%; height: auto; }
.people { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: 1rem; }
.people figure { margin: 0; font-size: .8rem; line-height: 1.3; overflow-wrap: anywhere; }
.people img { border-radius: .3rem; display: block; margin-bottom: .3rem; } .none { color: #666; }
.pieces summary { cursor: pointer; } .pieces td { text-align: left; }
"""
BLUE, GREY = "#3567a8", "#8a8a8a"
IDENTITIES = 40
"""So many people, those with most minutes, are shown by themselves."""
LANGUAGES = 6
"""So many languages, those with most minutes, have a bar of their own."""


def write_page(path: Path, numbers: dict[str, Any], people: Sequence[Portrait] = ()) -> None:
    """Write the page, whole or not at all."""
    write_text(path, page(numbers, people))


def page(numbers: dict[str, Any], people: Sequence[Portrait] = ()) -> str:
    """The page for a corpus.

    Args:
        numbers: as :func:`lipwright.data.statistics.statistics` gives them.
        people: the pictures of :func:`lipwright.data.portraits.portraits`.
    """
    parts = [
        *head("Corpus statistics", STYLE),
        "<h1>Corpus statistics</h1>",
        _figures(numbers),
        "<h2>Split</h2>",
        table(
            ("split", "clips", "identities", "minutes"),
            [
                (name, part["clips"], part["identities"], part["minutes"])
                for name, part in numbers["splits"].items()
            ],
        ),
        "<h2>What was left out, and why</h2>",
        table(
            ("reason", "pieces or sources", "minutes"),
            [(k, v["count"], v["minutes"]) for k, v in numbers["rejected"].items()],
        )
        if numbers["rejected"]
        else "<p>Nothing.</p>",
        _left_out(numbers),
        "<h2>Sound against lips</h2>",
        f"<p>Clips that were moved into step: {numbers['offset_corrected']}; clips whose offset "
        f"is unclear, and which stay as they were: {numbers['offset_unsure']}.</p>",
        "<h2>Distributions</h2>",
        _plots(numbers),
        *_people(people, numbers["identities"]),
        "</body></html>",
    ]
    return "\n".join(parts)


def counted(number: int, one: str, many: str) -> str:
    """The noun for a number."""
    return one if number == 1 else many


def _figures(numbers: dict[str, Any]) -> str:
    shown = (
        (counted(numbers["clips"], "clip", "clips"), numbers["clips"]),
        ("minutes", numbers["minutes"]),
        (counted(numbers["identities"], "person", "people"), numbers["identities"]),
        (counted(numbers["sources"], "source", "sources"), numbers["sources"]),
        ("minutes of sources", numbers["source_minutes"]),
        ("minutes with large crops", numbers["hd_minutes"]),
    )
    cells = "".join(f"<div><b>{value}</b>{html.escape(name)}</div>" for name, value in shown)
    return f"<div class='big'>{cells}</div>"


def _left_out(numbers: dict[str, Any]) -> str:
    """Every rejected piece by itself, folded away."""
    pieces = numbers["left_out"]
    if not pieces:
        return ""
    count = sum(v["count"] for v in numbers["rejected"].values())
    title = f"Piece by piece ({count})"
    if count > len(pieces):
        title = f"Piece by piece (the first {len(pieces)} of {count}; the rest in manifest.jsonl)"
    rows = [(p["source"], p["start"], p["reason"]) for p in pieces]
    return (
        f"<details class='pieces'><summary>{html.escape(title)}</summary>"
        f"{table(('source', 'from, s', 'reason'), rows)}</details>"
    )


def _people(people: Sequence[Portrait], count: int) -> list[str]:
    if not people:
        return []
    title = "People" if count <= len(people) else f"The {len(people)} most frequent of all people"
    return [f"<h2>{title}</h2>", "<div class='people'>", *map(_person, people), "</div>"]


def _person(person: Portrait) -> str:
    name = html.escape(printable(person.identity))
    about = f"{person.minutes:g} min, {person.clips} {counted(person.clips, 'clip', 'clips')}"
    picture = "<span class='none'>no picture</span>"
    if person.jpeg:
        data = base64.b64encode(person.jpeg).decode()
        picture = f"<img src='data:image/jpeg;base64,{data}' alt='' width='{SIDE}' height='{SIDE}'>"
    return (
        f"<figure>{picture}<figcaption><b>{name}</b><br>{html.escape(about)}<br>"
        f"{html.escape(person.split)}</figcaption></figure>"
    )


def _plots(numbers: dict[str, Any]) -> str:
    if find_spec("matplotlib") is None:
        log.info("matplotlib is not installed; the statistics page has no plots")
        return "<p>Install matplotlib and run again for the plots.</p>"
    drawn = "".join(_svg(figure) for figure in figures(numbers))
    return f"<div class='plots'>{drawn}</div>"


def figures(numbers: dict[str, Any]) -> list[Any]:
    """All plots as matplotlib figures."""
    out = [_bars_of_histogram(h) for h in numbers["histograms"].values()]
    if numbers["offsets"]:
        keys = [int(k) for k in numbers["offsets"]]
        span = list(range(min(keys), max(keys) + 1))
        counts = [numbers["offsets"].get(str(k), 0) for k in span]
        out.append(
            _bars([str(k) for k in span], counts, "frames that the sound came late", "clips")
        )
    languages = sorted(numbers["languages"].items(), key=lambda item: -item[1])
    rest = sum(minutes for _, minutes in languages[LANGUAGES:])
    named = [*languages[:LANGUAGES], *([("others", rest)] if languages[LANGUAGES:] else [])]
    out.append(_lying_bars([n for n, _ in named], [m for _, m in named], "language"))
    people = list(numbers["minutes_by_identity"].items())
    title = f"minutes of each of the {len(people)} people"
    if len(people) > IDENTITIES:
        title = f"minutes of the {IDENTITIES} most frequent of {len(people)} people"
    shown = [minutes for _, minutes in people[:IDENTITIES]]
    out.append(_bars([""] * len(shown), shown, title, "minutes"))
    return out


def _bars_of_histogram(histogram: dict[str, Any]) -> Any:
    low, high = histogram["borders"][:-1], histogram["borders"][1:]
    names = [f"{a:g} to {b:g}" for a, b in zip(low, high, strict=True)]
    names[-1] = f"over {low[-1]:g}"
    minutes = histogram["minutes"]
    filled = [place for place, value in enumerate(minutes) if value > 0] or [0]
    shown = slice(filled[0], filled[-1] + 1)  # empty ends say nothing
    title = histogram["title"]
    if histogram["median"] is not None:
        title += f" (median {histogram['median']:g})"
    return _lying_bars(names[shown], minutes[shown], title)


def _axes(title: str, *without: str) -> Any:
    """The axes of a new figure without some of their sides."""
    from matplotlib.figure import Figure

    axes = Figure(figsize=(4.6, 2.7), layout="constrained").subplots()
    axes.set_title(title, fontsize=10, loc="left")
    axes.spines[list(without)].set_visible(False)
    return axes


def _lying_bars(names: Sequence[str], minutes: Sequence[float], title: str) -> Any:
    """Bars from the left, so that their names can be read; the value stands at the end."""
    axes = _axes(title, "top", "right", "bottom")
    drawn = axes.barh(range(len(minutes)), minutes, color=BLUE, height=0.7)
    axes.bar_label(drawn, [f"{value:.3g}" for value in minutes], fontsize=8, color=GREY, padding=3)
    axes.set_xlabel("minutes", fontsize=9, color=GREY)
    axes.set_yticks(range(len(names)), labels=names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.margins(x=0.12)
    axes.tick_params(axis="y", length=0)
    return axes.figure


def _bars(names: Sequence[str], values: Sequence[float], title: str, unit: str) -> Any:
    axes = _axes(title, "top", "right", "left")
    axes.bar(range(len(values)), values, color=BLUE, width=0.8)
    axes.set_ylabel(unit, fontsize=9, color=GREY)
    turned = len(names) > 4 and max(map(len, names)) > 3
    axes.set_xticks(
        range(len(names)),
        labels=names,
        fontsize=8,
        rotation=35 if turned else 0,
        ha="right" if turned else "center",
    )
    axes.tick_params(axis="y", labelsize=8, colors=GREY)
    axes.tick_params(axis="x", length=0)
    return axes.figure


def _svg(figure: Any) -> str:
    target = io.StringIO()
    # No date, and text as text: the same corpus gives the same page, small and searchable.
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lipwright"}):
        figure.savefig(target, format="svg", metadata={"Date": None})
    text = target.getvalue()
    return text[text.index("<svg") :]
