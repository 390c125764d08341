#!/usr/bin/env bash
# Bottom-field-first H.264 by libavcodec's libx264 says "top field first" in its timing messages.
#
# Version: PyAV 18.1.0 (libavcodec 62.28). Seen: with the interlaced flags, field_order = bottom first
# and frames that libavfilter's setfield marked "bff", the pictures' order counts put the bottom field
# first, but every picture timing SEI has pic_struct 3 (top, bottom), so that libav's own parser calls
# the stream top first (TT) while its decoder calls the frames bottom first. With the option
# x264-params bff=1 both agree. The order reaches x264 with the first frame, after the encoder was
# opened with top first. What one would expect: the flags that libavcodec documents are enough.
# Exits 0 as long as that holds, 1 when it has changed.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" -q install av==18.1.0 numpy==2.3.5
cd "$T"
"$T/venv/bin/python" - <<'P'
import sys
from fractions import Fraction

import av
import numpy as np
from av.codec.context import Flags
from av.filter import Graph

TOP, BOTTOM = 2, 3  # AV_FIELD_TT, AV_FIELD_BB


def parsed(path: str, options: dict[str, str]) -> int:
    """The order of fields that libav's parser reads out of a file of bottom-first frames."""
    graph = Graph()
    source = graph.add_buffer(width=64, height=64, format="yuv420p", time_base=Fraction(1, 25))
    mark, sink = graph.add("setfield", "bff"), graph.add("buffersink")
    source.link_to(mark)
    mark.link_to(sink)
    graph.configure()
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        context = stream.codec_context
        context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        context.field_order = BOTTOM
        for n in range(8):
            grey = np.full((64, 64, 3), 16 * n, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = n, Fraction(1, 25)
            source.push(frame)
            marked = sink.pull()
            assert marked.interlaced_frame
            out.mux(stream.encode(marked))
        out.mux(stream.encode(None))
    with av.open(path) as file:
        return int(file.streams.video[0].codec_context.field_order)


flags = parsed("flags.ts", {})
told = parsed("told.ts", {"x264-params": "bff=1"})
print(f"by flags {flags}, with bff=1 {told} ({TOP}: top first, {BOTTOM}: bottom first)")
sys.exit((flags, told) != (TOP, BOTTOM))
P
