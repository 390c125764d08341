#!/usr/bin/env bash
# espeak-ng's phoneme events run ahead of its sound, and back again, from 450 words a minute on.
#
# Version: espeak-ng 1.52.0 (espeakng-loader 0.2.4). Its library says when every phoneme begins
# (espeakEVENT_PHONEME, audio_position in ms), from which mouths are drawn. From 450 words a minute on
# it speaks slower and shortens the sound afterwards, but reckons the times within a piece of sound
# before that. Seen here, for a sentence of 45 events: at 449 all in order and within the sound; at 450
# 15 of them lie before the event that precedes them, and 3 after the end of the sound. And five
# words as sentences of their own take 552 ms at 449 and 800 ms at 450. What one would expect: times on
# the sound that is handed over, and more words a minute in less time.
# Exits 0 as long as that holds, 1 when it has changed.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" -q install espeakng-loader==0.2.4
cd "$T"
"$T/venv/bin/python" - <<'P'
import ctypes
import sys

import espeakng_loader

SYNCHRONOUS, PHONEMES, RATE, CHARS_UTF8, END = 2, 1, 1, 1, 0
PHONEME = 7


class Event(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int) for name in ("type", "uid", "text", "length", "time", "sample")),
        ("user", ctypes.c_void_p),
        ("address", ctypes.c_void_p),  # of the union: eight bytes, text or a number
    ]


samples, times = [0], []
SHAPE = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event)
)


@SHAPE
def heard(wave, count, events):
    samples[0] += max(0, count)
    number = 0
    while events[number].type != END:
        if events[number].type == PHONEME:
            times.append(events[number].time)
        number += 1
    return 0


library = ctypes.CDLL(espeakng_loader.get_library_path())
library.espeak_Info.restype = ctypes.c_char_p
data = espeakng_loader.get_data_path().encode()
rate = library.espeak_Initialize(SYNCHRONOUS, 200, data, PHONEMES)
library.espeak_SetSynthCallback(heard)
library.espeak_SetVoiceByName(b"en")
print("espeak-ng", library.espeak_Info(None).decode())


def say(text, words_a_minute):
    """Length of the sound in ms, and the times of the phoneme events."""
    samples[0] = 0
    times.clear()
    library.espeak_SetParameter(RATE, words_a_minute, 0)
    library.espeak_Synth(text, len(text) + 1, 0, 0, 0, CHARS_UTF8, None, None)
    return 1e3 * samples[0] / rate, list(times)


found = {}
for speed in (175, 449, 450):
    length, at = say(b"The big blue boat made a bump and then my mother moved the lamp.", speed)
    back = sum(after < before for before, after in zip(at, at[1:]))
    late = sum(time > length + 1 for time in at)
    words, _ = say(b"Pop. Pop. Pop. Pop. Pop.", speed)
    found[speed] = back, late, words
    print(f"{speed} words a minute: sound of {length:.0f} ms, {len(at)} events, {back} before the "
          f"one before them, {late} after the end; five single words last {words:.0f} ms")
as_seen = found[175][:2] == found[449][:2] == (0, 0) and found[450][0] > 8 and found[450][1] > 1
sys.exit(not (as_seen and found[450][2] > 1.3 * found[449][2]))
P
