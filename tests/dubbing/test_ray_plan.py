"""Pass 1 by shots: the plan that comes of it is the one that a single machine makes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lipwright.dubbing import analysis, ray_plan
from lipwright.dubbing.plan import Plan, Source
from lipwright.dubbing.plan_file import PlanWriter
from lipwright.dubbing.ray_plan import analyse_on
from lipwright.faces.hands import HandTracker
from lipwright.faces.tracker import FaceTracker, TrackerOptions
from lipwright.media.info import probe
from tests.dubbing import clips

SIZE = (320, 240)
SHOTS = (8, 4, 12, 6)


class Cluster:
    """Runs every task in this process, when it is asked for its result."""

    cpus = 1

    def __init__(self) -> None:
        self.most = 0
        self.waiting = 0

    def task(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def submit(work: Any) -> Callable[[], Any]:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            packed = pickle.dumps(work)
            return lambda: pickle.loads(pickle.dumps(function(pickle.loads(packed))))

        return submit

    def result(self, reference: Callable[[], Any]) -> Any:
        self.waiting -= 1
        return reference()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four shots of one face, in other places and turned; in the second there is nobody."""
    portrait = np.asarray(pytest.importorskip("skimage.data").astronaut(), np.uint8)
    face = cv2.resize(portrait[:320, 60:380], (200, 200), interpolation=cv2.INTER_AREA)

    def picture(i: int) -> np.ndarray:
        shot = int(np.searchsorted(np.cumsum(SHOTS), i, side="right"))
        scene = clips.scene(i, SIZE, shot)
        if shot != 1:
            x = (10, 0, 110, 60)[shot] + i % 5
            scene[30:230, x : x + 200] = face[:, ::-1] if shot == 2 else face
        return scene

    return clips.write_video(
        tmp_path_factory.mktemp("film") / "film.mp4", sum(SHOTS), SIZE, pictures=picture
    )


def made(film: Path, path: Path, make: Callable[[PlanWriter], Plan]) -> tuple[Plan, bytes]:
    tracker = FaceTracker()
    plan = make(PlanWriter(path, Source.of(film), analysis.settings(tracker, HandTracker())))
    return plan, path.read_bytes()


@pytest.fixture(scope="module")
def alone(film: Path) -> tuple[Plan, bytes]:
    """The plan that a single machine makes."""

    def here(writer: PlanWriter) -> Plan:
        return analysis.analyse(film, writer, FaceTracker(), hands=HandTracker())

    return made(film, film.with_name("alone.jsonl"), here)


@pytest.mark.parametrize("least", [1, 10, 1000])
def test_the_plan_is_the_same_to_the_byte(
    film: Path,
    alone: tuple[Plan, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    least: int,
) -> None:
    monkeypatch.setattr(ray_plan, "LEAST_FRAMES", least)
    cluster = Cluster()
    progress: list[int] = []

    def many(writer: PlanWriter) -> Plan:
        return analyse_on(
            cluster,  # type: ignore[arg-type]
            probe(film),
            writer,
            FaceTracker(TrackerOptions()),
            hands=True,
            progress=lambda done, total: progress.append(done),
        )

    plan, bytes_many = made(film, tmp_path / "b.jsonl", many)
    assert len(alone[0].shots) == len(SHOTS)
    assert len(alone[0].tracks) == 3
    assert [track.number for track in plan.tracks] == [0, 1, 2]
    assert bytes_many == alone[1]
    assert progress == list(range(1, sum(SHOTS) + 1))
    assert cluster.most <= 2 * cluster.cpus + 2
    assert cluster.waiting == 0
