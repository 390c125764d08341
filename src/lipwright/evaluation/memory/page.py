"""The page of ``lipwright memory inspect``: one HTML file beside its pictures."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 66rem; padding: 0 1rem;
       color: #222; background: #fff; }
h1, h2 { font-weight: 600; } h2 { margin-top: 2.2rem; }
table { border-collapse: collapse; margin: .8rem 0; }
th, td { padding: .25rem .9rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; height: auto; } .note { color: #555; }
"""


def write_page(path: Path, found: dict[str, Any]) -> None:
    """Write the page for what :func:`lipwright.evaluation.memory.inspect.inspect` found."""
    use = found["slots"]
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>Audio-Lip Memory</title><style>{STYLE}</style></head><body>",
        f"<h1>Audio-Lip Memory of {html.escape(found['model'])}</h1>",
        f"<p>{found['clips']} clips, {found['frames']} frames, split "
        f"{html.escape(found['split'])}.</p>",
        "<h2>Which slots are used</h2>",
        _table(
            ("", "by audio", "by lips"),
            [
                ("slots", use["count"], use["count"]),
                ("in use: exp of the entropy of the mean address", *_two(use, "effective")),
                ("mixed by one address, on average", *_two(use, "mixed")),
                ("different top slots", use["audio"]["top"], use["lips"]["top"]),
            ],
        ),
        f"<p>Audio and lips agree on the top slot in {100 * use['agreement']:.1f} % of frames; "
        f"with the frames of other clips in {100 * use['agreement_shuffled']:.1f} %.</p>",
        _image("slots.png", "Mean address of every slot."),
        "<h2>Addresses over time</h2>",
        _image("heat.png", f"Clip {found['heat']}. Slots in the order in which lips reach them."),
        "<h2>Do slots stand for sounds?</h2>",
        _sounds(found.get("information")),
        "<h2>What every slot looks like</h2>",
        _image(
            "mouths.png", "One face, silence, and one slot recalled at a time; most used first."
        ),
    ]
    if found.get("edit"):
        edit = found["edit"]
        parts += [
            "<h2>Between two sounds</h2>",
            _image(
                "edit.png",
                f"From the mean address of {edit['from']} to that of {edit['to']}: "
                f"{edit['steps']} mixtures, for {edit['faces']} people.",
            ),
        ]
    parts.append("</body></html>")
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text("\n".join(parts), encoding="utf-8")
    temporary.replace(path)


def _sounds(information: dict[str, Any] | None) -> str:
    if not information:
        return (
            "<p>No clip has a word alignment, so this cannot be said. Give their folder with "
            "--alignments.</p>"
        )
    rows = [
        (
            f"{who}, {what}",
            f"{i['bits']:.3f}",
            f"{i['control']:.3f}",
            f"{i['control_95']:.3f}",
            f"{i['bits'] - i['control']:.3f}",
            f"{i['label_bits']:.2f}",
            f"{i['p']:.3f}",
        )
        for who in ("audio", "lips")
        for what, i in information[who].items()
    ]
    head = ("top slot of", "bits", "shuffled", "95 % of shuffled", "beyond chance", "of", "p")
    return (
        _table(head, rows)
        + f"<p class='note'>Mutual information over {information['frames']} spoken frames of "
        f"{information['clips']} clips with word alignments; phonemes are spread over their words "
        "by rough lengths. Shuffled: the labels of another clip, turned by a random number of "
        "frames.</p>"
        + _image("phonemes.png", "How much likelier than by chance a slot is under a phoneme.")
        + _image("words.png", "The same under a word.")
    )


def _two(use: dict[str, Any], key: str) -> tuple[str, str]:
    return f"{use['audio'][key]:.1f}", f"{use['lips'][key]:.1f}"


def _image(name: str, caption: str) -> str:
    return (
        f"<figure><img src='{name}' alt=''><figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    def line(cells: tuple[Any, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(str(c))}</{tag}>" for c in cells) + "</tr>"

    return "<table>" + line(head, "th") + "".join(line(r, "td") for r in rows) + "</table>"
