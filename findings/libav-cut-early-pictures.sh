#!/usr/bin/env bash
# libavformat shows the pictures of a clip that was cut between two frames up to a frame too early.
#
# Version: PyAV 18.1.0 (libavformat 62.12), mp4box 2.4.1. A cut without encoding (ffmpeg -ss ... -c copy)
# leaves an edit list in MP4: where the clip begins in the frames that are stored. Where that lies
# between two frames, the first frame that is shown comes a little after 0. libavformat puts it at 0,
# and all pictures after it as much too early; the sound keeps its times. Seen here, for a flash and a
# click at the same time, 25 frames a second: cut at 0.29 s the flash comes 30 ms before the click,
# at 0.30 s 20 ms, at 0.31 s 10 ms, at 0.32 s (a frame) 0 ms. The file is right: by its composition
# times and its edit list, as mp4box.js reads them, and with libavformat's own advanced_editlist=0 it is
# 0 ms for all. Clips for the training of lips that were cut so are apart by chance. What one would
# expect: 0 ms wherever the cut is.
# Needs Node.js with npm. Exits 0 as long as that holds, 1 when it has changed.
set -eu
command -v npm >/dev/null || { echo "needs Node.js with npm"; exit 1; }
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" -q install av==18.1.0 imageio-ffmpeg==0.8.1 numpy==2.3.5
cd "$T"
npm install --silent --no-audit --no-fund mp4box@2.4.1
"$T/venv/bin/python" - <<'P'
import subprocess
import sys
from fractions import Fraction

import av
import imageio_ffmpeg
import numpy as np

RATE, FPS = 48_000, 25


def write(path):
    """Two seconds; at 1 s a white picture and a click."""
    wave = np.zeros(2 * RATE, np.float32)
    wave[RATE - 48 : RATE + 49] = 0.9 * np.hanning(97)
    packets = []
    with av.open(path, "w") as file:
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


def early(path, **options):
    """By how many ms the flash comes before the click."""
    with av.open(path, options=options) as file:
        pictures = [(f.time, f.to_ndarray(format="gray").mean()) for f in file.decode(video=0)]
    with av.open(path, options=options) as file:
        sound = [(f.time, f.to_ndarray()[0]) for f in file.decode(audio=0)]
    start, loudest = max(sound, key=lambda block: abs(block[1]).max())
    click = start + int(abs(loudest).argmax()) / RATE
    return 1e3 * (click - next(time for time, light in pictures if light > 100))


write("whole.mp4")
found = {}
for cut in ("0.29", "0.30", "0.31", "0.32"):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-ss", cut, "-i", "whole.mp4"]
    subprocess.run([*command, "-c", "copy", f"cut-{cut}.mp4"], check=True)
    found[cut] = early(f"cut-{cut}.mp4"), early(f"cut-{cut}.mp4", advanced_editlist="0")
    print(f"cut at {cut} s: flash {found[cut][0]:.0f} ms before the click; "
          f"with advanced_editlist=0 {found[cut][1]:.0f} ms")
print("libavformat", ".".join(map(str, av.library_versions["libavformat"])))
as_seen = all(
    abs(found[cut][0] - due) < 3 and abs(found[cut][1]) < 3
    for cut, due in (("0.29", 30), ("0.30", 20), ("0.31", 10), ("0.32", 0))
)
sys.exit(not as_seen)
P
cat > read.mjs <<'P'
import { readFileSync } from "node:fs";
import { createFile } from "mp4box";

const bytes = readFileSync("cut-0.30.mp4");
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
buffer.fileStart = 0;
const file = createFile();
file.appendBuffer(buffer);
file.flush();
const track = file.getInfo().videoTracks[0];
const begin = track.edits[0].media_time;
const times = file.getTrackSamplesInfo(track.id).map((sample) => sample.cts - begin);
const first = Math.min(...times.filter((time) => time >= 0)) / track.timescale;
console.log(`mp4box, cut at 0.30 s: the first picture that is shown is at ${first.toFixed(3)} s`);
process.exitCode = Math.abs(first - 0.02) < 0.001 ? 0 : 1;
P
node read.mjs
