"""Between two pictures: one head, on its way."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest

from lipwright.live.morph import morph
from lipwright.media.planes import plane_views

SIZE = (320, 240)


def scene(x: float) -> av.VideoFrame:
    """A patterned disc at ``x`` before a wall that stays where it is."""
    frame = av.VideoFrame(*SIZE, "yuv420p")
    noise = np.random.default_rng(1).normal(0, 1, (240, 320)).astype(np.float32)
    wall = 90 + 60 * cv2.GaussianBlur(noise, (0, 0), 4) * 4
    yy, xx = np.mgrid[:240, :320].astype(np.float32)
    inside = 1 / (1 + np.exp(((np.hypot(xx - x, yy - 120) - 50) / 1.5).clip(-30, 30)))
    face = 190 + 30 * np.sin((xx - x) / 6) * np.cos((yy - 120) / 7)
    luma, blue, red = plane_views(frame)
    luma[:] = np.clip(wall * (1 - inside) + face * inside, 0, 255).astype(np.uint8)
    blue[:] = cv2.resize(128 + 40 * inside, (160, 120)).astype(np.uint8)
    red[:] = 128
    return frame


def difference(one: av.VideoFrame, other: av.VideoFrame, plane: int = 0) -> float:
    pair = [plane_views(frame)[plane].astype(np.float64) for frame in (one, other)]
    return (
        float(np.abs(pair[0] - pair[1])[60:180, 80:260].mean())
        if plane == 0
        else float(np.abs(pair[0] - pair[1])[30:90, 40:130].mean())
    )


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("moved", [10.0, -18.0])
def test_what_has_moved_is_on_its_way_and_seen_once(share: float, moved: float) -> None:
    first, second = scene(160.0), scene(160.0 + moved)
    truth = scene(160.0 + share * moved)
    made = morph(first, second, share)
    mixed = scene(0.0)
    for out, one, other in zip(
        plane_views(mixed), plane_views(first), plane_views(second), strict=True
    ):
        cv2.addWeighted(one, 1 - share, other, share, 0.0, dst=out)
    assert difference(made, truth) < 0.35 * difference(mixed, truth)
    assert difference(made, truth, 1) < 0.6 * difference(mixed, truth, 1)


def test_the_ends_are_the_pictures_themselves() -> None:
    first, second = scene(160.0), scene(170.0)
    assert np.array_equal(plane_views(morph(first, second, 1.0))[0], plane_views(second)[0])
    assert np.array_equal(plane_views(morph(first, second, 0.0))[0], plane_views(first)[0])


def test_a_picture_that_stays_stays() -> None:
    still = scene(160.0)
    assert difference(morph(still, scene(160.0), 0.5), still) < 0.5


def test_the_given_frames_are_not_touched() -> None:
    first, second = scene(160.0), scene(170.0)
    kept = [np.array(plane_views(frame)[0]) for frame in (first, second)]
    morph(first, second, 0.4)
    for frame, before in zip((first, second), kept, strict=True):
        assert np.array_equal(plane_views(frame)[0], before)


def test_another_scene_is_a_plain_cross_fade() -> None:
    first, second = scene(160.0), scene(160.0)
    luma = plane_views(second)[0]
    luma[:] = (
        np.random.default_rng(2).integers(0, 255, (24, 32), np.uint8).repeat(10, 0).repeat(10, 1)
    )
    made = plane_views(morph(first, second, 0.5))[0].astype(np.float64)
    mean = (plane_views(first)[0].astype(np.float64) + luma) / 2
    assert np.abs(made - mean).max() <= 1.0
