#!/usr/bin/env bash
# An AV1 encoder leaves root's program in real-time scheduling for good.
#
# Version: PyAV 18.1.0 from its Linux wheel (SVT-AV1 inside). Where the user is root, as in most
# containers, opening libsvtav1 moves the calling thread from SCHED_OTHER (0) to SCHED_FIFO (1) with
# priority 99, and nothing moves it back: not the end of the encoder, not the end of the file. Threads
# that the program starts afterwards inherit it. Seen here: "before 0, after 1 priority 99, a thread
# started later 1", after three frames of 128x128; libx264 leaves 0. What one would expect: an
# encoder whose own threads may be what they like, and a caller that is what it was. A program of
# such threads comes before everything else on its cores.
# Needs root on Linux. Exits 0 as long as that holds, 1 when it has changed.
set -eu
[ "$(id -u)" = 0 ] && [ "$(uname)" = Linux ] || { echo "needs root on Linux"; exit 1; }
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" -q install av==18.1.0 numpy==2.3.5
cd "$T"
SVT_LOG=1 "$T/venv/bin/python" - <<'P'
import os
import sys
import threading

import av
import numpy as np


def encode(codec):
    with av.open(f"{codec}.mp4", "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = 128
        stream.pix_fmt = "yuv420p"
        for grey in (40, 90, 140):
            picture = np.full((128, 128, 3), grey, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode(None))


before = os.sched_getscheduler(0)
encode("libx264")
other = os.sched_getscheduler(0)
encode("libsvtav1")
after, priority = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
later = []
thread = threading.Thread(target=lambda: later.append(os.sched_getscheduler(0)))
thread.start()
thread.join()
print(f"before {before}, after libx264 {other}, after libsvtav1 {after} priority {priority}, "
      f"a thread started later {later[0]}")
same = (before, other, after, priority, later[0]) == (0, 0, os.SCHED_FIFO, 99, os.SCHED_FIFO)
sys.exit(0 if same else 1)
P
