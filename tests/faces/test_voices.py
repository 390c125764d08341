"""Lips and voices together: who a voice belongs to speaks, though no lips tell so for a while."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.faces.voices import MOST_VOICES, PER_FRAME, Shot, decide

NOBODY, LEFT, RIGHT = range(3)


def cepstra(voices: np.ndarray, apart: float = 1.5) -> np.ndarray:
    """Of each frame's voice (T,): normal vectors about a place of its own."""
    random = np.random.default_rng(7)
    places = apart * random.standard_normal((4, 12))
    noise = random.standard_normal((PER_FRAME * len(voices), 12))
    return places[np.repeat(voices, PER_FRAME)] + noise


def lips(truth: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """What three choices are worth to lips that tell the truth where they are sure, (T, 3)."""
    scores = np.zeros((len(truth), 3))
    for choice in (LEFT, RIGHT):
        scores[:, choice] = np.where(truth == choice, 0.15, -0.25) * sure
    return scores


def found(scores: np.ndarray, voices: np.ndarray, apart: float = 1.5) -> np.ndarray:
    heard = np.ones(len(scores), bool)
    levels = np.zeros(PER_FRAME * len(scores))
    (choices,) = decide([Shot(0, scores)], cepstra(voices, apart), levels, heard)
    return choices


TURNS = np.repeat([LEFT, RIGHT, LEFT, RIGHT], 75)


def test_a_turn_without_lips_goes_to_whom_the_voice_belongs_to() -> None:
    sure = np.ones(300)
    sure[150:225] = 0.0  # the third turn: nothing moves that could be seen
    sure[150:225] -= 0.1  # or rather the other way
    right = found(lips(TURNS, sure), TURNS)
    assert (right == TURNS).mean() > 0.97
    # With the sound of one voice there is only what the lips say: nothing of that turn.
    assert (found(lips(TURNS, sure), np.zeros(300, int))[155:220] != LEFT).all()


def test_a_change_of_the_speaker_is_where_the_voice_changes() -> None:
    sure = np.ones(300)
    for change in (75, 150, 225):
        sure[change - 12 : change + 12] = 0.0
    changes = np.flatnonzero(np.diff(found(lips(TURNS, sure), TURNS))) + 1
    assert np.abs(changes - [75, 150, 225]).max() <= 2


def test_a_voice_that_no_lips_follow_is_nobodys() -> None:
    truth = np.repeat([LEFT, NOBODY, LEFT], 100)
    scores = lips(truth, np.ones(300))
    scores[110:130, LEFT] = 0.3  # a glimpse of lips that seem to follow: 6 log-odds
    assert (found(scores, truth) == truth).mean() > 0.97


def test_one_voice_in_two_shots_need_not_be_one_choice() -> None:
    """Choices of shots are other faces; a voice of the first shot may be off screen in the next."""
    scores = np.zeros((100, 2))
    shots = []
    for first, worth in ((0, 0.15), (100, -0.25)):
        shots.append(Shot(first, np.column_stack([np.zeros(100), np.full(100, worth)])))
    heard, levels = np.ones(200, bool), np.zeros(800)
    told = decide(shots, cepstra(np.zeros(200, int)), levels, heard)
    assert [part.tolist() for part in told] == [[1] * 100, [0] * 100]
    assert len(told[0]) == len(scores)


def test_more_voices_than_are_looked_for() -> None:
    truth = np.tile(np.repeat([LEFT, RIGHT], 50), MOST_VOICES)
    voices = np.repeat(np.arange(2 * MOST_VOICES) % 4, 50)
    assert (found(lips(truth, np.ones(len(truth))), voices) == truth).mean() > 0.97


@pytest.mark.parametrize("heard", [False, True])
def test_silence_and_constant_sound_are_no_trouble(heard: bool) -> None:
    scores = lips(np.repeat(LEFT, 100), np.ones(100))
    zero = np.zeros((400, 12))
    (told,) = decide([Shot(0, scores)], zero, np.full(400, -np.inf), np.full(100, heard))
    assert (told == LEFT).all()
    assert decide([], zero, np.zeros(400), np.full(100, heard)) == []


def test_times_count_from_the_film() -> None:
    """A stretch that begins late sees its own part of the sound."""
    sure = np.ones(300)
    sure[150:225] = -0.1
    shift = 40
    sound = np.concatenate([np.zeros((PER_FRAME * shift, 12)), cepstra(TURNS)])
    heard = np.ones(300 + shift, bool)
    shot = Shot(shift, lips(TURNS, sure))
    (told,) = decide([shot], sound, np.zeros(len(sound)), heard)
    assert (told == TURNS).mean() > 0.97
