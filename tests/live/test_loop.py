"""The picture beneath: which stretch, where it turns, at which rate."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from lipwright.errors import LipwrightError
from lipwright.live.loop import face_loop, turning_points
from lipwright.live.upright import upright, upright_info
from lipwright.media.info import probe
from lipwright.media.planes import plane_views
from lipwright.media.reader import VideoReader
from tests.conftest import MakeVideo
from tests.dubbing import clips
from tests.dubbing.clips import Actor

SIZE = (192, 160)


def face(i: int) -> list[Actor]:
    return [Actor(0, 30 + i % 3, 20, 110, opening=0.02 + 0.001 * (i % 20))]


def luma(frame: av.VideoFrame) -> np.ndarray:
    return np.array(plane_views(frame)[0])


def test_a_short_loop_runs_to_and_fro_over_all_frames(tmp_path: Path) -> None:
    video = clips.write_video(tmp_path / "face.mp4", 12, SIZE)
    tracker = clips.ScriptedTracker(face)
    with face_loop(video, tracker=tracker, keep_plan=False) as loop, VideoReader(video) as reader:
        originals = [luma(frame.native) for frame in reader]
        order = [*range(12), *range(10, 0, -1), 0, 1]
        for k, source in enumerate(order):
            assert np.array_equal(luma(loop.frame(k)), originals[source])
        assert loop.rate == 25
        assert loop.turns == (0, 11)
        (planned,) = loop.schedule.faces(loop.index(13))
        assert planned.crop[0, 2] == pytest.approx(30 + 9 % 3, abs=1.5)


def test_frames_are_given_out_as_copies(tmp_path: Path) -> None:
    video = clips.write_video(tmp_path / "face.mp4", 5, SIZE)
    with face_loop(video, tracker=clips.ScriptedTracker(face), keep_plan=False) as loop:
        first = loop.frame(2)
        before = luma(first)
        plane_views(first)[0][:] = 0
        assert np.array_equal(luma(loop.frame(2)), before)


def test_only_where_a_face_is_usable(tmp_path: Path) -> None:
    video = clips.write_video(tmp_path / "face.mp4", 30, SIZE)

    def script(i: int) -> list[Actor]:
        return [] if i < 9 else face(i)

    with face_loop(video, tracker=clips.ScriptedTracker(script), keep_plan=False) as loop:
        assert loop.turns == (9, 29)
    with (
        pytest.raises(LipwrightError, match="No usable face"),
        face_loop(video, tracker=clips.ScriptedTracker(lambda i: []), keep_plan=False),
    ):
        pass


@pytest.mark.parametrize(
    ("rate", "wanted", "step"), [(50, None, 2), (Fraction(60000, 1001), None, 2), (25, 12.5, 2)]
)
def test_fast_videos_show_fewer_frames(
    tmp_path: Path, rate: int, wanted: float | None, step: int
) -> None:
    video = clips.write_video(tmp_path / "face.mp4", 20, SIZE, Fraction(rate))
    given = None if wanted is None else Fraction(wanted)
    tracker = clips.ScriptedTracker(face)
    with face_loop(video, tracker=tracker, keep_plan=False, rate=given) as loop:
        assert loop.rate == Fraction(rate) / step
        assert loop.schedule.timeline.source[:10].tolist() == [step * k for k in range(10)]


def test_it_turns_where_little_moves() -> None:
    moved = np.ones(99)
    moved[[7, 8]] = 0.1  # into and out of frame 8
    moved[[90, 91]] = 0.2
    start, end = turning_points(moved)
    # What turns at the first frame are the steps behind it, at the last those before it.
    assert (start, end) == (7, 92)
    assert turning_points(np.ones(20)) == (0, 20)
    assert turning_points(np.ones(99)) == (0, 99)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_turned_videos_come_upright(make_video: MakeVideo, rotation: int, mirrored: bool) -> None:
    def corner(index: int, planes: list[np.ndarray]) -> None:
        for plane in planes:
            plane[:] = 120
        planes[0][:12, :20] = 230  # bright at the top left, as stored

    video = make_video(rotation=rotation, mirrored=mirrored, size=(64, 48), paint=corner, frames=2)
    info = probe(video)
    with VideoReader(video) as reader:
        frame = next(iter(reader))
        made = upright(frame.native, info)
        shown, _ = frame.thumbnail(64)  # the product's own upright picture
    small = upright_info(info)
    assert (made.width, made.height) == (small.width, small.height) == info.display_size
    bright = luma(made) > 180
    expected = shown[:, :, 1] > 180
    assert (bright == expected).mean() > 0.97
    assert bright.any()


def test_odd_sizes_lose_their_last_row_and_column(make_video: MakeVideo) -> None:
    info = probe(make_video("odd.mkv", size=(63, 47), pix_fmt="yuv420p", frames=1))
    assert (upright_info(info).width, upright_info(info).height) == (62, 46)
    with VideoReader(info.path) as reader:
        made = upright(next(iter(reader)).native, info)
    assert (made.width, made.height, made.format.name) == (62, 46, "yuv420p")
