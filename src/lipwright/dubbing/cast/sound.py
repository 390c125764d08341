"""How the film sounds: the speeches at their times, over what is kept of the film's own sound.

Written as a sound file in blocks of a second, so that memory does not grow with the film. Speeches
are brought to the loudness of the film's own sound. Where somebody speaks, what is to be ducked is
lowered by 15 dB. The sum goes through the limiter that all written sound goes through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.cast.stretches import Stretch
from lipwright.media.audio import speech_origin
from lipwright.media.choice import pick_audio_stream
from lipwright.media.mix import Limiter, stereo_weights
from lipwright.media.sound import Sound, aligned_sound, resampled
from lipwright.media.source import open_media

RATE = 48_000
STEPS = 100
"""Steps a second of the curve that says where somebody speaks."""
DUCK_DB = -15.0
EDGE_SECONDS = 0.005
"""Speeches that are cut fade in and out for so long, against clicks."""
HOLD_STEPS = 40
"""What is ducked stays so through pauses of twice as many steps."""

Samples = NDArray[np.float32]


class Feed:
    """A file's sound at 48 kHz in two channels, taken bit by bit; silence after its end."""

    def __init__(self, path: Path) -> None:
        """Open; closed with :meth:`close`."""
        self._stack = ExitStack()
        container = self._stack.enter_context(open_media(path, "sound"))
        stream = pick_audio_stream(container, path)
        sounds = aligned_sound(container, stream, path, speech_origin(path))
        self._pieces = resampled(map(_stereo, sounds), RATE, 2)
        self._left: Samples = np.zeros((2, 0), np.float32)
        self.position = 0

    def take(self, count: int) -> Samples:
        """(2, count), the next ones."""
        out = np.zeros((2, count), np.float32)
        filled = 0
        while filled < count:
            if not self._left.shape[1]:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._left = piece.T
                continue
            part = self._left[:, : count - filled]
            out[:, filled : filled + part.shape[1]] = part
            self._left = self._left[:, part.shape[1] :]
            filled += part.shape[1]
        self.position += count
        return out

    def skip(self, count: int) -> None:
        """Leave out the next ones."""
        while count > 0:
            self.take(min(count, RATE))
            count -= RATE

    def close(self) -> None:
        """Let the file go."""
        self._stack.close()


def write_mix(
    path: Path,
    seconds: Fraction,
    stretches: Sequence[Stretch],
    gains: Mapping[str, float],
    under: Sequence[tuple[Path, bool]],
    spoken: NDArray[np.float32],
    left_out: Fraction = Fraction(0),
) -> None:
    """Write the sound of the film.

    Args:
        path: ``.flac`` or ``.wav`` to write.
        seconds: how long the film lasts.
        stretches: with their ends, by start.
        gains: decibels for the speeches of each name.
        under: files that sound below the speeches, and whether each is ducked.
        spoken: (n,) in [0, 1], 100 a second: how much somebody speaks.
        left_out: seconds at the beginning of what sounds below the speeches.
    """
    total = round(seconds * RATE)
    curve = _held(spoken)
    feeds = _Feeds()
    limiter = Limiter(RATE)
    with ExitStack() as stack:
        stack.callback(feeds.close)
        below = [(Feed(file), ducked) for file, ducked in under]
        for feed, _ in below:
            stack.callback(feed.close)
            feed.skip(round(left_out * RATE))
        write = stack.enter_context(_Writer(path))
        active: list[tuple[Stretch, Feed]] = []
        waiting = list(stretches)
        for first in range(0, total, RATE):
            last = min(first + RATE, total)
            block = np.zeros((2, last - first), np.float32)
            for feed, ducked in below:
                part = feed.take(last - first)
                block += part * _duck(curve, first, last) if ducked else part
            while waiting and round(waiting[0].start * RATE) < last:
                each = waiting.pop(0)
                active.append((each, feeds.at(each.speech, round(each.offset * RATE))))
            going = []
            for each, feed in active:
                ends = _add(block, first, each, feed, 10.0 ** (gains.get(each.name, 0.0) / 20.0))
                if ends:
                    feeds.give_back(each.speech, feed)
                else:
                    going.append((each, feed))
            active = going
            write(limiter.push(block))
        write(limiter.flush())


