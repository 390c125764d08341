#!/usr/bin/env bash
# pycaption reads captions in time code 3.6 s early after an hour (TTML, 29.97 frames a second).
#
# Version: pycaption 2.3.14, beside ttconv 1.2.3. In TTML, ttp:timeBase="smpte" says that a time is the
# label of a frame, and ttp:dropMode how labels count; at 30000/1001 frames a second without dropped
# labels, 01:00:00:00 is 108,000 frames after 00:00:00:00, or 3603.6 s. pycaption heeds the
# multiplier for the frames after the last colon, and neither attribute for hours, minutes and
# seconds. Seen here: 3600.0 s, where ttconv gives 3603.6 s; lines of dialogue that are placed by it
# come ever earlier, by a tenth of a second every 100 s. (Its own reader of SCC takes the same label
# for 3603.6 s, and adds the time of transmission.) What one would expect: 3603.6 s.
# Exits 0 as long as that holds, 1 when it has changed.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" -q install pycaption==2.3.14 ttconv==1.2.3
cd "$T"
"$T/venv/bin/python" - <<'P'
import sys
import xml.etree.ElementTree as ElementTree

import pycaption
import ttconv.imsc.reader

TEXT = """<?xml version="1.0" encoding="UTF-8"?>
<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttp="http://www.w3.org/ns/ttml#parameter" xml:lang="en"
 ttp:timeBase="smpte" ttp:dropMode="nonDrop" ttp:frameRate="30" ttp:frameRateMultiplier="1000 1001">
<body><div><p begin="01:00:00:00" end="01:00:01:15">Good morning.</p></div></body></tt>"""

captions = pycaption.DFXPReader().read(TEXT)
first = captions.get_captions(captions.get_languages()[0])[0].start / 1e6
model = ttconv.imsc.reader.to_model(ElementTree.ElementTree(ElementTree.fromstring(TEXT)))
right = float(list(list(model.get_body())[0])[0].get_begin())
print(f"01:00:00:00 is {first} s by pycaption, {right} s by ttconv")
sys.exit(not (first == 3600.0 and abs(right - 3603.6) < 1e-9))
P
