"""Between the codes that a video stores and R'G'B', by the matrices of the standards.

BT.601 and BT.709 section 3, BT.2020 table 4 (non-constant luminance) and BT.2100 share one form:

    Y  = Kr R + (1 - Kr - Kb) G + Kb B
    Cb = (B - Y) / (2 (1 - Kb))        Cr = (R - Y) / (2 (1 - Kr))

and one quantisation (H.273, equations for ``matrix_coefficients``): limited range puts Y on
[16, 235] and Cb, Cr on [16, 240] times 2^(depth - 8), full range on [0, 2^depth - 1] with the
chroma zero at 2^(depth - 1). "RGB" here always means the gamma-encoded values of the file's own
primaries in [0, 1]; transfer curves and primaries are never converted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

LUMA_WEIGHTS: dict[str, tuple[float, float]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
    "fcc": (0.30, 0.11),
    "smpte240m": (0.212, 0.087),
}
"""Kr and Kb by name."""

_NAMES = {
    0: "rgb",
    1: "bt709",
    4: "fcc",
    5: "bt601",
    6: "bt601",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020",
    10: "bt2020",  # constant luminance, edited as if it were not: right for grey, near for skin
}
_RGB, _BT709, _BT601 = 0, 1, 6
_LIMITED, _FULL = 1, 2
_SD_HEIGHT = 576


@dataclass(frozen=True)
class ColourTags:
    """What a video says about its colours, and what that is taken to mean.

    Attributes:
        matrix, primaries, transfer, range: codes of H.273 as libav holds them; 2 (for ``range``
            0) is "unspecified". They are written to the output as they are.
        name: the matrix to compute with: "bt601", "bt709", "bt2020", "fcc", "smpte240m",
            "ycgco" or "rgb".
        full_range: whether codes use the full range.
    """

    matrix: int
    primaries: int
    transfer: int
    range: int
    name: str
    full_range: bool


def resolve_tags(
    matrix: int,
    primaries: int,
    transfer: int,
    code_range: int,
    *,
    is_rgb: bool,
    height: int,
    is_gray_still: bool = False,
) -> ColourTags:
    """Decide what the tags mean.

    Without a matrix, pictures up to 576 lines are BT.601 and larger ones BT.709, as players
    assume; without a range, RGB and gray still pictures are full (no picture format stores gray
    otherwise) and the rest limited.
    """
    if is_rgb:
        name = "rgb"
    else:
        guess = "bt601" if height <= _SD_HEIGHT else "bt709"
        name = _NAMES.get(matrix, guess)
        if name == "rgb":  # a YUV format cannot hold RGB: the tag is wrong
            name = guess
    full = code_range == _FULL or ((is_rgb or is_gray_still) and code_range == 0)
    return ColourTags(matrix, primaries, transfer, code_range, name, full)


def output_tags(colour: ColourTags, is_rgb: bool, height: int) -> ColourTags:
    """The tags for an output: those of the source where the output's pixel format can have them.

    Args:
        colour: of the source.
        is_rgb: whether the output stores R, G, B.
        height: of the picture.
    """
    if is_rgb:
        return colour if colour.name == "rgb" else replace(colour, matrix=0)
    by_height = _BT601 if height <= _SD_HEIGHT else _BT709
    if colour.name == "rgb":  # converted on the way, see the writer
        return replace(colour, matrix=by_height, range=_LIMITED)
    matrix = by_height if colour.matrix == _RGB else colour.matrix
    code_range = _FULL if colour.full_range else colour.range
    return replace(colour, matrix=matrix, range=code_range)


@dataclass(frozen=True, eq=False)
class ColourCode:
    """The affine map between R'G'B' in [0, 1] and stored codes of one kind of video.

    Attributes:
        to_codes: (3, 3), codes = to_codes @ rgb + offset. Rows are Y, Cb, Cr (or R, G, B).
        offset: (3,) codes of black.
        to_rgb: (3, 3), inverse of ``to_codes``.
        highest: largest code that can be stored, 2^depth - 1.
    """

    to_codes: Matrix
    offset: Matrix
    to_rgb: Matrix
    highest: int

    @property
    def decode(self) -> npt.NDArray[np.float32]:
        """(3, 4) float32 that maps (Y, Cb, Cr, 1) to RGB, for ``cv2.transform``."""
        shift = -self.to_rgb @ self.offset
        return np.concatenate([self.to_rgb, shift[:, None]], axis=1).astype(np.float32)


def component_matrix(name: str) -> Matrix:
    """R'G'B' -> analogue components: Y in [0, 1], Cb and Cr in [-0.5, 0.5]; (3, 3)."""
    if name == "rgb":
        return np.eye(3)
    if name == "ycgco":
        return np.array([[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0.0, -0.5]])
    kr, kb = LUMA_WEIGHTS[name]
    luma = np.array([kr, 1.0 - kr - kb, kb])
    blue = (np.array([0.0, 0.0, 1.0]) - luma) / (2.0 * (1.0 - kb))
    red = (np.array([1.0, 0.0, 0.0]) - luma) / (2.0 * (1.0 - kr))
    return np.stack([luma, blue, red])


@lru_cache(maxsize=32)
def colour_code(name: str, full_range: bool, depth: int) -> ColourCode:
    """The map for a matrix name, a range and a bit depth (8 to 16)."""
    step = 2.0 ** (depth - 8)
    top = 2.0**depth - 1.0
    if full_range:
        luma_scale, luma_zero, chroma_scale = top, 0.0, top
    else:
        luma_scale, luma_zero, chroma_scale = 219.0 * step, 16.0 * step, 224.0 * step
    if name == "rgb":
        scale = np.full(3, luma_scale)
        offset = np.full(3, luma_zero)
    else:
        scale = np.array([luma_scale, chroma_scale, chroma_scale])
        offset = np.array([luma_zero, 128.0 * step, 128.0 * step])
    to_codes: Matrix = scale[:, None] * component_matrix(name)
    return ColourCode(to_codes, offset, np.asarray(np.linalg.inv(to_codes), np.float64), int(top))
