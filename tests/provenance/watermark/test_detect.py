"""Finding the mark again, and not finding it where it is not."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from lipwright.errors import LipwrightError
from lipwright.media.info import probe
from lipwright.media.reader import VideoReader
from lipwright.provenance.watermark import detect, evidence, search
from lipwright.provenance.watermark.alignment import Alignment
from lipwright.provenance.watermark.collect import other_matrix
from lipwright.provenance.watermark.detect import detect_file
from lipwright.provenance.watermark.grid import id_bits, signs
from lipwright.provenance.watermark.reading import READINGS, PlacedFrame
from lipwright.provenance.watermark.scheme import half_of_rgb
from lipwright.provenance.watermark.significance import FALSE_ALARM, Judge, errors_allowed
from tests.conftest import MakeVideo, write_video
from tests.provenance.scenes import (
    FACE,
    MARK,
    faces_at,
    mark_video,
    moving_portrait,
    portrait,
    rgb_of,
)

SIZE = (320, 288)
OTHERS = [0x0BADF00D, 0x12345678]


def source(make_video: MakeVideo, **options: Any) -> Path:
    settings = {"size": SIZE, "frames": 12, "paint": moving_portrait, **options}
    return make_video("source.mkv", **settings)


def reencode(path: Path, out: Path, crf: int, change: Any = None) -> Path:
    """Decode to RGB, change, encode with x264."""
    with VideoReader(path) as reader, av.open(str(out), "w") as container:
        stream: Any = None
        for frame in reader:
            rgb = rgb_of(frame) if change is None else change(rgb_of(frame))
            rgb = np.ascontiguousarray(rgb[: rgb.shape[0] // 2 * 2, : rgb.shape[1] // 2 * 2])
            if stream is None:
                options = {"crf": str(crf), "preset": "veryfast"}
                stream = container.add_stream("libx264", rate=25, options=options)
                stream.height, stream.width, stream.pix_fmt = *rgb.shape[:2], "yuv420p"
            picture = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            picture.pts, picture.time_base = frame.index, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return out


def look(path: Path, ids: list[int] | None = None, **options: Any) -> Any:
    settings = {"sizes": [], "find_faces": faces_at(FACE), **options}
    return detect_file(path, [MARK, *OTHERS] if ids is None else ids, **settings)


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("marked")
    path = folder / "marked.mp4"
    mark_video(source(lambda name, **how: write_video(folder / name, **how)), path, crf=12)
    return path


def test_found_in_place(marked: Path) -> None:
    report = look(marked, mode="off")
    assert report.found
    assert report.known
    assert report.mark_id == "5ec0de42"
    assert report.false_alarm < 1e-15
    assert (report.frames, report.frames_with_face, report.frames_matching) == (12, 12, 12)
    assert report.matches_half
    assert report.alignment == Alignment()
    assert not report.searched
    assert "5ec0de42" in report.sentence()
    assert report.to_json()["alignment"]["scale_x"] == 1.0


def test_found_without_knowing_the_id(marked: Path) -> None:
    report = look(marked, ids=[], mode="off")
    assert report.found
    assert not report.known
    assert report.mark_id == "5ec0de42"
    assert report.unclear_bits == 0
    assert report.frames_matching >= 10
    assert "unknown here" in report.sentence()


def test_found_without_faces(make_video: MakeVideo, tmp_path: Path) -> None:
    path = tmp_path / "marked.mp4"
    mark_video(source(make_video), path, region="frame")
    report = look(path, faces=False, find_faces=None, mode="off")
    assert report.found
    assert report.region == "frame"
    assert report.frames_with_face == 0
    assert not report.matches_half


@pytest.mark.parametrize("crf", [18, 23])
def test_survives_x264(marked: Path, tmp_path: Path, crf: int) -> None:
    report = look(reencode(marked, tmp_path / "again.mp4", crf), mode="off")
    assert report.mark_id == "5ec0de42"
    assert report.known


def test_survives_brightness(marked: Path, tmp_path: Path) -> None:
    def brighter(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        return np.clip(rgb * 1.1, 0, 255).astype(np.uint8)

    report = look(reencode(marked, tmp_path / "again.mp4", 18, brighter), mode="off")
    assert report.found
    assert report.alignment.gain in (0.9, 0.95)


def test_half_size_is_found_by_the_size_of_the_original(marked: Path, tmp_path: Path) -> None:
    def half(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        return cv2.resize(rgb, (SIZE[0] // 2, SIZE[1] // 2), interpolation=cv2.INTER_AREA)

    small = reencode(marked, tmp_path / "small.mp4", 14, half)
    face = faces_at((FACE[0] / 2, FACE[1] / 2, FACE[2] / 2, FACE[3] / 2))
    report = look(small, sizes=[SIZE], find_faces=face, mode="off")
    assert report.mark_id == "5ec0de42"
    assert (report.alignment.scale_x, report.alignment.scale_y) == (2.0, 2.0)


def test_a_small_copy_without_tags_is_read_by_the_matrix_of_the_original(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    """Without a tag 640 lines are taken for BT.709 and 320 lines for BT.601, but codes stay."""
    marked, small = tmp_path / "marked.mp4", tmp_path / "small.mp4"
    size = (704, 640)
    face = (200.0, 160.0, 420.0, 420.0)
    mark_video(source(make_video, size=size, frames=6), marked, boxes=(face,), crf=12)
    with VideoReader(marked) as reader, av.open(str(small), "w") as container:
        assert (reader.info.colour.matrix, reader.info.colour.name) == (2, "bt709")
        stream: Any = container.add_stream("libx264", rate=25, options={"crf": "14"})
        stream.width, stream.height, stream.pix_fmt = size[0] // 2, size[1] // 2, "yuv420p"
        for frame in reader:
            picture = frame.native.reformat(width=size[0] // 2, height=size[1] // 2)
            picture.pts, picture.time_base = frame.index, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    half = tuple(v / 2 for v in face)
    report = look(small, sizes=[size], find_faces=faces_at(half), mode="off")  # type: ignore[arg-type]
    assert report.known
    assert other_matrix(probe(small)) == "bt709"  # tried besides the one that its size suggests
    tagged = probe(source(make_video, matrix=1))
    assert other_matrix(tagged) is None


def test_a_crop_fails_in_place_and_is_found_by_search(marked: Path, tmp_path: Path) -> None:
    moved = (FACE[0] - 5, FACE[1] - 3, FACE[2] - 5, FACE[3] - 3)
    cropped = reencode(marked, tmp_path / "crop.mp4", 16, lambda rgb: rgb[3:, 5:])
    assert not look(cropped, find_faces=faces_at(moved), mode="off").found
    report = look(cropped, find_faces=faces_at(moved))
    assert report.found
    assert report.searched
    assert report.mark_id == "5ec0de42"


@pytest.mark.parametrize("unclear", [0, 3])
def test_a_mark_whose_id_is_unclear_in_place_is_searched_for(
    marked: Path, monkeypatch: pytest.MonkeyPatch, unclear: int
) -> None:
    """A zoomed copy may lie in place by chance in one spot: the pilot is seen, the id is not."""
    calls = []

    def find_grid(*_: Any) -> search.Found:
        calls.append(1)
        return search.Found([], [])

    monkeypatch.setattr(search, "find_grid", find_grid)
    monkeypatch.setattr(evidence, "unclear_bits", lambda *_: unclear)
    report = look(marked, ids=[])
    assert report.found
    assert len(calls) == (1 if unclear else 0)
    assert look(marked).known
    assert len(calls) == (1 if unclear else 0)


def test_a_mirrored_turned_copy_is_found(marked: Path, tmp_path: Path) -> None:
    def turn(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        return np.ascontiguousarray(np.rot90(rgb)[:, ::-1])

    copy = reencode(marked, tmp_path / "turned.mp4", 14, turn)
    report = look(copy, faces=False, find_faces=None)
    assert report.found
    assert report.alignment.mirrored or report.alignment.turns


def test_half_of_the_frames_are_enough(make_video: MakeVideo, tmp_path: Path) -> None:
    """The paper's rule: 5 of 10 frames match, 4 of 10 do not."""
    path = source(make_video, frames=10)
    for count, expected in ((5, True), (4, False)):
        out = tmp_path / f"{count}.mkv"
        mark_video(path, out, only=range(count))
        report = look(out, mode="off")
        assert report.frames_matching == count
        assert report.matches_half is expected
        assert report.found  # the sum over all frames goes further


