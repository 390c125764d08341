"""How often the watermark is seen where it is not: whole detection on clips never marked.

    python benchmarks/false_alarms.py CLIP... --report false_alarms.json

Clips are judged as they are, longer ones by cuts of them, each with 20 fresh random ids on the
list; faces are found, and cropped, zoomed and turned grids are searched for, as ``lipwright
watermark detect`` does.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attacks import excerpt
from lipwright.faces.cuts import CutDetector
from lipwright.faces.tracker import FaceTracker
from lipwright.media.info import probe
from lipwright.media.reader import Frame
from lipwright.provenance.collect import THUMBNAIL_SIDE
from lipwright.provenance.detect import detect_file

IDS = 20
Box = tuple[float, float, float, float]


class Faces:
    """The product's face tracker, loaded once, beginning anew with every video."""

    def __init__(self) -> None:
        self._tracker = FaceTracker()
        self._cuts = CutDetector()

    def fresh(self) -> Callable[[Frame], list[Box]]:
        """A face finder for one video."""
        self._tracker.reset()
        self._cuts = CutDetector()
        return self._find

    def _find(self, frame: Frame) -> list[Box]:
        image, scale = frame.thumbnail(THUMBNAIL_SIDE)
        if self._cuts.is_cut(image):
            self._tracker.reset()
        boxes = [face.box for face in self._tracker.update(image, scale)]
        return [(float(b[0]), float(b[1]), float(b[2]), float(b[3])) for b in boxes]


def unmarked(clips: list[Path], most: int, cuts: int) -> dict[str, Any]:
    """The detector on clips as they are, and on up to ``cuts`` cuts of those that are longer."""
    rng, faces = random.Random(8), Faces()
    false: list[str] = []
    files = halves = frames = with_face = 0
    smallest = 1.0
    for number, path in enumerate(clips):
        with tempfile.TemporaryDirectory() as folder:
            for file in pieces(path, Path(folder), most, cuts):
                ids = [rng.getrandbits(32) for _ in range(IDS)]
                report = detect_file(file, ids, sizes=[], find_faces=faces.fresh())
                files += 1
                frames += report.frames
                with_face += report.frames_with_face
                halves += report.matches_half
                smallest = min(smallest, report.false_alarm)
                if report.found:
                    false.append(path.name)
        if number % 20 == 19:
            print(f"{files} files, {len(false)} found, least bound {smallest:.1e}", flush=True)
    return {
        "sources": len(clips),
        "files": files,
        "frames": frames,
        "frames_with_face": with_face,
        "found": len(false),
        "matching_half": halves,
        "least_false_alarm": smallest,
    }


def pieces(path: Path, folder: Path, most: int, cuts: int) -> Iterator[Path]:
    """A short clip as it is, cuts of ``most`` frames of a longer one."""
    frames = probe(path).frame_count
    if frames is not None and frames <= most:
        yield path
        return
    for cut in range(cuts):
        piece = folder / f"{cut}.mp4"
        if excerpt(path, piece, cut * most, most) > most // 2:
            yield piece


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=60, help="frames of a cut")
    parser.add_argument("--cuts", type=int, default=1, help="most cuts of a clip")
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_intermixed_args()
    data = unmarked(arguments.clips, arguments.frames, arguments.cuts)
    print(json.dumps(data))
    if arguments.report:
        arguments.report.write_text(json.dumps(data, indent=1))


if __name__ == "__main__":
    main()
