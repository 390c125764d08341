#!/usr/bin/env bash
# PyAV's wheels read VP9 of 10 bits but cannot write it; the encoder says no more than "Invalid argument".
#
# Version: PyAV 18.1.0 beside ffmpeg 7.0.2 (imageio-ffmpeg 0.6.0). HDR in WebM is VP9 profile 2, 10 bits. The
# libvpx in the wheel was built without high bit depth: opening libvpx-vp9 with yuv420p10le raises
# ArgumentError (22, Invalid argument) with the first frame, not when pix_fmt is set. libaom and SVT-AV1
# of the same wheel take 10 bits. The pixel formats that av.Codec names are right and could be asked.
# ffmpeg of imageio-ffmpeg writes it, and PyAV decodes that file to yuv420p10le. What one would expect of
# a wheel that reads a format which its encoder of the same name usually writes: that it writes it.
# Exits 0 as long as that holds, 1 when it has changed.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" -q install av==18.1.0 imageio-ffmpeg==0.6.0
cd "$T"
"$T/venv/bin/python" - <<'P'
import subprocess
import sys

import av
import imageio_ffmpeg


def written(codec, pix_fmt):
    with av.open("made.mkv", "w") as file:
        stream = file.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, pix_fmt
        try:
            return bool(list(stream.encode(av.VideoFrame(128, 96, pix_fmt))) or True)
        except av.error.ArgumentError as error:
            print(f"{codec} {pix_fmt}: {type(error).__name__} {error.errno}, {error.strerror}")
            return False


by_pyav = {
    (codec, pix_fmt): written(codec, pix_fmt)
    for codec in ("libvpx-vp9", "libsvtav1")
    for pix_fmt in ("yuv420p", "yuv420p10le")
}
listed = {f.name for f in av.Codec("libvpx-vp9", "w").video_formats}
command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=128x96:d=0.2"]
subprocess.run([*command, "-pix_fmt", "yuv420p10le", "-c:v", "libvpx-vp9", "ten.webm"], check=True)
with av.open("ten.webm") as file:
    read = next(file.decode(video=0)).format.name
for key, value in by_pyav.items():
    print(*key, "written" if value else "refused")
print("of ffmpeg's file PyAV reads", read)
same = [value for value in by_pyav.values()] == [True, False, True, True]
sys.exit(0 if same and "yuv420p10le" not in listed and read == "yuv420p10le" else 1)
P
