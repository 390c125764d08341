"""Who speaks when in a film, by its own sound: ``--face speaking``.

The lips of every track of a plan are compared with those that the film's own speech tells
(:mod:`lipwright.faces.speaker`), shot by shot. No frame is looked at again: a plan holds the lips.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.fades import fade_frames, fades
from lipwright.dubbing.findings import finding
from lipwright.dubbing.plan import LOST, MISSING, NOT_SPEAKING, USABLE, Plan, Track, unpack_points
from lipwright.dubbing.speaker_scores import SeeingNetwork, speaker_scores
from lipwright.errors import LipwrightError
from lipwright.faces import speaker, voices
from lipwright.faces.measure import OUTER_LIPS
from lipwright.faces.voices import Shot
from lipwright.media import voice_activity
from lipwright.media.audio import SAMPLE_RATE, load_speech
from lipwright.media.mel import HOP
from lipwright.media.mfcc import WINDOW, mfcc
from lipwright.media.stored_sound import amplify
from lipwright.runs import runs_of

Expected = Callable[[NDArray[np.float32]], NDArray[np.float64]]
Flags = NDArray[np.bool_]

LEAST_HEARD = 0.5
"""From this activity of the gate on there is speech."""
TOGETHER_SECONDS = 60.0
"""So much of a film, at most, is looked through for voices at once."""


@dataclass(frozen=True)
class Speaking:
    """Who speaks when.

    Attributes:
        rows: per track number, (n,) whether it speaks in each of its rows.
        late: frames at 25 a second by which the film's sound is behind its lips; single tracks may
            differ.
    """

    rows: Mapping[int, Flags]
    late: int


def speaking_in(plan: Plan, video: Path, network: str = "lips") -> Speaking:
    """Who speaks in a film; kept beside its plan.

    Args:
        plan: of the video.
        video: the file, whose own sound is heard.
        network: what judges, see :mod:`lipwright.methods.speaker_network`.

    Raises:
        LipwrightError: the video has no sound; the network cannot be had.
    """
    from lipwright.methods.expected_lips import expected_lips
    from lipwright.methods.speaker_network import speaker_network

    seeing = speaker_network(network)

    def find() -> dict[str, Any]:
        try:
            wave = load_speech(video)
        except LipwrightError as error:
            raise LipwrightError(
                f"Who speaks in {video} cannot be found out without its own sound ({error}); "
                "choose another --face."
            ) from error
        amplify(wave, voice_activity.speech_gain(voice_activity.band_level(wave, SAMPLE_RATE)))
        judge = None
        if seeing is not None:
            judge = Judge(seeing, video, with_lips=network != seeing.name)
        found = who_speaks(plan, wave, expected_lips(), judge)
        runs = {str(number): runs_of(flags).tolist() for number, flags in found.rows.items()}
        return {"late": found.late, "tracks": runs}

    kind, networks = "speaking", expected_lips().model_id
    if seeing is not None:
        kind, networks = f"{kind}-{network}", f"{networks} {seeing.model_id}"
    kept = finding(plan, kind, __name__, networks, find)
    rows = {}
    for track in plan.tracks:
        flags = np.zeros(len(track.states), np.bool_)
        for start, stop in kept["tracks"].get(str(track.number), []):
            flags[start:stop] = True
        rows[track.number] = flags
    return Speaking(rows, int(kept["late"]))


@dataclass(frozen=True)
class Judge:
    """A network that sees faces, and the video that it looks at.

    Attributes:
        network: gives scores.
        video: the file.
        with_lips: what it says is added to what the lips say, instead of standing in its place.
    """

    network: SeeingNetwork
    video: Path
    with_lips: bool


def who_speaks(
    plan: Plan, wave: NDArray[np.float32], expected_lips: Expected, judge: Judge | None = None
) -> Speaking:
    """Compare lips and sound.

    Args:
        plan: of the video.
        wave: (n,) its own sound at 16 kHz from its first frame on, at a level that methods know.
        expected_lips: (n,) -> (T, 3) at 25 frames a second.
        judge: a network that sees the faces, too.
    """
    times = plan.seconds()
    end = times[-1] + float(plan.last_duration * plan.time_base)
    clock = np.arange(max(1, int(np.ceil(end * speaker.RATE)))) / speaker.RATE
    expected = expected_lips(wave)[: len(clock)]
    expected = np.pad(expected, ((0, len(clock) - len(expected)), (0, 0)), mode="edge")
    active = voice_activity.detect(wave, SAMPLE_RATE).activity(clock) >= LEAST_HEARD
    usual = speaker.spread(expected, active)
    lips = {track.number: _lips(track, times, clock) for track in plan.tracks}
    reach = speaker.MOST_LATE
    around = np.pad(expected, ((reach, reach), (0, 0)), mode="edge")

    def evidence(number: int, late: int, correlations: Sequence[float]) -> NDArray[np.float64]:
        """(m,) of a track, where its lips are known, with the sound that comes so much later."""
        start, measured = lips[number] or (0, np.zeros((0, 3)))
        stop = start + len(measured)
        wanted = around[start + reach + late : stop + reach + late]
        return speaker.evidence(measured, wanted, active[start:stop], usual, correlations)

    def favour(number: int) -> NDArray[np.float64]:
        """What speaks for a track at every lateness."""
        shifts = range(-reach, reach + 1)
        every = [evidence(number, late, speaker.CORRELATIONS) for late in shifts]
        return np.array([speaker.favourable(found) for found in every])

    late, of_track = speaker.lateness({number: favour(number) for number in lips})
    shots = []
    for first, last in plan.shots:
        stop = times[last + 1] if last + 1 < len(times) else end
        a, b = (int(np.searchsorted(clock, t - 1e-6)) for t in (times[first], stop))
        shots.append((a, b))
    seen = {}
    if judge is not None:
        scores = speaker_scores(plan, judge.video, wave, of_track, judge.network)
        seen = {n: (at, judge.network.evidence(found)) for n, (at, found) in scores.items()}

    def worth(number: int, correlations: Sequence[float], a: int, b: int) -> NDArray[np.float64]:
        """(b - a,) what speaks for a track on a part of the clock."""
        found = evidence(number, of_track[number], correlations)
        of_lips = _placed(lips[number], found, a, b)
        if judge is None:
            return of_lips
        of_network = np.where(active[a:b], _placed(seen.get(number), None, a, b), 0.0)
        return np.nan_to_num(of_network) + (of_lips if judge.with_lips else 0.0 * of_lips)

    scored = []
    for shot, (a, b) in enumerate(shots):
        alone, together = (
            [worth(t.number, correlations, a, b) for t in plan.tracks if t.shot == shot]
            for correlations in (speaker.CORRELATIONS, speaker.OF_TWO)
        )
        scored.append(speaker.choices(alone, together, active[a:b]))
    chosen = _decided(
        [(a, scores) for (a, _), (scores, _) in zip(shots, scored, strict=True)], wave, active
    )
    rows = {}
    for shot, ((a, b), (_, labels)) in enumerate(zip(shots, scored, strict=True)):
        who = speaker.without_pauses(labels[chosen[shot]], active[a:b])
        for index, track in enumerate(track for track in plan.tracks if track.shot == shot):
            frames = np.arange(track.first, track.last + 1)
            at = np.clip((times[frames] * speaker.RATE + 0.5).astype(int), a, max(a, b - 1))
            rows[track.number] = (
                np.asarray(who[at - a] == index) if b > a else np.zeros(len(at), np.bool_)
            )
    return Speaking(rows, late)


def _decided(
    scored: Sequence[tuple[int, NDArray[np.float64]]], wave: NDArray[np.float32], active: Flags
) -> list[NDArray[np.int64]]:
    """The choice of every frame of every shot, a minute or so at a time.

    Args:
        scored: per shot its first place on the clock, and (T, C) what its choices are worth.
        wave: (n,) the film's sound.
        active: (N,) on the clock.
    """
    # A cepstrum begins where its window does: the middle of the window is to be at its place.
    cepstra = mfcc(np.pad(wave, ((WINDOW - HOP) // 2, 0))).T.astype(np.float64)
    levels = voice_activity.band_level(wave, SAMPLE_RATE)
    wanted = voices.PER_FRAME * len(active)
    cepstra = np.pad(cepstra, ((0, max(0, wanted - len(cepstra))), (0, 0)), mode="edge")
    levels = np.pad(levels, (0, max(0, wanted - len(levels))), mode="edge")
    longest = round(TOGETHER_SECONDS * speaker.RATE)
    chosen: list[list[NDArray[np.int64]]] = [[] for _ in scored]
    waiting: list[tuple[int, Shot]] = []

    def settle() -> None:
        done = voices.decide([part for _, part in waiting], cepstra, levels, active)
        for (shot, _), who in zip(waiting, done, strict=True):
            chosen[shot].append(who)
        waiting.clear()

    for shot, (first, scores) in enumerate(scored):
        for part in np.array_split(scores, max(1, -(-len(scores) // longest))):
            if waiting and first + len(part) - waiting[0][1].first > longest:
                settle()
            if len(part):
                waiting.append((shot, Shot(first, part)))
            first += len(part)
    settle()
    return [np.concatenate([np.zeros(0, np.int64), *parts]) for parts in chosen]


def limited(plan: Plan, rows: Mapping[int, Flags]) -> Plan:
    """The plan with the mouths of some tracks left alone for some of the time.

    Args:
        plan: of the video.
        rows: per track number, (n,) where it is to be drawn; tracks that are not named are not.

    Returns:
        A plan in which every other row of these tracks has the state ``NOT_SPEAKING``, and drawing
        fades in and out beside it.
    """
    tracks = []
    for track in plan.tracks:
        drawn = rows.get(track.number, np.zeros(len(track.states), np.bool_))
        usable = track.usable
        states = np.where(usable & ~drawn, NOT_SPEAKING, track.states).astype(np.uint8)
        still = np.isin(states, USABLE)
        first, last = plan.shots[track.shot]
        frames = range(first, last)
        rate = len(frames) / max(1e-9, float((plan.pts[last] - plan.pts[first]) * plan.time_base))
        shown = fades(still, fade_frames(rate), track.first == first, track.last == last)
        strength = np.minimum(track.strength, shown).astype(np.float32)
        tracks.append(replace(track, states=states, strength=np.where(still, strength, 0)))
    return replace(plan, tracks=tracks)


def _lips(track: Track, times: NDArray[np.float64], clock: NDArray[np.float64]) -> Any:
    """First and last place on the clock, and (m, 3) opening, width and height of the mouth there.

    None where the track has too few rows to tell anything.
    """
    known = ~np.isin(track.states, (MISSING, LOST))
    if known.sum() < 3:
        return None
    ring = unpack_points(track.points[:, -len(OUTER_LIPS) :]).astype(np.float64)
    quarter = len(OUTER_LIPS) // 4
    left, top, right, bottom = (ring[:, quarter * n] for n in range(4))
    lips = np.column_stack(
        [
            track.openings.astype(np.float64),
            np.linalg.norm(right - left, axis=1),
            np.linalg.norm(bottom - top, axis=1),
        ]
    )[known]
    at = times[track.first : track.last + 1][known]
    a, b = (int(np.searchsorted(clock, t - 1e-6)) for t in (at[0], at[-1] + 1.0 / speaker.RATE))
    span = clock[a:b]
    return a, np.column_stack([np.interp(span, at, lips[:, k]) for k in range(3)])


def _placed(
    known: Any, found: NDArray[np.float64] | None, first: int, last: int
) -> NDArray[np.float64]:
    """(last - first,) evidence on that part of the clock; NaN where the face is not there.

    ``known`` is where it begins on the clock and, if ``found`` is None, the evidence; or None.
    """
    out = np.full(last - first, np.nan)
    start = first if known is None else known[0]
    if found is None:
        found = np.zeros(0) if known is None else known[1]
    begin, end = max(start, first), min(start + len(found), last)
    if begin < end:
        out[begin - first : end - first] = found[begin - start : end - start]
    return out
