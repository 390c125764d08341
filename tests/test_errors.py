"""Messages as people read them."""

from __future__ import annotations

import pytest

from lipwright.errors import LipwrightError


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
