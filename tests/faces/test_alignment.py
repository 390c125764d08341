"""The crop: recovery of planted transforms, the template, smoothing, gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipwright.faces import alignment as A

from .shapes import face

similarities = st.tuples(
    st.floats(-3.1, 3.1), st.floats(20.0, 2000.0), st.floats(-500, 4000), st.floats(-500, 4000)
).map(lambda v: A.from_parameters(np.array([[np.log(v[1]), v[0], v[2], v[3]]]))[0])


@given(similarities)
def test_recovers_a_planted_transform(planted):
    depth = np.hypot(*planted[:, 0]) * A.TEMPLATE[:, 2:]
    points = np.hstack([A.apply(planted, A.TEMPLATE), depth])
    np.testing.assert_allclose(A.fit_similarity(A.TEMPLATE, points), planted, rtol=1e-9, atol=1e-6)
    flat = A.fit_similarity(A.TEMPLATE[:, :2], points[:, :2])
    np.testing.assert_allclose(flat, planted, rtol=1e-9, atol=1e-6)


def test_is_the_least_squares_solution():
    rng = np.random.default_rng(3)
    source, target = rng.normal(size=(9, 2)), rng.normal(size=(9, 2))
    best = A.fit_similarity(source, target)

    def error(transform):
        return ((A.apply(transform, source) - target) ** 2).sum()

    values = A.parameters([best])
    for axis in range(4):
        for step in (-1e-3, 1e-3):
            moved = values.copy()
            moved[0, axis] += step
            assert error(A.from_parameters(moved)[0]) > error(best)


def test_never_reflects():
    mirrored = A.TEMPLATE[:, :2] * [-1.0, 1.0]
    fitted = A.fit_similarity(A.TEMPLATE[:, :2], mirrored)
    assert np.linalg.det(fitted[:, :2]) > 0


@pytest.mark.parametrize("points", [np.zeros((478, 3)), np.full((478, 3), np.nan)])
def test_refuses_points_without_extent(points):
    with pytest.raises(ValueError, match="extent"):
        A.estimate(points)


def test_template_is_symmetric_and_upright():
    pairs = [(33, 263), (133, 362)]
    where = {p: A.TEMPLATE[i] for i, p in enumerate(A.STABLE_POINTS)}
    for right, left in pairs:
        assert where[right][0] + where[left][0] == pytest.approx(1.0)
        assert where[right][1] == where[left][1]
    assert where[33][1] == A.EYE_LINE
    assert where[263][0] - where[33][0] == pytest.approx(A.EYE_DISTANCE)
    for point in (168, 6, 197, 195):
        assert where[point][0] == 0.5


def test_average_face_lies_well_in_the_crop():
    points = face((300, 200), 150, roll=20)
    crop = A.apply(A.invert(A.estimate(points)), points)
    np.testing.assert_allclose((crop[33] + crop[263]) / 2, [0.5, A.EYE_LINE], atol=0.01)
    assert crop[33][1] == pytest.approx(crop[263][1], abs=0.005)  # upright
    assert 0.55 < crop[13][1] < 0.75  # the mouth belongs to the lower half
    assert crop[152][1] < 0.95  # the chin is inside, with room to drop


@pytest.mark.parametrize("yaw", [-30, 30])
def test_a_turned_head_keeps_its_size(yaw):
    def side(points):
        return np.hypot(*A.estimate(points)[:, 0])

    frontal, turned = face(size=100), face(size=100, yaw=yaw)
    assert side(turned) == pytest.approx(side(frontal), rel=0.01)
    assert side(turned[:, :2]) < 0.95 * side(frontal[:, :2])  # in the plane it would shrink


def test_the_smaller_mesh_is_brought_to_the_same_size():
    large, small = A.estimate(face()), A.estimate(face()[:468])
    assert np.hypot(*large[:, 0]) / np.hypot(*small[:, 0]) == pytest.approx(A.SPREAD_468)
    stable = face()[list(A.STABLE_POINTS), :2].mean(axis=0)
    for transform in (large, small):  # about the middle of the stable points
        np.testing.assert_allclose(
            A.apply(transform, A.TEMPLATE[:, :2].mean(axis=0)), stable, atol=1e-3
        )


def test_an_open_mouth_moves_nothing():
    np.testing.assert_array_equal(A.estimate(face(opening=0.3)), A.estimate(face()))


@given(similarities, st.integers(1, 12), st.integers(0, 5), st.booleans())
def test_smoothing_keeps_constants(transform, count, radius, adaptive):
    result = A.smooth([transform] * count, radius, adaptive)
    np.testing.assert_allclose(result, [transform] * count, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("adaptive", [True, False])
def test_smoothing_does_not_delay_a_steady_motion(adaptive):
    t = np.arange(20.0)
    values = np.column_stack([4 + 0.01 * t, 0.02 * t, 100 + 2 * t, 50 - t])
    result = A.parameters(A.smooth(A.from_parameters(values), 2, adaptive))
    np.testing.assert_allclose(result, values, atol=1e-9)


def test_plain_smoothing_is_the_mean_of_five():
    rng = np.random.default_rng(0)
    values = np.array([5.0, 0.1, 200.0, 100.0]) + 0.01 * rng.normal(size=(9, 4))
    result = A.parameters(A.smooth(A.from_parameters(values), 2, adaptive=False))
    np.testing.assert_allclose(result[4], values[2:7].mean(axis=0))
    np.testing.assert_allclose(result[1], values[0:3].mean(axis=0))
    np.testing.assert_allclose(result[0], values[0])


def test_smoothing_calms_noise_and_follows_a_nod():
    rng = np.random.default_rng(1)
    side = 200.0
    still = np.tile([np.log(side), 0.0, 300.0, 300.0], (200, 1))
    noisy = still + 0.0005 * side * np.array([0, 0, 1, 1]) * rng.normal(size=still.shape)
    calmed = A.parameters(A.smooth(A.from_parameters(noisy)))
    assert np.std(calmed[:, 2:]) < 0.7 * np.std(noisy[:, 2:] - still[:, 2:])
    nod = still.copy()
    nod[:, 3] += 0.05 * side * np.sin(np.arange(200) * 2 * np.pi / 10)
    fine = np.abs(A.parameters(A.smooth(A.from_parameters(nod)))[:, 3] - nod[:, 3]).max()
    plain = np.abs(A.parameters(A.smooth(A.from_parameters(nod), 2, False))[:, 3] - nod[:, 3]).max()
    assert fine < 0.4 * plain


def test_smoothing_does_not_cross_a_jump():
    before = np.tile([5.0, 0.0, 100.0, 100.0], (6, 1))
    after = before + np.array([0.0, 0.0, 300.0, 0.0])
    values = np.concatenate([before, after])
    result = A.parameters(A.smooth(A.from_parameters(values)))
    np.testing.assert_allclose(result, values)


def test_smoothing_goes_the_short_way_round():
    angles = np.array([3.1, -3.1, 3.1, -3.1, 3.1])
    values = np.column_stack([np.full(5, 5.0), angles, np.zeros(5), np.zeros(5)])
    result = A.parameters(A.smooth(A.from_parameters(values)))
    assert (np.abs(np.abs(result[:, 1]) - np.pi) < 0.05).all()


def test_nothing_to_smooth():
    assert A.smooth([]) == []


def test_gaps_are_bridged_up_to_the_limit():
    first, last = A.from_parameters(np.array([[4.0, 0.0, 0, 0], [4.4, 0.4, 40, 80]]))
    filled = A.fill_gaps([None, first, None, None, None, last, None], longest=3)
    assert filled[0] is None
    assert filled[-1] is None
    inner = A.parameters([t for t in filled[1:-1] if t is not None])
    np.testing.assert_allclose(inner[:, 3], [0, 20, 40, 60, 80], atol=1e-9)
    np.testing.assert_allclose(inner[:, 0], [4.0, 4.1, 4.2, 4.3, 4.4])
    assert A.fill_gaps([first, None, None, None, last], longest=2)[1:4] == [None] * 3


def test_pixels_of_the_crop():
    unit = np.array([[10.0, 0, 100], [0, 10.0, 200]])
    pixels = A.to_pixels(unit, 5)
    np.testing.assert_allclose(A.apply(pixels, np.array([0.0, 0.0])), [101.0, 201.0])
    np.testing.assert_allclose(A.apply(pixels, np.array([4.0, 2.0])), [109.0, 205.0])
    np.testing.assert_allclose(
        A.apply(A.invert(pixels), A.apply(pixels, np.array([[3.0, 1.0]]))), [[3.0, 1.0]]
    )
