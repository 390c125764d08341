"""Stage 2 in the render pass: what it is given, and where it may change the frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch

from lipwright.dubbing.enhancing import FACES, LARGER, FaceEnhancer
from lipwright.dubbing.plan import SEEN, PlannedFace
from lipwright.enhance.base import Array, Context, Enhancer, EnhancerInfo, References
from lipwright.media.info import probe
from lipwright.media.planes import plane_views, private_copy
from lipwright.media.reader import VideoReader
from lipwright.media.region import RegionEdit
from tests.conftest import MakeVideo

SIDE = 200.0
CROP = np.array([[SIDE, 0.0, 20.0], [0.0, SIDE, 10.0]])
POINTS = np.full((5, 2), 0.5, np.float32)


class Brighter(Enhancer):
    """Adds a tenth, and remembers what it was given."""

    def __init__(self, size: int = 0, scale: int = 1) -> None:
        needs = frozenset({"references", "source", "lips"})
        self.info = EnhancerInfo("brighter", "brighter", scale, size, needs)  # type: ignore
        self.given: list[tuple[Array, Context]] = []
        self.started: list[References] = []

    def start(self, references: References) -> int:
        self.started.append(references)
        return len(self.started)

    def enhance(self, pictures: Array, contexts: Sequence[Context], state: Any) -> Array:
        self.given.append((pictures, contexts[0]))
        k = self.info.scale
        large = pictures.repeat(k, axis=2).repeat(k, axis=3)
        return np.asarray((large + 0.1).clip(0, 1), np.float32)


def schedule(numbers: Sequence[int] = (0,)) -> Any:
    face = PlannedFace(0, CROP, POINTS, SEEN, 1.0)
    track = SimpleNamespace(
        references=((3, 0.1),),
        reference_lips=(np.full((40, 2), 0.6, np.float32),),
        face=lambda frame: face,
    )
    detail = np.full((120, 120, 3), 90, np.uint8)
    return SimpleNamespace(
        track=dict.fromkeys(numbers, track).__getitem__,
        plan=SimpleNamespace(details=lambda track: iter([detail])),
    )


@pytest.fixture
def frame(make_video: MakeVideo) -> tuple[av.VideoFrame, Path]:
    """A frame of even grey, 240 x 240."""

    def paint(index: int, planes: list[np.ndarray]) -> None:
        planes[0][:], planes[1][:], planes[2][:] = 120, 128, 128

    path = make_video("grey.mkv", size=(240, 240), frames=1, paint=paint)
    with VideoReader(path) as reader:
        return private_copy(next(iter(reader)).native), path


@pytest.mark.parametrize(("size", "scale"), [(0, 1), (64, 1), (32, 3)])
def test_only_where_the_mouth_was_drawn_and_as_far(
    frame: tuple[av.VideoFrame, Path], size: int, scale: int
) -> None:
    native, path = frame
    before = plane_views(native)[0].copy()
    enhancer = Brighter(size, scale)
    adaptor = FaceEnhancer(enhancer, probe(path), schedule(), 128)
    region = RegionEdit(native, probe(path), (60, 90, 180, 210))
    weight = np.zeros(region.shape, np.float32)
    weight[30:90, 20:40], weight[30:90, 40:60], weight[30:90, 60:100] = 1.0, 0.5, 0.125
    face = PlannedFace(0, CROP, POINTS, SEEN, 1.0)
    lips = np.full((40, 2), 0.65)
    adaptor.sharpen(region, region.rgb, face, lips, weight)
    change = plane_views(native)[0].astype(int) - before
    # A tenth of the range of limited luma is 21.9; in full from a quarter of the weight on.
    assert np.abs(change[130:170, 85:115] - 22).max() <= 1
    assert np.abs(change[130:170, 125:155] - 11).max() <= 1
    outside = np.ones_like(change, bool)
    outside[120:180, 80:160] = False
    assert not change[outside].any()
    picture, context = enhancer.given[0]
    assert picture.shape == ((1, 3, size, size) if size else (1, 3, 120, 120))
    assert context.source is not None
    assert context.source.shape == picture.shape[1:]
    assert context.lips is lips
    # The middle of the crop, (120, 110) in display pixels, where the enhancer sees it.
    middle = context.to_picture @ np.array([0.5, 0.5, 1.0])
    if size:  # the window reaches from 0.2 and 0.4 of the crop over 0.6 of it
        assert middle == pytest.approx([0.5 * size - 0.5, 0.1 / 0.6 * size - 0.5], abs=0.5)
    else:
        assert middle == pytest.approx([60.0, 20.0])


def test_references_are_prepared_once_for_each_face(frame: tuple[av.VideoFrame, Path]) -> None:
    native, path = frame
    enhancer = Brighter()
    adaptor = FaceEnhancer(enhancer, probe(path), schedule(range(FACES + 1)), 128)
    region = RegionEdit(native, probe(path), (60, 90, 180, 210))
    weight = np.ones(region.shape, np.float32)
    for number in [0, 0, *range(1, FACES + 1), 0]:
        face = PlannedFace(number, CROP, POINTS, SEEN, 1.0)
        adaptor.sharpen(region, region.rgb, face, None, weight)
    # The first is made again once so many others have been seen.
    assert len(enhancer.started) == FACES + 2
    assert enhancer.started[0].pictures[0].shape == (120, 120, 3)
    assert enhancer.started[0].outlines.shape == (1, 5, 2)
    assert enhancer.started[0].drawn == 128


def test_small_faces_lack_nothing(frame: tuple[av.VideoFrame, Path]) -> None:
    _, path = frame
    face = PlannedFace(0, CROP, POINTS, SEEN, 1.0)
    for drawn, wanted in ((128, True), (SIDE / LARGER + 1, False), (256, False)):
        adaptor = FaceEnhancer(Brighter(), probe(path), schedule(), int(drawn))
        assert adaptor.wants(face) is wanted


def test_an_enhancer_of_whole_faces_sees_the_face(frame: tuple[av.VideoFrame, Path]) -> None:
    """The rectangle of the drawn mouth grows to its window, as far as there is a picture."""
    native, path = frame
    face = PlannedFace(0, CROP, POINTS, SEEN, 1.0)
    enhancer = Brighter(64)
    mouth = (60, 90, 180, 210)
    assert FaceEnhancer(enhancer, probe(path), schedule(), 128).grown(mouth, face) == mouth
    enhancer.info = replace(enhancer.info, window=(-0.05, -0.2, 1.05, 0.9))
    adaptor = FaceEnhancer(enhancer, probe(path), schedule(), 128)
    # 20 - 0.05 * 200 = 10, 20 + 1.05 * 200 = 230; 10 - 0.2 * 200 is above the picture; the mouth's
    # own rectangle reaches lower than the window.
    box = adaptor.grown(mouth, face)
    assert box == (10, 0, 230, 210)
    native_plane = plane_views(native)[0]
    native_plane[0:20, :] = 200  # above the mouth's rectangle
    region = RegionEdit(native, probe(path), box)
    adaptor.sharpen(region, region.rgb, face, None, np.zeros(region.shape, np.float32))
    seen = enhancer.given[0][0][0]
    assert seen[0, :14].mean() > seen[0, 30:].mean() + 0.2


def test_published_weights_are_looked_for_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lipwright.enhance.registry import load_enhancer
    from lipwright.models.published.gpen import GPEN

    network = GPEN([4, 4, 4], 6)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    torch.save(network.state_dict(), tmp_path / "GPEN-BFR-512.pth")
    monkeypatch.setenv("LIPWRIGHT_MODELS", str(tmp_path))
    found = load_enhancer("gpen")
    assert found is not None
    assert found.info.size == 16
    assert found.info.model_id.startswith("gpen-")


def test_brightness_alone(frame: tuple[av.VideoFrame, Path]) -> None:
    """An enhancer of brightness gets one channel, and no chroma sample changes."""
    native, path = frame
    before = [plane.copy() for plane in plane_views(native)]
    for size in (0, 64):
        enhancer = Brighter(size)
        enhancer.info = replace(enhancer.info, brightness=True)
        adaptor = FaceEnhancer(enhancer, probe(path), schedule(), 128)
        region = RegionEdit(native, probe(path), (60, 90, 180, 210))
        weight = np.zeros(region.shape, np.float32)
        weight[30:90, 20:60] = 1.0
        face = PlannedFace(0, CROP, POINTS, SEEN, 1.0)
        adaptor.sharpen(region, adaptor.opened(region), face, None, weight)
        picture, context = enhancer.given[0]
        assert picture.shape == ((1, 1, size, size) if size else (1, 1, 120, 120))
        assert context.source is not None
        assert context.source.shape == picture.shape[1:]
    change = plane_views(native)[0].astype(int) - before[0]
    assert np.abs(change[130:170, 85:115] - 44).max() <= 2
    for plane, old in zip(plane_views(native)[1:], before[1:], strict=True):
        assert np.array_equal(plane, old)
