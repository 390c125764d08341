"""Detail from the person's own frames: it comes back, in its place, and only where it belongs."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from lipwright.enhance import own_detail
from lipwright.enhance.own_detail import OwnDetail, mixture_gain
from lipwright.evaluation.metrics.mouth_detail import octave_energies
from tests.enhance.mouths import Array, context, drawn, error, filmed, references


def sharpened(soft: Array, refs: object, known: object) -> Array:
    enhancer = OwnDetail()
    return enhancer.enhance(soft[None], [known], enhancer.start(refs))[0]  # type: ignore


def test_a_reference_gives_the_grain_back() -> None:
    real = filmed()
    soft = drawn(real)
    made = sharpened(soft, references(real), context())
    assert error(made, real) < 0.5 * error(soft, real)


def test_a_reference_with_other_lips_is_brought_onto_the_drawn_ones() -> None:
    """The same mouth half a lip's height away, its grain with it."""
    real, elsewhere = filmed(), filmed(dx=0.02)
    soft = drawn(real)
    made = sharpened(soft, references(elsewhere, shapes=[{"dx": 0.02}]), context())
    mouth = np.s_[:, 90:180, 110:210]
    assert error(made[mouth], real[mouth], 1) < 0.7 * error(soft[mouth], real[mouth], 1)


def test_the_frame_as_it_was_filmed_is_a_source_of_detail() -> None:
    real = filmed()
    soft = drawn(real)
    nothing = references(real)
    nothing = type(nothing)((), nothing.lips[:0], nothing.outlines[:0], nothing.drawn)
    made = sharpened(soft, nothing, context(real))
    assert error(made, real) < 0.5 * error(soft, real)


def test_an_open_mouth_does_not_shine_through_a_closed_one() -> None:
    """The only reference shows what was not drawn: the mouth stays soft, without a ghost of it."""
    closed, wide = filmed(opening=0.004), filmed(opening=0.12)
    soft = drawn(closed)
    # Lips said to be alike: the contours cannot help, the pictures have to tell.
    made = sharpened(soft, references(wide), context())
    inside = np.s_[:, 60:206, 110:210]
    carried = error(made[inside], soft[inside], 1)
    ghost = error(wide[inside], drawn(wide)[inside], 1)
    assert carried < 0.5 * ghost, (carried, ghost)


def test_the_detail_has_the_contrast_of_the_frame() -> None:
    """A reference in two thirds of the light gives its grain as strongly as one in full light."""
    real, dark = filmed(), filmed(light=0.67)
    soft = drawn(real)
    skin = np.s_[0, 220:300, 40:280]
    grain = [
        float((sharpened(soft, references(picture), context()) - soft)[skin].std())
        for picture in (real, dark)
    ]
    assert 0.9 < grain[1] / grain[0] < 1.1


def test_colour_and_coarse_structures_stay() -> None:
    real = filmed()
    soft = drawn(real)
    made = sharpened(soft, references(filmed(seed=3)), context())
    change = made - soft
    assert np.allclose(change[0], change[1], atol=1e-6)
    assert np.allclose(change[0], change[2], atol=1e-6)
    blocks = change[0].reshape(10, 32, 10, 32).mean(axis=(1, 3))
    assert np.abs(blocks).max() < 0.005


def test_brightness_alone_gives_the_same_change() -> None:
    """One channel is what three of the same grey are."""
    real = filmed()
    grey = np.repeat(np.einsum("c,chw->hw", (0.299, 0.587, 0.114), real)[None], 3, axis=0)
    soft = drawn(grey.astype(np.float32))
    refs = references(grey.astype(np.float32))
    three = sharpened(soft, refs, context(grey.astype(np.float32)))
    one = sharpened(soft[:1], refs, context(grey[:1].astype(np.float32)))
    assert one.shape == (1, *soft.shape[1:])
    assert np.abs(one[0] - three[0]).max() < 1e-4


def test_what_came_before_does_not_matter() -> None:
    """Enlarged references that are kept for the frames that follow change nothing."""
    shapes = [{"opening": o} for o in (0.02, 0.03, 0.04, 0.05, 0.06)]
    refs = references(*(filmed(opening=s["opening"]) for s in shapes), shapes=shapes)
    enhancer = OwnDetail()
    state = enhancer.start(refs)
    wanted = [(drawn(filmed(opening=o)), context(opening=o)) for o in (0.02, 0.06, 0.04, 0.02)]
    one_after_another = [enhancer.enhance(p[None], [c], state)[0] for p, c in wanted]
    for made, (picture, known) in zip(one_after_another, wanted, strict=True):
        assert np.array_equal(made, sharpened(picture, refs, known))


