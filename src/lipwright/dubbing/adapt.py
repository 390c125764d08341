"""What the source shows of how its person articulates, and whether its sound tells it.

The frames in which a person is seen and heard are gathered on the plan's tracks, the sound's offset
is estimated, and a correction of the general speech network is fitted (``methods.adaptation``). A
sound that does not go with the lips (a dubbed film, music, somebody behind the camera) teaches
nothing: lips and prediction must agree surely, over all and in every few seconds that are used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.plan import SEEN, Plan, Track, unpack_points
from lipwright.errors import LipwrightError
from lipwright.lip_agreement import (
    FAR,
    MOTION_WEIGHTS,
    REACH,
    Agreement,
    agreement,
    agreement_curve,
    correlation,
    steady,
)
from lipwright.lip_motion import BOUND, LipMotions, NeutralMouth
from lipwright.media import voice_activity
from lipwright.media.audio import SAMPLE_RATE, load_speech
from lipwright.media.mel import MODEL_FPS
from lipwright.methods.adaptation import (
    LEVEL_PRIOR_FRAMES,
    Adaptation,
    fit_adaptation,
    neighbourhoods,
)
from lipwright.methods.articulation import unstretched
from lipwright.methods.base import Method, predicted_motion

LEAST_FRAMES = 75
"""Own speech in step, frames at 25 fps, below which nothing is learnt: 3 s."""
MOST_FRAMES = 7500
"""More than the first five minutes of it change nothing."""
SURE = 3.0
"""Certainty that the sound is this mouth's; docs/dubbing.md says how often it errs."""
MOST_OFFSET = 8
"""A sound further out of step than this is not believed to be this person's."""
BLOCK, WEAK = 125, 0.15
"""Blocks of so many frames whose lips agree less than this with the sound are left out: somebody
else speaks there."""
AROUND = 25
"""Frames before and after speech in which lips that rest tell of the offset, too."""

NO_MOTION = "the method predicts no lip motion"
NO_SOUND = "the video has no sound of its own"
OUT_OF_STEP = "the sound does not go with these lips (dubbed, or somebody else speaks)"
NO_HELP = "the correction did not hold on parts of the speech that it was not fitted to"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PersonSpeech:
    """What is known of one person's articulation.

    Attributes:
        tracks: numbers of the person's tracks.
        adaptation: the correction; None where nothing could be learnt.
        levels: (K,) by track: where the mouth is in this shot beside the person's mean.
        facts: for the report: whether, why not, on how much evidence.
    """

    tracks: tuple[int, ...]
    adaptation: Adaptation | None
    levels: Mapping[int, Array]
    facts: Mapping[str, Any]


def learn(
    video: Path, plan: Plan, people: Sequence[tuple[int, ...]], method: Method
) -> list[PersonSpeech]:
    """Learn from a video how its people articulate.

    Args:
        video: with the sound that was recorded with it.
        plan: of it.
        people: numbers of the tracks of every person.
        method: whose predictions are corrected.
    """
    if method.motions is None:
        return [_nothing(tracks, NO_MOTION) for tracks in people]
    try:
        wave = load_speech(video)
    except LipwrightError:
        return [_nothing(tracks, NO_SOUND) for tracks in people]
    by_number = {track.number: track for track in plan.tracks}
    wanted = {number for tracks in people for number in tracks}
    seen = {n: measured_motions(plan, by_number[n], method.motions) for n in wanted}
    wave = wave[: _needed_samples(seen.values())]
    gain = voice_activity.speech_gain(voice_activity.band_level(wave, SAMPLE_RATE))
    wave = np.asarray(wave * np.float32(10.0 ** (gain / 20.0)), np.float32)
    predicted = predicted_motion(method, wave)
    times = np.arange(len(predicted)) / MODEL_FPS
    active = voice_activity.detect(wave, SAMPLE_RATE).activity(times) > 0.5
    return [
        learn_person({n: seen[n] for n in tracks}, predicted, np.asarray(active, np.bool_))
        for tracks in people
    ]


