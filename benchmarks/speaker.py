"""How well ``--face speaking`` finds the speaker: ``python benchmarks/speaker.py CORPUS``.

Scenes with known truth are built from pairs of real clips of validation people (the folder with
``clips.csv``; with ``--split train`` of training people, on whom the constants were chosen), and go
through the whole analysis:

- ``turns``: two people side by side, both mouths moving all the time, the sound of one by turns;
- ``listens``: the same, but the picture of who does not speak stands still;
- ``cuts``: one person at a time, from shot to shot, sometimes while the other is heard;
- ``unseen``: the sound of a third person, then music: nobody is to be found;
- ``both``: the sound of both at once: nobody's mouth is to be moved.

``--panel TEXT`` adds real clips of a panel show, those whose name holds the text, as they are: the
share of seconds with speech or laughter in which the person in the picture is found to speak, with
the clip's own sound and with that of the next clip of another person, as from off screen.

A second is right if most of its frames with speech have the right answer. The baseline moves the
largest face of every shot. Clips of raw corpora can be out of step by many frames, as no film is:
each is first brought in step, by the lateness that its own lips and sound show; ``--raw`` leaves
them as they are.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from time import process_time

import av
import numpy as np

from lipwright.dubbing.analysis import analyse, settings
from lipwright.dubbing.plan import Plan, Source
from lipwright.dubbing.plan_file import PlanWriter
from lipwright.dubbing.schedule import select
from lipwright.dubbing.speaking import speaking_in, who_speaks
from lipwright.faces.tracker import FaceTracker
from lipwright.media import voice_activity
from lipwright.media.audio import SAMPLE_RATE, load_speech
from lipwright.media.reader import VideoReader
from lipwright.media.stored_sound import amplify
from lipwright.methods.expected_lips import expected_lips

SIDE, RATE = 360, 25
NOBODY = -1
PER_FRAME = SAMPLE_RATE // RATE


class Clip:
    """Pictures (T, SIDE, SIDE, 3) at 25 frames a second and their sound at one level."""

    def __init__(self, path: Path, seconds: float, in_step: bool = True) -> None:
        pictures: list[np.ndarray] = []
        with VideoReader(path) as reader:
            for frame in reader:
                image, _ = frame.thumbnail(SIDE)
                while len(pictures) <= float(frame.time) * RATE and len(pictures) < seconds * RATE:
                    pictures.append(framed(image))
                if len(pictures) >= seconds * RATE:
                    break
        self.pictures = np.stack(pictures)
        wave = load_speech(path)[: len(pictures) * PER_FRAME]
        wave = np.pad(wave, (0, len(pictures) * PER_FRAME - wave.size))
        self.wave = wave * (0.1 / max(1e-4, float(np.sqrt((wave**2).mean()))))
        self.late = 0
        if in_step:
            with tempfile.TemporaryDirectory(prefix="lipwright-") as folder:
                alone = Path(folder) / "alone.mkv"
                write(alone, self.pictures, self.wave)
                plan = planned(alone, Path(folder))
                self.late = speaking_in(plan, alone).late
            shifted = np.roll(self.wave, -self.late * PER_FRAME)
            if self.late > 0:
                shifted[-self.late * PER_FRAME :] = 0
            elif self.late < 0:
                shifted[: -self.late * PER_FRAME] = 0
            self.wave = shifted


def framed(image: np.ndarray) -> np.ndarray:
    """In the middle of a grey square."""
    out = np.full((SIDE, SIDE, 3), 96, np.uint8)
    height, width = image.shape[:2]
    y, x = (SIDE - height) // 2, (SIDE - width) // 2
    out[y : y + height, x : x + width] = image
    return out


def scene(kind: str, clips: list[Clip], random: np.random.Generator) -> tuple:
    """Pictures, sound, and per frame who is seen at the left (of a single shot) and who speaks."""
    count = min(len(clip.pictures) for clip in clips[:2])
    a, b = (clip.pictures[:count] for clip in clips[:2])
    turn = np.zeros(count, int)
    start = 0
    for number in range(count):
        stop = start + int(random.uniform(2.5, 4.5) * RATE)
        turn[start:stop] = number % 2
        start = stop
    heard = np.repeat(turn, PER_FRAME)
    waves = [clip.wave[: count * PER_FRAME] for clip in clips[:2]]
    sound = np.where(heard == 0, *waves)
    if kind == "turns":
        return np.concatenate([a, b], axis=2), sound, None, turn
    if kind == "listens":
        rest = [held(pictures, turn == side) for side, pictures in enumerate((a, b))]
        return np.concatenate(rest, axis=2), sound, None, turn
    if kind == "cuts":
        # Every third turn shows the one who listens, although the mouth moves.
        edges = np.flatnonzero(np.diff(np.concatenate(([-1], turn))))
        number = np.cumsum(np.isin(np.arange(count), edges)) - 1
        shown = np.where(number % 3 == 2, 1 - turn, turn)
        pictures = np.where((shown == 0)[:, None, None, None], a, b)
        return pictures, sound, shown, np.where(shown == turn, turn, NOBODY)
    nobody = np.full(count, NOBODY)
    if kind == "both":
        return np.concatenate([a, b], axis=2), sum(waves), None, nobody
    third = np.resize(clips[2].wave, count * PER_FRAME)
    half = count // 2 * PER_FRAME
    third[half:] = music(third.size - half)
    return np.concatenate([a, b], axis=2), third, None, nobody


def held(pictures: np.ndarray, running: np.ndarray) -> np.ndarray:
    """Pictures that stand still where they do not run, at the last one that did."""
    place = np.maximum.accumulate(np.where(running, np.arange(len(running)), 0))
    return pictures[place]


def music(count: int) -> np.ndarray:
    """Struck chords, three notes each, two a second."""
    time = np.arange(count) / SAMPLE_RATE
    out = np.zeros(count)
    for number, root in enumerate([220.0, 174.6, 261.6, 196.0] * (count // 8000 + 1)):
        since = time - 0.5 * number
        if since[-1] < 0:
            break
        struck = np.where(since >= 0, np.exp(-4.0 * np.maximum(since, 0)), 0.0)
        out += sum(struck * np.sin(2 * np.pi * root * step * time) for step in (1.0, 1.25, 1.5))
    return (0.1 * out / np.sqrt((out**2).mean())).astype(np.float32)


def write(path: Path, pictures: Sequence[np.ndarray] | None, sound: np.ndarray) -> None:
    """A Matroska file of H.264, unless there are no pictures, and PCM."""
    with av.open(str(path), "w") as file:
        if pictures is not None:
            video = file.add_stream(
                "libx264", rate=RATE, options={"crf": "18", "preset": "veryfast"}
            )
            video.height, video.width, video.pix_fmt = *pictures[0].shape[:2], "yuv420p"
        audio = file.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono")
        if pictures is not None:
            for picture in pictures:
                file.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            file.mux(video.encode())
        samples = (np.clip(sound, -1, 1) * 32767).astype(np.int16)
        for start in range(0, samples.size, 8000):
            block = av.AudioFrame.from_ndarray(samples[None, start : start + 8000], layout="mono")
            block.sample_rate, block.pts = SAMPLE_RATE, start
            block.time_base = Fraction(1, SAMPLE_RATE)
            file.mux(audio.encode(block))
        file.mux(audio.encode())


def person_of(plan: Plan, number: int, shown: np.ndarray | None) -> int:
    """Which of the two a track shows: by its shot, or by its side of the picture."""
    track = next(track for track in plan.tracks if track.number == number)
    if shown is not None:
        return int(shown[(track.first + track.last) // 2])
    face = track.face(track.first + int(np.flatnonzero(track.states != 2)[0]))
    assert face is not None
    return int(sum(face.box[::2]) / 2 >= SIDE)


def answers(plan: Plan, rows: dict[int, np.ndarray], shown: np.ndarray | None) -> np.ndarray:
    """(T,) whose mouth would move; more than one at once is none of the two."""
    found = np.full(len(plan.pts), NOBODY)
    for number, flags in rows.items():
        track = next(track for track in plan.tracks if track.number == number)
        frames = track.first + np.flatnonzero(flags)
        found[frames] = np.where(found[frames] == NOBODY, person_of(plan, number, shown), 9)
    return found


def right_seconds(truth: np.ndarray, found: np.ndarray, heard: np.ndarray) -> np.ndarray:
    """Right and all seconds with speech; the same of those without a change of the speaker."""
    counts = np.zeros(4, int)
    for start in range(0, len(truth) - RATE // 2, RATE):
        part = slice(start, start + RATE)
        if heard[part].mean() < 0.4:
            continue
        wanted = np.bincount(truth[part] + 1).argmax() - 1
        told = np.bincount(found[part][heard[part]] + 1).argmax() - 1
        counts[:2] += told == wanted, 1
        if (truth[part] == wanted).all():
            counts[2:] += told == wanted, 1
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--split", default="val", choices=["val", "train"])
    parser.add_argument("--pairs", type=int, default=4, help="of people")
    parser.add_argument("--raw", action="store_true", help="do not bring clips in step first")
    parser.add_argument("--seconds", type=float, default=12.0, help="of a scene, at most")
    parser.add_argument("--keep", type=Path, help="keep the scenes in this folder")
    parser.add_argument("--panel", help="also clips with this in their names")
    parser.add_argument("--kinds", default="turns,listens,cuts,unseen,both")
    parser.add_argument("--networks", default="lips", help="see dub --speaker-network")
    given = parser.parse_args()
    rows = list(csv.DictReader((given.corpus / "clips.csv").open()))
    chosen: dict[str, str] = {}
    for row in rows:
        if row["split"] == given.split and row["set"] == "vlogs":
            chosen.setdefault(row["identity"], row["file"])
    names = [file for _, file in sorted(chosen.items())][: given.pairs + 2]
    clips = [Clip(given.corpus / name, given.seconds, not given.raw) for name in names]
    print("frames by which each clip's sound was late:", *(clip.late for clip in clips))
    totals: dict[tuple[str, str], np.ndarray] = defaultdict(lambda: np.zeros(8, int))
    costs: dict[str, float] = defaultdict(float)
    with tempfile.TemporaryDirectory(prefix="lipwright-") as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for number, (first, second) in enumerate(pairwise(range(given.pairs + 1))):
            plans: dict[str, Plan] = {}
            for kind in given.kinds.split(","):
                random = np.random.default_rng(number)
                three = [clips[first], clips[second], clips[(second + 1) % len(clips)]]
                pictures, sound, shown, truth = scene(kind, three, random)
                path = folder / f"{kind}-{number}.mkv"
                seen = "turns" if kind in ("unseen", "both") else kind
                blind = given.networks == "lips"  # others look at the pictures again
                write(path, None if seen in plans and blind else pictures, sound)
                if seen not in plans:  # the same pictures under another sound are looked at once
                    plans[seen] = planned(path, folder)
                plan = plans[seen]
                clock = np.arange(len(truth)) / RATE
                heard = voice_activity.detect(sound, SAMPLE_RATE).activity(clock) > 0.5
                largest = {
                    t.number: t.usable
                    for t in plan.tracks
                    if t.number in select(plan, "largest", path)
                }
                base = right_seconds(truth, answers(plan, largest, shown), heard)
                line = f"{kind} {number}: largest face {base[0]}"
                for network in given.networks.split(","):
                    begun = process_time()
                    told = answers(plan, dict(speaking_in(plan, path, None, network).rows), shown)
                    costs[network] += process_time() - begun
                    found = right_seconds(truth, told, heard)
                    totals[network, kind] += np.concatenate([found, base])
                    line += f", {network} {found[0]} of {found[1]} s right"
                print(line, flush=True)
    if given.panel:
        files = sorted((r["identity"], r["file"]) for r in rows if given.panel in r["file"])
        panel([(who, given.corpus / file) for who, file in files])
    print(
        f"{'scene':10s}{'network':14s}{'seconds':>9s}{'right':>8s}{'largest':>9s}"
        "   of those without a change"
    )
    for (network, kind), counts in sorted(totals.items(), key=lambda each: each[0][1]):
        right, total, clear, of_clear, base, _, clear_base, _ = counts.tolist()
        print(
            f"{kind:10s}{network:14s}{total:9d}"
            f"{100 * right / total:7.1f}%{100 * base / total:8.1f}%"
            f"{of_clear:9d}{100 * clear / of_clear:9.1f}%{100 * clear_base / of_clear:8.1f}%"
        )
    for network, spent in costs.items():
        print(f"{network}: {spent:.1f} s of processor time")


def panel(files: Sequence[tuple[str, Path]]) -> None:
    """Real clips of several people: with their own sound, and with another's."""
    counts = np.zeros(4, int)
    sounds = [(who, load_speech(path)) for who, path in files]
    for number, (who, path) in enumerate(files):
        others = [wave for other, wave in sounds[number:] + sounds[:number] if other != who]
        with tempfile.TemporaryDirectory(prefix="lipwright-") as folder:
            plan = planned(path, Path(folder))
            for place, wave in enumerate((sounds[number][1], others[0])):
                amplify(
                    wave, voice_activity.speech_gain(voice_activity.band_level(wave, SAMPLE_RATE))
                )
                rows = who_speaks(plan, wave, expected_lips()).rows.values()
                times = np.array([float((p - plan.pts[0]) * plan.time_base) for p in plan.pts])
                found = np.full(len(times), False)
                for track, flags in zip(plan.tracks, rows, strict=True):
                    found[track.first : track.last + 1] |= flags
                heard = voice_activity.detect(wave, SAMPLE_RATE).activity(times) > 0.5
                for second in range(int(times[-1] + 0.5)):
                    part = (times >= second) & (times < second + 1) & heard
                    if part.sum() >= 0.4 * (times[1] and 1 / times[1]):
                        counts[2 * place : 2 * place + 2] += found[part].mean() >= 0.5, 1
    print(
        f"panel: the person in the picture speaks in {counts[0]} of {counts[1]} s with the clip's "
        f"own sound, in {counts[2]} of {counts[3]} s with another's; the largest face in all"
    )


def planned(path: Path, folder: Path) -> Plan:
    """The plan of a scene."""
    tracker = FaceTracker()
    name = settings(tracker)
    return analyse(path, PlanWriter(folder / "plan.jsonl", Source.of(path), name), tracker)


if __name__ == "__main__":
    main()
