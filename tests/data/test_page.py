"""The page of a corpus's statistics."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lipwright.data.page import LANGUAGES, page
from lipwright.data.portraits import Portrait

pytest.importorskip("matplotlib")


def numbers(**more: Any) -> dict[str, Any]:
    """Statistics of a small corpus."""
    return {
        "clips": 3,
        "minutes": 0.3,
        "identities": 2,
        "sources": 3,
        "source_minutes": 0.4,
        "hd_minutes": 0.0,
        "splits": {"train": {"clips": 3, "identities": 2, "minutes": 0.3}},
        "rejected": {},
        "left_out": [],
        "offset_corrected": 0,
        "offset_unsure": 1,
        "histograms": {
            "seconds": {
                "title": "length in seconds",
                "borders": [0, 1, 2, 3, 9],
                "minutes": [0.0, 0.2, 0.1, 0.0],
                "median": 1.5,
            }
        },
        "offsets": {"0": 2, "1": 1},
        "languages": {"en": 0.3},
        "minutes_by_identity": {"ann": 0.2, "ben": 0.1},
        **more,
    }


def texts(made: str) -> list[str]:
    """The words of the plots, in the order in which they are drawn."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", made)


def test_empty_ends_of_a_distribution_are_not_drawn() -> None:
    words = texts(page(numbers()))
    assert "1 to 2" in words
    assert "2 to 3" in words
    assert "0 to 1" not in words
    assert "over 3" not in words


def test_many_languages_are_the_greatest_and_the_rest() -> None:
    spoken = {f"l{place}": 10.0 - place for place in range(9)}
    words = texts(page(numbers(languages=dict(reversed(spoken.items())))))
    assert [w for w in words if w in spoken] == list(spoken)[:LANGUAGES]
    others = words.index("others")
    assert others >= 0
    assert "9" in words  # 4 + 3 + 2 minutes of the others


def test_pictures_of_many_people_do_not_hide_the_distributions() -> None:
    made = page(numbers(), [Portrait("ann", "train", 2, 0.2, b"jpeg")])
    assert made.index("Distributions") < made.index("class='people'")
