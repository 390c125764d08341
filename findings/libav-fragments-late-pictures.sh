#!/usr/bin/env bash
# libavformat shows the pictures of a CMAF file after their sound, by as long as B-frames wait.
#
# Version: PyAV 18.1.0 (libavformat 62), mp4box 2.4.1. Streaming services (CMAF; HLS, DASH) and packagers
# in browsers store B-frames with negative composition offsets, so that the first picture is at 0
# without an edit list. In a file of fragments libavformat takes the most negative offset as a delay,
# and adds it to the times of the pictures alone. Seen here, a file that libavformat itself writes with
# movflags=+cmaf, a flash and a click at the same time: the click comes 80 ms before the flash, and the
# first picture is at 0.08; mp4box.js reads 0 for it. Without fragments the same flag is harmless
# (0 ms), and so are fragments with positive offsets and an edit list. Lips and sound of clips taken
# from such files are two frames apart. What one would expect: 0 ms in all three.
# Needs Node.js with npm. Exits 0 as long as that holds, 1 when it has changed.
set -eu
command -v npm >/dev/null || { echo "needs Node.js with npm"; exit 1; }
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" -q install av==18.1.0 numpy==2.3.5
cd "$T"
npm install --silent --no-audit --no-fund mp4box@2.4.1
"$T/venv/bin/python" - <<'P' || exit 1
import sys
from fractions import Fraction

import av
import numpy as np

RATE, FPS = 48_000, 25


def write(path, flags):
    """Two seconds; at 1 s a white picture and a click."""
    wave = np.zeros(2 * RATE, np.float32)
    wave[RATE - 48 : RATE + 49] = 0.9 * np.hanning(97)
    packets = []
    with av.open(path, "w", options={"movflags": flags}) as file:
        video = file.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        audio = file.add_stream("aac", rate=RATE, layout="mono")
        for number in range(2 * FPS):
            light = 255 if number == FPS else 0
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), light, np.uint8))
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            packets += video.encode(frame)
        packets += video.encode()
        for start in range(0, wave.size, 1024):
            frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            packets += audio.encode(frame)
        packets += audio.encode()
        file.mux(sorted(packets, key=lambda packet: packet.dts * packet.time_base))


def read(path):
    """Times of the first picture, of the flash and of the click."""
    with av.open(path) as file:
        frames = [(f.time, f.to_ndarray(format="gray").mean()) for f in file.decode(video=0)]
    with av.open(path) as file:
        sound = [(f.time, f.to_ndarray()[0]) for f in file.decode(audio=0)]
    start, loudest = max(sound, key=lambda block: abs(block[1]).max())
    click = start + int(abs(loudest).argmax()) / RATE
    return frames[0][0], next(time for time, light in frames if light > 100), click


late = {}
for flags in ("+cmaf+frag_keyframe+delay_moov", "+negative_cts_offsets", "+frag_keyframe+delay_moov"):
    path = "cmaf.mp4" if "cmaf" in flags else "other.mp4"
    write(path, flags)
    first, flash, click = read(path)
    late[flags] = 1e3 * (flash - click)
    print(f"{flags}: first picture at {first:.2f} s, flash {late[flags]:.0f} ms after the click")
print("libavformat", ".".join(map(str, av.library_versions["libavformat"])))
whole = list(late.values())
sys.exit(not (60 < whole[0] < 100 and abs(whole[1]) < 5 and abs(whole[2]) < 5))
P
cat > read.mjs <<'P'
import { readFileSync } from "node:fs";
import { createFile } from "mp4box";

const bytes = readFileSync("cmaf.mp4");
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
buffer.fileStart = 0;
const file = createFile();
file.appendBuffer(buffer);
file.flush();
const samples = file.getTrackSamplesInfo(1);
const first = Math.min(...samples.map((sample) => sample.cts / sample.timescale));
console.log(`mp4box: ${samples.length} pictures, the first at ${first.toFixed(2)} s`);
process.exitCode = first === 0 ? 0 : 1;
P
node read.mjs
