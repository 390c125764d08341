#!/usr/bin/env bash
# OpenTimelineIO reads a drop-frame edit list 3.6 s late after an hour.
#
# Version: OpenTimelineIO 0.18.1, otio-cmx3600-adapter 1.0.0. In CMX 3600 the line FCM says how the
# codes below it count; many lists write drop-frame codes with colons. The adapter passes over that
# line ("meant for tape timecode") and goes by the mark before the frames alone. Seen here, at
# 30000/1001, under "FCM: DROP FRAME": a line of dialogue between 01:00:00:00 and 02:00:00:00 lasts
# 108,000 frames (3603.6 s) and the next begins then; with semicolons in place of the colons 107,892
# frames (3600.0 s). No error, no warning. What one would expect: the latter for both.
# Exits 0 as long as that holds, 1 when it has changed.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" -q install opentimelineio==0.18.1 otio-cmx3600-adapter==1.0.0
cd "$T"
"$T/venv/bin/python" - <<'P'
import sys

import opentimelineio as otio

LIST = """TITLE: LINES
FCM: DROP FRAME

001  AX       A     C        00:00:00:00 01:00:00:00 01:00:00:00 02:00:00:00
* FROM CLIP NAME: anna.wav
002  AX       A     C        00:00:00:00 00:00:10:00 02:00:00:00 02:00:10:00
* FROM CLIP NAME: ben.wav
"""


def second_line(text):
    """Frames between the beginnings of the two lines."""
    timeline = otio.adapters.read_from_string(text, "cmx_3600", rate=30_000 / 1001)
    first, second = timeline.tracks[0]
    return second.range_in_parent().start_time.value - first.range_in_parent().start_time.value


marked = "\n".join(
    " ".join(f"{f[:8]};{f[9:]}" if f.count(":") == 3 else f for f in row.split(" "))
    for row in LIST.splitlines()
)
colons, semicolons = second_line(LIST), second_line(marked)
for name, frames in (("colons", colons), ("semicolons", semicolons)):
    print(f"{name}: the second line begins {frames:.0f} frames ({frames * 1001 / 30_000:.1f} s) later")
sys.exit(not (colons == 108_000 and semicolons == 107_892))
P
