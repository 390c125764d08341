r"""Mouths at the video's own resolution, rows in an order that is not told: look before you know.

    python benchmarks/quality.py --labels CLIPS.csv --files ... --enhance none --keep -o q/none
    python benchmarks/quality.py --labels CLIPS.csv --files ... --enhance self --keep -o q/self
    python benchmarks/blind_sheets.py --labels CLIPS.csv without=q/none with=q/self -o sheets/

Reads the videos that ``quality.py --keep`` left. Per clip ``NN-KIND.png``: a row for the real video
and one for each folder, at moments evenly spread, nothing enlarged or made smaller. The order of
the rows is drawn anew for every sheet; ``key.json`` says it. Pictures of people who did not ask for
it: look, and do not publish.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.evaluation.faces import crop_transforms, crops, watch
from lipwright.evaluation.metrics.mouth_detail import native_side
from lipwright.face_regions import MOUTH_BOX, pixel_box
from lipwright.faces.tracker import FaceTracker
from mouth_sheets import clip_files, write

Picture = NDArray[np.uint8]

WIDTH = 1600
"""Pixels that a sheet is wide at most: more would be made smaller where it is looked at."""
GAP = 6


def main() -> None:
    """Parse, read, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", help="NAME=FOLDER of quality.py --keep")
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--kinds", nargs="+", default=["own", "foreign"])
    parser.add_argument("-o", "--out", type=Path, default=Path("sheets"))
    args = parser.parse_args()
    folders = {name: Path(path) for name, path in (f.split("=", 1) for f in args.folders)}
    files = clip_files(args.labels)
    rows = json.loads((next(iter(folders.values())) / "quality.json").read_text("utf-8"))["clips"]
    args.out.mkdir(parents=True, exist_ok=True)
    tracker, key = FaceTracker(), {}
    for n, row in enumerate(rows):
        clip = args.labels.parent / files[row["clip"]]
        series = watch(clip, tracker)
        side = native_side(series)
        transforms = crop_transforms(series, side)[: row["frames"]]
        for kind in args.kinds:
            videos = {"real": clip}
            videos |= {name: folder / f"{n:02d}-{kind}.mp4" for name, folder in folders.items()}
            order = list(videos)
            random.shuffle(order)
            name = f"{n:02d}-{kind}.png"
            write(args.out / name, sheet([videos[o] for o in order], transforms, side))
            key[name] = order
    (args.out / "key.json").write_text(json.dumps(key, indent=1), encoding="utf-8")


def sheet(videos: list[Path], transforms: list[NDArray[np.float64] | None], side: int) -> Picture:
    """A row for each video, cut where the real face is."""
    left, top, right, bottom = pixel_box(MOUTH_BOX, side)
    columns = max(1, WIDTH // (right - left + GAP))
    known = [i for i, transform in enumerate(transforms) if transform is not None]
    chosen = np.linspace(0, len(known) - 1, columns + 2).round().astype(int)[1:-1]
    at = {known[i] for i in chosen}
    rows = []
    for video in videos:
        tiles = [
            cv2.copyMakeBorder(crop[top:bottom, left:right], 0, GAP, 0, GAP, cv2.BORDER_CONSTANT)
            for i, crop in enumerate(crops(video, transforms, side))
            if i in at and crop is not None
        ]
        rows.append(np.hstack(tiles))
    return np.vstack(rows)


if __name__ == "__main__":
    main()
