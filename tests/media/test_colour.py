"""Colour codes against values worked out by hand from the standards."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipwright.media.colour import LUMA_WEIGHTS, colour_code, component_matrix, resolve_tags

NAMES = [*LUMA_WEIGHTS, "ycgco", "rgb"]

HAND_COMPUTED = [
    # BT.601 limited: Y = 16 + 65.481 R + 128.553 G + 24.966 B (the digits printed in BT.601)
    ("bt601", False, 8, (1, 0, 0), (81.481, 90.203, 240.0)),
    ("bt601", False, 8, (0, 1, 0), (144.553, 53.797, 34.214)),
    ("bt601", False, 8, (0, 0, 1), (40.966, 240.0, 109.786)),
    # JPEG (JFIF 1.02): Y = 0.299 R ..., Cb = 128 - 0.168736 R - ..., top code 255
    ("bt601", True, 8, (1, 0, 0), (76.245, 128 - 0.168736 * 255, 255.5)),
    ("bt601", True, 8, (1, 1, 1), (255, 128, 128)),
    # BT.709: Y = 0.2126 R, Cb = -R 0.2126 / 1.8556 * 224
    ("bt709", False, 8, (1, 0, 0), (16 + 219 * 0.2126, 128 - 224 * 0.2126 / 1.8556, 240.0)),
    ("bt709", False, 8, (0, 0, 1), (16 + 219 * 0.0722, 240.0, 128 - 224 * 0.0722 / 1.5748)),
    ("bt709", False, 10, (1, 1, 1), (940, 512, 512)),
    # BT.2020: 1 - Kb = 0.9407, 1 - Kr = 0.7373
    ("bt2020", False, 10, (0, 0, 1), (64 + 876 * 0.0593, 960.0, 512 - 896 * 0.0593 / 1.4746)),
    ("bt2020", False, 12, (0, 0, 0), (256, 2048, 2048)),
    ("bt2020", True, 10, (1, 1, 1), (1023, 512, 512)),
    ("rgb", True, 8, (1, 0.5, 0), (255, 127.5, 0)),
    ("rgb", False, 8, (1, 0.5, 0), (235, 125.5, 16)),
    ("ycgco", True, 8, (0, 1, 0), (127.5, 128 + 127.5, 128)),
]


@pytest.mark.parametrize(("name", "full", "depth", "rgb", "codes"), HAND_COMPUTED)
def test_hand_computed_codes(
    name: str, full: bool, depth: int, rgb: tuple[float, ...], codes: tuple[float, ...]
) -> None:
    code = colour_code(name, full, depth)
    assert code.to_codes @ np.array(rgb) + code.offset == pytest.approx(codes, abs=2e-3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("depth", [8, 10, 12, 16])
def test_codes_survive_rgb_and_back(name: str, full: bool, depth: int) -> None:
    """The float32 map that pictures go through returns every integer code."""
    code = colour_code(name, full, depth)
    rng = np.random.default_rng(depth)
    codes = rng.integers(0, code.highest + 1, (2000, 3))
    homogeneous = np.c_[codes, np.ones(2000)].astype(np.float32)
    rgb = homogeneous @ code.decode.T
    back = np.rint(rgb @ code.to_codes.T + code.offset)
    assert np.abs(back - codes).max() == 0


@pytest.mark.parametrize("name", NAMES)
def test_gray_has_no_chroma_and_white_is_one(name: str) -> None:
    matrix = component_matrix(name)
    if name == "rgb":
        return
    assert matrix @ np.ones(3) == pytest.approx([1, 0, 0], abs=1e-12)
    extremes = np.abs(matrix[1:]).sum(axis=1) / 2
    assert extremes == pytest.approx([0.5, 0.5], abs=1e-12)


@given(
    st.sampled_from(NAMES),
    st.booleans(),
    st.sampled_from([8, 10, 12]),
    st.tuples(*[st.floats(0, 1)] * 3),
)
@settings(deadline=None)
def test_rgb_survives_codes_and_back(
    name: str, full: bool, depth: int, rgb: tuple[float, ...]
) -> None:
    code = colour_code(name, full, depth)
    codes = np.rint(code.to_codes @ np.array(rgb) + code.offset)
    back = code.to_rgb @ (codes - code.offset)
    # Half a code in each component, through the largest row of the inverse.
    bound = 0.5 * np.abs(code.to_rgb).sum(axis=1).max()
    assert np.abs(back - rgb).max() <= bound + 1e-9


@pytest.mark.parametrize(
    ("matrix", "is_rgb", "height", "name"),
    [
        (2, False, 576, "bt601"),
        (2, False, 577, "bt709"),
        (2, False, 720, "bt709"),
        (1, False, 480, "bt709"),
        (5, False, 1080, "bt601"),
        (6, False, 1080, "bt601"),
        (9, False, 2160, "bt2020"),
        (10, False, 2160, "bt2020"),
        (7, False, 1080, "smpte240m"),
        (8, False, 1080, "ycgco"),
        (0, True, 1080, "rgb"),
        (2, True, 1080, "rgb"),
        (0, False, 1080, "bt709"),  # says RGB, but is YUV
        (99, False, 480, "bt601"),
    ],
)
def test_which_matrix_is_meant(matrix: int, is_rgb: bool, height: int, name: str) -> None:
    tags = resolve_tags(matrix, 2, 2, 0, is_rgb=is_rgb, height=height)
    assert tags.name == name
    assert tags.matrix == matrix  # the tag itself is kept for the output
    assert tags.full_range == is_rgb


def test_the_range_tag_is_obeyed() -> None:
    assert resolve_tags(1, 1, 1, 2, is_rgb=False, height=720).full_range
    assert not resolve_tags(1, 1, 1, 1, is_rgb=False, height=720).full_range
    assert not resolve_tags(0, 1, 1, 1, is_rgb=True, height=720).full_range
