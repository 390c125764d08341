"""One clock for recordings whose own clock restarts or jumps.

Transport and program streams (broadcast, cameras, DVD cells) carry no table of times: two of them
joined with ``cat`` are a legal file whose clock starts again in the middle, and a recorder that
lost its signal writes on with a clock that is an hour ahead. Chained Ogg files and Matroska files
that were appended to each other do the same. Players cut such a step out. So is done here: the
file is read once, packet by packet without decoding; where the clock of a stream goes back, or
ahead by more than the limit ``clock_jump``, a new *piece* of the recording begins. All streams of
a piece move by the same amount, so sound and picture stay together, and the pieces follow on each
other in the picture (in the sound, where there is no picture).
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import av.container
import av.error

from lipwright.media import limits
from lipwright.media.appended_matroska import Appended, appended
from lipwright.media.picture_times import displaced
from lipwright.media.source import open_media, readable_packets

log = logging.getLogger(__name__)

_BACK = Fraction(1, 5)
"""Decoding times of a stream only grow; this far back is no rounding."""
_BACK_SHOWN = Fraction(1)
"""Where only presentation times are stored, pictures are out of order by less than this."""
_HALF_ROUND = Fraction(2**32, 90_000)
"""Half of the 26.5 hours, 33 bits at 90 kHz, after which the clock of a transport stream wraps."""
_RESTART = Fraction(-1)
"""The jump of a piece of which it is known that its clock is another."""
_SAME = Fraction(10)
"""A stream whose clock is this near to that of the newest piece has joined it."""


@dataclass(frozen=True)
class Clock:
    """How a file's times are corrected.

    Attributes:
        shifts: seconds to add, per piece of the recording; the first is 0.
        switches: per stream index, (byte position, k, piece): the k-th packet (from 0) that is
            stored there, and all after it, belong to that piece.
        jumps: seconds by which the clock jumped at each later piece; negative: it went back.
        left_out: parts of the file that cannot be read with the others.
        moved: seconds to add in any piece, per stream index (:mod:`lipwright.media.picture_times`).
    """

    shifts: tuple[Fraction, ...]
    switches: dict[int, tuple[tuple[int, int, int], ...]]
    jumps: tuple[Fraction, ...]
    left_out: int = 0
    moved: dict[int, Fraction] = field(default_factory=dict)

    def sentence(self, path: Path) -> str | None:
        """What was done, for the report; None where the file means what is read."""
        lost = (
            f"{path} is several files joined, and {self.left_out} of them could not be read: their "
            "streams have other formats than those of the first; convert them before they are "
            "joined."
        )
        count = len(self.jumps)
        if not count:
            return lost if self.left_out else None
        # Libav shows a transport clock that went back as one that passed its end.
        back = sum(jump < 0 or jump > _HALF_ROUND for jump in self.jumps)
        kinds = [f"restarts {_times(back)}"] if back else []
        kinds += [f"jumps ahead {_times(count - back)}"] if count > back else []
        return (
            f"The clock of {path} {' and '.join(kinds)}; the steps were cut out, and the "
            f"{count + 1} parts follow on each other."
        ) + (f" {lost}" if self.left_out else "")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


class Retimer:
    """Moves the packets of one stream; packets have to come in the order of the file."""

    def __init__(self, clock: Clock, stream_index: int) -> None:
        self._clock = clock
        self._switches = clock.switches.get(stream_index, ())
        self._moved = clock.moved.get(stream_index, Fraction(0))
        self._piece = 0
        self._place = _Place()

    def __call__(self, packet: av.Packet[Any]) -> None:
        """Correct the times of a packet, in place."""
        place = self._place.of(packet)
        if place is not None:
            for start, nth, piece in self._switches:
                if place >= (start, nth):
                    self._piece = piece
        shift = self._clock.shifts[self._piece] + self._moved
        if shift == 0:
            return
        ticks = round(shift / packet.time_base)
        if packet.pts is not None:
            packet.pts += ticks
        if packet.dts is not None:
            packet.dts += ticks


class _Place:
    """Where the packets of a stream lie; several may share a page of the file."""

    def __init__(self) -> None:
        self._last: tuple[int, int] = (-1, 0)

    def of(self, packet: av.Packet[Any]) -> tuple[int, int] | None:
        """(byte position, number among those that have it); None where it is unknown."""
        position = packet.pos
        if position is None or position < 0:
            return None
        before, count = self._last
        self._last = (position, count + 1 if position == before else 0)
        return self._last


def retimer(
    path: Path, container: av.container.InputContainer, stream_index: int
) -> Retimer | None:
    """What puts the times of a stream right; None for the many files with one steady clock."""
    clock = clock_of(path, container)
    return Retimer(clock, stream_index) if clock is not None else None


def clock_of(path: Path, container: av.container.InputContainer) -> Clock | None:
    """The clock of an open file; None where it is steady and libav reads it right."""
    kind = container.format.name
    moved = displaced(path, container)
    if moved:
        return Clock((Fraction(0),), {}, (), moved=moved)
    parts: Appended | None = None
    if kind in ("mpegts", "mpeg"):
        ahead = True
    elif kind == "ogg":
        ahead = False
    elif kind.startswith("matroska"):
        ahead, parts = False, appended(path)
        if parts is None:
            return None
    else:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    clock = _scanned(
        path,
        status.st_size,
        status.st_mtime_ns,
        ahead,
        limits.active().clock_jump,
        parts.starts if parts is not None else (),
    )
    if parts is None or not parts.left_out:
        return clock
    return replace(clock or Clock((Fraction(0),), {}, ()), left_out=parts.left_out)


@dataclass
class _Piece:
    """What is known of a piece while the file is read, all in seconds of its own clock."""

    jump: Fraction
    newest: Fraction
    begin: dict[int, Fraction] = field(default_factory=dict)
    end: dict[int, Fraction] = field(default_factory=dict)


@lru_cache(maxsize=16)
def _scanned(
    path: Path, size: int, changed: int, ahead: bool, jump_limit: int, starts: tuple[int, ...]
) -> Clock | None:
    """Read a file; ``starts`` are the places where its later pieces begin, where that is known."""
    pieces: list[_Piece] = []
    at: dict[int, int] = {}  # stream -> its piece
    last: dict[int, Fraction] = {}
    switches: dict[int, list[tuple[int, int, int]]] = {}
    places: dict[int, _Place] = {}
    pictures: set[int] = set()
    with open_media(path, "file") as container:
        pictures = {stream.index for stream in container.streams.video}
        wanted = [*container.streams.video, *container.streams.audio]
        for packet in readable_packets(container, wanted) if wanted else ():
            base, index = packet.time_base, packet.stream_index
            place = places.setdefault(index, _Place()).of(packet) or (-1, 0)
            stored = packet.dts if ahead and packet.dts is not None else packet.pts
            if stored is None or not packet.size:
                continue
            time = stored * base
            if not pieces:
                pieces.append(_Piece(Fraction(0), time))
            if starts:
                piece = max(at.get(index, 0), bisect_right(starts, place[0]))
                while len(pieces) <= piece:
                    pieces.append(_Piece(_RESTART, time))
                if piece != at.get(index, 0):
                    switches.setdefault(index, []).append((*place, piece))
                at[index] = piece
            elif index not in at:
                at[index] = _joined(pieces, time, len(pieces) - 1)
            elif _steps(last[index], time, ahead, jump_limit):
                piece = _joined(pieces, time, at[index])
                if piece == at[index]:
                    pieces.append(_Piece(time - last[index], time))
                    piece = len(pieces) - 1
                at[index] = piece
                switches.setdefault(index, []).append((*place, piece))
            last[index] = time
            current = pieces[at[index]]
            current.newest = time
            shown = packet.pts * base if packet.pts is not None else time
            length = (packet.duration or 0) * base
            current.begin[index] = min(shown, current.begin.get(index, shown))
            current.end[index] = max(shown + length, current.end.get(index, shown + length))
    if len(pieces) < 2 or any(at[0] < 0 for s in switches.values() for at in s):
        return None
    return Clock(
        tuple(_shifts(pieces, pictures)),
        {index: tuple(found) for index, found in switches.items()},
        tuple(piece.jump for piece in pieces[1:]),
    )


def _steps(before: Fraction, time: Fraction, ahead: bool, jump_limit: int) -> bool:
    back = _BACK if ahead else _BACK_SHOWN
    return time < before - back or (ahead and time > before + jump_limit)


def _joined(pieces: list[_Piece], time: Fraction, present: int) -> int:
    """The newest piece if its clock fits, else the present one."""
    newest = len(pieces) - 1
    if newest != present and abs(time - pieces[newest].newest) < _SAME:
        return newest
    return present


def _shifts(pieces: list[_Piece], pictures: set[int]) -> list[Fraction]:
    """Seconds to add to the times of every piece so that each begins where the last one ended."""
    shifts = [Fraction(0)]
    ends = dict(pieces[0].end)
    for piece in pieces[1:]:
        both = [index for index in piece.begin if index in ends]
        leading = [index for index in both if index in pictures] or both
        if leading:
            shift = max(ends[index] - piece.begin[index] for index in leading)
        else:
            shift = max(ends.values()) - min(piece.begin.values(), default=Fraction(0))
        shifts.append(shift)
        for index, end in piece.end.items():
            ends[index] = end + shift
    return shifts
