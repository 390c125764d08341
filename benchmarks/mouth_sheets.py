r"""Contact sheets of dubbed mouths beside the real ones, and a strip of a closure per person.

    python benchmarks/quality.py --labels CLIPS.csv --clips 10 --per-identity 1 --keep -o quality/
    python benchmarks/mouth_sheets.py --labels CLIPS.csv --quality quality/ -o sheets/

Reads the videos that ``quality.py --keep`` left (``--second-halves`` where it was given that). Per
clip ``NN-sheet.png``: a row each for the real video and for the dubs with own, foreign and no
speech, at moments evenly spread. ``strips.png``: a pair of rows per clip, real and own speech,
frame by frame about the p, b or m at which the real lips close furthest; the frame of the phone is
framed, the opening (percent of the face's height) stands in every tile. Pictures of people who did
not ask for it: look, and do not publish.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.evaluation.faces import FaceSeries, crop_transforms, crops, watch
from lipwright.evaluation.metrics.base import Side
from lipwright.evaluation.metrics.closures import CLOSING, Mouth, width_of
from lipwright.evaluation.phones import Phone, phones_of, transcript_of
from lipwright.faces.tracker import FaceTracker
from lipwright.media.audio import load_speech
from quality import from_time, part, second_half

Picture = NDArray[np.uint8]

KINDS = ("own", "foreign", "silent")
COLUMNS, TILE = 10, 176
ABOUT = 4
"""Frames of a strip on either side of the phone."""
LOWER = (0.14, 0.44, 0.86, 1.0)
"""Left, top, right and bottom of what is shown, in parts of the aligned crop."""
SIZE = 384
"""Of the aligned crop that tiles are cut from."""


def main() -> None:
    """Parse, read, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--quality", type=Path, required=True, help="folder of quality.py --keep")
    parser.add_argument("-o", "--out", type=Path, default=Path("sheets"))
    parser.add_argument("--second-halves", action="store_true", help="as quality.py was run")
    args = parser.parse_args()
    files = clip_files(args.labels)
    rows = json.loads((args.quality / "quality.json").read_text(encoding="utf-8"))["clips"]
    args.out.mkdir(parents=True, exist_ok=True)
    tracker = FaceTracker()
    strips: list[Picture] = []
    for n, row in enumerate(rows):
        clip = args.labels.parent / files[row["clip"]]
        dubs = {k: args.quality / f"{n:02d}-{k}.mp4" for k in KINDS}
        dubs = {kind: path for kind, path in dubs.items() if path.is_file()}
        source = watch(clip, tracker)
        begin = second_half(source) if args.second_halves else 0
        transforms = crop_transforms(source, SIZE)
        shown = {kind: tiles(path, transforms[begin:]) for kind, path in dubs.items()}
        shown = {"real": tiles(clip, transforms)[begin:], **shown}
        phones = from_time(spoken(clip), float(source.times[begin]))
        source = part(source, begin)
        length = min(len(v) for v in shown.values())
        at = np.linspace(0, length - 1, COLUMNS).round().astype(int)
        sheet = [
            np.hstack([labelled(v[i], f"{kind} {source.times[i]:.2f}") for i in at])
            for kind, v in shown.items()
        ]
        write(args.out / f"{n:02d}-sheet.png", np.vstack(sheet))
        phone = clearest(phones, source, float(source.times[length - 1]))
        if phone is not None:
            own = watch(dubs["own"], tracker)
            strips += strip(row["identity"], phone, source, own, shown)
        print(f"{n:02d} {row['identity']}: {'no p, b, m' if phone is None else phone}", flush=True)
    if strips:
        write(args.out / "strips.png", np.vstack(strips))


def clip_files(labels: Path) -> dict[str, str]:
    """Where the clips of the labels lie, by their names."""
    with labels.open(newline="", encoding="utf-8") as file:
        return {Path(row["file"]).name: row["file"] for row in csv.DictReader(file)}


def tiles(video: Path, transforms: list[NDArray[np.float64] | None]) -> list[Picture]:
    """The lower face of every frame, cut as in the real video; black without a face."""
    left, top, right, bottom = (round(v * SIZE) for v in LOWER)
    height = round(TILE * (bottom - top) / (right - left))
    out = []
    for crop in crops(video, transforms, SIZE):
        tile = np.zeros((height, TILE, 3), np.uint8)
        if crop is not None:
            shown = cv2.resize(
                crop[top:bottom, left:right], (TILE, height), interpolation=cv2.INTER_AREA
            )
            tile = np.asarray(shown, np.uint8)
        out.append(tile)
    return out


def spoken(clip: Path) -> list[Phone]:
    """The phones of a clip."""
    return phones_of(load_speech(clip), transcript_of(clip))


def clearest(phones: list[Phone], source: FaceSeries, until: float) -> Phone | None:
    """The p, b or m before a time at which the real lips close furthest."""
    found: list[tuple[float, Phone]] = []
    for phone in phones:
        inside = ABOUT / 25 < phone.middle < until - ABOUT / 25
        if phone.name in CLOSING and inside:
            near = np.abs(source.times - phone.middle) <= 0.05
            found.append((float(np.nanmin(source.opening[near])), phone))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def strip(
    person: str,
    phone: Phone,
    source: FaceSeries,
    own: FaceSeries,
    shown: dict[str, list[Picture]],
) -> list[Picture]:
    """Two rows of pictures about a phone: the real mouth and the dubbed one."""
    closed = Mouth.of(source.opening, width_of(Side(Path(), source))).closed
    middle = int(np.argmin(np.abs(source.times - phone.middle)))
    rows = []
    for kind, series in (("real", source), ("own", own)):
        row = []
        for i in range(middle - ABOUT, middle + ABOUT + 1):
            value = series.opening[i]
            state = "shut" if value < closed else ""
            tile = labelled(shown[kind][i], f"{100 * value:.1f} {state}")
            if i == middle:
                cv2.rectangle(tile, (0, 0), (tile.shape[1] - 1, tile.shape[0] - 1), (255, 0, 0), 3)
            row.append(tile)
        head = labelled(np.zeros_like(row[0]), f"{person} {kind} {phone.name}")
        rows.append(np.hstack([head, *row]))
    return rows


def labelled(tile: Picture, text: str) -> Picture:
    """A copy with a line of text at its foot."""
    out = tile.copy()
    place = (4, tile.shape[0] - 5)
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(out, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, width, cv2.LINE_AA)
    return out


def write(path: Path, picture: Picture) -> None:
    """As PNG."""
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
