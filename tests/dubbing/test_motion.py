from __future__ import annotations

import cv2
import numpy as np
import pytest

from lipwright.dubbing import composite, motion

S = 128
ALL = np.ones((S, S), np.float32)


def texture(seed: int = 0) -> motion.Array:
    noise = np.random.default_rng(seed).random((S, S, 3), dtype=np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.asarray(np.clip(0.5 + 4 * (smooth - smooth.mean()), 0, 1), np.float32)


def shifted(picture: motion.Array, dy: int) -> motion.Array:
    return np.roll(picture, dy, axis=0)


def test_nothing_edited_nothing_moves() -> None:
    assert motion.flow_between(texture(), texture(1), np.zeros((S, S), np.float32)) is None
    still = np.zeros((S, S, 2), np.float32)
    assert np.array_equal(motion.move(texture(), still), texture())


def test_a_shift_is_found() -> None:
    flow = motion.flow_between(shifted(texture(), 3), texture(), ALL)
    assert flow is not None
    inner = flow[20:-20, 20:-20]
    assert np.median(inner[..., 1]) == pytest.approx(-3, abs=0.2)
    assert np.median(inner[..., 0]) == pytest.approx(0, abs=0.2)


def test_what_no_motion_explains_is_drawn() -> None:
    """Chance likenesses may be moved, but never instead of drawing."""
    edit = composite.prepare(texture(5), texture(6), texture(6), ALL)
    difference, _ = composite.delta(edit, texture(6), np.array([[1.0, 0, 0], [0, 1, 0]]))
    inner = (texture(6) + difference - texture(5))[10:-10, 10:-10]
    assert np.abs(inner).mean() < 0.02


def test_flow_is_bounded_and_confined_to_the_edit() -> None:
    edited = np.zeros((S, S), np.float32)
    edited[64:100, 40:90] = 1
    flow = motion.flow_between(shifted(texture(), 6), texture(), edited)
    assert flow is not None
    assert not flow[:60].any()
    assert np.hypot(flow[..., 0], flow[..., 1]).max() <= motion.LONGEST * S + 1e-3


def test_fine_texture_moves_with_the_face() -> None:
    """The network sees soft faces only; the moved source keeps what it never saw."""
    soft = texture()
    baseline, generated = soft, soft.copy()
    generated[40:90] = shifted(soft, 4)[40:90]
    fine = 0.08 * np.random.default_rng(3).standard_normal((S, S, 1)).astype(np.float32)
    source = soft + fine
    wanted = shifted(soft + fine, 4)
    edit = composite.prepare(generated, baseline, soft, ALL)
    assert edit.flow is not None
    difference, _ = composite.delta(edit, source, np.array([[1.0, 0, 0], [0, 1, 0]]))
    out = (source + difference)[50:80, 30:100]
    plain = composite.Edit(
        generated - baseline, edit.drawn, composite.replacement(generated - baseline), ALL
    )
    without, _ = composite.delta(plain, source, np.array([[1.0, 0, 0], [0, 1, 0]]))
    error = np.abs(out - wanted[50:80, 30:100]).mean()
    assert error < 0.5 * np.abs((source + without - wanted)[50:80, 30:100]).mean()


def test_arrows_turn_with_the_face() -> None:
    """A jaw that drops in a face lying on its side moves sideways in the frame."""
    flow = np.zeros((S, S, 2), np.float32)
    flow[..., 1] = -4.0  # taken from 4 crop pixels above
    zero = np.zeros((S, S, 3), np.float32)
    edit = composite.Edit(zero, zero, np.zeros((S, S), np.float32), ALL, flow)
    quarter = np.array([[0.0, -1.0, S - 1.0], [1.0, 0.0, 0.0]])  # crop x is frame y, y is -x
    region = texture()
    difference, _ = composite.delta(edit, region, quarter)
    expected = np.roll(region, -4, axis=1)
    got = (region + difference)[10:-10, 10:-10]
    assert np.allclose(got, expected[10:-10, 10:-10], rtol=0, atol=1e-4)
