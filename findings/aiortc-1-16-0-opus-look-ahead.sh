#!/usr/bin/env bash
# Sound sent by aiortc is 6.5 ms later than its time stamps say: libopus looks that far ahead.
#
# Version: aiortc 1.16.0 (PyAV 18.1.0). libopus gives its first packet the 312 samples (at 48 kHz)
# that its filters need, and files say so (pre-skip) for a player to drop them. aiortc counts that
# packet from time stamp 0 and its decoder drops nothing, so what is heard comes so much later than
# pictures with the same time. Seen here: a click at sample 9,600 of what is encoded comes out of the
# decoder 310 samples (6.5 ms) later. What one would expect: at 9,600.
# Exits 0 as long as that holds, 1 when it has changed.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" -q install aiortc==1.16.0 av==18.1.0 numpy==2.3.5
cd "$T"
"$T/venv/bin/python" - <<'P'
import sys
from fractions import Fraction

import av
import numpy as np
from aiortc.codecs.opus import OpusDecoder, OpusEncoder
from aiortc.jitterbuffer import JitterFrame

CLICK, BLOCK = 9_600, 960
sound = np.zeros(48_000, np.int16)
sound[CLICK - 24 : CLICK + 25] = np.rint(20_000 * np.hanning(49))
encoder, decoder, heard, first = OpusEncoder(), OpusDecoder(), [], None
for start in range(0, len(sound), BLOCK):
    both = np.repeat(sound[start : start + BLOCK], 2)[None]
    frame = av.AudioFrame.from_ndarray(both, "s16", "stereo")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
    packets, stamp = encoder.encode(frame)
    for number, data in enumerate(packets):
        first = stamp if first is None else first
        for out in decoder.decode(JitterFrame(data=data, timestamp=stamp + number * BLOCK)):
            heard.append(out.to_ndarray().reshape(-1)[::2])
late = int(np.argmax(np.correlate(np.concatenate(heard).astype(float), np.hanning(49), "same"))) - CLICK
print(f"first time stamp {first}; a click at sample {CLICK} is heard {late} samples late ({late / 48:.1f} ms)")
sys.exit(0 if first == 0 and abs(late - 312) <= 12 else 1)
P
