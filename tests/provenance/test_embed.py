"""``watermark embed`` on videos and pictures."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from lipwright.errors import LipwrightError
from lipwright.provenance.embed import embed_file
from lipwright.provenance.record.registry import read_registry
from lipwright.provenance.watermark.detect import detect_file
from tests.conftest import MakeVideo
from tests.provenance.scenes import (
    FACE,
    MARK,
    faces_at,
    moving_portrait,
    portrait,
)


def test_a_video(make_video: MakeVideo, tmp_path: Path) -> None:
    source = make_video("in.mp4", size=(320, 288), frames=6, paint=moving_portrait, audio="sine")
    out = tmp_path / "out.mp4"
    report = embed_file(source, out, find_faces=faces_at(FACE))
    assert (report.frames, report.marked, report.region) == (6, 6, "face")
    entry = read_registry()[0]
    assert report.mark_id == f"{entry.mark_id:08x}"
    found = detect_file(out, [entry.mark_id], find_faces=faces_at(FACE), mode="off")
    assert found.known
    assert found.mark_id == report.mark_id
    with av.open(str(out)) as container:
        assert container.streams.audio
    assert report.mark_id in report.sentence()
    assert report.to_json()["frames"] == 6


@pytest.mark.parametrize("name", ["out.png", "out.jpg"])
def test_a_picture(make_video: MakeVideo, tmp_path: Path, name: str) -> None:
    source = make_video("in.png", size=(320, 288), pix_fmt="rgb24", paint=paint_rgb)
    out = tmp_path / name
    embed_file(source, out, MARK, region="frame")
    found = detect_file(out, [MARK], faces=False, mode="off")
    assert found.mark_id == "5ec0de42"


def paint_rgb(index: int, planes: list[np.ndarray]) -> None:  # type: ignore[type-arg]
    planes[0][:] = portrait(320, 288).reshape(288, 960)


def test_without_a_face_nothing_is_written(make_video: MakeVideo, tmp_path: Path) -> None:
    source = make_video("in.mp4", size=(320, 288), frames=2, paint=moving_portrait)
    for name in ("out.mp4", "out.png"):
        with pytest.raises(LipwrightError, match="No face"):
            embed_file(
                source if name == "out.mp4" else still(make_video),
                tmp_path / name,
                find_faces=faces_at(),
            )
        assert not (tmp_path / name).exists()
    assert read_registry() == []


def still(make_video: MakeVideo) -> Path:
    return make_video("still.png", size=(320, 288), pix_fmt="rgb24", paint=paint_rgb)


def test_grey_cannot_carry_it(make_video: MakeVideo, tmp_path: Path) -> None:
    source = make_video("in.mkv", size=(320, 288), frames=2, pix_fmt="gray")
    with pytest.raises(LipwrightError, match="no colour"):
        embed_file(source, tmp_path / "out.mp4", region="frame")
    assert not (tmp_path / "out.mp4").exists()


def test_bad_targets(make_video: MakeVideo, tmp_path: Path) -> None:
    with pytest.raises(LipwrightError):
        embed_file(still(make_video), tmp_path / "none" / "out.png", MARK, region="frame")
    assert not (tmp_path / "none").exists()
