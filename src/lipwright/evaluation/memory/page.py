"""The page of ``lipwright memory inspect``: one HTML file beside its pictures."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from lipwright.files.whole import write_text
from lipwright.html_page import head, table

STYLE = "img { max-width: 100%; height: auto; } .note { color: #555; }\n"


def write_page(path: Path, found: dict[str, Any]) -> None:
    """Write the page for what :func:`lipwright.evaluation.memory.inspect.inspect` found."""
    use = found["slots"]
    parts = [
        *head("Audio-Lip Memory", STYLE),
        f"<h1>Audio-Lip Memory of {html.escape(found['model'])}</h1>",
        f"<p>{found['clips']} clips, {found['frames']} frames, split "
        f"{html.escape(found['split'])}.</p>",
        "<h2>Which slots are used</h2>",
        table(
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
        _sounds(found.get("information"), found["labels"]),
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
    write_text(path, "\n".join(parts))


def _sounds(information: dict[str, Any] | None, labels: str) -> str:
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
    words = _image("words.png", "The same under a word.") if "words" in information["audio"] else ""
    columns = ("top slot of", "bits", "shuffled", "95 % of shuffled", "beyond chance", "of", "p")
    return (
        table(columns, rows)
        + f"<p class='note'>Mutual information over {information['frames']} spoken frames of "
        f"{information['clips']} clip{'s' * (information['clips'] != 1)} ({html.escape(labels)}). "
        "Shuffled: the labels of another clip, turned by a random number of frames.</p>"
        + _image("phonemes.png", "How much likelier than by chance a slot is under a phoneme.")
        + words
    )


def _two(use: dict[str, Any], key: str) -> tuple[str, str]:
    return f"{use['audio'][key]:.1f}", f"{use['lips'][key]:.1f}"


def _image(name: str, caption: str) -> str:
    return (
        f"<figure><img src='{name}' alt=''><figcaption>{html.escape(caption)}</figcaption></figure>"
    )
