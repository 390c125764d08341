"""The promises on real clips, with the real face tracker. Skipped where there is no corpus."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from lipwright.dubbing import report, schedule
from lipwright.dubbing.face_renderer import face_mask
from lipwright.dubbing.job import DubOptions, dub
from lipwright.dubbing.plan import Source
from lipwright.dubbing.plan_file import PlanWriter
from lipwright.errors import LipwrightError
from lipwright.faces import alignment
from lipwright.media.info import VideoInfo, probe
from lipwright.media.planes import plane_views
from lipwright.media.reader import VideoReader
from lipwright.media.region import crop_to_storage
from lipwright.weights.fetch import resolve
from tests.dubbing.test_job import Talker

pytestmark = pytest.mark.slow

_QUIZ = "skymanaditya1__LipReadingQuiz__"
ONE = f"demo/person_106__{_QUIZ}media-lipread_sentences-what_fish_do_you_prefer.mp4"
TWO = f"demo/person_105__{_QUIZ}how_would_you_like_your_steak.mp4"
PLAIN = DubOptions(watermark=False, manifest=False, plan_cache=False)


@pytest.fixture(autouse=True)
def _networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        resolve("landmarks-468")
    except LipwrightError as error:
        pytest.skip(f"no face networks: {error}")
    monkeypatch.setenv("LIPWRIGHT_HOME", str(tmp_path / "home"))


def transcode(source: Path, target: Path, pix_fmt: str, frames: int) -> Path:
    """The first frames of a clip, stored without loss in another pixel format."""
    with VideoReader(source) as reader, av.open(str(target), "w") as made:
        stream = made.add_stream("ffv1", rate=reader.info.average_rate)
        stream.width, stream.height, stream.pix_fmt = reader.info.width, reader.info.height, pix_fmt
        for frame in reader:
            if frame.index == frames:
                break
            picture = frame.native.reformat(format=pix_fmt)
            picture.pts, picture.time_base = frame.index, 1 / reader.info.average_rate
            made.mux(stream.encode(picture))
        made.mux(stream.encode(None))
    return target


def planes_of(path: Path) -> list[list[np.ndarray]]:
    with VideoReader(path) as reader:
        return [[view.copy() for view in plane_views(frame.native)] for frame in reader]


def outside(info: VideoInfo, sched: schedule.Schedule, k: int, side: int) -> np.ndarray:
    """(height, width) True where no mask of output frame ``k`` reaches; computed on its own."""
    reached = np.zeros((info.height, info.width), np.float32)
    for face in sched.faces(k):
        to_frame = crop_to_storage(info, alignment.to_pixels(face.crop, side))
        mask = face_mask(face, side)
        reached = np.maximum(reached, cv2.warpAffine(mask, to_frame, reached.shape[::-1]))
    return reached == 0


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
def test_lossless_is_bit_equal_outside_the_mask(
    corpus: Path, tmp_path: Path, pix_fmt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = transcode(corpus / ONE, tmp_path / "v.mkv", pix_fmt, 24)
    kept: list[schedule.Schedule] = []
    original = schedule.Schedule.__init__

    def remember(self: schedule.Schedule, *args: object) -> None:
        original(self, *args)  # type: ignore[arg-type]
        kept.append(self)

    monkeypatch.setattr(schedule.Schedule, "__init__", remember)
    options = replace(PLAIN, lossless=True, length="video")
    made = dub(video, corpus / TWO, tmp_path / "out.mkv", options, method=Talker(128))
    assert made.counts()["passed_through"] == 0
    info = probe(video)
    assert info.pix_fmt == probe(tmp_path / "out.mkv").pix_fmt == pix_fmt
    source, result = planes_of(video), planes_of(tmp_path / "out.mkv")
    assert len(source) == len(result) == 24
    changed = 0.0
    for k, (before, after) in enumerate(zip(source, result, strict=True)):
        free = outside(info, kept[0], k, 128)
        assert 0.02 < 1 - free.mean() < 0.3
        assert np.array_equal(before[0][free], after[0][free])
        changed = max(changed, float((before[0][~free] != after[0][~free]).mean()))
        # a chroma sample may change only if all four luma samples that it covers may
        covered = ~(free[::2, ::2] | free[1::2, ::2] | free[::2, 1::2] | free[1::2, 1::2])
        for plane in (1, 2):
            assert np.array_equal(before[plane][~covered], after[plane][~covered])
    assert changed > 0.05  # the mouth did move


CHILD = """
import sys
from lipwright.dubbing import job
from tests.dubbing.test_job import Talker
job.segment_frames = lambda info: 10
options = job.DubOptions(watermark=False, manifest=False, plan_cache=False, resume=True, crf=23)
job.dub(*sys.argv[1:4], options, method=Talker(128))
"""


def test_killed_half_way_and_resumed(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lipwright.dubbing import job

    monkeypatch.setattr(job, "segment_frames", lambda info: 10)
    options = replace(PLAIN, resume=True, crf=23)
    inputs = corpus / ONE, corpus / TWO
    dub(*inputs, tmp_path / "whole.mp4", options, method=Talker(128))
    out = tmp_path / "out.mp4"
    root = str(Path(__file__).parents[2])
    child = subprocess.Popen([sys.executable, "-c", CHILD, *map(str, inputs), str(out)], cwd=root)
    notes = tmp_path / ".out.mp4.lipwright-parts" / "segments.jsonl"
    while child.poll() is None and (not notes.exists() or notes.read_bytes().count(b"\n") < 3):
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert not out.exists()
    made = dub(*inputs, out, options, method=Talker(128))
    assert made.resumed_from >= 20
    whole, resumed = planes_of(tmp_path / "whole.mp4"), planes_of(out)
    assert len(whole) == len(resumed) == made.frames
    for a, b in zip(whole, resumed, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "home") == [
        "out.mp4",
        "whole.mp4",
    ]


def test_no_face_cut_and_two_people(corpus: Path, tmp_path: Path) -> None:
    """One person, then nobody, and after a cut two people side by side."""

    def pictures(path: Path, count: int) -> list[np.ndarray]:
        with VideoReader(path) as reader:
            found = []
            for frame in reader:
                found.append(frame.native.to_ndarray(format="rgb24"))
                if len(found) == count:
                    return found
        raise AssertionError(f"{path} is too short")

    one, two = pictures(corpus / ONE, 40), pictures(corpus / TWO, 20)
    height, width = one[0].shape[:2]
    empty = np.full_like(one[0], 90)
    empty[::7] = 60
    small = [cv2.resize(p, (width // 2, height // 2)) for p in two]
    large = [cv2.resize(p[:, width // 4 : -width // 4], (width // 2, height)) for p in one]
    both = []
    for k in range(20):
        picture = empty.copy()
        picture[:, : width // 2] = large[20 + k]
        picture[height // 4 : height // 4 + height // 2, width // 2 :] = small[k]
        both.append(picture)
    video = tmp_path / "montage.mp4"
    with av.open(str(video), "w") as made:
        stream = made.add_stream("libx264", rate=25, options={"crf": "12", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in [*one[:20], *[empty] * 15, *both]:
            made.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        made.mux(stream.encode(None))

    result = dub(
        video,
        corpus / TWO,
        tmp_path / "out.mp4",
        replace(PLAIN, length="video"),
        method=Talker(128),
    )
    assert result.frames == 55
    assert result.status_of(10).status in ("synced", "silent")
    assert result.status_of(27).reason == report.NO_FACE
    assert result.status_of(50).status in ("synced", "silent")
    assert result.reasons()[report.NO_FACE] >= 13
    assert len(result.tracks) == 3
    assert [track.speaks for track in result.tracks].count(True) == 2
    everybody = dub(
        video,
        corpus / TWO,
        tmp_path / "all.mp4",
        replace(PLAIN, length="video", face="all"),
        method=Talker(128),
    )
    assert all(track.speaks for track in everybody.tracks)
    other = next(track.track for track in result.tracks if not track.speaks)
    only = dub(
        video,
        corpus / TWO,
        tmp_path / "only.mp4",
        replace(PLAIN, length="video", face=str(other)),
        method=Talker(128),
    )
    assert only.status_of(10).reason == report.OTHER_PERSON
    assert only.status_of(45).status in ("synced", "silent")


def test_plan_of_a_real_clip_stands_still(corpus: Path, tmp_path: Path) -> None:
    """The crop follows the head, not the mouth: it moves little from frame to frame."""
    from lipwright.dubbing.analysis import analyse, settings
    from lipwright.dubbing.references import COUNT
    from lipwright.faces.tracker import FaceTracker

    tracker = FaceTracker()
    video = corpus / ONE
    writer = PlanWriter(tmp_path / "p.jsonl", Source.of(video), settings(tracker))
    made = analyse(video, writer, tracker)
    (track,) = made.tracks
    assert track.usable.all()
    assert 4 <= len(track.references) <= COUNT
    steps = np.abs(np.diff(track.crops[:, 2:], axis=0)).max(axis=1) / track.sides[1:]
    assert np.median(steps) < 0.01
