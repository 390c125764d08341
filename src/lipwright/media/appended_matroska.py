"""Matroska and WebM files that were appended to each other, read as one.

``cat a.mkv b.mkv > all.mkv`` is a legal file of several *segments* (RFC 9559, section 5.1), each
with headers and a clock of its own. Libav reads the first two of them and loses the rest without
a word. Here the headers of all later segments are shown to it as void elements, so that it sees
one segment whose clusters go on; ``media.clock`` then puts their times one after the other. Nothing
is moved: every byte keeps its place in the file.
"""

from __future__ import annotations

import mmap
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_CLUSTER = b"\x1f\x43\xb6\x75"
_TRACKS = b"\x16\x54\xae\x6b"
_TRACK_ENTRY = b"\xae"
_CODEC_ID = b"\x86"
_CODEC_PRIVATE = b"\x63\xa2"
_SELF_CONTAINED = (b"A_FLAC", b"A_OPUS")
"""Formats whose packets say all that matters; their private data differ with the content."""
_VOID = 0xEC
_MOST_PARTS = 10_000
_UNKNOWN = -1


@dataclass(frozen=True)
class Appended:
    """A file of several segments.

    Attributes:
        starts: byte positions at which the second and later parts begin.
        changes: (position, bytes) that are shown in place of the file's own, in order.
        left_out: parts that are hidden, for their streams have other formats than the first's.
    """

    starts: tuple[int, ...]
    changes: tuple[tuple[int, bytes], ...]
    left_out: int


def appended(path: Path) -> Appended | None:
    """The parts of a Matroska file; None for a usual file of one part, and for all others."""
    try:
        with path.open("rb") as file:
            if file.read(4) != _EBML:
                return None
        status = path.stat()
    except OSError:
        return None
    return _parts(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _parts(path: Path, size: int, changed: int) -> Appended | None:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _found(data)
    except (OSError, ValueError):
        return None


@dataclass(frozen=True)
class _Element:
    """An element: where it begins, where its content begins and ends (-1: not stored)."""

    name: bytes
    start: int
    content: int
    end: int


def _found(data: mmap.mmap) -> Appended | None:
    starts: list[int] = []
    changes: list[tuple[int, bytes]] = []
    formats: list[bytes] = []
    count = left_out = 0
    place: int | None = 0
    while place is not None and count < _MOST_PARTS:
        header = _element(data, place)
        segment = None if header is None or header.end < 0 else _element(data, header.end)
        if segment is None or segment.name != _SEGMENT:
            break
        count += 1
        stop = segment.end if segment.end >= 0 else len(data)
        children = list(_children(data, segment.content, stop))
        own = [_format(data, child) for child in children if child.name == _TRACKS]
        following = _next(data, segment)
        if count == 1:
            formats = own
            width = segment.content - segment.start - len(_SEGMENT)
            unknown = bytes([0xFF >> (width - 1)]) + b"\xff" * (width - 1)
            changes.append((segment.content - width, unknown))
        elif own != formats:
            left_out += 1
            changes.append((place, _void((stop if following is None else following) - place)))
        else:
            starts.append(place)
            changes += _hidden(place, children)
        place = following
    return Appended(tuple(starts), tuple(changes), left_out) if count > 1 else None


def _children(data: mmap.mmap, at: int, stop: int) -> Iterator[_Element]:
    """The elements from a place on; of a file written live, up to the first cluster."""
    while 0 <= at < stop:
        child = _element(data, at)
        if child is None:
            return
        yield child
        at = child.end


def _hidden(place: int, children: list[_Element]) -> Iterator[tuple[int, bytes]]:
    """What hides all of a part but its clusters."""
    for child in children:
        if child.name == _CLUSTER:
            if place < child.start:
                yield place, _void(child.start - place)
            place = child.end
    end = children[-1].end if children else place
    if 0 <= place < end:
        yield place, _void(end - place)


def _format(data: mmap.mmap, tracks: _Element) -> bytes:
    """Formats of all tracks and what their decoders need to know, one after the other."""
    found = b""
    for entry in _children(data, tracks.content, tracks.end):
        if entry.name == _TRACK_ENTRY:
            fields = {field.name: field for field in _children(data, entry.content, entry.end)}
            codec, private = fields.get(_CODEC_ID), fields.get(_CODEC_PRIVATE)
            name = b"" if codec is None else bytes(data[codec.content : codec.end])
            found += name + b";"
            if private is not None and name not in _SELF_CONTAINED:
                found += bytes(data[private.content : private.end])
    return found


def _next(data: mmap.mmap, segment: _Element) -> int | None:
    """Where the next part begins."""
    if segment.end >= 0:
        return segment.end if data[segment.end : segment.end + 4] == _EBML else None
    place = data.find(_EBML, segment.content)  # written live: the length is unknown
    while place >= 0:
        header = _element(data, place)
        if header is not None and data[header.end : header.end + 4] == _SEGMENT:
            return place
        place = data.find(_EBML, place + 1)
    return None


def _element(data: mmap.mmap, at: int) -> _Element | None:
    """The element that begins at a place, if one does (RFC 8794, sections 4 and 5)."""
    if at < 0 or at + 2 > len(data) or data[at] == 0:
        return None
    name = 9 - data[at].bit_length()
    if name > 4 or at + name >= len(data) or data[at + name] == 0:
        return None
    width = 9 - data[at + name].bit_length()
    content = at + name + width
    bits = 7 * width
    length = int.from_bytes(data[at + name : content], "big") & ((1 << bits) - 1)
    end = _UNKNOWN if length == (1 << bits) - 1 else content + length
    if content > len(data):
        return None
    return _Element(bytes(data[at : at + name]), at, content, end)


def _void(length: int) -> bytes:
    """The beginning of a void element of ``length`` >= 2 bytes; what it holds is ignored."""
    if length < 9:
        return bytes([_VOID, 0x80 | (length - 2)])
    return bytes([_VOID, 0x01]) + (length - 9).to_bytes(7, "big")


class OneSegment:
    """A file of several parts as libav is to see it."""

    def __init__(self, path: Path, parts: Appended) -> None:
        self._file = path.open("rb")
        self._changes = parts.changes
        self._places = [place for place, _ in parts.changes]

    def read(self, size: int = -1) -> bytes:
        """Bytes of the file, with the changes in them."""
        start = self._file.tell()
        data = self._file.read(size)
        end = start + len(data)
        first = max(0, bisect_right(self._places, start) - 1)
        changed: bytearray | None = None
        for place, new in self._changes[first:]:
            if place >= end:
                break
            low, high = max(place, start), min(place + len(new), end)
            if low < high:
                changed = bytearray(data) if changed is None else changed
                changed[low - start : high - start] = new[low - place : high - place]
        return data if changed is None else bytes(changed)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As files do."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As files do."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
