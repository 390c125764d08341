"""Evidence of who speaks: lips that follow the speech win."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.faces import speaker
from lipwright.faces.speaker import NOBODY, SEVERAL, choices, evidence, spread, without_pauses
from lipwright.faces.voices import Shot
from lipwright.faces.voices import decide as decide_with_voices


def lips(count: int, seed: int, size: float = 0.02) -> np.ndarray:
    """Three measures of a mouth that moves at the pace of syllables."""
    noise = np.random.default_rng(seed).standard_normal((count + 20, 3))
    kernel = np.hanning(7)[1:-1]
    smooth = np.stack([np.convolve(noise[:, k], kernel, "same") for k in range(3)], axis=1)
    return np.asarray(size * smooth[10:-10])


def decide(alone: list[np.ndarray], together: list[np.ndarray], heard: np.ndarray) -> np.ndarray:
    """Who speaks in a shot whose voices cannot be told apart."""
    scores, labels = choices(alone, together, heard)
    steps = 4 * len(heard)
    (who,) = decide_with_voices([Shot(0, scores)], np.zeros((steps, 12)), np.zeros(steps), heard)
    return without_pauses(labels[who], heard)


def told(faces: list[np.ndarray], expected: np.ndarray, heard: np.ndarray) -> np.ndarray:
    usual = spread(expected, heard)
    alone, two = (
        [evidence(face, expected, heard, usual, r) for face in faces]
        for r in (speaker.CORRELATIONS, speaker.OF_TWO)
    )
    return decide(alone, two, heard)


def test_the_face_that_follows_the_speech_speaks() -> None:
    a, b = lips(400, 1), lips(400, 2)
    expected = np.where(np.arange(400)[:, None] < 200, a, b) * 0.7  # other gain: no matter
    found = told([a, b], expected, np.ones(400, bool))
    assert (found[10:185] == 0).all()
    assert (found[215:390] == 1).all()
    assert np.count_nonzero(np.diff(found)) == 1


def test_a_voice_of_somebody_else_is_nobodys() -> None:
    found = told([lips(400, 1), lips(400, 2)], lips(400, 3), np.ones(400, bool))
    assert (found == NOBODY).mean() > 0.95


def test_a_still_face_does_not_speak() -> None:
    still = 0.0002 * np.random.default_rng(0).standard_normal((300, 3))
    expected = lips(300, 3)
    assert (told([still], expected, np.ones(300, bool)) == NOBODY).all()


def test_both_mouths_at_once_are_several() -> None:
    both = lips(300, 5)
    other = both + lips(300, 6, 0.004)
    assert (told([both, other], both, np.ones(300, bool)) == SEVERAL).mean() > 0.9


def test_short_pauses_stay_with_the_speaker_and_long_ones_do_not() -> None:
    a = lips(400, 1)
    heard = np.ones(400, bool)
    heard[100:120] = False  # 0.8 s
    heard[200:260] = False  # 2.4 s
    found = told([a], a, heard)
    assert (found[:200] == 0).all()
    assert (found[200:260] == NOBODY).all()
    assert (found[260:] == 0).all()


def test_a_glimpse_of_evidence_changes_nothing() -> None:
    """Fewer log-odds than two changes cost: there and back."""
    favour = np.full(100, 0.1)
    against = -favour
    against[50:53] = 2.0  # 6 log-odds
    found = decide([favour, against], [favour, against], np.ones(100, bool))
    assert (found == 0).all()


def test_a_face_that_is_not_there_cannot_speak() -> None:
    gone = np.full(60, 0.5)
    gone[30:] = np.nan
    found = decide([gone], [gone], np.ones(60, bool))
    assert (found[:28] == 0).all()
    assert (found[30:] == NOBODY).all()
    assert decide([], [], np.ones(3, bool)).tolist() == [NOBODY] * 3
    assert choices([], [], np.ones(0, bool))[0].shape == (0, 1)


def test_evidence_by_hand() -> None:
    """Lips at rest under speech at rest, in the middle of a face that moves as usual."""
    measured, expected = lips(201, 1), lips(201, 1)
    usual = spread(expected, np.ones(201, bool))
    found = evidence(measured, expected, np.ones(201, bool), usual)
    moved = speaker.detrended(measured) / usual
    half = speaker.AROUND // 2
    values = []
    for gain in speaker.GAINS:
        lip = moved[100] / gain
        around = ((moved[100 - half : 101 + half] / gain) ** 2).mean(axis=0)
        around = np.clip(around, speaker.STILL, 1)
        for correlation in speaker.CORRELATIONS:
            rest = 1 - correlation**2
            speaks = -0.5 * np.log(rest) - (lip - correlation * moved[100]) ** 2 / (2 * rest)
            silent = -0.5 * np.log(around) - lip**2 / (2 * around)
            values.append(float((speaks - silent) @ speaker.MEASURES / speaker.INDEPENDENT))
    assert min(abs(found[100] - value) for value in values) < 1e-12
    assert evidence(measured, expected, np.zeros(201, bool), usual) == pytest.approx(0.0)


def test_lips_of_any_size_are_known_by_the_speech() -> None:
    """The lips that the speech tells and the same four times as far, loosely followed."""
    expected = lips(300, 5)
    wide = 3 * expected + lips(300, 6, 0.02)
    usual = spread(expected, np.ones(300, bool))
    found = evidence(wide, expected, np.ones(300, bool), usual)
    assert found[20:-20].mean() > 0.1
    assert evidence(wide, lips(300, 7), np.ones(300, bool), usual)[20:-20].mean() < 0


def test_each_face_has_its_own_lateness() -> None:
    frames = np.arange(-speaker.MOST_LATE, speaker.MOST_LATE + 1)

    def peak(at: int, height: float) -> np.ndarray:
        return np.asarray(height * np.exp(-((frames - at) ** 2) / 2.0))

    film, own = speaker.lateness({0: peak(2, 50.0), 1: peak(2, 40.0), 2: peak(-3, 30.0)})
    assert (film, own) == (2, {0: 2, 1: 2, 2: -3})
    # What is hardly better elsewhere stays with the film; what says nothing does, too.
    film, own = speaker.lateness({0: peak(2, 50.0), 1: peak(-3, 4.0), 2: 0 * frames})
    assert (film, own) == (2, {0: 2, 1: 2, 2: 2})
    assert speaker.lateness({}) == (0, {})
