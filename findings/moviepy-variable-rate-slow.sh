#!/usr/bin/env bash
# MoviePy plays videos of a variable frame rate in slow motion, beside sound at its own speed.
#
# Version: MoviePy 2.2.1 with its ffmpeg (imageio-ffmpeg 0.8.1). Telephones and recorders of calls film
# at 30 frames a second and at fewer in poor light. MoviePy has ffmpeg repeat frames until there are
# 30 a second, but counts them with the mean rate of the file. Seen here, 4 s of which the second half
# has 15 frames a second (75 frames, 19.23 on the mean): get_frame(0.6) is the picture of 0.4 s,
# get_frame(3.8) that of 2.4 s, and what comes after 2.5 s is never shown. No warning; clip.duration
# is right, and the sound is not slowed. With a constant rate all are right. Lips of such a clip are
# ever later than the speech. What one would expect: at t the picture of t. Convert to a constant rate
# before.
# Exits 0 as long as that holds, 1 when it has changed.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" -q install moviepy==2.2.1 imageio-ffmpeg==0.8.1 av==18.1.0 numpy==2.4.6
cd "$T"
"$T/venv/bin/python" - <<'P'
import sys
from fractions import Fraction

import av
import numpy as np
from moviepy import VideoFileClip

UNIT = Fraction(1, 30)


def write(path, ticks):
    """A picture at every tick of 1/30 s that is given; its eight bars are the tick in binary."""
    with av.open(path, "w") as file:
        stream = file.add_stream("libx264", rate=30, options={"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.time_base = UNIT
        for tick in ticks:
            bars = [255 * (tick >> bit & 1) for bit in range(8)]
            picture = np.array(bars, np.uint8).repeat(8)[None, :, None]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.tile(picture, (64, 1, 3))))
            frame.pts, frame.time_base = tick, UNIT
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def shown(path, times):
    """When the pictures that MoviePy shows at some times are due, by their bars."""
    with VideoFileClip(path) as clip:
        print(f"{path}: {clip.fps} frames a second, {clip.duration} s")
        for time in times:
            row = clip.get_frame(time)[32].mean(axis=1)
            yield sum(int(row[8 * bit + 4] > 128) << bit for bit in range(8)) / 30


times = (0.605, 1.505, 2.605, 3.805)
largest = {}
for path, ticks in (
    ("variable.mp4", [*range(30), *range(30, 120, 2)]),
    ("constant.mp4", range(120)),
):
    write(path, ticks)
    due = list(shown(path, times))
    for time, picture in zip(times, due, strict=True):
        print(f"  at {time:.3f} s: the picture of {picture:.3f} s")
    largest[path] = max(time - picture for time, picture in zip(times, due, strict=True))
sys.exit(not (largest["variable.mp4"] > 1 and largest["constant.mp4"] < 0.07))
P
