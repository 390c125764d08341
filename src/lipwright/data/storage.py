"""Face crops as compressed video: near-lossless H.264 4:4:4 at 25 fps, a few kB a frame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from lipwright.files.beside import beside
from lipwright.files.whole import written_whole
from lipwright.media.mel import MODEL_FPS

QUALITY = {"crf": "10", "preset": "veryfast"}


class CropWriter:
    """Writes crops one after another; the file appears under its name with :meth:`close`."""

    def __init__(self, path: Path, side: int) -> None:
        self.path = path
        self._temporary = beside(path, f"{os.getpid()}.part{path.suffix}")
        self._container = av.open(str(self._temporary), "w")
        stream: Any = self._container.add_stream("libx264", rate=MODEL_FPS)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv444p"
        stream.options = QUALITY
        # Processes are the parallelism, and one thread makes the same bytes everywhere.
        stream.codec_context.thread_count = 1
        self._stream = stream

    def add(self, crop: NDArray[np.uint8]) -> None:
        """Take the next crop, (side, side, 3) RGB."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(crop), format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file and give it its name."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._temporary.replace(self.path)

    def discard(self) -> None:
        """Leave nothing behind."""
        self._container.close()
        self._temporary.unlink(missing_ok=True)


def each_crop(path: Path) -> Iterator[NDArray[np.uint8]]:
    """The RGB crops (C, C, 3) that :class:`CropWriter` stored, one after another."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def read_crops(path: Path) -> NDArray[np.uint8]:
    """(T, C, C, 3) RGB crops that :class:`CropWriter` stored."""
    return np.stack(list(each_crop(path)))


def save_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """``np.savez_compressed`` that leaves a whole file or none."""
    with written_whole(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