def measured_motions(plan: Plan, track: Track, motions: LipMotions) -> tuple[int, Array]:
    """Lip motions of a track at 25 fps.

    Returns:
        The first frame at 25 fps from the video's first picture on, and (T, K) motions, NaN where
        the face was not seen.
    """
    rows = np.flatnonzero(track.states == SEEN)
    ticks = np.asarray(plan.pts[track.first : track.last + 1], np.float64) - plan.pts[0]
    times = ticks * float(plan.time_base)
    if not rows.size:
        return 0, np.zeros((0, motions.dim))
    shapes = unpack_points(track.lips[rows])
    rest = NeutralMouth(track.rest_opening, track.rest)
    values = motions.encode(track.openings[rows], shapes, rest).astype(np.float64)
    return steady(times[rows], values, MODEL_FPS)


def learn_person(
    seen: Mapping[int, tuple[int, Array]], predicted: Array, active: NDArray[np.bool_]
) -> PersonSpeech:
    """Learn one person's articulation.

    Args:
        seen: by track, as :func:`measured_motions` gives it; the tracks do not overlap.
        predicted: (N, K) what the general model says of the sound, at 25 fps.
        active: (N,) where somebody speaks.
    """
    tracks, dim = tuple(sorted(seen)), predicted.shape[1]
    measured = np.full((len(predicted), dim), np.nan)
    of_track = np.full(len(predicted), -1)
    for number, (first, values) in seen.items():
        last = min(len(predicted), first + len(values))
        measured[first:last] = values[: max(0, last - first)]
        of_track[first:last] = number
    rows = np.flatnonzero(np.isfinite(measured[:, 0]) & active)[:MOST_FRAMES]
    if len(rows) < LEAST_FRAMES:
        return _nothing(tracks, _too_little(len(rows)))
    near = np.convolve(active, np.ones(2 * AROUND + 1), "same") > 0.5
    near[rows[-1] + AROUND :] = False
    judged = np.where(near[:, None], measured, np.nan)
    outside = np.full((REACH, dim), np.nan)
    curve = agreement_curve(judged, np.concatenate([outside, predicted, outside]))
    found = agreement(curve, int(np.isfinite(judged[:, 0]).sum()))
    facts = _facts(found, len(rows))
    if found.certainty < SURE + FAR * abs(found.offset) or abs(found.offset) > MOST_OFFSET:
        return _nothing(tracks, OUT_OF_STEP, facts)
    rows = rows[(rows + found.offset >= 0) & (rows + found.offset < len(predicted))]
    rows = _in_step(rows, measured, predicted, found.offset)
    facts["seconds"] = round(len(rows) / MODEL_FPS, 2)
    if len(rows) < LEAST_FRAMES:
        return _nothing(tracks, _too_little(len(rows)), facts)
    inputs = neighbourhoods(predicted)[rows + found.offset]
    general, true = predicted[rows + found.offset], measured[rows]
    adaptation, held_out = fit_adaptation(inputs, general, true)
    before, after = (float(np.square(true - x).mean()) for x in (general, held_out))
    facts["error_ratio"] = round(after / max(before, 1e-9), 3)
    if after >= before:
        return _nothing(tracks, NO_HELP, facts)
    levels = _levels(adaptation, inputs, general, true, of_track[rows])
    facts["opening_gain"] = round(float(adaptation.gain[0]), 3)
    return PersonSpeech(tracks, adaptation, levels, {"used": True, "tracks": list(tracks), **facts})


def features_by_track(
    people: Iterable[PersonSpeech],
    general: NDArray[np.float32],
    articulation: NDArray[np.float32] | None,
) -> dict[int, NDArray[np.float32]]:
    """(K, T) what each track's lips do with a speech; tracks of which nothing is known are absent.

    Args:
        people: see :func:`learn`.
        general: (K, T) what the general model says of the speech.
        articulation: (K,) gains that the method will apply; an adapted motion is meant as it is.
    """
    out = {}
    for person in people:
        if person.adaptation is None:
            continue
        motions = person.adaptation.apply(general)
        for track in person.tracks:
            level = person.levels.get(track, np.zeros(len(general)))[:, None]
            bounded = np.clip(motions + level, -BOUND, BOUND)
            out[track] = np.ascontiguousarray(unstretched(bounded.T, articulation).T, np.float32)
    return out


