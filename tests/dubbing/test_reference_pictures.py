"""What a reference keeps of its frame."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from lipwright.dubbing.hidden import MAP_SIDE, Hidden, pack
from lipwright.dubbing.reference_pictures import consider, detail_of
from lipwright.dubbing.references import Reference, ReferenceSelector
from lipwright.dubbing.sighting import Sighting, sighted
from lipwright.faces import alignment
from lipwright.media.info import VideoInfo
from lipwright.media.reader import Frame, VideoReader
from tests.dubbing import clips
from tests.dubbing.clips import Actor

SIZE = (640, 480)


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> tuple[Frame, VideoInfo]:
    """A frame that is red at the left and grey at the right."""

    def picture(i: int) -> np.ndarray:
        image = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
        image[:, : SIZE[0] // 2] = (220, 60, 60)
        return image

    path = clips.write_video(tmp_path_factory.mktemp("frame") / "v.mp4", 1, SIZE, pictures=picture)
    with VideoReader(path) as reader:
        return next(iter(reader)), reader.info


def seen(actor: Actor, frame: Frame) -> Sighting:
    points = clips.mesh(actor)
    picture = frame.thumbnail(960)[0]
    return replace(sighted(3, points, alignment.estimate(points), [], picture, 1.0), covered=0.125)


class Taking(ReferenceSelector):
    """Keeps all that it is offered."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Reference] = []

    def add(self, reference: Reference, detail: object = None) -> None:  # type: ignore[override]
        self.taken.append(reference)


def test_the_crop_is_the_face(frame: tuple[Frame, VideoInfo]) -> None:
    """Its middle lies on the border of the two colours."""
    selector = Taking()
    consider(selector, seen(Actor(0, 220, 40, 200), frame[0]), *frame, 0.9)
    (found,) = selector.taken
    assert found.crop.shape == (256, 256, 3)
    assert found.crop[:, :120].reshape(-1, 3).mean(axis=0) == pytest.approx([220, 60, 60], abs=4)
    assert found.crop[:, 136:].reshape(-1, 3).mean(axis=0) == pytest.approx([128] * 3, abs=4)
    assert found.hidden == pytest.approx(0.125)
    assert found.opening == pytest.approx(0.03, abs=0.002)


def test_a_hand_before_the_face_makes_a_reference_worth_a_quarter(
    frame: tuple[Frame, VideoInfo],
) -> None:
    selector = Taking()
    face = seen(Actor(0, 220, 40, 200), frame[0])
    hand = Hidden(pack(np.ones((MAP_SIDE, MAP_SIDE), bool)), 1.0)
    consider(selector, face, *frame, 0.9)
    consider(selector, replace(face, hidden=hand), *frame, 0.9)
    free, hidden = selector.taken
    assert hidden.quality == pytest.approx(free.quality / 4)
    assert hidden.hidden == pytest.approx(0.125 + 0.2)


def test_only_a_large_face_has_more_detail_than_its_crop(frame: tuple[Frame, VideoInfo]) -> None:
    """From 1.2 times 256 pixels on; the window of the mouth is 0.6 of a crop wide."""
    assert detail_of(seen(Actor(0, 100, 40, 300), frame[0]), *frame) == b""
    data = detail_of(seen(Actor(0, 100, 40, 400), frame[0]), *frame)
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (240, 240, 3)
