"""Which clips a protocol runs on, and who speaks to whom in the unpaired one."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lipwright.errors import LipwrightError
from lipwright.evaluation.evaluate import VIDEOS
from lipwright.files.whole import write_text

PAIRING_SEED = "lipwright-unpaired-1"


@dataclass(frozen=True)
class Clip:
    """A real video and whose it is (its own name where nothing is known)."""

    path: Path
    identity: str


def collect(
    sources: Sequence[Path],
    labels: Path | None = None,
    split: str = "val",
    sets: str | None = None,
    per_identity: int = 0,
    most: int = 0,
) -> list[Clip]:
    """The clips of files, folders, or a CSV of labels.

    Args:
        sources: videos or folders of videos.
        labels: CSV with the columns ``file`` (relative to it), ``identity`` and ``split``.
        split: rows of the CSV to take.
        sets: comma-separated values of the CSV's column ``set`` to take.
        per_identity: at most so many clips each; 0 for all.
        most: at most so many in all; 0 for all.

    Raises:
        LipwrightError: nothing found, or an unreadable CSV.
    """
    found: list[Clip] = []
    for source in sources:
        if source.is_dir():
            videos = sorted(p for p in source.iterdir() if p.suffix.lower() in VIDEOS)
            found += [Clip(p, p.stem) for p in videos]
        elif source.is_file():
            found.append(Clip(source, source.stem))
        else:
            raise LipwrightError(f"there is no video or folder at {source}; check the path.")
    if labels is not None:
        found += _labelled(labels, split, sets.split(",") if sets else None)
    kept: list[Clip] = []
    count: dict[str, int] = {}
    for clip in found:
        count[clip.identity] = count.get(clip.identity, 0) + 1
        if not per_identity or count[clip.identity] <= per_identity:
            kept.append(clip)
    if not kept:
        raise LipwrightError("there are no clips to measure; give videos, a folder or --labels.")
    return kept[: most or None]


def _labelled(labels: Path, split: str, sets: list[str] | None) -> list[Clip]:
    try:
        with labels.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return [
            Clip(labels.parent / row["file"], row["identity"])
            for row in rows
            if row["split"] == split and (sets is None or row.get("set", "") in sets)
        ]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise LipwrightError(
            f"{labels} is no CSV with the columns file, identity and split ({error})."
        ) from error


def pair_unpaired(clips: Sequence[Clip]) -> list[tuple[Clip, Clip]]:
    """Every clip with the speech of another person, the same for everybody.

    Clips are ordered by the sha256 of seed and file name, and each takes the speech of the next
    one of another identity; so the pairing depends on the names of the clips alone.

    Raises:
        LipwrightError: all clips show one identity.
    """
    order = sorted(
        clips, key=lambda c: hashlib.sha256(f"{PAIRING_SEED}/{c.path.name}".encode()).hexdigest()
    )
    if len({c.identity for c in order}) < 2:
        raise LipwrightError("unpaired speech needs clips of at least two people.")
    pairs = {}
    for n, clip in enumerate(order):
        others = (order[(n + k) % len(order)] for k in range(1, len(order)))
        pairs[clip] = next(c for c in others if c.identity != clip.identity)
    return [(clip, pairs[clip]) for clip in clips]


def write_pairing(pairs: Sequence[tuple[Clip, Clip]], path: Path) -> str:
    """Write a pairing as CSV (video, speech: file names) and return its sha256."""
    lines = ["video,speech", *(f"{a.path.name},{b.path.name}" for a, b in pairs)]
    text = "\n".join(lines) + "\n"
    write_text(path, text)
    return hashlib.sha256(text.encode()).hexdigest()


def read_pairing(path: Path, clips: Sequence[Clip]) -> list[tuple[Clip, Clip]]:
    """A pairing file for exactly these clips.

    Raises:
        LipwrightError: unreadable, or it names a clip that is not there.
    """
    named = {c.path.name: c for c in clips}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [(named[row["video"]], named[row["speech"]]) for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LipwrightError(f"the pairing {path} cannot be read ({error}).") from error
    except KeyError as error:
        raise LipwrightError(
            f"the pairing {path} names {error}, which is not among the clips."
        ) from error
