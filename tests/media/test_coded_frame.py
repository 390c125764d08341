"""Where the samples of a frame lie, and what they mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from lipwright.media.coded_frame import layout_and_code
from lipwright.media.info import probe
from tests.dubbing import clips


def test_of_a_plain_frame(tmp_path: Path) -> None:
    info = probe(clips.write_video(tmp_path / "v.mp4", 2, (64, 48), pix_fmt="yuv420p10le"))
    info = replace(info, colour=replace(info.colour, name="bt709", full_range=False))
    frame = av.VideoFrame(64, 48, "yuv420p10le")
    layout, code = layout_and_code(frame, info)
    assert (layout.depth, layout.chroma_x, layout.chroma_y) == (10, 2, 2)
    white = code.to_codes @ np.ones(3) + code.offset  # ITU-R BT.709, limited range, 10 bits
    assert white == pytest.approx([940, 512, 512])
    with pytest.raises(ValueError, match="nv12 is not plain planar"):
        layout_and_code(av.VideoFrame(64, 48, "nv12"), info)
