"""A talking head for tests: the bundled portrait, whose chin drops as loud as its voice is."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.demo import load_portrait

RATE = 16_000
FPS = 25
_cache: dict[str, Any] = {}


def loudness(seconds: float, seed: int = 0) -> NDArray[np.float64]:
    """A made melody of syllables, one value per audio sample, in [0, 1]."""
    rng = np.random.default_rng(seed)
    out = np.zeros(round(seconds * RATE))
    at = 0.0
    while at < seconds:
        length = float(rng.uniform(0.12, 0.35))
        a, b = round(at * RATE), min(round((at + length) * RATE), out.size)
        if b > a:
            strength = rng.uniform(0.4, 1.0)
            out[a:b] = strength * np.sin(np.pi * np.arange(b - a) / max(b - a, 1)) ** 2
        at += length + float(rng.uniform(0.02, 0.2))
    return out


def voice_of(level: NDArray[np.float64], pitch: float = 140.0) -> NDArray[np.float32]:
    """A buzz of that loudness."""
    t = np.arange(level.size) / RATE
    buzz = sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 12))
    return np.asarray(0.12 * buzz * level, np.float32)


def face(opening: float, height: int = 360) -> NDArray[np.uint8]:
    """(H, W, 3) RGB portrait with the mouth opened by so much (0 to 1)."""
    picture, upper, lower, chin, centre, half = _portrait(height)
    gap = opening * 0.35 * (chin - lower)
    y, x = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]].astype(np.float32)
    line = (upper + lower) / 2
    across = np.clip(1 - ((x - centre) / half) ** 2, 0, 1)
    drop = gap * across
    # Below the gap everything moves down, less and less towards the neck.
    fade = np.clip((chin * 1.25 - y) / max(chin * 1.25 - line, 1), 0, 1)
    source = np.where(y > line + drop, y - drop * fade, np.where(y > line, line, y))
    out = cv2.remap(picture, x, source.astype(np.float32), cv2.INTER_LINEAR)
    inside = (y > line) & (y < line + drop)
    out[inside] = (40, 12, 14)
    return np.asarray(out, np.uint8)


def _portrait(height: int) -> tuple[Any, ...]:
    key = f"portrait{height}"
    if key not in _cache:
        from lipwright.faces.tracker import FaceTracker

        big = load_portrait()
        scale = height / big.shape[0]
        size = (round(big.shape[1] * scale) // 2 * 2, height)
        picture = cv2.resize(big, size, interpolation=cv2.INTER_AREA)
        points = FaceTracker().update(np.ascontiguousarray(picture))[0].landmarks
        half = 0.75 * float(np.linalg.norm(points[61, :2] - points[291, :2]))
        _cache[key] = (
            picture,
            float(points[13, 1]),
            float(points[14, 1]),
            float(points[152, 1]),
            float(points[13, 0]),
            half,
        )
    result: tuple[Any, ...] = _cache[key]
    return result


def write_talker(
    path: Path,
    seconds: float = 4.0,
    *,
    late: float = 0.0,
    fps: int = FPS,
    seed: int = 0,
    silent: bool = False,
    still: bool = False,
    height: int = 360,
) -> Path:
    """Write a talking head.

    Args:
        path: .mkv or .mp4.
        seconds: length.
        late: seconds by which the sound comes late.
        fps: frame rate.
        seed: of what is said.
        silent: no voice in the sound.
        still: the mouth stays closed.
        height: of the picture.
    """
    level = loudness(seconds, seed)
    wave = voice_of(level)
    shift = round(late * RATE)
    wave = np.roll(wave, shift)
    wave[: max(shift, 0)] = 0
    if shift < 0:
        wave[shift:] = 0
    if silent:
        wave = 0.0003 * np.random.default_rng(0).standard_normal(wave.size).astype(np.float32)
    count = round(seconds * fps)
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=fps)
        audio: Any = container.add_stream("flac" if path.suffix == ".mkv" else "aac", rate=RATE)
        audio.layout = "mono"
        picture = face(0.0, height)
        video.width, video.height, video.pix_fmt = picture.shape[1], picture.shape[0], "yuv420p"
        video.options = {"preset": "ultrafast", "crf": "14"}
        for n in range(count):
            around = level[round(n / fps * RATE) : round((n + 1) / fps * RATE)]
            opening = 0.0 if still else float(around.mean())
            picture = face(opening, height)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        for start in range(0, wave.size, 4096):
            part = np.ascontiguousarray((wave[None, start : start + 4096] * 32767).astype(np.int16))
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path