def of_another_video(learnt: PersonSpeech, tracks: Iterable[int], name: str) -> PersonSpeech:
    """The same for the tracks of the video that is dubbed, where ``name`` taught it."""
    numbers = tuple(sorted(tracks))
    facts = {**learnt.facts, "tracks": list(numbers), "from": name}
    return PersonSpeech(numbers, learnt.adaptation, {}, facts)


def people_to_learn(plan: Plan, speaking: Iterable[int], face: str) -> list[tuple[int, ...]]:
    """The speaking tracks by person.

    Tracks that one ``--face`` names together are one person's. Otherwise they are told apart by
    the face recognition network where it is on this machine; where it is not, every track is taken
    by itself.
    """
    numbers = tuple(sorted(speaking))
    one = face.startswith("person:") and "," not in face
    if len(numbers) < 2 or one or "@" in face:
        return [numbers]
    from lipwright.dubbing.people import people_of
    from lipwright.weights.fetch import on_hand

    try:
        if on_hand("face-identity") and on_hand("face-identity-layers"):
            groups = [
                tuple(sorted({t.number for t in person.tracks} & set(numbers)))
                for person in people_of(plan)
            ]
            return [group for group in groups if group]
    except LipwrightError:
        pass
    return [(number,) for number in numbers]


def _needed_samples(seen: Iterable[tuple[int, Array]]) -> int:
    """So much sound has to be listened to: up to where there is enough for everybody."""
    ends = []
    for first, values in seen:
        rows = np.flatnonzero(np.isfinite(values[:, 0]))[: 2 * MOST_FRAMES]
        ends.append(first + int(rows[-1]) + 1 if rows.size else 0)
    return (max(ends, default=0) + REACH) * SAMPLE_RATE // MODEL_FPS


def _in_step(
    rows: NDArray[np.int64], measured: Array, predicted: Array, offset: int
) -> NDArray[np.int64]:
    """Those rows whose block of time agrees with the sound."""
    blocks = np.array_split(rows, max(1, round(len(rows) / BLOCK)))
    kept = [
        block
        for block in blocks
        if correlation(measured[block], predicted[block + offset], MOTION_WEIGHTS) > WEAK
    ]
    return np.concatenate(kept) if kept else rows[:0]


def _levels(
    adaptation: Adaptation, inputs: Array, general: Array, measured: Array, of_track: Array
) -> dict[int, Array]:
    """Where the mouth is in each shot beside the mean of all, by as much as the shot's frames say:
    somebody who smiles in a shot smiles while speaking, too.
    """
    corrected = general + (inputs - adaptation.mean) @ adaptation.weights + adaptation.bias
    left = measured - (adaptation.centre + adaptation.gain * (corrected - adaptation.centre))
    out = {}
    for number in np.unique(of_track):
        here = left[of_track == number]
        share = len(here) / (len(here) + LEVEL_PRIOR_FRAMES)
        out[int(number)] = np.asarray(here.mean(axis=0) * share)
    return out


def _facts(found: Agreement, frames: int) -> dict[str, Any]:
    return {
        "seconds": round(frames / MODEL_FPS, 2),
        "offset_frames": found.offset,
        "agreement": round(found.peak, 3),
        "certainty": round(found.certainty, 2),
    }


def _too_little(frames: int) -> str:
    found = math.floor(10 * frames / MODEL_FPS) / 10  # not rounded: 2.96 s are less than 3 s
    return (
        f"{found:.1f} s of this person's own speech were found in step, "
        f"{LEAST_FRAMES / MODEL_FPS:g} s are needed"
    )


def _nothing(
    tracks: tuple[int, ...], reason: str, facts: Mapping[str, Any] | None = None
) -> PersonSpeech:
    known = {"used": False, "reason": reason, "tracks": list(tracks), **(facts or {})}
    return PersonSpeech(tracks, None, {}, known)
