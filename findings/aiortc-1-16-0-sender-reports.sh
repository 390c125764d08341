#!/usr/bin/env bash
# aiortc tells a browser that a picture was taken when its encoding had ended: lips come late.
#
# Version: aiortc 1.16.0 (PyAV 18.1.0). A receiver brings sound and picture together by the sender
# reports, which pair a time of day with an RTP timestamp. aiortc takes the time of day after a frame
# has been encoded and sent (rtcrtpsender.py, _run_rtp), for sound after a fraction of a
# millisecond, for a picture after as long as VP8 takes. Seen here: sound and pictures with the same
# timestamps, handed over at the same moments; by the reports, pictures of 1280x720 were taken
# 131 ms after their sound, while the encoder took 112 ms for one (a busy machine). What one would
# expect: the same time for the same timestamp.
# Exits 0 as long as that holds, 1 when it has changed.
set -eu
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/venv"
"$T/venv/bin/pip" -q install aiortc==1.16.0 av==18.1.0 numpy==2.3.5
cd "$T"
"$T/venv/bin/python" - <<'P'
import asyncio
import sys
import time
from fractions import Fraction

import aiortc.rtcrtpsender as sender
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection

reports, began, encoded = {}, [0.0], []
plain = sender.RtcpSrPacket


def noted(ssrc, sender_info):
    pair = sender_info.ntp_timestamp / 2**32, sender_info.rtp_timestamp
    reports.setdefault(ssrc, []).append(pair)
    return plain(ssrc=ssrc, sender_info=sender_info)


sender.RtcpSrPacket = noted


class Sound(MediaStreamTrack):
    kind, n = "audio", 0

    async def recv(self):
        await asyncio.sleep(max(0.0, began[0] + 0.02 * self.n - time.monotonic()))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1920), np.int16), "s16", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 960 * self.n, Fraction(1, 48_000)
        self.n += 1
        return frame


class Pictures(MediaStreamTrack):
    kind, n, handed = "video", 0, None

    async def recv(self):
        if self.handed is not None:
            encoded.append(time.monotonic() - self.handed)
        # Every fifth of a second: a slow encoder does not fall behind.
        await asyncio.sleep(max(0.0, began[0] + 0.2 * self.n - time.monotonic()))
        codes = np.random.default_rng(self.n).integers(0, 255, (1080, 1280), dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(codes, "yuv420p")
        frame.pts, frame.time_base = 18_000 * self.n, Fraction(1, 90_000)
        self.n += 1
        self.handed = time.monotonic()
        return frame


async def main():
    alone = RTCConfiguration(iceServers=[])
    one, other = RTCPeerConnection(alone), RTCPeerConnection(alone)
    one.addTrack(Sound())
    one.addTrack(Pictures())
    # From here on timestamps begin at 0, so that those of sound and picture compare.
    sender.random32 = lambda: 0
    await one.setLocalDescription(await one.createOffer())
    await other.setRemoteDescription(one.localDescription)
    await other.setLocalDescription(await other.createAnswer())
    began[0] = time.monotonic() + 2.0
    await one.setRemoteDescription(other.localDescription)
    await asyncio.sleep(14)
    rates = {s._ssrc: 48_000 if s.kind == "audio" else 90_000 for s in one.getSenders()}
    taken = {48_000: [], 90_000: []}
    for ssrc, pairs in reports.items():
        if ssrc in rates:
            taken[rates[ssrc]] += [day - rtp / rates[ssrc] for day, rtp in pairs if rtp]
    await one.close()
    await other.close()
    return np.median(taken[90_000]) - np.median(taken[48_000])


late = asyncio.run(main())
encoding = float(np.median(encoded))
print(f"by the reports, pictures come {1e3 * late:.0f} ms after the sound of their timestamp; "
      f"encoding one takes {1e3 * encoding:.0f} ms")
sys.exit(not (late > 0.01 and late > 0.5 * encoding))
P
