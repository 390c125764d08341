"""Where the pictures of an MP4 or MOV file stand beside its sound, where libav has them elsewhere.

Two kinds of valid files are read by libav with pictures that are early or late, by up to some
frames, beside sound that is where it belongs:

- *Cut between two frames.* An edit list says from which time on the stored frames are shown. Where
  that lies between two frames, as after ``ffmpeg -ss 0.3 -c copy``, the first frame shown comes a
  little later. Libav puts it at the begin of the edit, and all others as much too early; with
  ``advanced_editlist=0`` it does not, and then shows the frames before the cut as well. Both
  readings are compared here, packet by packet (``findings/libav-cut-early-pictures.sh``).
- *Fragments with negative composition offsets* (CMAF; ISO/IEC 14496-12, 8.8.8: ``trun`` of version
  1). Libav delays all pictures by the most negative offset that it has seen
  (``findings/libav-fragments-late-pictures.sh``). Here the offsets are read from the fragments;
  where the first one does not reach the lowest, libav's delay changes on the way, and its times
  are kept.

Files with several edits, as players that cut without encoding write them, are not put right: behind
the second edit libav's pictures and sound are up to a tenth of a second apart. That is said.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.container
import av.error

from lipwright.errors import LipwrightError
from lipwright.media.source import open_media, readable_packets

_COMPARED = 64
"""Pictures of which both readings have to differ by the same time."""
_LARGEST_BOX = 1 << 26
"""Bytes of a fragment's table; a larger one is no table."""


def displaced(path: Path, container: av.container.InputContainer) -> dict[int, Fraction]:
    """Seconds to add to the times that libav gives, per index of a video stream; only those moved.

    Args:
        path: the file.
        container: the same, open; it is not read from.
    """
    if "mp4" not in container.format.name.split(","):
        return {}
    try:
        status = path.stat()
    except OSError:
        return {}
    moved = _displaced(path, status.st_size, status.st_mtime_ns)
    return {s.index: moved[s.index] for s in container.streams.video if s.index in moved}


def has_several_edits(path: Path) -> bool:
    """Whether a track of an MP4 or MOV file shows more than one part of what it stores."""
    try:
        with path.open("rb") as file:
            return any(count > 1 for count in _edits(file, 0, path.stat().st_size))
    except OSError:
        return False


def _edits(file: BinaryIO, begin: int, end: int) -> Iterator[int]:
    """For every track, how many parts of it are shown (``elst``); waits before it do not count."""
    for kind, first, last in _boxes(file, begin, end):
        if kind in (b"moov", b"trak", b"edts"):
            yield from _edits(file, first, last)
        elif kind == b"elst" and last - first <= _LARGEST_BOX:
            file.seek(first)
            body = file.read(last - first)
            size = 8 if body[:1] == b"\x01" else 4  # of duration and of media time, then the rate
            entries = range(8, len(body) - 2 * size - 3, 2 * size + 4)
            starts = [body[place + size : place + 2 * size] for place in entries]
            yield len(starts) - starts.count(b"\xff" * size)


@lru_cache(maxsize=64)
def _displaced(path: Path, size: int, changed: int) -> dict[int, Fraction]:
    found: dict[int, Fraction] = {}
    try:
        with path.open("rb") as file:
            delays = dict(_delays(file, size))
        with open_media(path, "file") as container:
            for stream in container.streams.video:
                base = stream.time_base
                if base is None:
                    continue
                shift = -delays.get(stream.id, 0) * base or _early(path, container, stream)
                if shift:
                    found[stream.index] = shift
    except (LipwrightError, av.error.FFmpegError, OSError):
        return {}
    return found


def _early(
    path: Path, container: av.container.InputContainer, stream: av.VideoStream
) -> Fraction | None:
    """By how many seconds libav shows the pictures before their edit list does."""
    base, rate = stream.time_base, stream.average_rate
    if base is None or not rate:
        return None
    container.seek(0)
    shown = list(islice(_stored(container, stream, hidden=False), _COMPARED))
    if not shown:
        return None
    with open_media(path, "file", advanced_editlist="0") as plain:
        same = plain.streams[stream.index]
        wanted = {place for place, _ in shown}
        times: dict[int, int] = {}
        for place, pts in _stored(plain, same, hidden=True):
            if place in wanted:
                times[place] = pts
                if len(times) == len(wanted):
                    break
        if same.time_base != base:
            return None
    ticks = {times[place] - pts if place in times else 0 for place, pts in shown}
    shift = ticks.pop() * base
    # Not alike: several edits, which libav reads as one with that option.
    return shift if not ticks and 0 < shift < 1 / rate else None


def _stored(
    container: av.container.InputContainer, stream: Any, *, hidden: bool
) -> Iterator[tuple[int, int]]:
    """(byte position, pts) of the packets, with or without those that are not to be shown."""
    for packet in readable_packets(container, stream):
        if not packet.size or packet.pts is None or packet.pos is None:
            continue
        if hidden or not packet.is_discard:
            yield packet.pos, packet.pts


def _delays(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """(track, ticks) of tracks that libav delays by one time throughout: their lowest offset."""
    lowest: dict[int, list[int]] = {}
    for kind, begin, end in _boxes(file, 0, size):
        if kind != b"moof" or end - begin > _LARGEST_BOX:
            continue
        for name, first, last in _boxes(file, begin, end):
            if name == b"traf":
                track, offsets = _offsets(file, first, last)
                if offsets:
                    lowest.setdefault(track, []).append(min(offsets))
    for track, in_order in lowest.items():
        # Libav goes by the lowest so far; were a later one lower, its times would jump there.
        if in_order[0] < 0 and in_order[0] == min(in_order):
            yield track, -in_order[0]


def _offsets(file: BinaryIO, begin: int, end: int) -> tuple[int, list[int]]:
    """Track and composition offsets of a track fragment (``tfhd``, ``trun``)."""
    track, offsets = 0, []
    for kind, first, last in _boxes(file, begin, end):
        file.seek(first)
        if kind == b"tfhd":
            track = int.from_bytes(file.read(8)[4:], "big")
        elif kind == b"trun":
            body = file.read(last - first)
            flags = int.from_bytes(body[1:4], "big")
            if not flags & 0x800 or body[0] == 0:  # no offsets, or none below 0
                continue
            # Data offset and flags of the first sample, where they are stored; then of every sample
            # its duration, size and flags, likewise, and its offset.
            at = 8 + 4 * bool(flags & 0x1) + 4 * bool(flags & 0x4)
            before = 4 * sum(bool(flags & field) for field in (0x100, 0x200, 0x400))
            offsets += [
                int.from_bytes(body[place : place + 4], "big", signed=True)
                for place in range(at + before, len(body) - 3, before + 4)
            ]
    return track, offsets


def _boxes(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, first byte of the content, end) of the boxes that follow on each other."""
    while begin + 8 <= end:
        file.seek(begin)
        head = file.read(16)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head[:8])
        inside = 8
        if length == 1 and len(head) == 16:
            length, inside = int.from_bytes(head[8:], "big"), 16
        elif length == 0:
            length = end - begin
        if length < inside or begin + length > end:
            return
        yield kind, begin + inside, begin + length
        begin += length
