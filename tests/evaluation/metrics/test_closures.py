"""Closures and rounding on hand-made mouths, and phones of a sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipwright.evaluation.metrics.closures import (
    Mouth,
    closure_hits,
    false_closures,
    rounding,
)
from lipwright.evaluation.phones import Phone, phones_of, transcript_of

TIMES = np.arange(50) / 25
"""Two seconds; frame n at 0.04 n s."""


def open_but(*frames: int) -> np.ndarray:
    opening = np.full(50, 0.1)
    opening[list(frames)] = 0.0
    return opening


def test_the_level_is_the_persons_own() -> None:
    """Rest 0.01 (lowest fifth), 90 % quantile 0.11: closed below 0.01 + 0.2 * 0.1."""
    opening = np.concatenate([np.full(20, 0.01), np.full(60, 0.06), np.full(20, 0.11)])
    mouth = Mouth.of(opening, np.array([0.2, 0.4, np.nan]))
    assert mouth.closed == pytest.approx(0.03)
    assert mouth.spread == pytest.approx(0.1)


def test_hits_by_hand() -> None:
    """B at frame 10: closed two frames later. M at 20: three frames too late. P is not seen."""
    phones = [Phone("B", 0.36, 0.44), Phone("M", 0.76, 0.84), Phone("P", 1.56, 1.64)]
    opening = open_but(12, 23)
    opening[37:44] = np.nan
    assert closure_hits(TIMES, opening, phones, 0.03) == [True, False]
    assert closure_hits(TIMES, opening, [Phone("T", 0.36, 0.44)], 0.03) == []


def test_false_closures_by_hand() -> None:
    """Closed at frame 12 for the b, at 30 for nothing, and through the pause at the end."""
    phones = [
        Phone("AA", 0.0, 0.36),
        Phone("B", 0.36, 0.44),
        Phone("AA", 0.44, 1.6),
        Phone("", 1.6, 2.0),
    ]
    opening = open_but(12, 30, *range(38, 50))
    count, seconds = false_closures(TIMES, opening, phones, 0.03)
    assert count == 1
    assert seconds == pytest.approx(1.6)


def test_rounding_by_hand() -> None:
    """Three rounded phones of width 0.3 in speech of 0.4, which varies by 0.05."""
    phones = [Phone("AA", 0.0, 2.0), *(Phone("UW", t - 0.02, t + 0.02) for t in (0.4, 0.8, 1.2))]
    width = np.full(50, 0.4)
    for t in (0.4, 0.8, 1.2):
        width[round(t * 25) - 1 : round(t * 25) + 2] = 0.3
    spoken = (0.4 * 41 + 0.3 * 9) / 50
    assert rounding(TIMES, width, phones, 0.05) == pytest.approx((spoken - 0.3) / 0.05)
    assert np.isnan(rounding(TIMES, width, phones[:3], 0.05))


def test_transcripts(tmp_path: Path) -> None:
    video = tmp_path / "s1" / "bbaf2n.mp4"
    video.parent.mkdir()
    assert transcript_of(video) is None
    (tmp_path / "align").mkdir()
    lines = "0 23750 sil\n23750 29500 bin\n29500 34000 blue\n34000 74500 sil\n"
    (tmp_path / "align" / "bbaf2n.align").write_text(lines)
    assert transcript_of(video) == "bin blue"
    video.with_suffix(".txt").write_text("Don't stop, Bob!")
    assert transcript_of(video) == "don't stop bob"


def test_phones_of_grid(corpus: Path) -> None:
    """The forced alignment places words where GRID's own alignment has them, and is repeatable."""
    pytest.importorskip("pocketsphinx")
    from lipwright.media.audio import load_speech

    video = corpus / "grid" / "s1" / "bbaf2n.mp4"
    lines = (corpus / "grid" / "align" / "bbaf2n.align").read_text().split("\n")
    starts = {w: int(a) / 25_000 for a, _, w in (line.split() for line in lines if line)}
    wave = load_speech(video)
    found = phones_of(wave, transcript_of(video))
    bins = [p for p in found if p.name == "B"]
    assert len(bins) == 2
    assert [b.start for b in bins] == pytest.approx([starts["bin"], starts["blue"]], abs=0.1)
    assert phones_of(wave, transcript_of(video)) == found


def test_silence_has_no_phones() -> None:
    pytest.importorskip("pocketsphinx")
    assert [p for p in phones_of(np.zeros(8000, np.float32)) if p.name] == []


def test_a_word_that_was_not_said_does_not_lose_the_others(corpus: Path) -> None:
    """Transcripts err: with one word too many both closures are still where they are."""
    pytest.importorskip("pocketsphinx")
    from lipwright.media.audio import load_speech

    video = corpus / "grid" / "s1" / "bbaf2n.mp4"
    wave, words = load_speech(video), transcript_of(video)
    bins = [
        [p.start for p in phones_of(wave, text) if p.name == "B"] for text in (words, f"{words} we")
    ]
    assert len(bins[0]) == 2
    assert bins[1] == pytest.approx(bins[0], abs=0.04)
