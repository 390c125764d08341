from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lipwright.dubbing import frames, timeline
from lipwright.dubbing.frames import FrameStore
from lipwright.dubbing.plan import Source
from lipwright.errors import LipwrightError
from lipwright.media.planes import plane_views
from lipwright.media.reader import Frame, VideoReader
from tests.dubbing import clips

FORMATS = {
    "h264.mp4": ("libx264", {"crf": "12", "preset": "ultrafast", "g": "20", "bf": "2"}),
    "open_gop.mp4": ("libx264", {"crf": "12", "x264-params": "open-gop=1:keyint=12:bframes=3"}),
    "long_gop.mkv": ("libx264", {"crf": "20", "g": "250", "bf": "3"}),
    "mpeg2.mpg": ("mpeg2video", {"g": "12", "bf": "2", "qscale": "3"}),
    "mpeg2.ts": ("mpeg2video", {"g": "12", "bf": "2", "qscale": "3"}),
    "vp9.webm": ("libvpx-vp9", {"crf": "20", "g": "25", "cpu-used": "8"}),
    "raw.h264": ("libx264", {"crf": "20", "g": "20", "bf": "2"}),
}


def sequential(path: Path) -> tuple[list[int], list[np.ndarray], object]:
    with VideoReader(path) as reader:
        seen = [(f.pts, [v.copy() for v in plane_views(f.native)]) for f in reader]
        pictures = [np.concatenate([v.ravel() for v in planes]) for _, planes in seen]
        return [pts for pts, _ in seen], pictures, reader.info


def pixels(frame: object) -> np.ndarray:
    return np.concatenate([v.ravel() for v in plane_views(frame.native)])  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", FORMATS)
def test_any_order_gives_the_frames_of_the_straight_order(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec, options = FORMATS[name]
    path = clips.write_video(tmp_path / name, 70, (96, 80), codec=codec, options=options)
    pts, pictures, info = sequential(path)
    assert len(pts) == 70
    monkeypatch.setattr(frames, "CHUNK_FRAMES", 16)
    store = FrameStore(info, pts)
    order = np.resize(timeline.ping_pong(70), 170)
    order = np.concatenate([order, [61, 60, 3, 3, 3, 55, 69]])
    for wanted, frame in zip(order, store.follow(order), strict=True):
        assert frame.index == wanted
        assert frame.pts == pts[wanted]
        assert np.array_equal(pixels(frame), pictures[wanted])


def test_chunks_are_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clips.write_video(tmp_path / "a.mp4", 60, (96, 80))
    pts, _, info = sequential(path)
    assert frames.frame_bytes(info) == 96 * 80 * 3 // 2
    monkeypatch.setattr(frames, "CHUNK_BYTES", 96 * 80 * 3 // 2 * 7 + 5)
    asked: list[int] = []
    store = FrameStore(info, pts)
    original = store.forward
    monkeypatch.setattr(store, "forward", lambda a, b: asked.append(b - a) or original(a, b))
    order = np.arange(59, -1, -1)
    assert [f.index for f in store.follow(order)] == order.tolist()
    assert max(asked) == 7


def test_repeated_frames_may_be_edited_one_by_one(tmp_path: Path) -> None:
    path = clips.write_video(tmp_path / "one.mp4", 1, (64, 64))
    pts, pictures, info = sequential(path)
    made = []
    for frame in FrameStore(info, pts).follow(np.zeros(3, np.int64)):
        assert np.array_equal(pixels(frame), pictures[0])
        frame.native.make_writable()
        plane_views(frame.native)[0][:] = 7
        made.append(frame)
    assert len(made) == 3


def test_changed_file_is_noticed(tmp_path: Path) -> None:
    path = clips.write_video(tmp_path / "a.mkv", 30, (64, 64))
    pts, _, info = sequential(path)
    store = FrameStore(info, pts, Source.of(path))
    clips.write_video(path, 20, (64, 64), rate=Fraction(24))
    with pytest.raises(LipwrightError, match="changed"):
        list(store.forward(0, 30))


@pytest.mark.parametrize("missing", [{5}, {0, 1}, {28, 29}, {3, 4, 5, 20, 29}])
def test_frames_that_do_not_come_again_are_replaced(
    tmp_path: Path, missing: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = clips.write_video(tmp_path / "a.mkv", 30, (64, 64))
    pts, pictures, info = sequential(path)
    original = VideoReader.__iter__

    def some(reader: VideoReader) -> Iterator[Frame]:
        return (frame for frame in original(reader) if frame.index not in missing)

    monkeypatch.setattr(VideoReader, "__iter__", some)
    store = FrameStore(info, pts, Source.of(path))
    got = []
    for frame in store.forward(0, 30):
        got.append((frame.index, frame.pts, pixels(frame)))
        frame.native.make_writable()
        plane_views(frame.native)[0][:] = 1  # edits of a frame must not show in a stand-in
    assert [index for index, _, _ in got] == list(range(30))
    assert [stamp for _, stamp, _ in got] == pts
    for index, _, picture in got:
        same = np.array_equal(picture, pictures[index])
        assert same == (index not in missing)
        assert any(np.array_equal(picture, other) for other in pictures)
    assert len(store.warnings) == 1
