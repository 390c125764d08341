"""Mouth windows of a corpus at a high resolution, for the second stage.

The windows (``face_regions.MOUTH_WINDOW``) are cut out of the large crops that ``lipwright prepare
--hd`` writes (``clips/<clip>.hd.mp4``), once, and lie in one memory-mapped array: a few dozen
frames of a clip are enough, since neighbours show the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.data.packed import ClipRow, PackedCorpus
from lipwright.errors import LipwrightError
from lipwright.face_regions import MOUTH_WINDOW, pixel_box
from lipwright.files.whole import write_json, written_whole

Crops = Literal["hd", "packed"]


@dataclass(frozen=True)
class WindowClip:
    """The windows of one clip: ``count`` of them from ``first`` on.

    Attributes:
        clip: its name.
        identity: who it shows.
        split: ``train`` or ``val``.
        first: index of the first window.
        count: number of windows.
        frames: their frames in the packed corpus.
    """

    clip: str
    identity: str
    split: str
    first: int
    count: int
    frames: list[int]


class MouthWindows:
    """Read access to what :func:`cut_windows` wrote.

    Attributes:
        pixels: (N, W, W, 3) uint8, memory-mapped.
        clips: what they belong to.
    """

    def __init__(self, folder: Path) -> None:
        try:
            rows = json.loads((folder / "windows.json").read_text(encoding="utf-8"))
            self.clips = [WindowClip(**row) for row in rows["clips"]]
            side = int(rows["settings"]["side"])
            shape = (sum(clip.count for clip in self.clips), side, side, 3)
            self.pixels: NDArray[np.uint8] = np.memmap(
                folder / "windows.u8", np.uint8, mode="r", shape=shape
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LipwrightError(
                f"the mouth windows in {folder} are damaged; remove the folder and start again."
            ) from error

    def split(self, name: str) -> list[WindowClip]:
        """The clips of ``train`` or ``val`` with two windows at least.

        Raises:
            LipwrightError: there are none.
        """
        found = [c for c in self.clips if c.split == name and c.count > 1]
        if not found:
            raise LipwrightError(f"no clip of split '{name}' has large crops; prepare more.")
        return found


def cut_windows(
    corpus: PackedCorpus, folder: Path, side: int, per_clip: int, crops: Crops = "hd"
) -> MouthWindows:
    """Cut the windows, or find those that were cut before with the same settings.

    Args:
        corpus: the packed corpus.
        folder: where they are kept.
        side: W, pixels of a window's side.
        per_clip: at most so many frames of a clip, evenly spread.
        crops: ``hd``: out of the large crops; ``packed``: out of the packed crops themselves.

    Raises:
        LipwrightError: the corpus has no such crops.
    """
    settings = {"side": side, "per_clip": per_clip, "crops": crops}
    listing = folder / "windows.json"
    if listing.is_file() and json.loads(listing.read_text(encoding="utf-8")).get("settings") == (
        settings
    ):
        return MouthWindows(folder)
    folder.mkdir(parents=True, exist_ok=True)
    clips: list[WindowClip] = []
    done = 0
    with written_whole(folder / "windows.u8") as temporary, temporary.open("wb") as file:
        for row in corpus.rows:
            spread = np.linspace(0, row.frames - 1, per_clip).round().astype(int)
            wanted, frames = set(spread.tolist()), []
            for i, picture in enumerate(_crops(corpus, row, crops)):
                if i in wanted:
                    file.write(_window(picture, side).tobytes())
                    frames.append(row.start + i)
            if frames:
                clips.append(
                    WindowClip(row.clip, row.identity, row.split, done, len(frames), frames)
                )
                done += len(frames)
        if not clips:
            raise LipwrightError(
                f"{corpus.folder.parent} holds no large crops; prepare it with 'lipwright prepare "
                "--hd 768' from videos with large faces, or set crops=packed."
            )
    write_json(listing, {"settings": settings, "clips": [asdict(c) for c in clips]})
    return MouthWindows(folder)


def _crops(corpus: PackedCorpus, row: ClipRow, crops: Crops) -> Iterator[NDArray[np.uint8]]:
    """The crops of a clip without their margin, (S, S, 3) each; none where there are none."""
    if crops == "packed":
        yield from corpus.crops(corpus.frames[row.start : row.start + row.frames])
        return
    path = corpus.folder.parent / "clips" / f"{row.clip}.hd.mp4"
    if not path.is_file():
        return
    from lipwright.media.reader import VideoReader

    with VideoReader(path) as reader:
        for frame in reader:
            picture = frame.rgb()
            # A sixteenth of the crop lies round it on every side.
            m = round(len(picture) / 18)
            yield picture[m : len(picture) - m, m : len(picture) - m]


def _window(crop: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    left, top, right, bottom = pixel_box(MOUTH_WINDOW, len(crop))
    window = np.ascontiguousarray(crop[top:bottom, left:right])
    how = cv2.INTER_AREA if side < len(window) else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(window, (side, side), interpolation=how), np.uint8)
