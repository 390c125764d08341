"""The file of a plan: JSON lines, written as the analysis goes on and read back from the cache.

A header, one line per track followed by its reference pictures (PNG), and a footer. A file without
its footer is the work of a killed job and is not used. Numbers are rounded when the plan is made,
not when it is saved, so that a plan from the cache gives exactly the same frames as a fresh one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright import __version__
from lipwright.dubbing.hidden import as_text, from_text
from lipwright.dubbing.plan import Plan, Source, Track
from lipwright.dubbing.references import Reference

FORMAT = 4


_DECIMALS = 5


DETAIL_BYTES = 256 << 20
"""A plan keeps no more detail of mouths than this; faces that come later have none."""


def settle(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Round to what a saved plan keeps."""
    return np.asarray(np.round(np.asarray(values, np.float64), _DECIMALS), np.float64)


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
                "hidden": as_text(track.hidden),
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
        openings = tuple((r.frame, round(r.opening, _DECIMALS)) for r in references)
        shapes = tuple(settle(r.lips).astype(np.float32) for r in references)
        more = replace(track, references=openings, reference_lips=shapes, offsets=tuple(offsets))
        self._tracks.append(more)

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
        plan.file = file
    return plan


def _load(file: IO[bytes], path: Path, source: Source, settings: dict[str, Any]) -> Plan | None:
    tracks: list[Track] = []
    references: list[tuple[int, float]] = []
    lips: list[NDArray[np.float32]] = []
    offsets: list[int] = []

    def close_track() -> None:
        if tracks:
            tracks[-1] = replace(
                tracks[-1],
                references=tuple(references),
                reference_lips=tuple(lips),
                offsets=tuple(offsets),
            )
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
        hidden=from_text(data["hidden"]),
    )


def _as_text(packed: NDArray[np.uint16]) -> str:
    return base64.b64encode(packed.astype("<u2").tobytes()).decode()


def _from_text(text: str) -> NDArray[np.uint16]:
    return np.frombuffer(base64.b64decode(text), "<u2").astype(np.uint16)
