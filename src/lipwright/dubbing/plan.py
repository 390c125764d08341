"""The plan: what pass 1 found out about a video, small enough to keep and to save.

Shots, timestamps, and per track the crop of every frame. It says nothing about the speech, the
method or whose mouth moves; so one plan serves every later dub of the same video.

The reference pictures stay in the plan's file (:mod:`~lipwright.dubbing.plan_file`) until a track
begins to speak.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError, system_errors
from lipwright.faces import alignment

_END_BYTES = 1 << 20

# What is known of a face in a frame.
SEEN, LOST, MISSING, TOO_SMALL, TURNED_AWAY, OUTSIDE, COVERED = range(7)
NOT_SPEAKING = 7
"""A usable face that is left alone at this time; in no plan on disk, see ``speaking.limited``."""
USABLE = (SEEN, LOST)

POINT_RANGE = (-0.5, 1.5)
"""Outline points are stored as 16-bit fractions of this range, in parts of the crop's side."""


@dataclass(frozen=True)
class PlannedFace:
    """One face in one source frame.

    Attributes:
        track: its number.
        crop: (2, 3) similarity from the unit square to display pixels.
        points: (K, 2) float32 landmarks of the face's outline, in parts of the crop's side.
        state: SEEN, LOST (place taken from the neighbours) or why it cannot be used.
        strength: (0, 1], how much of the edit is shown: below 1 where a face comes or goes.
        hidden: what lies before the face (``hidden.unpack``), empty for nothing.
    """

    track: int
    crop: alignment.Affine
    points: NDArray[np.float32]
    state: int
    strength: float
    hidden: bytes = b""

    @property
    def side(self) -> float:
        """Side of the crop in display pixels."""
        return float(np.hypot(self.crop[0, 0], self.crop[1, 0]))

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Extent (x0, y0, x1, y1) of the crop in display pixels."""
        corners = alignment.apply(self.crop, np.array([[0, 0], [1, 0], [0, 1], [1, 1]]))
        (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
        return float(x0), float(y0), float(x1), float(y1)


@dataclass(frozen=True)
class Track:
    """One person in one shot; row i belongs to source frame ``first + i``.

    Attributes:
        number: as ``--face`` takes it, counted from 0 in order of appearance.
        shot: index of the shot.
        first: source frame of the first row.
        crops: (n, 4) smoothed crop parameters, see ``faces.alignment.parameters``.
        points: (n, K, 2) uint16 outline, see ``POINT_RANGE``.
        openings: (n,) float32 of the mouth.
        lips: (n, 40, 2) uint16 lip contours in the aligned crop, see ``POINT_RANGE``; of use in
            the frames whose state is SEEN.
        states: (n,) uint8.
        strength: (n,) float32.
        rest: (40, 2) lip contours of the resting mouth, see ``models.lip_space.NeutralMouth``.
        rest_opening: its opening.
        references: frames and openings of the reference pictures.
        reference_lips: (40, 2) lip contours of each.
        hidden: what lies before the face (``hidden.unpack``), of the rows with something.
        offsets: where their lines begin in the plan's file.
    """

    number: int
    shot: int
    first: int
    crops: NDArray[np.float64]
    points: NDArray[np.uint16]
    openings: NDArray[np.float32]
    lips: NDArray[np.uint16]
    states: NDArray[np.uint8]
    strength: NDArray[np.float32]
    rest: NDArray[np.float32]
    rest_opening: float
    references: tuple[tuple[int, float], ...] = ()
    reference_lips: tuple[NDArray[np.float32], ...] = ()
    hidden: Mapping[int, bytes] = field(default_factory=dict)
    offsets: tuple[int, ...] = field(default=(), compare=False)

    @property
    def last(self) -> int:
        """Source frame of the last row."""
        return self.first + len(self.states) - 1

    @property
    def usable(self) -> NDArray[np.bool_]:
        """(n,) whether the mouth can be drawn."""
        return np.isin(self.states, USABLE)

    @property
    def sides(self) -> NDArray[np.float64]:
        """(n,) sides of the crops in display pixels."""
        return np.asarray(np.exp(self.crops[:, 0]))

    def face(self, frame: int) -> PlannedFace | None:
        """The face in a source frame; None outside the track and where it was not found."""
        row = frame - self.first
        if not 0 <= row < len(self.states) or self.states[row] == MISSING:
            return None
        crop = alignment.from_parameters(self.crops[row : row + 1])[0]
        return PlannedFace(
            self.number,
            crop,
            unpack_points(self.points[row]),
            int(self.states[row]),
            float(self.strength[row]),
            self.hidden.get(row, b""),
        )


def pack_points(points: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Outline points as 16-bit numbers."""
    low, high = POINT_RANGE
    share = (np.asarray(points, np.float64) - low) / (high - low)
    return np.asarray(np.round(np.clip(np.nan_to_num(share), 0, 1) * 65535), dtype=np.uint16)


