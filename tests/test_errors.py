"""Messages as people read them."""

from __future__ import annotations

import pytest

from lipwright.errors import LipwrightError, Problems


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            "there is no video at a.mp4; check the path",
            "There is no video at a.mp4; check the path.",
        ),
        ("The file a.mp4 is empty.", "The file a.mp4 is empty."),
        ("loss.sync is no number; give one", "loss.sync is no number; give one."),
        ("speech2vid has no discriminator.", "speech2vid has no discriminator."),
        ("corpus holds no clips; give another", "corpus holds no clips; give another."),
        ("--face speaking needs sound", "--face speaking needs sound."),
        ("the expert (sha256 1a2b)", "The expert (sha256 1a2b)."),
        ("", ""),
    ],
)
def test_a_sentence_has_a_capital_and_a_full_stop(message: str, sentence: str) -> None:
    assert LipwrightError(message).sentence == sentence


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\v", "\f", "\x1e", "\x85", "\u2028"])
def test_a_name_with_a_line_end_leaves_one_line(end: str) -> None:
    error = LipwrightError(f"There is no file my{end}film.mp4.")
    assert str(error) == "There is no file my film.mp4."
    assert str(error).splitlines() == [error.sentence]
    problems = Problems([f"row 1: there is no my{end}film.mp4", "row 2: no speech"])
    assert problems.sentences[0] == "row 1: there is no my film.mp4"
    assert len(str(problems).split("\n")) == 2