def _add(block: Samples, first: int, each: Stretch, feed: Feed, gain: float) -> bool:
    """Add what of a stretch sounds in a block; whether it is over by then."""
    assert each.end is not None
    start, stop = round(each.start * RATE), round(each.end * RATE)
    a, b = max(start, first), min(stop, first + block.shape[1])
    if b > a:
        place = np.arange(a, b)
        edge = EDGE_SECONDS * RATE
        fade = np.clip(np.minimum(place - start, stop - 1 - place) / edge, 0.0, 1.0)
        block[:, a - first : b - first] += feed.take(b - a) * (gain * fade).astype(np.float32)
    return bool(stop <= first + block.shape[1])


def _duck(curve: NDArray[np.float64], first: int, last: int) -> Samples:
    """Gain of each sample of what is ducked."""
    at = np.arange(first, last) * (STEPS / RATE)
    share = np.interp(at, np.arange(curve.size), curve)
    return np.asarray(10.0 ** (DUCK_DB * share / 20.0), np.float32)


def _held(spoken: NDArray[np.float32]) -> NDArray[np.float64]:
    """The curve without dips in short pauses, its edges smooth."""
    padded = np.pad(spoken.astype(np.float64), HOLD_STEPS)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * HOLD_STEPS + 1)
    wide = np.pad(windows.max(axis=1), HOLD_STEPS, mode="edge")
    narrow = np.lib.stride_tricks.sliding_window_view(wide, 2 * HOLD_STEPS + 1).min(axis=1)
    kernel = np.hanning(22)[1:-1]
    return np.convolve(np.pad(narrow, 10, mode="edge"), kernel / kernel.sum(), "same")[10:-10]


class _Feeds:
    """Open files, so that the stretches of one recording are read in one go."""

    def __init__(self) -> None:
        self._idle: dict[Path, list[Feed]] = {}
        self._all: list[Feed] = []

    def at(self, path: Path, position: int) -> Feed:
        idle = self._idle.setdefault(path, [])
        able = [feed for feed in idle if feed.position <= position]
        if able:
            feed = max(able, key=lambda f: f.position)
            idle.remove(feed)
        else:
            feed = Feed(path)
            self._all.append(feed)
        feed.skip(position - feed.position)
        return feed

    def give_back(self, path: Path, feed: Feed) -> None:
        self._idle[path].append(feed)

    def close(self) -> None:
        for feed in self._all:
            feed.close()


class _Writer:
    """Blocks into a sound file of 16 bits."""

    def __init__(self, path: Path) -> None:
        self._file = av.open(f"file:{path}", "w")
        codec = "flac" if path.suffix == ".flac" else "pcm_s16le"
        stream = self._file.add_stream(codec, rate=RATE, layout="stereo", format="s16")
        assert isinstance(stream, av.AudioStream)
        self._stream = stream
        self._count = 0

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        for packet in self._stream.encode(None):
            self._file.mux(packet)
        self._file.close()

    def __call__(self, block: Samples) -> None:
        if not block.size:
            return
        samples = np.rint(np.clip(block, -1.0, 1.0) * 32767.0).astype(np.int16)
        packed = np.ascontiguousarray(samples.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout="stereo")
        frame.sample_rate, frame.pts = RATE, self._count
        frame.time_base = Fraction(1, RATE)
        self._count += samples.shape[1]
        for packet in self._stream.encode(frame):
            self._file.mux(packet)


def _stereo(sound: Sound) -> tuple[int, Samples]:
    stereo = stereo_weights(sound.channels, sound.samples.shape[0]) @ sound.samples
    return sound.rate, np.ascontiguousarray(stereo.T, np.float32)
