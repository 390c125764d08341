"""The one table of limits: how much a file may ask for before the answer is one sentence.

A file of two kilobytes can claim a picture of a terapixel, a hundred thousand frames in a tenth of
a second, or half an hour of silence between two packets. What is within these limits is handled in
bounded memory; what is beyond them is refused with a sentence that names the limit. Each limit can
be set for one run with ``--limit NAME=VALUE``.

The limits hold for the process, not for a thread: decoding, rendering and encoding run in threads
of their own and all have to see the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any

from lipwright.errors import LipwrightError

MIB = 1 << 20


def _limit(default: int, unit: str, what: str) -> Any:
    return field(default=default, metadata={"unit": unit, "what": what})


@dataclass(frozen=True)
class Limits:
    """How much is allowed; every field is a positive whole number."""

    pixels: int = _limit(
        1 << 27, "pixels", "of one picture, width times height (16k x 8k); checked for every frame"
    )
    picture_bytes: int = _limit(
        256 * MIB, "bytes", "of one decoded picture; about eight are in memory at the same time"
    )
    frame_rate: int = _limit(
        1000, "frames/s", "at which a video is continued to and fro; faster ones are slowed to it"
    )
    frames: int = _limit(5_000_000, "frames", "of the output (55 hours at 25 frames per second)")
    sound_seconds: int = _limit(
        14_400, "s", "of speech that are decoded at once (16 kHz mono, 230 MB an hour)"
    )
    hole_seconds: int = _limit(
        600, "s", "of silence that may stand for holes between the timestamps of a sound, in total"
    )
    hole_share: int = _limit(
        10, "times", "the sound that was decoded before it, for holes beyond the first minute"
    )
    clock_jump: int = _limit(
        10, "s", "ahead, from which a step in the clock of a transport or program stream is cut out"
    )
    spoken_characters: int = _limit(
        200_000, "characters", "of a text that a synthesiser is to say (four hours of speech)"
    )
    synthesis_seconds: int = _limit(600, "s", "that a synthesiser may take for a text")
    synthesis_bytes: int = _limit(1 << 30, "bytes", "of the sound that a synthesiser writes")
    text: int = _limit(2_000, "characters", "of one string out of a file that is shown")


_active = Limits()


def active() -> Limits:
    """The limits that hold now."""
    return _active


@contextmanager
def applied(limits: Limits) -> Iterator[None]:
    """Let other limits hold for the whole process until the end of the block."""
    global _active
    before, _active = _active, limits
    try:
        yield
    finally:
        _active = before


def parse(settings: Iterable[str], limits: Limits | None = None) -> Limits:
    """Limits with some of them set.

    Args:
        settings: ``NAME=VALUE`` each, a positive whole number as value.
        limits: what to start from; default: the defaults.

    Raises:
        LipwrightError: an unknown name, or no positive whole number.
    """
    known = {item.name for item in fields(Limits)}
    chosen: dict[str, int] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in known:
            raise LipwrightError(
                f"The limit {text!r} is unknown; give NAME=VALUE with one of the names "
                f"{', '.join(sorted(known))}."
            )
        digits = value.strip().replace("_", "")
        if not (digits.isascii() and digits.isdecimal() and 0 < len(digits) < 16 and int(digits)):
            raise LipwrightError(f"The limit {name} is a whole number above 0, not {value!r}.")
        chosen[name] = int(digits)
    return replace(limits or Limits(), **chosen)


def table() -> list[tuple[str, int, str, str]]:
    """(name, default, unit, meaning) of every limit, in order."""
    return [
        (item.name, int(item.default), item.metadata["unit"], item.metadata["what"])  # type: ignore[arg-type]
        for item in fields(Limits)
    ]


def check_picture(width: int, height: int, bytes_per_pixel: float, what: object) -> None:
    """Raise LipwrightError for a picture that is too large.

    Args:
        width: in pixels.
        height: in pixels.
        bytes_per_pixel: of the decoded picture.
        what: the file, for the message.
    """
    limits = active()
    if width * height > limits.pixels:
        raise LipwrightError(
            f"The picture of {what} claims {width}x{height} pixels, which is more than can be "
            f"handled; scale it down first, or raise the limit with --limit pixels=N."
        )
    size = round(width * height * bytes_per_pixel)
    if size > limits.picture_bytes:
        raise LipwrightError(
            f"One picture of {what} ({width}x{height}) takes {size / MIB:.0f} MB of memory, which "
            "is more than can be handled; scale it down or reduce its bit depth first, or raise "
            "the limit with --limit picture_bytes=N."
        )
