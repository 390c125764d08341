"""Pictures that libav does not read as players show them: HEIC, AVIF, some TIFF, animated WebP.

A phone stores a HEIC photograph as a grid of tiles with auxiliary pictures beside them; libav
sees dozens of small video streams. libheif (through ``pillow-heif``) and Pillow's own AVIF reader
put the picture together, turned upright; it goes on as PNG in memory. An animated WebP, which
libav cannot decode, goes on as an animated PNG: a video with the times of its frames. A TIFF that
holds JPEG, as scanners write it, is read by Pillow: libav makes a black or green picture of it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lipwright.errors import LipwrightError
from lipwright.media import limits
from lipwright.media.tiff_tags import COMPRESSION, short_tag

_HEIC = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2"}
_AVIF = {b"avif"}
_MOVING = {b"avis", b"hevc", b"hevx", b"msf1"}


def is_animated_webp(path: Path) -> bool:
    """Whether a file is a WebP picture with the animation flag (RFC 9649, section 2.7)."""
    try:
        with path.open("rb") as file:
            head = file.read(21)
    except OSError:
        return False
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)


def is_photograph(path: Path) -> bool:
    """Whether a file is a HEIC or AVIF still picture, or a TIFF that holds JPEG.

    By the brands of ``ftyp`` (ISO/IEC 23008-12), and by the tag of the compression (TIFF 6.0,
    section 22, and its technical note 2).
    """
    if bool(_brands(path) & (_HEIC | _AVIF)) and not _is_sequence(path):
        return True
    return _tiff_compression(path) in _JPEG_IN_TIFF


_JPEG_IN_TIFF = (6, 7)


def _tiff_compression(path: Path) -> int | None:
    try:
        with path.open("rb") as file:
            return short_tag(file, COMPRESSION)
    except OSError:
        return None


def _is_sequence(path: Path) -> bool:
    return _brands(path, first=True) <= _MOVING and bool(_brands(path) & _MOVING)


def _brands(path: Path, first: bool = False) -> set[bytes]:
    try:
        with path.open("rb") as file:
            head = file.read(128)
    except OSError:
        return set()
    if head[4:8] != b"ftyp":
        return set()
    size = min(int.from_bytes(head[:4], "big"), len(head))
    rest = head[16:size]
    major = head[8:12]
    return {major} if first else {major, *(rest[i : i + 4] for i in range(0, len(rest) - 3, 4))}


@contextmanager
def _undamaged(path: Path, what: str, better: str) -> Iterator[None]:
    """One sentence for whatever a damaged file makes the readers raise: almost anything."""
    try:
        yield
    except LipwrightError:
        raise
    except Exception as error:
        raise LipwrightError(
            f"The {what} {path} is a damaged picture; check that it opens, and convert it to "
            f"{better}."
        ) from error


def as_animated_png(path: Path, what: str) -> io.BytesIO:
    """All frames of an animated WebP as an animated PNG in memory.

    Raises:
        LipwrightError: damaged, too large, or more frames than fit into memory.
    """
    from PIL import Image

    with _undamaged(path, what, "MP4"), Image.open(path) as picture:
        count = int(getattr(picture, "n_frames", 1))
        limits.check_picture(*picture.size, 4.0, path)
        if count * picture.size[0] * picture.size[1] * 4 > 8 * limits.active().picture_bytes:
            raise LipwrightError(
                f"The {what} {path} is an animated picture of {count} frames, too many to "
                "handle at once; convert it to MP4."
            )
        file = io.BytesIO()
        durations = []
        for number in range(count):
            picture.seek(number)
            picture.load()  # tells the frame's duration
            durations.append(int(picture.info.get("duration") or 40))
        picture.seek(0)
        picture.save(file, "PNG", save_all=True, compress_level=1, duration=durations)
    file.seek(0)
    return file


def as_png(path: Path, what: str) -> io.BytesIO:
    """The picture as a PNG file in memory, upright, 8 bits per component.

    Args:
        path: a HEIC, AVIF or TIFF file.
        what: what the caller calls it, for the messages.

    Raises:
        LipwrightError: damaged or too large.
    """
    from PIL import Image, ImageOps

    if _brands(path) & _HEIC and not _brands(path) & _AVIF:
        from pillow_heif import register_heif_opener

        register_heif_opener()
    with _undamaged(path, what, "PNG"), Image.open(path) as picture:
        limits.check_picture(*picture.size, 3.0, path)
        upright = ImageOps.exif_transpose(picture)
        has_alpha = "A" in upright.getbands()
        plain = upright.convert("RGBA" if has_alpha else "RGB")
        file = io.BytesIO()
        plain.save(file, "PNG", compress_level=1)
    file.seek(0)
    return file
