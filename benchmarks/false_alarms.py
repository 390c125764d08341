"""How often the watermark is seen where it is not: whole detection on clips never marked.

    python benchmarks/false_alarms.py CLIP... --report false_alarms.jsonl

Clips are judged as they are, longer ones by cuts of them, each with 20 fresh random ids on the
list; faces are found, and cropped, zoomed and turned grids are searched for, as ``lipwright
watermark detect`` does. Started again with the same report, it goes on after the last clip.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attacks import excerpt
from lipwright.media.info import probe
from lipwright.provenance.watermark.detect import detect_file
from lipwright.provenance.watermark.marker import FaceFinder, face_finder
from results import Results

IDS = 20


def unmarked(clip: Path, most: int, cuts: int, find_faces: FaceFinder) -> list[dict[str, Any]]:
    """The detector on a clip as it is, or on up to ``cuts`` cuts of a longer one."""
    rng, reports = random.Random(f"8 {clip.name}"), []
    with tempfile.TemporaryDirectory() as folder:
        for file in pieces(clip, Path(folder), most, cuts):
            ids = [rng.getrandbits(32) for _ in range(IDS)]
            report = detect_file(file, ids, sizes=[], find_faces=find_faces)
            kept = ("found", "matches_half", "false_alarm", "frames", "frames_with_face")
            reports.append({name: getattr(report, name) for name in kept})
    return reports


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
    parser.add_argument("--report", type=Path, help="JSON lines, one for each clip")
    arguments = parser.parse_intermixed_args()
    results, find_faces = Results(arguments.report), face_finder()
    for number, clip in enumerate(arguments.clips, 1):
        if str(clip) not in results.rows:
            files = unmarked(clip, arguments.frames, arguments.cuts, find_faces)
            results.add(str(clip), {"files": files})
        if number % 20 == 0 or number == len(arguments.clips):
            print(json.dumps(summary(results)), flush=True)


def summary(results: Results) -> dict[str, Any]:
    files = [file for row in results.rows.values() for file in row["files"]]
    return {
        "clips": len(results.rows),
        "files": len(files),
        "frames": sum(f["frames"] for f in files),
        "frames_with_face": sum(f["frames_with_face"] for f in files),
        "found": sum(f["found"] for f in files),
        "matching_half": sum(f["matches_half"] for f in files),
        "least_false_alarm": min((f["false_alarm"] for f in files), default=1.0),
    }


if __name__ == "__main__":
    main()
