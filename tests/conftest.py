"""Shared fixtures: generated media and, where it is at hand, the corpus of real clips."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import settings

from lipwright.media.thread_priority import ordinary_priority

Paint = Callable[[int, list[npt.NDArray[Any]]], None]
"""``paint(index, planes)`` fills the planes of frame ``index`` in place."""

_VIDEO_CODECS = {".mkv": "ffv1", ".webm": "libvpx-vp9", ".avi": "ffv1", ".gif": "gif"}
_AUDIO_CODECS = {
    ".wav": "pcm_s16le",
    ".mkv": "flac",
    ".flac": "flac",
    ".mp3": "libmp3lame",
    ".webm": "libopus",
    ".ogg": "libopus",
    ".opus": "libopus",
}
_PICTURE_CODECS = {".png": "png", ".jpg": "mjpeg", ".bmp": "bmp", ".tiff": "tiff"}


@pytest.fixture
def corpus() -> Path:
    """Folder of the corpus of real clips; the test is skipped where there is none."""
    default = Path(__file__).parents[2] / "shared" / "corpus"
    folder = Path(os.environ.get("LIPWRIGHT_CORPUS", default))
    if not (folder / "clips.csv").is_file():
        pytest.skip(f"no corpus of real clips at {folder} (set LIPWRIGHT_CORPUS)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def graphs_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Graphs of the tiny networks of tests must not push a user's own out of the cache.

    All of them are kept: a contract suite asks for more than a user has methods, and converts none
    twice.
    """
    folder = tmp_path_factory.mktemp("graphs")
    with pytest.MonkeyPatch.context() as patch:
        if "LIPWRIGHT_GRAPHS" not in os.environ:
            patch.setenv("LIPWRIGHT_GRAPHS", str(folder))
        patch.setattr("lipwright.methods.graph_cache.KEPT", 1000)
        yield


@pytest.fixture(autouse=True)
def _logger_as_it_was() -> Iterator[None]:
    """Commands of training show the package's log in their own way; the next test reads it too."""
    logger = logging.getLogger("lipwright")
    before = logger.propagate, logger.level, list(logger.handlers)
    yield
    logger.propagate, logger.handlers = before[0], before[2]
    logger.setLevel(before[1])


class MakeVideo(Protocol):
    """The type of the fixture ``make_video``; see :func:`write_video`."""

    def __call__(self, name: str = "clip.mp4", **options: Any) -> Path: ...


class MakeSpeech(Protocol):
    """The type of the fixture ``make_speech``; see :func:`write_speech`."""

    def __call__(self, name: str = "speech.wav", **options: Any) -> Path: ...


@pytest.fixture
def make_video(tmp_path: Path) -> MakeVideo:
    """Factory of small videos and pictures in the test's own folder."""

    def make(name: str = "clip.mp4", **options: Any) -> Path:
        return write_video(tmp_path / name, **options)

    return make


@pytest.fixture
def make_speech(tmp_path: Path) -> MakeSpeech:
    """Factory of sound files in the test's own folder."""

    def make(name: str = "speech.wav", **options: Any) -> Path:
        return write_speech(tmp_path / name, **options)

    return make


def moving_pattern(index: int, planes: list[npt.NDArray[Any]]) -> None:
    """Smooth gradients that move, different in every plane and frame, within the legal codes."""
    deep = planes[0].dtype == np.uint16
    for number, plane in enumerate(planes):
        y, x = np.mgrid[: plane.shape[0], : plane.shape[1]]
        wave = np.sin((x + 2 * index) / 7.0 + number) + np.cos((y - index) / 5.0 - number)
        codes = 128.0 + 50.0 * wave / 2.0
        plane[:] = (codes * 4.0 if deep else codes).astype(plane.dtype)


