"""Small generated videos and scripted faces, for tests without a network."""

from __future__ import annotations

import tempfile
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from lipwright.faces.alignment import STABLE_POINTS, TEMPLATE
from lipwright.faces.measure import INNER_LIPS, OUTER_LIPS
from lipwright.faces.tracker import FaceObservation

OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)


@dataclass(frozen=True)
class Actor:
    """A face in a scripted scene: its crop is ``side`` wide with the upper left corner at x, y."""

    track: int
    x: float
    y: float
    side: float
    opening: float = 0.03
    yaw: float = 0.0


Script = Callable[[int], Sequence[Actor]]


def mesh(actor: Actor) -> np.ndarray:
    """Landmarks (478, 3) of an actor, in display pixels."""
    points = np.zeros((478, 3), np.float64)
    points[:, :2] = 0.5
    angle = np.linspace(0, 2 * np.pi, len(OVAL), endpoint=False)
    points[list(OVAL), 0] = 0.5 + 0.33 * np.sin(angle)
    points[list(OVAL), 1] = 0.52 - 0.40 * np.cos(angle)
    half = actor.opening * 0.8 / 2  # the face is 0.8 high
    for ring, width, height in ((INNER_LIPS, 0.09, half), (OUTER_LIPS, 0.11, half + 0.03)):
        turn = np.linspace(np.pi, -np.pi, len(ring), endpoint=False)
        points[list(ring), 0] = 0.5 + width * np.cos(turn)
        points[list(ring), 1] = 0.69 - height * np.sin(turn)
    points[[13, 14], 0] = 0.5
    points[[13, 14], 1] = 0.69 - half, 0.69 + half
    points[[1, 2, 98, 327, 4], :2] = (0.5, 0.5), (0.5, 0.56), (0.45, 0.55), (0.55, 0.55), (0.5, 0.5)
    points[list(STABLE_POINTS)] = TEMPLATE
    tan = np.tan(np.radians(actor.yaw))
    points[:, 2] += tan * (points[:, 0] - 0.5)
    points *= actor.side
    points[:, :2] += (actor.x, actor.y)
    return points.astype(np.float32)


class ScriptedTracker:
    """Answers from a script, in the order of the calls."""

    name = "scripted"

    def __init__(self, script: Script) -> None:
        self.script = script
        self.calls = 0
        self.resets: list[int] = []

    def update(
        self, image: np.ndarray, scale: float = 1.0, patch: object = None
    ) -> list[FaceObservation]:
        actors = self.script(self.calls)
        self.calls += 1
        seen = []
        for actor in actors:
            points = mesh(actor)
            box = np.concatenate([points[:, :2].min(axis=0), points[:, :2].max(axis=0)])
            seen.append(FaceObservation(actor.track, box.astype(np.float64), points, 0.95))
        return seen

    def reset(self) -> None:
        self.resets.append(self.calls)


def scene(index: int, size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """An RGB picture (h, w, 3) with texture, different in every frame, alike inside a seed."""
    width, height = size
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 255, (max(2, height // 16), max(2, width // 16), 3), dtype=np.uint8)
    picture = cv2.resize(base, (width, height), interpolation=cv2.INTER_CUBIC)
    fine = np.random.default_rng(1000 + index).integers(-8, 9, (height, width, 1))
    picture = np.clip(picture.astype(np.int16) + fine, 0, 255).astype(np.uint8)
    cv2.rectangle(picture, (index % width, 0), (index % width + 2, 4), (255, 255, 255), -1)
    return picture


def write_video(
    path: Path,
    count: int = 50,
    size: tuple[int, int] = (192, 160),
    rate: Fraction = Fraction(25),
    *,
    pictures: Callable[[int], np.ndarray] | None = None,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
) -> Path:
    """A video; ``pts`` in units of ``time_base`` for variable frame rates."""
    if options is None:
        options = {"crf": "12", "preset": "ultrafast"} if codec == "libx264" else {}
    if pictures is None:  # encoded once for all tests of a process
        times = (None if pts is None else tuple(pts), time_base)
        how = (codec, pix_fmt, tuple(options.items()))
        path.write_bytes(_scenes(path.suffix, count, size, rate, *times, *how))
        return path
    _encode(path, count, size, rate, pictures, pts, time_base, codec, pix_fmt, options)
    return path


@cache
def _scenes(
    suffix: str,
    count: int,
    size: tuple[int, int],
    rate: Fraction,
    pts: tuple[int, ...] | None,
    time_base: Fraction | None,
    codec: str,
    pix_fmt: str,
    options: tuple[tuple[str, str], ...],
) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"v{suffix}")
        how = (pts, time_base, codec, pix_fmt, dict(options))
        _encode(path, count, size, rate, lambda i: scene(i, size), *how)
        return path.read_bytes()


def _encode(
    path: Path,
    count: int,
    size: tuple[int, int],
    rate: Fraction,
    pictures: Callable[[int], np.ndarray],
    pts: Sequence[int] | None,
    time_base: Fraction | None,
    codec: str,
    pix_fmt: str,
    options: dict[str, str],
) -> None:
    convert = VideoReformatter()  # one for all frames: it costs more than a conversion
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        base = time_base or 1 / rate
        stream.codec_context.time_base = base
        for i in range(count):
            rgb = av.VideoFrame.from_ndarray(pictures(i), format="rgb24")
            frame = convert.reformat(rgb, format=pix_fmt)
            frame.pts = pts[i] if pts else i
            frame.time_base = base
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def write_speech(path: Path, seconds: float, silent_from: float | None = None) -> Path:
    """A WAV file of syllables; nothing but zeros from ``silent_from`` on."""
    rate = 16000
    t = np.arange(round(seconds * rate)) / rate
    voice = sum(np.sin(2 * np.pi * 130 * h * t + h) / h for h in range(1, 15))
    sound = 0.15 * voice * np.clip(np.sin(2 * np.pi * 4 * t), 0.05, 1)
    if silent_from is not None:
        sound[t >= silent_from] = 0
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(sound, -1, 1) * 32000).astype("<i2").tobytes())
    return path


def decoded(path: Path) -> Iterator[tuple[Fraction, np.ndarray]]:
    """Time and luma of every frame of a file."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            plane = frame.planes[0]
            depth = frame.format.components[0].bits
            kind = np.uint8 if depth == 8 else np.uint16
            rows = np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width]
            yield frame.pts * frame.time_base, rows.copy()
