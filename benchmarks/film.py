"""A film with a cast and the truth about it: ``python benchmarks/film.py CORPUS -o FOLDER``.

Three validation people in six shots, one of them a two-shot, with a music bed and a voice that is
not seen; a cast gives them new speeches, some while the person is not in the picture, two at once
in the two-shot. ``--minutes 3`` makes a film of that length; pictures of a clip that is shorter
than its shots run to and fro. Writes ``film.mkv``, ``bed.wav``, the speeches, ``cast.yaml`` and
``truth.json``; then, inside the folder, run

    lipwright dub film.mkv --cast cast.yaml --bed bed.wav -o dubbed.mkv --report report.json

and ``python benchmarks/film.py CORPUS -o FOLDER --check`` compares report and truth, stretch by
stretch, and draws ``sheets/``: a picture per stretch, film above and dub below.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import cv2
import numpy as np

from lipwright.media.audio import load_speech
from lipwright.media.reader import VideoReader
from speaker import PER_FRAME, RATE, SAMPLE_RATE, SIDE, Clip, music, write

WIDTH = 640
SHOTS = ("A", "B", "AB", "C", "A", "B")
LINES = (
    # person, shot that it begins in, seconds after its start, seconds; for shots of BLOCK seconds
    ("Anna", 0, 0.2, 2.0),
    ("Ben", 1, 0.2, 2.0),
    ("Anna", 2, 0.3, 1.8),
    ("Ben", 2, 1.0, 1.4),
    ("Cleo", 3, 0.2, 2.0),
    ("Cleo", 4, 0.3, 1.5),
    ("Ben", 5, 0.2, 1.6),
    ("Narrator", 5, 0.6, 1.5),
)
"""Cleo's second line is spoken while Anna is seen; the narrator has no face at all."""
BLOCK = 2.6
"""Seconds of a shot that LINES are written for. Longer shots repeat them, stretched."""
LONGEST_BLOCK = 10.0
"""Seconds from which on a shot repeats its lines rather than stretching them further."""
VOICE_SECONDS = 12
FACES = {"Anna": "A", "Ben": "B", "Cleo": "C"}
NEAR = 3
"""Frames by which a report may differ from the truth: faces are found a frame late."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=6 * BLOCK / 60, help="of the film")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.check:
        sheets(given.out)
        check(given.out)
    else:
        build(given.corpus, given.out, round(given.minutes * 60 / len(SHOTS) * RATE))


def lines_of(length: int) -> list[tuple[str, float, float]]:
    """Person, start and seconds of every line in a film with shots of ``length`` frames."""
    shot = length / RATE
    blocks = max(1, int(shot // LONGEST_BLOCK))
    stretch = shot / blocks / BLOCK
    return [
        (name, number * shot + (block * BLOCK + after) * stretch, seconds * stretch)
        for block in range(blocks)
        for name, number, after, seconds in LINES
    ]


def to_and_fro(start: int, count: int, there: int) -> np.ndarray:
    """Places in a clip of ``there`` pictures that runs forward and backward."""
    place = np.arange(start, start + count) % max(1, 2 * there - 2)
    return np.where(place < there, place, 2 * there - 2 - place)


def build(corpus: Path, folder: Path, length: int) -> None:
    """Film, bed, speeches, cast and truth."""
    rows = list(csv.DictReader((corpus / "clips.csv").open()))
    names: dict[str, dict[str, str]] = {"val": {}, "train": {}}
    for row in rows:
        if row["set"] == "vlogs":
            names[row["split"]].setdefault(row["identity"], row["file"])
    files = [file for _, file in sorted(names["val"].items())][:3]
    voices = [file for _, file in sorted(names["train"].items())][:4]
    clips = dict(zip("ABC", (Clip(corpus / file, 12.0) for file in files), strict=True))
    used = dict.fromkeys("ABC", 0)
    pictures, sound = [], []
    for shot in SHOTS:
        parts = []
        for person in shot:
            start = used[person]
            used[person] += length
            clip = clips[person]
            parts.append((clip.pictures, to_and_fro(start, length, len(clip.pictures))))
        pictures += [framed([c[at[i]] for c, at in parts]) for i in range(length)]
        first = used[shot[0]] - length
        at = np.arange(first * PER_FRAME, used[shot[0]] * PER_FRAME)
        sound.append(clips[shot[0]].wave.take(at, mode="wrap"))
    total = length * len(SHOTS)
    bed = 0.3 * music(total * PER_FRAME)
    write(folder / "film.mkv", pictures, np.concatenate(sound) + bed)
    write_wav(folder / "bed.wav", bed)
    heard = {}
    for name, file in zip(("Anna", "Ben", "Cleo", "Narrator"), voices, strict=True):
        wave = load_speech(corpus / file)[: VOICE_SECONDS * SAMPLE_RATE]
        said = sum(seconds for person, _, seconds in lines_of(length) if person == name)
        wave = np.resize(wave, max(wave.size, int((said + 1) * SAMPLE_RATE)))
        write_wav(folder / f"{name.lower()}.wav", 0.5 * wave / np.abs(wave).max())
        heard[name] = 0.0
    text, truth = ["people:"], []
    for name in ("Anna", "Ben", "Cleo", "Narrator"):
        face = FACES.get(name)
        number = "ABC".index(face) + 1 if face else None
        text.append(f"  {name}:")
        text += [f"    face: person:{number}"] if number else []
        text += [f"    speech: {name.lower()}.wav", "    stretches:"]
        for person, start, seconds in lines_of(length):
            if person != name:
                continue
            start, seconds = round(start, 2), round(seconds, 2)
            end = round(start + seconds, 2)
            text.append(
                f"      - {{start: {start:.2f}, end: {end:.2f}, offset: {heard[name]:.2f}}}"
            )
            heard[name] += seconds
            frames = [k for k in range(total) if start <= k / RATE < end]
            seen = sum(face is not None and face in SHOTS[k // length] for k in frames)
            truth.append({"person": name, "start": round(start, 3), "frames": len(frames),
                          "seen": seen})  # fmt: skip
    (folder / "cast.yaml").write_text("\n".join(text) + "\n")
    (folder / "truth.json").write_text(json.dumps(truth, indent=1))
    print(f"{total / RATE:.1f} s, {len(SHOTS)} shots, {len(truth)} stretches in {folder}")


def framed(pictures: list[np.ndarray]) -> np.ndarray:
    """(SIDE, WIDTH, 3): one person in the middle, or two side by side."""
    out = np.full((SIDE, WIDTH, 3), 96, np.uint8)
    if len(pictures) == 1:
        out[:, (WIDTH - SIDE) // 2 : (WIDTH + SIDE) // 2] = pictures[0]
        return out
    for side, each in enumerate(pictures):
        half = WIDTH // 2
        small = cv2.resize(each, (half, half), interpolation=cv2.INTER_AREA)
        top = (SIDE - half) // 2
        out[top : top + half, side * half : (side + 1) * half] = small
    return out


def write_wav(path: Path, wave: np.ndarray) -> None:
    """16 bits, mono."""
    import wave as container

    with container.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(wave, -1, 1) * 32767).astype("<i2").tobytes())


def sheets(folder: Path) -> None:
    """A picture per stretch: eight moments of the film, and below them those of the dub."""
    told = json.loads((folder / "report.json").read_text())["stretches"]
    (folder / "sheets").mkdir(exist_ok=True)
    moments = {
        round((row["start"] + (row["end"] - row["start"]) * (n + 0.5) / 8) * RATE): None
        for row in told
        for n in range(8)
    }
    rows = [chosen(folder / name, set(moments)) for name in ("film.mkv", "dubbed.mkv")]
    for number, row in enumerate(told):
        at = [
            round((row["start"] + (row["end"] - row["start"]) * (n + 0.5) / 8) * RATE)
            for n in range(8)
        ]
        picture = np.concatenate(
            [np.concatenate([kept[k] for k in at], axis=1) for kept in rows], axis=0
        )
        path = folder / "sheets" / f"{number:02d}-{row['person']}.png"
        cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def chosen(path: Path, numbers: set[int]) -> dict[int, np.ndarray]:
    """Frames of a video, RGB, by their numbers."""
    with VideoReader(path) as reader:
        return {f.index: f.thumbnail(WIDTH)[0].copy() for f in reader if f.index in numbers}


def check(folder: Path) -> None:
    """Report and truth, stretch by stretch; exit code 1 if they differ."""
    truth = json.loads((folder / "truth.json").read_text())
    told = json.loads((folder / "report.json").read_text())["stretches"]
    wrong = 0
    for row in truth:
        found = [t for t in told if t["person"] == row["person"]
                 and abs(t["start"] - row["start"]) < 0.02]  # fmt: skip
        drawn = sum(found[0][key] for key in ("synced", "silent", "held")) if found else -1
        right = drawn >= 0 and abs(drawn - row["seen"]) <= NEAR
        right &= bool(found) and abs(found[0]["frames"] - row["frames"]) <= 1
        wrong += not right
        why = found[0]["reasons"] if found else {}
        shown = f"seen {row['seen']:3d} of {row['frames']:3d}, drawn {drawn:3d}"
        print(f"{row['person']:9s}{row['start']:7.2f} s: {shown} {why} {'' if right else 'WRONG'}")
    print(f"{len(truth) - wrong} of {len(truth)} stretches agree")
    raise SystemExit(1 if wrong or len(told) != len(truth) else 0)


if __name__ == "__main__":
    main()
