"""Lips go where they are told, the rest stays, and the dark shows only what is new."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.dubbing import lip_warp
from lipwright.faces.mouth_inside import DARK, filled
from lipwright.lip_motion import DEAD_ZONE, MAX_MOTION, compensate_dead_zone

S = 128


def contours(height: float = 0.0) -> np.ndarray:
    """(40, 2): inner ring of the given height in parts of S, round the outer one."""
    t = np.linspace(-1, 1, 11)
    bow = np.sqrt(np.maximum(0, 1 - t**2))
    x = 0.5 + 0.14 * t

    def ring(h: float) -> np.ndarray:
        upper = np.stack([x, 0.72 - h / 2 * bow], 1)
        lower = np.stack([x, 0.72 + h / 2 * bow], 1)[::-1]
        return np.concatenate([upper[:10], lower[:10]])

    return np.concatenate([ring(height), ring(height + 0.08)])


def face() -> np.ndarray:
    y, x = np.mgrid[:S, :S] / S
    skin = 0.6 + 0.2 * np.sin(9 * x) * np.cos(7 * y)
    return np.stack([skin, 0.8 * skin, 0.7 * skin], 2).astype(np.float32)


def test_no_step_no_change() -> None:
    picture = face()
    out = lip_warp.warp_lips(picture, contours(0.03), np.zeros((40, 2)))
    assert np.allclose(out, picture, rtol=0, atol=1e-6)


def test_far_from_the_lips_nothing_moves() -> None:
    picture = face()
    out = lip_warp.warp_lips(picture, contours(0.0), contours(0.06) - contours(0.0))
    assert np.allclose(out[: S // 4], picture[: S // 4], rtol=0, atol=1e-3)
    assert np.abs(out - picture)[80:110].max() > 0.1


def test_a_mark_on_the_lower_lip_goes_with_it() -> None:
    picture = np.full((S, S, 3), 0.5, np.float32)
    lips = contours(0.04)
    mark = lips[34] * S  # middle of the outer ring's lower edge
    y, x = np.mgrid[:S, :S]
    dot = np.exp(-((x - mark[0]) ** 2 + (y - mark[1]) ** 2) / 8)
    picture += 0.4 * dot[:, :, None].astype(np.float32)
    step = np.zeros((40, 2))
    step[[*range(10, 20), *range(30, 40)], 1] = 0.03
    out = lip_warp.warp_lips(picture, lips, step)[:, :, 0]
    rows = np.clip(out[S * 3 // 4 :, round(mark[0])] - 0.6, 0, None)
    centre = (rows * np.arange(len(rows))).sum() / rows.sum() + S * 3 // 4
    assert centre == pytest.approx(mark[1] + 0.03 * S, abs=0.8)


def test_lips_that_part_show_dark_between_them() -> None:
    picture = np.full((S, S, 3), 0.6, np.float32)
    out = lip_warp.warp_lips(picture, contours(0.0), contours(0.08) - contours(0.0))
    middle = out[round(0.72 * S), S // 2]
    assert middle[0] == pytest.approx(0.6 * DARK, abs=0.05)
    assert middle[1] < middle[0]
    assert out[round(0.72 * S), 10] == pytest.approx(np.full(3, 0.6), abs=1e-4)


def test_teeth_stay_with_the_upper_lip_and_white() -> None:
    picture = np.full((S, S, 3), 0.4, np.float32)
    lips = contours(0.06)
    inside = filled(lips[:20], S) > 0.5
    picture[inside] = 0.95
    step = np.zeros((40, 2))
    step[[*range(10, 20), *range(30, 40)], 1] = 0.05  # the lower lip alone
    out = lip_warp.warp_lips(picture, lips, step)[:, S // 2, 0]
    top = round((0.72 - 0.03) * S) + 2
    assert out[top : top + 3].min() > 0.8  # teeth where they were
    assert out[round((0.72 + 0.03 + 0.03) * S)] < 0.3  # dark below them


def test_lips_that_close_leave_no_dark() -> None:
    picture = np.full((S, S, 3), 0.6, np.float32)
    out = lip_warp.warp_lips(picture, contours(0.08), contours(0.0) - contours(0.08))
    assert np.allclose(out, picture, rtol=0, atol=1e-4)


def test_what_is_made_up_for() -> None:
    lack = np.array([[0.0, DEAD_ZONE, -DEAD_ZONE - 0.5, 100.0]])
    assert compensate_dead_zone(lack)[0] == pytest.approx([0.0, 0.0, -0.5, MAX_MOTION])
