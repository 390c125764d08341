"""``-`` as a file: input from a pipe, output to one.

A video is read twice and a complete file is signed, so neither can stream: what comes in goes to a
temporary file first, and what goes out does so when it is complete, as an MP4 that begins with its
index (Matroska for a lossless one).
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lipwright.errors import LipwrightError
from lipwright.files.temporary import instead_of

PIPE = Path("-")


@contextmanager
def real_files(
    video: Path, speech: Path, out: Path, lossless: bool = False
) -> Iterator[tuple[Path, Path, Path]]:
    """Files in the place of ``-``; leaving without an error writes the output to standard output.

    Raises:
        LipwrightError: both inputs are ``-``, nothing came, or the output would go to a terminal.
    """
    if PIPE not in (video, speech, out):
        yield video, speech, out
        return
    if video == speech == PIPE:
        raise LipwrightError("Video and speech cannot both come from a pipe; give one as a file.")
    if out == PIPE and sys.stdout.isatty():
        raise LipwrightError("A video does not go to a terminal; pipe it on, or give -o a file.")
    with instead_of("standard-input") as read, instead_of("standard-output") as written:
        made = written / ("output.mkv" if lossless else "output.mp4")
        if PIPE in (video, speech):
            came = read / "input"
            with came.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
            if came.stat().st_size == 0:
                raise LipwrightError("Nothing came from the pipe; give a file, or pipe one in.")
            video, speech = (came if path == PIPE else path for path in (video, speech))
        yield video, speech, made if out == PIPE else out
        if out == PIPE:
            with made.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.flush()
