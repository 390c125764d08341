"""What is known of a source file beforehand: who speaks, and on which side of the split."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

from lipwright.errors import LipwrightError


@dataclass(frozen=True)
class Label:
    """Identity and split (``train`` or ``val``) of one source file."""

    identity: str
    split: str


def read_labels(path: Path) -> dict[str, Label]:
    """Read a CSV with the columns ``file``, ``identity`` and ``split``; other columns are ignored.

    ``file`` is a path relative to the CSV's folder.

    Raises:
        LipwrightError: unreadable, or a column is missing.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = {"file", "identity", "split"} - set(reader.fieldnames or [])
            if missing:
                raise LipwrightError(
                    f"the label file {path} lacks the column {sorted(missing)[0]}; it needs file, "
                    "identity and split."
                )
            return {
                str((path.parent / row["file"]).resolve()): Label(row["identity"], row["split"])
                for row in reader
            }
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LipwrightError(f"the label file {path} cannot be read ({error}).") from error


def default_label(source: Path, validation_share: float = 0.1) -> Label:
    """Without labels every source file is an identity of its own, split by a hash of its name."""
    digest = hashlib.sha256(source.name.encode()).digest()
    share = int.from_bytes(digest[:4], "big") / 2**32
    return Label(source.stem, "val" if share < validation_share else "train")