def unpack_points(packed: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The inverse of :func:`pack_points`."""
    low, high = POINT_RANGE
    return (packed.astype(np.float64) / 65535 * (high - low) + low).astype(np.float32)


@dataclass(frozen=True)
class Source:
    """Which file a plan belongs to.

    Attributes:
        size: bytes.
        modified: time of the last change in nanoseconds.
        digest: sha256 of the first and the last MiB.
    """

    size: int
    modified: int
    digest: str

    @classmethod
    def of(cls, path: Path) -> Source:
        """Look at a file."""
        with system_errors(f"The file {path} cannot be read", "check its name and permissions"):
            stat = path.stat()
            digest = hashlib.sha256()
            with path.open("rb") as file:
                digest.update(file.read(_END_BYTES))
                file.seek(max(0, stat.st_size - _END_BYTES))
                digest.update(file.read(_END_BYTES))
        return cls(stat.st_size, stat.st_mtime_ns, digest.hexdigest())


@dataclass
class Plan:
    """Everything that pass 1 found.

    Attributes:
        source: the file.
        settings: how it was looked at.
        time_base: seconds per tick.
        pts: ticks of every source frame.
        last_duration: ticks of the last frame.
        shots: (first, last) source frame of every shot.
        tracks: by number.
        warnings: what the reader had to say.
        path: the file that holds the reference pictures.
        file: the same, open; None until it is needed.
    """

    source: Source
    settings: dict[str, Any]
    time_base: Fraction
    pts: list[int]
    last_duration: int
    shots: list[tuple[int, int]]
    tracks: list[Track]
    warnings: list[str]
    path: Path
    file: IO[bytes] | None = None
    _reading: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def __enter__(self) -> Plan:
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None

    def seconds(self) -> NDArray[np.float64]:
        """(n,) when each frame appears, after the first one."""
        return np.array([float((pts - self.pts[0]) * self.time_base) for pts in self.pts])

    def shown_seconds(self, track: Track, flags: NDArray[np.bool_]) -> float:
        """For how long the flagged rows of a track are shown."""
        ends = [*self.pts[1:], self.pts[-1] + self.last_duration]
        frames = (track.first + np.flatnonzero(flags)).tolist()
        return float(sum(ends[frame] - self.pts[frame] for frame in frames) * self.time_base)

    def portable(self) -> PortablePlan:
        """All of it, for another process that need not see its file."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        del values["file"], values["path"], values["_reading"]
        if self.file is None:
            self.file = self.path.open("rb")
        with self._reading:
            self.file.seek(0)
            return PortablePlan(values, self.file.read())

    def references(self, track: Track) -> list[NDArray[np.uint8]]:
        """The reference crops of a track, (S, S, 3) uint8 RGB, closed mouths first."""
        return [self._picture(offset, "png") for offset in track.offsets]

    def details(self, track: Track) -> Iterator[NDArray[np.uint8]]:
        """The mouths of the same frames as fine as in the video, one after another.

        Each (S, S, 3) uint8 RGB of ``face_regions.MOUTH_WINDOW``; an empty picture where the crop
        holds all there is.
        """
        for offset in track.offsets:
            yield self._picture(offset, "detail")

    def _picture(self, offset: int, name: str) -> NDArray[np.uint8]:
        if self.file is None:  # stays open: another job may tidy the cache meanwhile
            self.file = self.path.open("rb")
        with self._reading:
            self.file.seek(offset)
            line = json.loads(self.file.readline())
        if name not in line:
            return np.zeros((0, 0, 3), np.uint8)
        data = base64.b64decode(line[name])
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if decoded is None:
            raise LipwrightError(
                f"The plan {self.path} was changed while the job was running; start again."
            )
        return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


@dataclass(frozen=True)
class PortablePlan:
    """A plan on its way to another process.

    Attributes:
        values: fields of the plan.
        file: content of its file.
    """

    values: dict[str, Any]
    file: bytes

    def unpack(self, path: Path) -> Plan:
        """The plan, its file written to ``path``."""
        path.write_bytes(self.file)
        return Plan(**self.values, path=path)
