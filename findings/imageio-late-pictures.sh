#!/usr/bin/env bash
# imageio counts frames from time 0 of the file: imread(index=20) gives frame 8, index=5 the first one.
#
# Version: imageio 2.38.1 with its plugin for PyAV (18.1.0). Where pictures begin later than the sound,
# as in recordings and in cuts by ffmpeg -ss -c copy, frame n is not at n / rate. imread(index=n) looks
# for the frame at that time. Seen here, pictures that begin at 0.48 s (12 frames): imiter gives frames
# 0 to 24, and so does an open file whose read(index=n) goes up one by one; but imread(index=n) gives
# frame n - 12, for n below 12 the first or second one. No error, no warning, and the count (n_images)
# is right. What one would expect: frame n for index n.
# Exits 0 as long as that holds, 1 when it has changed.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" -q install imageio==2.38.1 av==18.1.0 numpy==2.3.5
cd "$T"
"$T/venv/bin/python" - <<'P'
import sys
from fractions import Fraction

import av
import imageio.v3 as iio
import numpy as np

LATE, COUNT = 12, 25

with av.open("late.mp4", "w") as file:
    video = file.add_stream("libx264", rate=25, options={"bf": "2", "g": "12", "crf": "8"})
    video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
    audio = file.add_stream("aac", rate=48_000, layout="mono")
    for number in range(COUNT):
        frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 10 + 4 * number, np.uint8))
        frame.pts, frame.time_base = number + LATE, Fraction(1, 25)
        file.mux(video.encode(frame))
    file.mux(video.encode(None))
    sound = av.AudioFrame.from_ndarray(np.zeros((1, 96_000), np.float32), "fltp", "mono")
    sound.sample_rate, sound.pts, sound.time_base = 48_000, 0, Fraction(1, 48_000)
    file.mux(audio.encode(sound))
    file.mux(audio.encode(None))


def number_of(picture):
    """Which frame a picture is, by its grey."""
    return round((float(picture.mean()) - 10) / 4)


one_by_one = [number_of(p) for p in iio.imiter("late.mp4", plugin="pyav")]
by_index = [number_of(iio.imread("late.mp4", index=n, plugin="pyav")) for n in range(COUNT)]
count = iio.improps("late.mp4", plugin="pyav").n_images
print(f"{count} frames; imiter: {one_by_one}")
print(f"imread(index=0 ... 24): {by_index}")
as_seen = one_by_one == list(range(COUNT)) and by_index[LATE:] == list(range(COUNT - LATE))
sys.exit(not (as_seen and max(by_index[:LATE]) <= 1))
P
