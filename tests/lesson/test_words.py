"""Word lists: what is practised, and what is wrong with a list."""

from __future__ import annotations

import pytest

from lipwright.errors import LipwrightError, Problems
from lipwright.lesson.words import LONGEST, read_items


def test_lines_are_items_and_headings() -> None:
    found = read_items("ball\n\n# Greetings\n  Good   morning.\n#\nthumb\n", "w.txt")
    assert [(i.number, i.text, i.heading, i.kind) for i in found] == [
        (1, "ball", "", "word"),
        (2, "Good morning.", "Greetings", "sentence"),
        (3, "thumb", "", "word"),
    ]


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(Problems) as caught:
        read_items("ball\n?!\n" + "a" * (LONGEST + 1) + "\n", "w.txt")
    assert len(caught.value.sentences) == 2
    assert "Line 2 of w.txt" in caught.value.sentences[0]
    assert f"{LONGEST + 1} characters" in caught.value.sentences[1]


@pytest.mark.parametrize("text", ["", "\n \n", "# only a heading\n"])
def test_a_list_without_words_is_refused(text: str) -> None:
    with pytest.raises(LipwrightError, match="holds no word"):
        read_items(text, "w.txt")
