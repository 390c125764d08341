#!/usr/bin/env bash
# ffmpeg's change of the frame rate garbles closed captions, except by fps= to the rates of television.
#
# Version: ffmpeg 7.0.2 (imageio-ffmpeg 0.6.0). CEA-608 captions are two letters in each frame (ATSC A/53
# messages of H.264), which libx264 takes over from the frames that it is given. Whoever shows a frame
# twice writes its letters twice, and whoever leaves one out loses two. Seen here, for a clip of 25
# frames a second whose captions read HELLO FROM LINE ONE:
#   -vf fps=30000/1001  HELLO FROM LINE ONE
#   -r 30000/1001       HELLO FROMOM LINE ONE E
#   -vf fps=50          HEHELLLLO O FRFROMOM L LININE E
#   -vf bwdif=1         the same (fields to frames)
#   -vf fps=12.5        HEO OMINON
#   -vf reverse         E ONE IN LOMFRO LLHE
# All of them without a warning. The filter fps keeps captions in a queue of its own, but for rates
# that CEA-708 knows; 25, 50 and 12.5 are none. What one would expect: the text as it was, or none.
# Exits 0 as long as that holds, 1 when it has changed.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" -q install imageio-ffmpeg==0.6.0
cd "$T"
"$T/venv/bin/python" - <<'P'
import re
import subprocess
import sys

import imageio_ffmpeg

FFMPEG = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
TEXT = "HELLO FROM LINE ONE "


def run(*words):
    return subprocess.run([*FFMPEG, *words], check=True, capture_output=True).stdout


def with_parity(byte):
    return byte | (0x80 if bin(byte).count("1") % 2 == 0 else 0)


def message(pair):
    letters = bytes([0xFC, with_parity(pair[0]), with_parity(pair[1]), 0xFD, 0x80, 0x80])
    payload = b"\xb5\x00\x31GA94\x03\xc2\xff" + letters + b"\xff"
    unit = bytes([6, 4, len(payload)]) + payload + b"\x80"
    return b"\x00\x00\x01" + re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", unit)


# Clear, roll-up of two rows, new row, place (each twice), the letters, new row.
control = [(0x14, code) for code in (0x2C, 0x2C, 0x25, 0x25, 0x2D, 0x2D, 0x70, 0x70)]
pairs = control + list(zip(TEXT[::2].encode(), TEXT[1::2].encode())) + [(0x14, 0x2D)] * 2
run("-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=4", "-c:v", "libx264", "-bf", "0", "plain.h264")
stream = open("plain.h264", "rb").read()
starts = [match.start() for match in re.finditer(b"\x00\x00\x01", stream)] + [len(stream)]
made, frame = bytearray(), 0
for start, end in zip(starts, starts[1:]):
    if stream[start + 3] & 31 in (1, 5) and stream[start + 4] & 0x80:  # the first slice of a frame
        made += message(pairs[frame] if frame < len(pairs) else (0, 0))
        frame += 1
    made += stream[start:end]
open("captioned.h264", "wb").write(made)
run("-r", "25", "-i", "captioned.h264", "-c", "copy", "captioned.mp4")


def captions(path):
    made = run("-f", "lavfi", "-i", f"movie={path}[out+subcc]", "-map", "s", "-f", "srt", "-")
    return [text.strip() for text in re.findall(r"an7}([^<]*)", made.decode())]


def after(*words):
    run("-i", "captioned.mp4", *words, "-c:v", "libx264", "-bf", "0", "after.mp4")
    found = captions("after.mp4")
    print(f"{' '.join(words):20} {found}")
    return found


whole = ["HELLO FROM LINE ONE"]
print(f"{'source':20} {captions('captioned.mp4')}")
same = captions("captioned.mp4") == whole == after("-vf", "fps=30000/1001")
twice = ["HEHELLLLO O FRFROMOM L LININE E"]
same &= after("-r", "30000/1001") == ["HELLO FROMOM LINE ONE E"]
same &= after("-vf", "fps=50") == twice == after("-vf", "bwdif=1")
same &= after("-vf", "fps=12.5") == ["HEO OMINON"]
same &= after("-vf", "reverse") == ["E ONE IN LOMFRO LLHE"]
sys.exit(0 if same else 1)
P
