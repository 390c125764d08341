"""Manifest rows and settings of a preparation, and the JSON Lines files that hold them.

A row is one source file with its ``pieces`` (face tracks inside shots). Every step of the
preparation takes a row and gives a row; whatever stops a source or a piece is written into its
``reason``. Rows hold plain JSON values only, so that they travel between processes and machines.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lipwright.errors import LipwrightError
from lipwright.files.whole import write_json

log = logging.getLogger("lipwright.prepare")

Row = dict[str, Any]


@dataclass(frozen=True)
class PrepareSettings:
    """What is cut, and what is turned away. A corpus keeps the settings that it was begun with.

    Attributes:
        size: side of the stored face crops in px.
        hd: side of the further crops of faces that are at least so large in the source; 0 for none.
        pack_size: side of the crops in the packed arrays that training reads.
        min_face: faces lower than this (display px) are rejected.
        min_frames: shorter pieces are rejected (frames at 25 fps).
        max_frames: longer pieces are cut in parts of this length.
        max_yaw: median absolute yaw in degrees above which a piece is a profile.
        min_motion: standard deviation of the mouth opening below which the mouth is still.
        min_speech: share of a piece in which there must be speech.
        max_overlap: share of frames in which another face may lie over the lower half of this one.
        max_text: share of sampled frames whose mouth may be covered by burned-in text.
        max_offset: sound that is further off than so many frames is not corrected but rejected.
        mark: the invisible watermark of all stored frames, eight hexadecimal digits; or empty.
    """

    size: int = 256
    hd: int = 768
    pack_size: int = 128
    min_face: float = 60.0
    min_frames: int = 20
    max_frames: int = 750
    max_yaw: float = 40.0
    min_motion: float = 0.004
    min_speech: float = 0.1
    max_overlap: float = 0.2
    max_text: float = 0.3
    max_offset: int = 10
    mark: str = ""

    def margin(self, size: int) -> int:
        """Pixels round a crop of ``size`` on every side, for jitter: a sixteenth."""
        return size // 16


@dataclass(frozen=True)
class StepContext:
    """What every step knows beside its row.

    Attributes:
        folder: the corpus.
        settings: see :class:`PrepareSettings`.
        expert: folder of a training run whose sync expert judges, or empty.
        words: words whose pieces are left out.
        lips: the shipped speech network judges.
    """

    folder: str
    settings: PrepareSettings
    expert: str = ""
    words: tuple[str, ...] = ()
    lips: bool = False

    @property
    def clips(self) -> Path:
        """Where crops and features of accepted pieces lie."""
        return Path(self.folder) / "clips"

    @property
    def scratch(self) -> Path:
        """Files that only later steps need; removed when all is done."""
        return Path(self.folder) / "scratch"


def read_rows(path: Path) -> list[Row]:
    """Rows of a JSON Lines file; lines cut off by a crash are left out."""
    rows: list[Row] = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                log.warning("ignored a broken line of %s", path)
    return rows


def drop_partial_last_line(path: Path) -> None:
    """Cut off a last line that a crash left unfinished, so that the next one starts fresh."""
    if path.is_file():
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            path.write_bytes(content[: content.rfind(b"\n") + 1])


def append_row(path: Path, row: Row) -> None:
    """Add a row and hand it to the system at once."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def keep_settings(folder: Path, settings: PrepareSettings) -> None:
    """Note the settings of a new corpus, or compare with those of an old one.

    Raises:
        LipwrightError: they differ.
    """
    path = folder / "settings.json"
    ours = asdict(settings)
    if not path.is_file():
        write_json(path, ours)
        return
    theirs = json.loads(path.read_text(encoding="utf-8"))
    for key in ours:
        if ours[key] != theirs.get(key):
            raise LipwrightError(
                f"the corpus {folder} was begun with {key}={theirs.get(key)}, not {ours[key]}; "
                "use the same settings or another folder."
            )


def accepted_pieces(row: Row) -> list[Row]:
    """The pieces of a row that nothing speaks against so far."""
    return [p for p in row.get("pieces", []) if not p["reason"]] if not row["reason"] else []
