"""Hands that are found in real clips: ``python benchmarks/hidden_faces.py CORPUS -o FOLDER``.

Clips of the folder with ``clips.csv``, one per person, go through the analysis. For each one the
frames are counted in which a hand is found before the largest face, and those that are left
alone for it (``mouth covered``). Whether there is something, people have to say: ``FOLDER`` gets a
sheet of every clip with findings, six frames above, and below with what was found in red.

With ``--every-search`` the same clips are looked at twice side by side, with every search and with
those left out near which nothing has changed: in how many frames there is a hand, in how many only
one of both has it, and the processor time of each.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import process_time, thread_time

import cv2
import numpy as np

from lipwright.dubbing.analysis import HAND_FACES, THUMBNAIL_SIDE
from lipwright.dubbing.hidden import unpack
from lipwright.dubbing.plan import COVERED, Track
from lipwright.dubbing.planning import planned
from lipwright.faces import alignment
from lipwright.faces.alignment import Affine
from lipwright.faces.cuts import CutDetector
from lipwright.faces.hands import HandTracker
from lipwright.faces.landmarks import Region
from lipwright.faces.tracker import FaceTracker
from lipwright.media.reader import VideoReader
from lipwright.media.region import sample_crop

SIDE, SHOWN = 192, 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--split", default="val", help="val, train or all")
    parser.add_argument("--set", default="demo,people,vlogs,more")
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--cost", action="store_true", help="only what the networks cost")
    parser.add_argument("--every-search", action="store_true", help="compare with every search")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each clip, for that")
    parser.add_argument("--files", help="only those whose names hold one of these words (a,b)")
    given = parser.parse_args()
    if given.cost:
        cost()
        return
    given.out.mkdir(parents=True, exist_ok=True)
    chosen: dict[str, str] = {}
    for row in csv.DictReader((given.corpus / "clips.csv").open()):
        wanted = not given.files or any(word in row["file"] for word in given.files.split(","))
        if given.split in ("all", row["split"]) and row["set"] in given.set.split(",") and wanted:
            chosen.setdefault(row["identity"], row["file"])
    if given.every_search:
        every_search(given.corpus, sorted(chosen.values())[: given.clips], given.seconds)
        return
    totals = np.zeros(3, int)
    clean = clips = 0
    for file in sorted(chosen.values())[: given.clips]:
        with planned(given.corpus / file, keep=False) as plan:
            tracks = sorted(plan.tracks, key=lambda t: -float(t.sides.sum()))[:1]
            for track in tracks:
                rows = sorted(track.hidden)
                counts = [len(track.states), len(rows), int((track.states == COVERED).sum())]
                totals += counts
                clips += 1
                clean += not rows
                print(
                    f"{file:60s} frames {counts[0]:4d}  found {counts[1]:4d}  left {counts[2]:4d}"
                )
                if rows:
                    picture = sheet(given.corpus / file, track, rows)
                    cv2.imwrite(str(given.out / f"{Path(file).stem}.png"), picture)
    print(
        f"{clips} clips, {clean} without a finding; {totals[0]} frames, {totals[1]} with something "
        f"before the face, {totals[2]} left alone"
    )


class EverySearch(HandTracker):
    """Leaves no search out."""

    def _unknown(self, image: np.ndarray, scale: float, crops: Sequence[Affine]) -> list[Affine]:
        return list(crops)


def every_search(corpus: Path, files: list[str], seconds: float) -> None:
    """What leaving out searches changes, and saves."""
    tracker = FaceTracker()
    both = (EverySearch(), HandTracker())
    totals = np.zeros(6)
    for file in files:
        cuts = CutDetector()
        counts = np.zeros(6)  # frames, with a hand in each, in one only, seconds of each
        for each in (tracker, *both):
            each.reset()
        with VideoReader(corpus / file) as reader:
            for frame in reader:
                if float(frame.time) >= seconds:
                    break
                image, scale = frame.thumbnail(THUMBNAIL_SIDE)
                if cuts.is_cut(image):
                    for each in (tracker, *both):
                        each.reset()
                patch = partial(sample_crop, frame.native, reader.info)
                faces = tracker.update(image, scale, patch)
                faces.sort(key=lambda face: -float(np.prod(face.box[2:] - face.box[:2])))
                crops = [alignment.estimate(face.landmarks) for face in faces[:HAND_FACES]]
                counts[0] += 1
                seen = []
                for number, hands in enumerate(both):
                    begun = thread_time()
                    seen.append(bool(hands.update(image, scale, crops)))
                    counts[4 + number] += thread_time() - begun
                    counts[1 + number] += seen[-1]
                counts[3] += seen[0] != seen[1]
        totals += counts
        print(f"{file:60s} {compared(counts)}", flush=True)
    print(f"{len(files)} clips: {compared(totals)}")


def compared(counts: np.ndarray) -> str:
    frames, every, now, apart, before, after = counts.tolist()
    return (
        f"{frames:.0f} frames, {every:.0f} and {now:.0f} with a hand, {apart:.0f} differ; "
        f"CPU ms a frame {1000 * before / frames:.1f} and {1000 * after / frames:.1f}"
    )


def cost() -> None:
    """Processor time of a search for palms, and of a hand that is followed."""
    tracker = HandTracker()
    picture = np.random.default_rng(0).integers(0, 255, (540, 960, 3)).astype(np.uint8)
    crop = np.array([[200.0, 0, 380], [0, 200.0, 150]])
    region = Region((480.0, 300.0), 200.0, 0.0)
    for name, call in (
        ("a search", lambda: tracker.search(picture, 1.0, crop)),
        ("a hand", lambda: tracker.seen(picture, 1.0, region)),
    ):
        for _ in range(5):
            call()
        begun = process_time()
        for _ in range(100):
            call()
        print(f"{name}: {10 * (process_time() - begun):.1f} CPU ms")


def sheet(path: Path, track: Track, rows: list[int]) -> np.ndarray:
    """Crops with a finding, spread over those there are: as they are, and with it in red."""
    wanted = {rows[i] for i in np.linspace(0, len(rows) - 1, SHOWN).round().astype(int)}
    columns = []
    with VideoReader(path) as reader:
        for frame in reader:
            row = frame.index - track.first
            face = track.face(frame.index) if row in wanted else None
            if face is None:
                continue
            to_display = alignment.to_pixels(face.crop, SIDE)
            crop = sample_crop(frame.native, reader.info, to_display, (SIDE, SIDE))
            seen = cv2.resize(unpack(face.hidden).astype(np.float32), (SIDE, SIDE))[:, :, None]
            marked = crop * (1 - 0.6 * seen) + np.array([1.0, 0, 0]) * 0.6 * seen
            columns.append(np.concatenate([crop, marked]))
    while len(columns) < SHOWN:
        columns.append(np.zeros_like(columns[0]))
    return np.asarray(np.rint(np.concatenate(columns, axis=1) * 255), np.uint8)[:, :, ::-1]


if __name__ == "__main__":
    main()
