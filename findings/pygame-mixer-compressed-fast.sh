#!/usr/bin/env bash
# SDL_mixer plays compressed speech of another rate than its own too fast; lips run behind by 78 ms a minute.
#
# Version: pygame-ce 2.5.8 (SDL 2.32.10, SDL_mixer 2.8.2); files by ffmpeg 7.0.2 (imageio-ffmpeg 0.6.0). pygame's
# mixer runs at 44,100 Hz unless told otherwise. A Sound from Ogg Vorbis or MP3 of 48,000 Hz is converted
# piece by piece, and each piece loses a fraction of a sample: seen here, a click at 60 s is heard 77.5 ms
# early (Vorbis) and 51.0 ms early (MP3), and the sound is that much shorter. In a mixer of 48,000 Hz,
# files of 44,100 Hz are 30.0 ms early. WAV of the same samples is right to the sample, and so are
# compressed files of the mixer's own rate. Talking heads that are drawn by a clock drift out of their
# speech. What one would expect: 0 ms, as for WAV.
# Exits 0 as long as that holds, 1 when it has changed.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" -q install pygame-ce==2.5.8 imageio-ffmpeg==0.6.0 numpy==2.3.5
cd "$T"
SDL_AUDIODRIVER=dummy PYGAME_HIDE_SUPPORT_PROMPT=1 "$T/venv/bin/python" - <<'P'
import subprocess
import sys
import wave

import imageio_ffmpeg
import numpy as np
import pygame

CLICK = 60  # seconds


def write(rate):
    samples = np.zeros((CLICK + 1) * rate, np.float32)
    samples[CLICK * rate - 40 : CLICK * rate + 41] = 0.9 * np.hanning(81)
    with wave.open(f"{rate}.wav", "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32_000).astype("<i2").tobytes())
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", f"{rate}.wav"]
    subprocess.run([*ffmpeg, "-c:a", "libvorbis", f"{rate}.ogg"], check=True)
    subprocess.run([*ffmpeg, "-c:a", "libmp3lame", f"{rate}.mp3"], check=True)


def early(rate, mixer, kind):
    """By how many milliseconds the click comes before its time."""
    pygame.mixer.quit()
    pygame.mixer.init(mixer, -16, 1)
    sound = np.abs(pygame.sndarray.array(pygame.mixer.Sound(f"{rate}.{kind}")).astype(float))
    milliseconds = 1000 * (CLICK - sound.argmax() / mixer)
    print(f"{kind} of {rate} Hz in a mixer of {mixer} Hz: {milliseconds:5.1f} ms early")
    return milliseconds


for rate in (44_100, 48_000):
    write(rate)
right = [early(48_000, 44_100, "wav"), early(44_100, 48_000, "wav")]
right += [early(rate, rate, kind) for rate in (44_100, 48_000) for kind in ("ogg", "mp3")]
vorbis, mp3 = early(48_000, 44_100, "ogg"), early(48_000, 44_100, "mp3")
up = [early(44_100, 48_000, "ogg"), early(44_100, 48_000, "mp3")]
same = max(map(abs, right)) < 1 and abs(vorbis - 77.5) < 2 and abs(mp3 - 51) < 2
sys.exit(0 if same and all(abs(x - 30) < 2 for x in up) else 1)
P
