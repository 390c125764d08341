"""How well embeddings of aligned crops tell people apart: ``python benchmarks/people.py CORPUS``.

Of every person of a prepared corpus a few clips are embedded as ``lipwright faces`` embeds a track
(the mean over some frames). Printed are, for training and validation people
separately, the distances of clips of one person and of different people, and how often the
threshold of ``faces.people`` is wrong on each side.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import av
import numpy as np

from lipwright.data.rows import PrepareSettings
from lipwright.dubbing.people import PICTURES
from lipwright.faces.identity import identity_network
from lipwright.faces.people import SAME_PERSON

MARGIN = 16
"""Pixels around a stored crop, see docs/data.md."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--clips", type=int, default=3, help="of one person, at most")
    parser.add_argument("--people", type=int, default=100, help="of each split, at most")
    given = parser.parse_args()
    rows = [json.loads(x) for x in (given.corpus / "manifest.jsonl").read_text().splitlines()]
    rows = [row for row in rows if not row["reason"] and row.get("identity")]
    network = identity_network()
    for split in ("train", "val"):
        of: dict[str, list[dict[str, object]]] = {}
        for row in rows:
            if row["split"] == split:
                of.setdefault(row["identity"], []).append(row)
        people = [clips for _, clips in sorted(of.items())][: given.people]
        found, labels = [], []
        for number, clips in enumerate(people):
            step = max(1, len(clips) // given.clips)
            for row in clips[::step][: given.clips]:
                crops = read(given.corpus / "clips" / f"{row['clip']}.mp4")
                found.append(network(crops).mean(axis=0))
                labels.append(number)
        points, names = np.stack(found), np.array(labels)
        distance = np.linalg.norm(points[:, None] - points[None], axis=2)
        first, second = np.triu_indices(len(points), 1)
        pairs, same = distance[first, second], names[first] == names[second]
        print(f"{split}: {len(people)} people, {len(points)} clips")
        for what, values, wrong in (
            ("one person", pairs[same], lambda d: d > SAME_PERSON),
            ("two people", pairs[~same], lambda d: d <= SAME_PERSON),
        ):
            low, middle, high = np.percentile(values, [1, 50, 99])
            share = 100 * wrong(values).mean()
            print(
                f"  {what}: {len(values)} pairs, distance {low:.2f} / {middle:.2f} / {high:.2f} "
                f"(1, 50, 99 %), {share:.2f} % on the wrong side of {SAME_PERSON}"
            )


def read(path: Path) -> np.ndarray:
    """(PICTURES, S, S, 3) frames of a stored clip, its margin cut off."""
    with av.open(str(path)) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    places = np.unique(np.linspace(0, len(frames) - 1, PICTURES).round().astype(int))
    settings = PrepareSettings()
    inside = slice(settings.margin(settings.pack_size), -settings.margin(settings.pack_size))
    return np.stack([frames[i][inside, inside] for i in places])


if __name__ == "__main__":
    main()