def write_video(
    path: Path,
    *,
    size: tuple[int, int] = (64, 48),
    frames: int = 10,
    fps: Fraction | int = 25,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    rotation: int = 0,
    mirrored: bool = False,
    aspect: Fraction | int = 1,
    pix_fmt: str = "yuv420p",
    codec: str | None = None,
    options: dict[str, str] | None = None,
    matrix: int = 2,
    primaries: int = 2,
    transfer: int = 2,
    code_range: int = 0,
    paint: Paint = moving_pattern,
    audio: str | npt.NDArray[np.float32] | None = None,
    audio_codec: str | None = None,
    audio_rate: int = 16_000,
    audio_layout: str = "mono",
    audio_seconds: float | None = None,
) -> Path:
    """Write a video (or, for .png, .jpg, .bmp and .tiff, a picture).

    Args:
        path: the suffix chooses the container and the default codecs (FFV1 in .mkv and .avi).
        size: (width, height) as stored.
        frames: how many.
        fps: frame rate.
        pts: timestamps, one per frame, in units of ``time_base``: variable frame rate.
        time_base: default 1/12800 of a second, or one frame where that does not divide it.
        rotation: degrees clockwise that turn the stored picture upright.
        mirrored: the stored picture is to be mirrored left to right before that.
        aspect: sample aspect ratio.
        pix_fmt: of the codec.
        codec: default by suffix, libx264 for .mp4 and .mov.
        options: of the codec.
        matrix, primaries, transfer, code_range: colour tags, libav's numbers.
        paint: fills the planes of each frame; packed formats have one plane of bytes.
        audio: "sine" (440 Hz), "noise", "silence", or samples (channels, n); None for no sound.
        audio_codec: default by suffix, AAC for .mp4 and .mov.
        audio_rate, audio_layout: of the sound.
        audio_seconds: length of made sound; default: as long as the pictures.
    """
    suffix = path.suffix.lower()
    fps = Fraction(fps)
    if time_base is None:
        time_base = Fraction(1, 12_800) if (12_800 / fps).denominator == 1 else 1 / fps
    step = 1 / (fps * time_base)
    times = list(pts) if pts is not None else [round(i * step) for i in range(frames)]
    still = suffix in _PICTURE_CODECS
    name = codec or _PICTURE_CODECS.get(suffix) or _VIDEO_CODECS.get(suffix, "libx264")
    defaults = {
        "libx264": {"preset": "ultrafast", "crf": "10"},
        "ffv1": {"level": "1"} if min(size) < 16 else {},  # version 3 cannot slice tiny pictures
    }.get(name, {})
    with av.open(str(path), "w", **({"format": "image2"} if still else {})) as container:
        stream: Any = container.add_stream(name, rate=fps)
        context = stream.codec_context
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        if not still:
            stream.time_base = context.time_base = time_base
        context.sample_aspect_ratio = Fraction(aspect)
        context.colorspace, context.color_primaries = matrix, primaries
        context.color_trc, context.color_range = transfer, code_range
        context.options = {**defaults, **(options or {})}
        if rotation or mirrored:
            # PyAV turns counter-clockwise and mirrors after the turn.
            turn = -rotation if not mirrored else rotation
            stream.set_display_rotation(turn, hflip=mirrored)
        sound = _add_sound(container, path, audio, audio_codec, audio_rate, audio_layout)
        for index, stamp in enumerate(times[:1] if still else times):
            frame = av.VideoFrame(*size, pix_fmt)
            paint(index, raw_planes(frame))
            frame.pts, frame.time_base = stamp, time_base
            frame.color_range, frame.colorspace = code_range, matrix
            with ordinary_priority():
                container.mux(stream.encode(frame))
        with ordinary_priority():
            container.mux(stream.encode(None))
        if sound is not None:
            length = audio_seconds if audio_seconds is not None else float(len(times) / fps)
            samples = made_sound(audio, audio_rate, audio_layout, length)
            _encode_sound(container, sound, samples, audio_rate, audio_layout)
    return path


def write_speech(
    path: Path,
    *,
    audio: str | npt.NDArray[np.float32] = "sine",
    codec: str | None = None,
    rate: int = 16_000,
    layout: str = "mono",
    seconds: float = 1.0,
) -> Path:
    """Write a sound file; arguments as in :func:`write_video`."""
    with av.open(str(path), "w") as container:
        stream = _add_sound(container, path, audio, codec, rate, layout)
        _encode_sound(container, stream, made_sound(audio, rate, layout, seconds), rate, layout)
    return path


def made_sound(
    audio: str | npt.NDArray[np.float32] | None, rate: int, layout: str, seconds: float
) -> npt.NDArray[np.float32]:
    """Samples (channels, n) in [-1, 1]."""
    channels = av.AudioLayout(layout).nb_channels
    if isinstance(audio, np.ndarray):
        return np.broadcast_to(np.atleast_2d(audio), (channels, audio.shape[-1]))
    count = round(rate * seconds)
    if audio == "silence":
        mono = np.zeros(count)
    elif audio == "noise":
        mono = np.random.default_rng(0).uniform(-0.3, 0.3, count)
    else:
        mono = 0.5 * np.sin(2 * np.pi * 440.0 * np.arange(count) / rate)
    return np.broadcast_to(mono.astype(np.float32), (channels, count))


def raw_planes(frame: av.VideoFrame) -> list[npt.NDArray[Any]]:
    """Views of all planes of a frame, packed ones as bytes; independent of Lipwright's own."""
    views = []
    deep = max(c.bits for c in frame.format.components) > 8
    for plane in frame.planes:
        bits = frame.format.padded_bits_per_pixel if len(frame.planes) == 1 else 0
        pixel = max(1, bits // 8 // (2 if deep else 1))
        data = np.frombuffer(plane, np.uint16 if deep else np.uint8)  # type: ignore[call-overload]
        stride = plane.line_size // data.itemsize
        views.append(data.reshape(plane.height, stride)[:, : plane.width * pixel])
    return views


def _add_sound(
    container: Any,
    path: Path,
    audio: object,
    codec: str | None,
    rate: int,
    layout: str,
) -> Any:
    if audio is None:
        return None
    name = codec or _AUDIO_CODECS.get(path.suffix.lower(), "aac")
    return container.add_stream(name, rate=rate, layout=layout)


def _encode_sound(
    container: Any, stream: Any, samples: npt.NDArray[np.float32], rate: int, layout: str
) -> None:
    for start in range(0, samples.shape[1], 4096):
        part = np.ascontiguousarray(samples[:, start : start + 4096])
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def ffprobe(path: Path, *entries: str) -> Any:
    """What another program says of a file; the test is skipped where there is no such program."""
    program = shutil.which("ffprobe")
    if program is None:
        pytest.skip("no ffprobe")
    command = [program, "-v", "error", "-of", "json", *entries, str(path)]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


# The same examples in every run: a failure can be had again, and an unchanged tree stays green.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
