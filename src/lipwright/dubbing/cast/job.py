"""A cast in the place of one speech: checked, mixed, and given to the mouths of the film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing import timeline
from lipwright.dubbing.adapt import PersonSpeech, features_by_track
from lipwright.dubbing.adapt_plan import learnt
from lipwright.dubbing.cast.checking import settled
from lipwright.dubbing.cast.outcomes import outcomes
from lipwright.dubbing.cast.reading import read_cast, refuse
from lipwright.dubbing.cast.request import CastSpeech, Original
from lipwright.dubbing.cast.sound import STEPS, write_mix
from lipwright.dubbing.cast.stretches import Cast, Stretch, within
from lipwright.dubbing.cast.voices import activity_of, features_of, part_of
from lipwright.dubbing.checks import same_place
from lipwright.dubbing.options import DubOptions
from lipwright.dubbing.plan import Plan, Source
from lipwright.dubbing.schedule import Schedule, select
from lipwright.dubbing.speaking import limited
from lipwright.errors import LipwrightError, Problems
from lipwright.media import voice_activity
from lipwright.media.audio import SAMPLE_RATE, load_speech
from lipwright.media.info import VideoInfo, probe
from lipwright.media.loudness import integrated_loudness
from lipwright.media.names import Kind
from lipwright.media.source import check_file, open_media
from lipwright.media.stored_sound import amplify
from lipwright.methods.base import Method

MOST_GAIN_DB = 20.0
UNUSED = {
    "face": "the cast says whose mouth moves",
    "speech_offset": "give a person's 'start' or a stretch's 'offset' in the cast",
    "speech_stream": "the cast's speeches are heard by their default sound",
}
"""Options that mean nothing beside a cast, and what to do instead."""
LENGTHS = ("auto", "video", "speech", "cut_off")
"""Lengths that leave the times in place that a cast names."""

Wave = NDArray[np.float32]


class CastJob:
    """The work on a cast within one dub."""

    def __init__(self, given: CastSpeech, video: Path, out: Path, options: DubOptions) -> None:
        """Read and check everything that can be known before the film is looked at.

        Raises:
            LipwrightError: all that is wrong, a sentence each.
        """
        default = DubOptions()
        problems = [
            f"--{name.replace('_', '-')} means nothing with a cast: {why}."
            for name, why in UNUSED.items()
            if getattr(options, name) != getattr(default, name)
        ]
        if options.length not in LENGTHS:
            problems.append(
                f"--length {options.length} would move the times that a cast names; give one of "
                f"{', '.join(LENGTHS)}."
            )
        if given.original not in get_args(Original):
            problems.append(f"The original sound cannot be '{given.original}'; drop, duck or keep.")
        info = probe(video, stream=options.video_stream)
        if info.is_still:
            problems.append(f"A cast needs a film; {video} is a still picture.")
            refuse(problems)
        self._given, self._video, self._options = given, video, options
        self._has_sound = info.has_audio
        try:
            cast = read_cast(given.path, info.average_rate, problems)
        except Problems as error:
            cast = Cast(given.path)
            problems += error.sentences
        except LipwrightError as error:
            cast = Cast(given.path)
            problems.append(str(error))
        self._cast = cast
        if options.adapt_from is not None and len({f for f in cast.faces.values() if f}) > 1:
            problems.append(
                f"--adapt {options.adapt_from} teaches how one person articulates, and the cast "
                "has several; give auto or off."
            )
        self.waves: dict[Path, Wave] = {}
        for path in cast.speeches:
            try:
                check_file(path, "speech file")
                self.waves[path] = load_speech(path)
            except LipwrightError as error:
                problems.append(str(error))
            if same_place(path, out):
                problems.append(f"The output {out} is a speech of the cast; choose another name.")
        if given.bed is not None:
            try:
                with open_media(given.bed, "bed"):
                    pass
            except LipwrightError as error:
                problems.append(str(error))
        self.film = _length(info)
        lengths = {path: Fraction(wave.size, SAMPLE_RATE) for path, wave in self.waves.items()}
        self.stretches = settled(cast, self.film, lengths, problems)
        self.begin, self.end = Fraction(options.start), Fraction(options.end) or None
        if self.stretches and options.length in ("speech", "cut_off"):
            last = max(each.end or self.film for each in self.stretches)
            self.end = last if self.end is None else min(self.end, last)
        if self.stretches and not within(self.stretches, self.begin, self.end or self.film):
            problems.append(
                f"Nobody of {given.path} speaks between --start and --end; give a longer passage."
            )
        refuse(problems)
        self._mouths: dict[str, list[Stretch]] = {}
        for each in self.stretches:
            face = cast.faces.get(each.name)
            if face is not None:
                self._mouths.setdefault(face, []).append(each)
        self._tracks: dict[str, frozenset[int]] = {}
        self._left_out = Fraction(0)
        self._of_film = self.stretches  # so that a passage is as loud as it is in the whole
        self.sound: dict[str, Any] = {}

    def identity(self) -> list[Any]:
        """Everything of the cast that shapes the output, as plain JSON values."""
        files = [*self._cast.speeches, *([self._given.bed] if self._given.bed else [])]
        stretches = [[s.name, str(s.start), str(s.end), str(s.offset)] for s in self.stretches]
        faces = sorted((name, str(face)) for name, face in self._cast.faces.items())
        how = [self._given.duck_bed, self._original]
        return [*(asdict(Source.of(path)) for path in files), stretches, faces, how]

    @property
    def _original(self) -> str:
        if self._given.original != "auto":
            return self._given.original
        return "drop" if self._given.bed is not None else "duck"

    def mix(self, scratch: Path, kind: Kind) -> Path:
        """Write how the film sounds; the speeches are then at levels that methods know.

        Returns:
            The sound file.
        """
        own = load_speech(self._video) if self._has_sound else np.zeros(1, np.float32)
        target = integrated_loudness(own, SAMPLE_RATE)
        del own
        gains = self._gains(target)
        under = [(self._given.bed, self._given.duck_bed)] if self._given.bed else []
        if self._has_sound and self._original != "drop":
            under.append((self._video, self._original == "duck"))
        self._level()
        steps = np.arange(1 + int(self.film * STEPS)) / STEPS
        spoken = activity_of(self.stretches, self._gates, steps)
        path = scratch / ("cast.flac" if kind == "mkv" else "cast.wav")
        write_mix(path, self.film, self.stretches, gains, under, spoken, self._left_out)
        self.sound = {
            "bed": str(self._given.bed) if self._given.bed else None,
            "original": self._original,
            "loudness": None if target is None else round(target, 1),
            "gains": {name: round(gain, 1) for name, gain in gains.items()},
        }
        return path

    def _gains(self, target: float | None) -> dict[str, float]:
        """Decibels that bring what each person says to a loudness (LUFS)."""
        gains = {}
        for name in dict.fromkeys(each.name for each in self._of_film):
            parts = [part_of(self.waves[s.speech], s) for s in self._of_film if s.name == name]
            found = integrated_loudness(np.concatenate(parts), SAMPLE_RATE)
            gain = 0.0 if target is None or found is None else target - found
            gains[name] = float(np.clip(gain, -MOST_GAIN_DB, MOST_GAIN_DB))
        return gains

    def _level(self) -> None:
        """Bring every speech to a level that methods know, and find where somebody speaks."""
        self._gates = {}
        for path, wave in self.waves.items():
            gain = voice_activity.speech_gain(voice_activity.band_level(wave, SAMPLE_RATE))
            amplify(wave, gain)
            self._gates[path] = voice_activity.detect(
                wave, SAMPLE_RATE, voice_activity.BREATH_SECONDS
            )

    def assign(self, plan: Plan) -> Plan:
        """Find the faces, and leave every mouth alone outside its stretches.

        Raises:
            LipwrightError: people who are not in the film, all of them.
        """
        problems: list[str] = []
        owner: dict[int, str] = {}
        for face in self._mouths:
            names = ", ".join(n for n, f in self._cast.faces.items() if f == face)
            try:
                self._tracks[face] = select(plan, face, self._video)
            except LipwrightError as error:
                problems.append(f"{names} in {self._cast.path}: {error}")
                continue
            for number in self._tracks[face]:
                if number in owner and owner[number] != face:
                    problems.append(
                        f"{names} in {self._cast.path} has the face '{face}', which is the same "
                        f"person as '{owner[number]}'; give both the same face."
                    )
                    break
                owner[number] = face
        refuse(problems)
        times = plan.seconds()
        rows = {}
        for track in plan.tracks:
            drawn = np.zeros(len(track.states), np.bool_)
            at = times[track.first : track.last + 1]
            for each in self._mouths.get(owner.get(track.number, ""), []):
                assert each.end is not None
                drawn |= (at >= float(each.start)) & (at < float(each.end))
            rows[track.number] = drawn
        self._cut(plan)
        return limited(plan, rows)

    def _cut(self, plan: Plan) -> None:
        """From now on all times are those of the output, if it is a passage of the film."""
        if not self.begin and self.end is None:
            return
        passage = timeline.passage(
            plan.pts, plan.last_duration, plan.time_base, self.begin, self.end
        )
        shown = passage.pts[-1] - passage.pts[0] + passage.last_duration
        self._left_out = (passage.pts[0] - plan.pts[0]) * plan.time_base
        self.film = shown * plan.time_base
        self.stretches = within(self.stretches, self._left_out, self._left_out + self.film)
        for face, stretches in self._mouths.items():
            self._mouths[face] = within(stretches, self._left_out, self._left_out + self.film)

    def learnt(self, plan: Plan, method: Method) -> list[PersonSpeech]:
        """How the people of the cast articulate, as far as the film's own sound tells it.

        Args:
            plan: of the film, as it was before :meth:`assign`.
            method: whose predictions are corrected.
        """
        people = [tuple(sorted(tracks)) for tracks in self._tracks.values() if tracks]
        if self._options.adapt == "off" or not people:
            return []
        return learnt(self._video, plan, people, method, self._options.plan_cache)

    @property
    def speaking(self) -> frozenset[int]:
        """Numbers of the tracks that are given something to say."""
        return frozenset().union(*self._tracks.values())

    def activity(self, times: NDArray[np.float64]) -> tuple[Wave, dict[int, Wave]]:
        """How much is heard at each output frame: in all, and of each track's speech."""
        of_tracks = {}
        for face, stretches in self._mouths.items():
            own = activity_of(stretches, self._gates, times)
            of_tracks.update(dict.fromkeys(self._tracks[face], own))
        return activity_of(self.stretches, self._gates, times), of_tracks

    def features(self, method: Method, people: Sequence[PersonSpeech]) -> dict[int, Wave]:
        """(C, T) speech features of each track, as its person would say it where that is known.

        Args:
            method: makes them.
            people: of :meth:`learnt`, or who else taught.
        """
        found: dict[int, Wave] = {}
        for face, stretches in self._mouths.items():
            tracks = self._tracks[face]
            own = features_of(stretches, self.waves, method, self.film)
            found.update(dict.fromkeys(tracks, own))
            known = [person for person in people if tracks.issuperset(person.tracks)]
            found.update(features_by_track(known, own, method.articulation))
        return found

    def outcomes(self, schedule: Schedule) -> list[dict[str, Any]]:
        """What becomes of every stretch."""
        faces = self._cast.faces
        tracks = {n: self._tracks.get(f or "", frozenset()) for n, f in faces.items()}
        return outcomes(self.stretches, faces, tracks, schedule)


def _length(info: VideoInfo) -> Fraction:
    """Seconds of a film."""
    if info.duration is not None:
        return info.duration
    if info.frame_count is not None:
        return info.frame_count / info.average_rate
    raise LipwrightError(
        f"The file {info.path} does not say how long it lasts; put it into .mkv or .mp4 first."
    )