def test_frames_without_a_face_count_only_on_request(make_video: MakeVideo, tmp_path: Path) -> None:
    out = tmp_path / "marked.mkv"
    mark_video(source(make_video, frames=10), out, only=range(4))

    def first_four(frame: Any) -> list[tuple[float, float, float, float]]:
        return [FACE] if frame.index < 4 else []

    assert look(out, find_faces=first_four, mode="off").matches_half
    total = look(out, find_faces=first_four, mode="off", denominator="total")
    assert total.frames_matching == 4
    assert not total.matches_half


def test_a_second_face_carries_it_as_well(make_video: MakeVideo, tmp_path: Path) -> None:
    wide = source(make_video, size=(832, 288), frames=6)
    second = (600.0, 40.0, 780.0, 230.0)
    out = tmp_path / "marked.mp4"
    mark_video(wide, out, boxes=(FACE, second))
    for finder in (faces_at(FACE), faces_at(second), faces_at(FACE, second)):
        report = look(out, find_faces=finder, mode="off")
        assert report.known
        assert report.frames_matching == 6


def test_of_long_videos_some_frames_are_enough(
    marked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lipwright.provenance.watermark.collect.MOST_FRAMES", 4)
    report = look(marked, mode="off")
    assert report.frames == 4
    assert report.known


def test_ten_bit_video(make_video: MakeVideo, tmp_path: Path) -> None:
    out = tmp_path / "marked.mp4"
    mark_video(source(make_video, pix_fmt="yuv420p10le", frames=6), out)
    with VideoReader(out) as reader:
        assert reader.info.bit_depth == 10
    assert look(out, mode="off").mark_id == "5ec0de42"


def test_another_id_is_not_taken_for_a_known_one(marked: Path) -> None:
    report = look(marked, ids=OTHERS, mode="off")
    assert report.found
    assert not report.known
    assert report.mark_id == "5ec0de42"


def test_an_unmarked_video(make_video: MakeVideo) -> None:
    report = look(source(make_video))
    assert not report.found
    assert report.mark_id is None
    assert report.false_alarm > FALSE_ALARM
    assert not report.matches_half
    assert "No Lipwright watermark" in report.sentence()


def test_flat_and_grey_videos_are_not_marked(make_video: MakeVideo) -> None:
    def flat(index: int, planes: list[npt.NDArray[Any]]) -> None:
        for plane, code in zip(planes, (90, 110, 150), strict=True):
            plane[:] = code

    assert not look(source(make_video, paint=flat, frames=4)).found
    grey = make_video("grey.mkv", size=SIZE, frames=3, pix_fmt="gray")
    assert not look(grey).found


def test_a_tiny_video_does_no_harm(make_video: MakeVideo) -> None:
    for size in ((2, 2), (10, 6), (64, 16)):
        path = make_video(f"{size[0]}.mkv", size=size, frames=2)
        assert not look(path, find_faces=faces_at((0.0, 0.0, 8.0, 8.0))).found


def test_no_video(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    with pytest.raises(LipwrightError):
        look(path)


def test_hundreds_of_unmarked_crops() -> None:
    """200 pictures, each judged as a file, in place: no match with 50 ids on the list."""
    rng = np.random.default_rng(11)
    ids = [int(v) for v in rng.integers(0, 2**32, 50)]
    judge = Judge(ids)
    words = np.array([id_bits(i) for i in ids])
    allowed = errors_allowed(32, 2.0 * len(ids) * len(READINGS))
    big = portrait(1200, 900)
    for _ in range(200):
        x, y = rng.integers(0, 1200 - 256), rng.integers(0, 900 - 256)
        half = half_of_rgb(big[y : y + 256, x : x + 256])
        sums = PlacedFrame(half, Alignment(), READINGS).whole()[:-1]
        assert judge(sums).min() + np.log10(len(sums)) > np.log10(FALSE_ALARM)
        wrong = ((sums[0, :32] > 0) != (words == 1)).sum(axis=1)
        assert wrong.min() > allowed


def test_unmarked_crops_of_real_clips(corpus: Path) -> None:
    """Anchors, whose faces fill a 256x256 picture; whole detection, search included."""
    clips = sorted((corpus / "anchors").glob("anchor_*/*"))[::900][:2]
    for clip in clips:
        report = look(clip, find_faces=faces_at((60.0, 60.0, 190.0, 200.0)))
        assert not report.found
        assert not report.matches_half


def quick(path: Path, ids: list[int] | None = None, **options: Any) -> Any:
    return look(path, ids, effort="quick", **{"faces": False, **options})


def test_a_quick_look_needs_no_faces_and_few_frames(make_video: MakeVideo, tmp_path: Path) -> None:
    path = tmp_path / "marked.mp4"
    mark_video(source(make_video, frames=40), path, crf=16)
    report = quick(path)
    assert report.mark_id == "5ec0de42"
    assert report.known
    assert report.frames < 40
    assert report.frames_with_face == 0
    assert report.false_alarm < 1e-12
    assert not report.searched


def test_a_quick_look_reads_an_id_that_nobody_knows(marked: Path) -> None:
    report = quick(marked, ids=[])
    assert report.mark_id == "5ec0de42"
    assert not report.known


def test_a_quick_look_finds_a_mark_in_a_small_part_of_a_large_picture(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    path = tmp_path / "marked.mp4"
    face = (1000.0, 500.0, 1180.0, 700.0)
    mark_video(source(make_video, size=(1536, 864), frames=8), path, boxes=(face,), crf=20)
    report = quick(path)
    assert report.known
    assert report.region == "part"


def test_a_quick_look_finds_a_crop(marked: Path, tmp_path: Path) -> None:
    cropped = reencode(marked, tmp_path / "crop.mp4", 16, lambda rgb: rgb[3:, 5:])
    report = quick(cropped)
    assert report.searched
    assert report.mark_id == "5ec0de42"


def test_a_quick_look_at_an_unmarked_video(make_video: MakeVideo) -> None:
    assert not quick(source(make_video)).found
    assert not quick(source(make_video), mode="off").found


def test_what_is_tried_does_not_grow_with_the_registry() -> None:
    """However many and large outputs are known: two scales, at most three times as large."""
    info = replace_size(1280, 720)
    sizes = [(7680, 4320), *((1280 + 16 * k, 720 + 9 * k) for k in range(200))]
    scales = detect._scales_of(sizes, info)
    assert len(scales) == 2
    assert scales[0] == (1296 / 1280, 729 / 720)
    assert detect._scales_of([(7680, 4320), (1280, 720), (300, 900)], info) == []


def replace_size(width: int, height: int) -> Any:
    """Just enough of a VideoInfo."""

    class Size:
        pass

    size: Any = Size()
    size.width, size.height = width, height
    return size


def test_a_clear_pilot_does_not_name_an_id_whose_bits_are_not_there() -> None:
    """128 pilot bits agree, the 32 bits of the id are noise: marked, but by nobody known."""
    rng = np.random.default_rng(3)
    sums = np.concatenate([rng.normal(0.0, 1.0, 32), (signs([MARK])[0, 32:]) * 5.0])
    judge = Judge([MARK])
    assert judge(sums[None])[0, 1] < -6
    assert judge.named(sums, 1) is None
    assert judge.named(signs([MARK])[0], 1) == 0
    assert judge.named(sums, 0) is None
