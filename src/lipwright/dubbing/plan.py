"""The plan: what pass 1 found out about a video, small enough to keep and to save.

Shots, timestamps, and per track the crop of every frame. It says nothing about the speech, the
method or whose mouth moves; so one plan serves every later dub of the same video.

On disk it is a file of JSON lines: a header, one line per track followed by its reference pictures
(PNG), and a footer. The pictures stay on disk until a track begins to speak. A file without its
footer is the work of a killed job and is not used. Numbers are rounded when the plan is made, not
when it is saved, so that a plan from the cache gives exactly the same frames as a fresh one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright import __version__
from lipwright.dubbing.references import Reference
from lipwright.errors import LipwrightError
from lipwright.faces import alignment

FORMAT = 3
_END_BYTES = 1 << 20

# What is known of a face in a frame.
SEEN, LOST, MISSING, TOO_SMALL, TURNED_AWAY, OUTSIDE, COVERED = range(7)
NOT_SPEAKING = 7
"""A usable face that is left alone at this time; in no plan on disk, see ``speaking.limited``."""
USABLE = (SEEN, LOST)

_DECIMALS = 5
DETAIL_BYTES = 256 << 20
"""A plan keeps no more detail of mouths than this; faces that come later have none."""
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
    """

    track: int
    crop: alignment.Affine
    points: NDArray[np.float32]
    state: int
    strength: float

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


