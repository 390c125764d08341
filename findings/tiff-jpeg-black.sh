#!/usr/bin/env bash
# libavcodec makes a black picture of a TIFF that holds JPEG, without an error.
#
# Version: PyAV 18.1.0 (libavcodec 62.28.102). TIFF keeps the tables of its JPEG strips once, in the tag
# JPEGTables (347; TIFF technical note 2), as Pillow and scanners write it. Seen here: the picture is
# decoded, no error is raised, and every pixel of an RGB picture is 0 (one with YCbCr becomes green).
# What one would expect: the picture, as Pillow reads it from the same file, or an error.
# Exits 0 as long as that holds, 1 when it has changed.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" -q install av==18.1.0 pillow==13.0.0 numpy==2.4.6
cd "$T"
"$T/venv/bin/python" - <<'P'
import sys

import av
import numpy as np
from PIL import Image

y, x = np.mgrid[:48, :64]
picture = np.stack([4 * x, 5 * y, 255 - 2 * x - 2 * y], 2).astype(np.uint8)
Image.fromarray(picture).save("scan.tif", compression="jpeg")
by_pillow = np.asarray(Image.open("scan.tif").convert("RGB"))
with av.open("scan.tif") as file:
    frame = next(file.decode(video=0))
by_libav = frame.to_ndarray(format="rgb24")
print(f"libavcodec {av.library_versions['libavcodec']}, {frame.format.name}, error: none")
print(f"mean by Pillow {by_pillow.mean():.1f}, by libav {by_libav.mean():.1f}")
as_seen = abs(by_pillow.astype(int) - picture).mean() < 5 and int(by_libav.max()) == 0
print("as seen" if as_seen else "changed")
sys.exit(not as_seen)
P
