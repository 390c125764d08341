"""The map from our mesh to the 68-point layout."""

from __future__ import annotations

import numpy as np
import pytest

from lipwright.faces.measure import CHIN, INNER_LIPS, OUTER_LIPS
from lipwright.faces.points68 import (
    INNER_LOWER,
    INNER_UPPER,
    MESH_TO_68,
    MOUTH,
    opening_68,
    points_68,
)
from lipwright.models.landmark_space import MIRROR

OUTLINE, NOSE, EYES = slice(0, 17), slice(27, 36), slice(36, 48)


def test_the_map_is_a_choice_of_68_vertices() -> None:
    assert len(MESH_TO_68) == len(set(MESH_TO_68)) == 68
    assert max(MESH_TO_68) < 468
    assert MESH_TO_68[8] == CHIN
    assert set(MESH_TO_68[48:60]) <= set(OUTER_LIPS)
    assert set(MESH_TO_68[60:68]) <= set(INNER_LIPS)
    assert (MESH_TO_68[62], MESH_TO_68[66]) == (13, 14)


def test_points_are_taken_in_order() -> None:
    mesh = np.arange(478 * 3, dtype=np.float32).reshape(478, 3)
    found = points_68(mesh)
    assert found.shape == (68, 2)
    assert np.array_equal(found[8], mesh[152, :2])
    many = points_68(np.stack([mesh[:468], mesh[:468] + 1]))
    assert np.array_equal(many[1], found + 1)


def test_the_opening_is_the_gap_of_the_inner_lips() -> None:
    mesh = np.zeros((2, 478, 2))
    mesh[0, [13, 14], 1] = 3.0, 5.5  # middle of the upper and of the lower one
    assert opening_68(points_68(mesh)).tolist() == [2.5, 0.0]


def test_the_edges_of_the_inner_lips_are_symmetric() -> None:
    for edge in (INNER_UPPER, INNER_LOWER):
        assert [MIRROR[i] for i in edge] == list(reversed(edge))
    assert {*INNER_UPPER, *INNER_LOWER} == set(range(60, 68))


@pytest.mark.parametrize("shape", [(68, 2), (477, 3), (478,), (478, 1)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="mesh"):
        points_68(np.zeros(shape))


def test_a_portrait(landmarker, portrait) -> None:
    from lipwright.faces.landmarks import Region, region_of_points, sample_patch

    def sample(matrix, size):
        return sample_patch(portrait, matrix, size)

    region = Region((225.0, 115.0), 230.0, 0.0)
    for _ in range(2):
        mesh = landmarker(region, sample)
        region = region_of_points(mesh.points)
    p = points_68(mesh.points)
    assert p[OUTLINE, 0].argmin() == 0 or p[0, 0] < p[3, 0]
    assert p[8, 1] == p[:, 1].max()  # the chin is lowest
    for part in (EYES, NOSE, MOUTH):  # features lie inside the outline
        assert (p[part, 0] > p[0, 0]).all()
        assert (p[part, 0] < p[16, 0]).all()
    assert p[27:31, 1].tolist() == sorted(p[27:31, 1])  # the bridge runs down
    assert p[19, 1] < p[37, 1] < p[41, 1] < p[33, 1] < p[51, 1] < p[62, 1] < p[66, 1] < p[57, 1]
    width = np.linalg.norm(p[54] - p[48])
    assert np.linalg.norm(p[45] - p[36]) > width  # eyes are wider apart than the mouth is wide
    mirrored = p[list(MIRROR)] * [-1, 1]
    middle = p[[27, 8]].mean(0) - mirrored[[27, 8]].mean(0)
    assert np.abs(mirrored + middle - p).mean() < 0.12 * width * 2.5  # roughly symmetric