def settle(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Round to what a saved plan keeps."""
    return np.asarray(np.round(np.asarray(values, np.float64), _DECIMALS), np.float64)


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
        try:
            stat = path.stat()
            digest = hashlib.sha256()
            with path.open("rb") as file:
                digest.update(file.read(_END_BYTES))
                file.seek(max(0, stat.st_size - _END_BYTES))
                digest.update(file.read(_END_BYTES))
        except OSError as error:
            raise LipwrightError(
                f"The file {path} cannot be read ({error.strerror or error}); check its name and "
                "permissions."
            ) from error
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
    _file: IO[bytes] | None = None
    _reading: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def __enter__(self) -> Plan:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def portable(self) -> PortablePlan:
        """All of it, for another process that need not see its file."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        del values["_file"], values["path"], values["_reading"]
        if self._file is None:
            self._file = self.path.open("rb")
        with self._reading:
            self._file.seek(0)
            return PortablePlan(values, self._file.read())

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
        if self._file is None:  # stays open: another job may tidy the cache meanwhile
            self._file = self.path.open("rb")
        with self._reading:
            self._file.seek(offset)
            line = json.loads(self._file.readline())
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


class PlanWriter:
    """Writes a plan as it grows; nothing but the columns of the tracks stays in memory."""

    def __init__(self, path: Path, source: Source, settings: dict[str, Any]) -> None:
        self.path = path
        self._source, self._settings = source, settings
        self._file = path.open("wb")
        self._tracks: list[Track] = []
        self._detail_bytes = 0
        header = {"lipwright_plan": FORMAT, "source": asdict(source), "settings": settings}
        self._line({**header, "version": __version__})

    def add(self, track: Track, references: list[Reference]) -> None:
        """Append a finished track with its reference pictures."""
        self._line(
            {
                "track": track.number,
                "shot": track.shot,
                "first": track.first,
                "crops": track.crops.tolist(),
                "openings": settle(track.openings).tolist(),
                "lip_shapes": _as_text(track.lips),
                "states": track.states.tolist(),
                "strength": settle(track.strength).tolist(),
                "rest": settle(track.rest).ravel().tolist(),
                "rest_opening": track.rest_opening,
                "outline": list(track.points.shape[1:]),
                "points": _as_text(track.points),
            }
        )
        offsets = []
        for reference in references:
            offsets.append(self._file.tell())
            _, png = cv2.imencode(".png", cv2.cvtColor(reference.crop, cv2.COLOR_RGB2BGR))
            picture = base64.b64encode(png.tobytes()).decode()
            opening = round(reference.opening, _DECIMALS)
            lips = settle(reference.lips).ravel().tolist()
            line = {"reference": reference.frame, "opening": opening, "lips": lips, "png": picture}
            self._detail_bytes += len(reference.detail)
            if reference.detail and self._detail_bytes <= DETAIL_BYTES:
                # Behind the picture: what reads a plan skips both.
                line["detail"] = base64.b64encode(reference.detail).decode()
            self._line(line)
        more = {
            "references": tuple(
                (reference.frame, round(reference.opening, _DECIMALS)) for reference in references
            ),
            "reference_lips": tuple(
                settle(reference.lips).astype(np.float32) for reference in references
            ),
            "offsets": tuple(offsets),
        }
        self._tracks.append(Track(**{**vars(track), **more}))

    def finish(
        self,
        time_base: Fraction,
        pts: list[int],
        last_duration: int,
        shots: list[tuple[int, int]],
        warnings: list[str],
    ) -> Plan:
        """Write the footer and close."""
        self._line(
            {
                "frames": len(pts),
                "time_base": [time_base.numerator, time_base.denominator],
                "steps": np.diff(np.asarray([0, *pts], dtype=np.int64)).tolist(),
                "last_duration": last_duration,
                "shots": shots,
                "warnings": warnings,
            }
        )
        self._file.close()
        tracks = sorted(self._tracks, key=lambda track: track.number)
        return Plan(
            self._source,
            self._settings,
            time_base,
            pts,
            last_duration,
            shots,
            tracks,
            warnings,
            self.path,
        )

    def discard(self) -> None:
        """Close and remove an unfinished file."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _line(self, data: dict[str, Any]) -> None:
        self._file.write(json.dumps(data, separators=(",", ":")).encode() + b"\n")


def load(
    path: Path, source: Source, settings: dict[str, Any], file: IO[bytes] | None = None
) -> Plan | None:
    """A saved plan, or None if there is none, if it is unfinished or belongs to something else.

    Args:
        path: its file.
        source: the video that it has to belong to.
        settings: how the video has to have been looked at.
        file: the file, opened by somebody who has checked it; stays open in the plan.
    """
    try:
        file = file or path.open("rb")
    except OSError:
        return None
    try:
        plan = _load(file, path, source, settings)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        plan = None  # damaged: a cache is only a cache
    if plan is None:
        file.close()
    else:
        plan._file = file
    return plan


def _load(file: IO[bytes], path: Path, source: Source, settings: dict[str, Any]) -> Plan | None:
    tracks: list[Track] = []
    references: list[tuple[int, float]] = []
    lips: list[NDArray[np.float32]] = []
    offsets: list[int] = []

    def close_track() -> None:
        if tracks:
            more = {
                "references": tuple(references),
                "reference_lips": tuple(lips),
                "offsets": tuple(offsets),
            }
            tracks[-1] = Track(**{**vars(tracks[-1]), **more})
        references.clear()
        lips.clear()
        offsets.clear()

    footer: dict[str, Any] | None = None
    for number, (offset, data) in enumerate(_lines(file)):
        if number == 0:
            same = data["lipwright_plan"] == FORMAT and data["version"] == __version__
            if not same or data["source"] != asdict(source) or data["settings"] != settings:
                return None
        elif "reference" in data:
            references.append((int(data["reference"]), float(data["opening"])))
            lips.append(np.asarray(data["lips"], np.float32).reshape(-1, 2))
            offsets.append(offset)
        elif "track" in data:
            close_track()
            tracks.append(_track(data))
        else:
            close_track()
            footer = data
    if footer is None:
        return None
    pts = np.cumsum(np.asarray(footer["steps"], dtype=np.int64)).tolist()
    if len(pts) != footer["frames"]:
        return None
    return Plan(
        source,
        settings,
        Fraction(*footer["time_base"]),
        pts,
        int(footer["last_duration"]),
        [(int(a), int(b)) for a, b in footer["shots"]],
        sorted(tracks, key=lambda track: track.number),
        [str(sentence) for sentence in footer["warnings"]],
        path,
    )


def _lines(file: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Offset and content of every line; the pictures are not decoded."""
    while True:
        offset = file.tell()
        line = file.readline()
        if not line:
            return
        if line.startswith(b'{"reference"'):
            head, _, rest = line.partition(b',"png"')
            if not rest.endswith(b'"}\n'):
                raise ValueError("cut off")
            line = head + b"}"
        yield offset, json.loads(line)


def _track(data: dict[str, Any]) -> Track:
    count = len(data["states"])
    points, lips = _from_text(data["points"]), _from_text(data["lip_shapes"])
    return Track(
        int(data["track"]),
        int(data["shot"]),
        int(data["first"]),
        np.asarray(data["crops"], np.float64).reshape(count, 4),
        points.reshape(count, *data["outline"]),
        np.asarray(data["openings"], np.float32),
        lips.reshape(count, -1, 2),
        np.asarray(data["states"], np.uint8),
        np.asarray(data["strength"], np.float32),
        np.asarray(data["rest"], np.float32).reshape(-1, 2),
        float(data["rest_opening"]),
    )


def _as_text(packed: NDArray[np.uint16]) -> str:
    return base64.b64encode(packed.astype("<u2").tobytes()).decode()


def _from_text(text: str) -> NDArray[np.uint16]:
    return np.frombuffer(base64.b64decode(text), "<u2").astype(np.uint16)
