"""The choice of an encoder: whatever it chooses, the installed encoder takes."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest

from lipwright.errors import LipwrightError
from lipwright.media.codecs import CODECS
from lipwright.media.encoding import Encoding, choose_encoding, losses
from lipwright.media.info import VideoInfo, probe
from lipwright.media.names import Kind
from lipwright.media.planes import layout_of
from lipwright.media.reader import VideoReader
from lipwright.media.writer import VideoWriter
from tests.conftest import MakeVideo

SIZES = ((64, 64), (66, 50), (65, 49), (14, 12))
KINDS: tuple[Kind, ...] = ("mp4", "mov", "mkv", "webm")


@pytest.fixture
def plain(make_video: MakeVideo) -> VideoInfo:
    return probe(make_video("plain.mp4"))


def all_formats() -> set[str]:
    """The plain planar formats that any encoder here takes."""
    found = set()
    for codec in av.codecs_available:
        try:
            formats = av.Codec(codec, "w").video_formats or []
        except ValueError:
            continue
        found |= {f.name for f in formats}
    return {name for name in found if layout_of(name) is not None}


def choices(plain: VideoInfo) -> list[tuple[str, Encoding]]:
    """What is chosen for every kind of source that some encoder knows, where anything is."""
    found = []
    options = [("auto", True), *((name, False) for name in ("auto", *CODECS))]
    for pix_fmt, size, kind, (codec, lossless) in product(all_formats(), SIZES, KINDS, options):
        layout = layout_of(pix_fmt)
        assert layout is not None
        alpha = any(c.is_alpha for c in av.VideoFormat(pix_fmt, 64, 64).components)
        facts = {"pix_fmt": pix_fmt, "source_pix_fmt": pix_fmt, "bit_depth": layout.depth}
        info = replace(plain, width=size[0], height=size[1], has_alpha=alpha, **facts)  # type: ignore[arg-type]
        for order in ("progressive", "tff"):
            try:
                chosen = choose_encoding(
                    kind, replace(info, field_order=order), lossless=lossless, codec=codec
                )
            except LipwrightError:
                continue  # said before the job
            found.append((f"{pix_fmt} {size} {order} -> {kind} {codec} {lossless}", chosen))
    return found


def test_the_encoder_takes_the_pixels(plain: VideoInfo) -> None:
    known = {name: {f.name for f in av.Codec(name, "w").video_formats or []} for name in (
        "libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1", "prores_ks"
    )}  # fmt: skip
    found = choices(plain)
    assert len(found) > 5000
    assert {chosen.codec for _, chosen in found} == set(known)
    for words, chosen in found:
        assert chosen.pix_fmt in known[chosen.codec], words


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le"])
def test_deep_pictures_are_written(
    make_video: MakeVideo, tmp_path: Path, codec: str, pix_fmt: str
) -> None:
    source = make_video("deep.mkv", pix_fmt=pix_fmt, frames=3, size=(96, 64), codec="ffv1")
    suffix = CODECS[codec].suffixes[0]
    with VideoReader(source) as reader:
        if codec == "av1" and "420" not in pix_fmt:
            with pytest.raises(LipwrightError, match="stores 4:2:0"):
                choose_encoding(suffix[1:], reader.info, codec=codec)  # type: ignore[arg-type]
            return
        encoding = choose_encoding(suffix[1:], reader.info, codec=codec)  # type: ignore[arg-type]
        said = losses(reader.info, suffix[1:], encoding)  # type: ignore[arg-type]
        pictures = list(reader)
        with VideoWriter(tmp_path / f"o{suffix}", reader.info, codec=codec) as writer:
            for frame in pictures:
                writer.write(frame.native, frame.pts)
        depth = layout_of(encoding.pix_fmt)
        assert depth is not None
        assert any("are stored in 8" in line for line in said) == (depth.depth == 8)
        wanted = [frame.rgb() for frame in pictures]
    with VideoReader(tmp_path / f"o{suffix}") as again:
        made = [frame.rgb() for frame in again]
    assert len(made) == 3
    for a, b in zip(wanted, made, strict=True):
        assert np.abs(a.astype(float) - b).mean() < 6
