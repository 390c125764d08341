#!/usr/bin/env bash
# decord gives other frames by random access than in order, from clips that were cut without encoding.
#
# Version: decord 0.6.0 (clip by PyAV 18.1.0). A clip that is cut by copying packets (ffmpeg -ss ... -c
# copy) keeps the frames from the key frame before the cut on, and an edit list says not to show
# them. Seen here, where three frames are hidden: len() counts 38, of which 35 are shown; in order the
# frames are right and the last three repeat the last one; but a get_batch or an index that passes
# the next key frame gives what lies three frames (120 ms) before: index 20 is frame 17, index 30 is
# 27, whereas the same indices in order are 20 and 30. Windows of a training with lips and sound are
# thus a few frames apart or not, by where they begin. What one would expect: one frame for one index.
# Exits 0 as long as that holds, 1 when it has changed.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" -q install decord==0.6.0 av==18.1.0 numpy==2.3.5
cd "$T"
"$T/venv/bin/python" - <<'P'
import sys
from fractions import Fraction

import av
import decord
import numpy as np

RATE, KEY, CUT = 25, 12, 15  # frames a second; every how many is a key frame; the first one shown

with av.open("whole.mp4", "w") as file:
    options = {"bf": "2", "g": str(KEY), "crf": "8"}
    stream = file.add_stream("libx264", rate=RATE, options=options)
    stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
    for number in range(50):
        grey = np.full((64, 96, 3), 10 + 4 * number, np.uint8)
        frame = av.VideoFrame.from_ndarray(grey)
        frame.pts, frame.time_base = number, Fraction(1, RATE)
        file.mux(stream.encode(frame))
    file.mux(stream.encode(None))
with av.open("whole.mp4") as file, av.open("cut.mp4", "w") as out:
    stream = file.streams.video[0]
    copy = out.add_stream_from_template(stream)
    earlier = round(Fraction(CUT, RATE) / stream.time_base)
    begun = False
    for packet in file.demux(stream):
        if packet.dts is None:
            continue
        begun |= packet.is_keyframe and packet.pts * stream.time_base >= Fraction(KEY, RATE)
        if begun:
            packet.pts, packet.dts, packet.stream = packet.pts - earlier, packet.dts - earlier, copy
            out.mux(packet)


def number_of(picture):
    """Which frame of the clip a picture is, by its grey."""
    return round((float(picture.mean()) - 10) / 4) - CUT


with av.open("cut.mp4") as file:
    shown = [number_of(f.to_ndarray(format="rgb24")) for f in file.decode(video=0)]
reader = decord.VideoReader("cut.mp4")
in_order = [number_of(reader[k].asnumpy()) for k in range(len(reader))]
wanted = [0, 5, 20, 30]
batch = [number_of(p) for p in decord.VideoReader("cut.mp4").get_batch(wanted).asnumpy()]
print(f"{len(shown)} frames are shown, len() is {len(reader)}; in order, the last are {in_order[-5:]}")
print(f"indices {wanted}: in order {[in_order[k] for k in wanted]}, by get_batch {batch}")
as_seen = shown == list(range(35)) and in_order[:35] == shown and batch == [0, 5, 17, 27]
sys.exit(not as_seen)
P
