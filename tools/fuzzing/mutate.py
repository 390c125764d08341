"""Damage: the ways in which a valid file becomes one that no writer would write."""

from __future__ import annotations

import random
import re

NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Values at which counters overflow, written in either order of bytes."""

_BOX = re.compile(rb"[a-zA-Z ]{4}|\x1f\x43\xb6\x75|\x16\x54\xae\x6b|\x47[\x00-\x5f]")
"""Where headers lie: names of boxes and chunks, Matroska's cluster and tracks, sync bytes of TS."""

WORDS = (
    *("0", "-1", "1e309", ".nan", "1" * 400, "null", "~", "true", "[]", "{}", "*a", "&a x"),
    *("\x00", "\x1b[31m", "\u202e", "\uffff", "'", '"', "\n", "\t", ":", ",", "- ", "!!int x"),
    *("2026-02-30", "0x", "9" * 30, "01:99:99,999", "=1+1", "a" * 5000, "../../etc/passwd"),
)
"""What does not belong into a text: absurd numbers, control and direction characters, marks."""


def mutated(data: bytes, rng: random.Random, text: bool = False) -> bytes:
    """A copy of ``data`` with one to four kinds of damage.

    Args:
        data: a valid file.
        rng: decides everything.
        text: damage words and lines as well as bytes.
    """
    ways = (*_BINARY, *_TEXT, *_TEXT) if text else _BINARY
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        if not result:
            break
        result = rng.choice(ways)(result, rng)
    return bytes(result)


def _bits(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def _number(data: bytearray, rng: random.Random) -> bytearray:
    return _put_number(data, rng, rng.randrange(len(data)))


def _header(data: bytearray, rng: random.Random) -> bytearray:
    """A number near the name of a box: sizes, counts, rates, lengths."""
    places = [m.start() for m in _BOX.finditer(bytes(data))]
    if not places:
        return _number(data, rng)
    return _put_number(data, rng, max(0, rng.choice(places) + rng.randrange(-4, 40)))


def _put_number(data: bytearray, rng: random.Random, place: int) -> bytearray:
    width = rng.choice((1, 2, 4, 4, 8))
    value = rng.choice((*NUMBERS, rng.getrandbits(8 * width))) % (1 << (8 * width))
    order = rng.choice(("big", "little"))
    part = value.to_bytes(width, "big" if order == "big" else "little")
    end = min(len(data), place + width)
    if place < end:
        data[place:end] = part[: end - place]
    return data


def _noise(data: bytearray, rng: random.Random) -> bytearray:
    start, count = _stretch(data, rng, 64)
    data[start : start + count] = rng.randbytes(count)
    return data


def _zeros(data: bytearray, rng: random.Random) -> bytearray:
    start, count = _stretch(data, rng, 512)
    data[start : start + count] = bytes(count)
    return data


def _cut_off(data: bytearray, rng: random.Random) -> bytearray:
    return data[: rng.randrange(len(data))]


def _take_out(data: bytearray, rng: random.Random) -> bytearray:
    start, count = _stretch(data, rng, 1024)
    del data[start : start + count]
    return data


def _repeat(data: bytearray, rng: random.Random) -> bytearray:
    start, count = _stretch(data, rng, 1024)
    part = data[start : start + count]
    place = rng.randrange(len(data) + 1)
    data[place:place] = part * rng.choice((1, 1, 2, 8))
    return data


def _swap(data: bytearray, rng: random.Random) -> bytearray:
    first, count = _stretch(data, rng, 256)
    second = rng.randrange(max(1, len(data) - count + 1))
    part = bytes(data[first : first + count])
    data[first : first + count] = data[second : second + count]
    data[second : second + count] = part
    return data


def _stretch(data: bytearray, rng: random.Random, longest: int) -> tuple[int, int]:
    count = min(len(data), rng.randrange(1, longest + 1))
    return rng.randrange(len(data) - count + 1), count


def _word(data: bytearray, rng: random.Random) -> bytearray:
    """Replace a word, or put one in."""
    words = [(m.start(), m.end()) for m in re.finditer(rb"[\w.-]+", bytes(data))]
    start, end = rng.choice(words) if words else (0, 0)
    if rng.random() < 0.3:
        end = start
    data[start:end] = rng.choice(WORDS).encode("utf-8", "surrogatepass")
    return data


def _line(data: bytearray, rng: random.Random) -> bytearray:
    """Take out, double, indent or move a line."""
    lines = bytes(data).split(b"\n")
    place = rng.randrange(len(lines))
    line = lines[place]
    how = rng.randrange(4)
    if how == 0:
        del lines[place]
    elif how == 1:
        lines.insert(rng.randrange(len(lines) + 1), line)
    elif how == 2:
        lines[place] = b" " * rng.randrange(1, 8) + line
    else:
        lines[place : place + 1] = [b"[" * rng.choice((1, 100, 5000)) + line]
    return bytearray(b"\n".join(lines))


_BINARY = (
    *(_bits, _bits, _number, _header, _header, _noise),
    *(_zeros, _cut_off, _take_out, _repeat, _swap),
)
_TEXT = (_word, _word, _line)
