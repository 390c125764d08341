"""What ProRes cannot say of colours."""

from __future__ import annotations

from lipwright.errors import LipwrightError
from lipwright.media.info import VideoInfo

REFUSED = {
    8: "YCgCo",
    10: "BT.2020 with constant luminance",
    11: "Y'D'zD'x",
    12: "chromaticity-derived luma and chroma",
    13: "chromaticity-derived luma and chroma",
    14: "ICtCp",
    15: "IPT-C2",
    16: "YCgCo-Re",
    17: "YCgCo-Ro",
}
"""Matrices of H.273 that libav's encoder refuses."""


def check_matrix(info: VideoInfo) -> None:
    """Raise LipwrightError if the colours of a video cannot be named in ProRes."""
    if info.colour.matrix in REFUSED and info.colour.name != "rgb":
        raise LipwrightError(
            f"The colours of {info.path} are stored as {REFUSED[info.colour.matrix]}, which "
            "ProRes cannot say; use --codec auto, or convert the video to BT.709 first."
        )
