#!/usr/bin/env bash
# libavcodec's libopus encoder puts the centre of 5.0 and 6.1 sound into other loudspeakers.
#
# Version: PyAV 18.1.0 (libavcodec 62.28). Seen: five tones of 300 to 700 Hz in the channels
# FL FR FC BL BR, encoded by libopus with the layout "5.0" and decoded again, come back in the order
# 300 400 600 700 500: the centre (the voice) is heard from the right rear, and the rears from the
# centre and the left rear. 6.1 is shuffled likewise; 3.0, quad, 5.1 and 7.1 are right. So is 5.0
# with AAC. What one would expect: every channel where it was.
# Exits 0 as long as that holds, 1 when it has changed.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" -q install av==18.1.0 numpy==2.3.5
cd "$T"
"$T/venv/bin/python" - <<'P'
import sys

import av
import numpy as np


def heard(codec: str, layout: str, path: str) -> list[int]:
    """Frequency of the loudest tone in every channel of the decoded file."""
    count = av.AudioLayout(layout).nb_channels
    time = np.arange(48_000) / 48_000
    tones = [0.5 * np.sin(2 * np.pi * (300 + 100 * c) * time) for c in range(count)]
    packed = np.stack(tones, axis=1).astype(np.float32).reshape(1, -1)
    with av.open(path, "w") as out:
        stream = out.add_stream(codec, rate=48_000)
        stream.codec_context.layout = layout
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate, frame.pts = 48_000, 0
        out.mux(stream.encode(frame) + stream.encode(None))
    with av.open(path) as file:
        wave = np.concatenate([f.to_ndarray() for f in file.decode(audio=0)], axis=1)
    part = wave[:, 8_000:40_000]
    return [round(float(np.abs(np.fft.rfft(row)).argmax()) * 48_000 / part.shape[1]) for row in part]


found = {
    ("libopus", "5.0"): heard("libopus", "5.0", "a.mka"),
    ("libopus", "6.1"): heard("libopus", "6.1", "b.mka"),
    ("libopus", "5.1"): heard("libopus", "5.1", "c.mka"),
    ("aac", "5.0"): heard("aac", "5.0", "d.m4a"),
}
for (codec, layout), tones in found.items():
    print(codec, layout, tones)
expected = {
    ("libopus", "5.0"): [300, 400, 600, 700, 500],
    ("libopus", "6.1"): [300, 400, 800, 600, 500, 700, 900],
    ("libopus", "5.1"): [300, 400, 500, 600, 700, 800],
    ("aac", "5.0"): [300, 400, 500, 600, 700],
}
sys.exit(found != expected)
P