def test_nobody_is_asked_where_the_frame_itself_shows_all() -> None:
    real = filmed()
    refs = references(filmed(seed=3))
    enhancer = OwnDetail()
    state = enhancer.start(refs)
    made = enhancer.enhance(real[None], [context(real)], state)[0]
    assert error(made, real) < 0.005
    assert not state.used
    enhancer.enhance(drawn(real)[None], [context(filmed(opening=0.08))], state)
    assert state.used


def test_enlarged_references_are_bounded_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as fit, or three; the last ones used are kept."""
    shapes = [{"opening": o} for o in (0.02, 0.03, 0.04, 0.05, 0.06)]
    state = OwnDetail().start(
        references(*(filmed(opening=s["opening"]) for s in shapes), shapes=shapes)
    )
    for index in (0, 1, 2, 3, 0, 4):
        state.finer(index)
    assert list(state.used) == [1, 2, 3, 0, 4]
    monkeypatch.setattr(own_detail, "USED_BYTES", 0)
    state.finer(4)
    assert list(state.used) == [1, 2, 3, 0, 4]
    state.used.clear()
    for index in (0, 1, 2, 0, 3):
        state.finer(index)
    assert list(state.used) == [2, 0, 3]


def test_only_what_is_shown_changes() -> None:
    real = filmed()
    soft = drawn(real)
    shown = np.zeros(soft.shape[1:], np.float32)
    shown[120:260, 80:240] = 1.0
    whole, part = (
        sharpened(soft, references(real), known)
        for known in (context(), dataclasses.replace(context(), shown=shown))
    )
    assert np.abs(part - whole)[:, shown > 0].max() < 0.2 / 255
    assert np.array_equal(part[:, :60], soft[:, :60])


def test_what_interpolation_takes_of_the_finest_grain_is_made_up() -> None:
    """A 1/f picture moved by half a pixel both ways keeps the energy of its top octave."""
    side = 256
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    radius[0, 0] = 1.0
    white = np.random.default_rng(0).normal(size=(side, side))
    picture = np.fft.irfft2(np.fft.rfft2(white) / radius).astype(np.float32)
    picture -= cv2.GaussianBlur(picture, (0, 0), 2.5)
    for aside in (0.0, 0.5, 3.0):
        where = np.repeat(np.arange(side, dtype=np.float32)[None] + aside, side, 0)
        moved = cv2.remap(
            picture, where, where.T.copy(), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        gain = own_detail.grain_gain(where) * own_detail.grain_gain(where.T)
        before, plain, after = (octave_energies(p)[0] for p in (picture, moved, moved * gain))
        assert after / before == pytest.approx(1.0, abs=0.1)
        if aside == 0.5:
            assert plain / before < 0.75


def test_the_highlight_of_another_frame_stays_there() -> None:
    """A lip that was filmed wet leaves no specks on one that was drawn nearly dull."""
    real = np.stack([filmed()[0]] * 3)
    y, x = np.mgrid[: real.shape[1], : real.shape[2]]
    spot = np.exp(-0.5 * (((y - 180) / 4) ** 2 + ((x - 160) / 12) ** 2)).astype(np.float32)
    wet = np.clip(real + np.float32(0.35) * spot, 0, 1)
    soft = drawn(real + np.float32(0.08) * spot)
    made = sharpened(soft, references(wet), context(wet))
    lip = np.s_[:, 176:185, 150:171]
    carried, there = (float(p[lip].mean()) for p in (made - soft, wet - drawn(wet)))
    assert there > 0.05
    assert carried < 0.3 * there


def test_mixed_textures_are_as_strong_as_one() -> None:
    full, half, none = (np.full((2, 2), v, np.float32) for v in (1.0, 0.5, 0.0))
    assert np.allclose(mixture_gain(full, [full, none]), 1.0)
    assert np.allclose(mixture_gain(half, [half]), 1.0)
    assert np.allclose(mixture_gain(none, [none, none]), 1.0)
    # (0.5^2 + 0.5^2) (1 - 0.4) + 0.4 = 0.7 of the energy is left of two that are alike by 0.4.
    assert np.allclose(mixture_gain(full, [half, half]), 0.7**-0.5, atol=1e-3)


def test_two_references_give_the_grain_of_one() -> None:
    """Two that share the frame by halves, of unlike grain: the top octave does not sink by half."""
    real = filmed()
    soft = drawn(real)
    shapes = [{"opening": o} for o in (0.025, 0.035, 0.2)]
    two = [filmed(seed=1), filmed(seed=2), filmed(seed=3)]
    both = references(*two, shapes=shapes)
    skin = np.s_[0, 230:300, 40:280]
    alone, mixed = (
        octave_energies(sharpened(soft, refs, context())[skin])[:2].sum()
        for refs in (references(two[0]), both)
    )
    assert 0.65 < mixed / alone < 1.3
