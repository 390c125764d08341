"""What a plan by shots costs: ``python benchmarks/plan_by_shots.py FILM``.

Processor time of looking for cuts, which the machine that is asked does alone, and of the whole
plan on one machine; then the time of the plan on a Ray cluster in this machine (extra ``ray``), and
whether it is the same to the byte.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

from lipwright.dubbing.analysis import THUMBNAIL_SIDE, analyse, settings
from lipwright.dubbing.plan import Source
from lipwright.dubbing.plan_file import PlanWriter
from lipwright.dubbing.ray_plan import analyse_on
from lipwright.faces.cuts import CutDetector
from lipwright.faces.hands import HandTracker
from lipwright.faces.tracker import FaceTracker
from lipwright.media.info import probe
from lipwright.media.reader import VideoReader
from lipwright.ray_cluster import RayCluster


def main() -> None:
    film = Path(sys.argv[1])
    begun, frames, found = process_time(), 0, 0
    with VideoReader(film) as reader:
        cuts = CutDetector()
        for frame in reader:
            found += cuts.is_cut(frame.thumbnail(THUMBNAIL_SIDE)[0])
            frames += 1
    print(f"{frames} frames, {found} cuts, found in {process_time() - begun:.1f} CPU s")
    with tempfile.TemporaryDirectory(prefix="lipwright-") as folder:
        paths = Path(folder) / "alone.jsonl", Path(folder) / "many.jsonl"
        identity = settings(FaceTracker(), HandTracker())
        alone, many = (PlanWriter(path, Source.of(film), identity) for path in paths)
        begun, clock = process_time(), perf_counter()
        analyse(film, alone, FaceTracker(), hands=HandTracker())
        spent, passed = process_time() - begun, perf_counter() - clock
        print(f"the plan on this machine: {spent:.1f} CPU s, {passed:.1f} s")
        with RayCluster("local") as cluster:
            clock = perf_counter()
            analyse_on(cluster, probe(film), many, FaceTracker(), hands=True)
            passed = perf_counter() - clock
            print(f"on {cluster.cpus} processors of a cluster: {passed:.1f} s")
        same = paths[0].read_bytes() == paths[1].read_bytes()
        print("the same to the byte" if same else "NOT the same")


if __name__ == "__main__":
    main()
