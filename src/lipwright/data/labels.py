"""What is known of a source file beforehand: who speaks, and on which side of the split."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lipwright.errors import LipwrightError


@dataclass(frozen=True)
class Label:
    """Identity and split (``train`` or ``val``) of one source file; language where known."""

    identity: str
    split: str
    language: str = ""


def read_labels(path: Path) -> dict[str, Label]:
    """Read a CSV with the columns ``file``, ``identity``, ``split`` and, optionally, ``language``.

    ``file`` is a path relative to the CSV's folder; further columns are ignored.

    Raises:
        LipwrightError: unreadable, a column is missing, or an identity is on both sides.
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
            labels = {
                str((path.parent / row["file"]).resolve()): Label(
                    row["identity"], row["split"], row.get("language") or ""
                )
                for row in reader
            }
    except FileNotFoundError as error:
        raise LipwrightError(f"there is no label file {path}; check the path.") from error
    except OSError as error:
        raise LipwrightError(
            f"the label file {path} cannot be read ({error.strerror or error}); correct its "
            "permissions."
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise LipwrightError(
            f"the label file {path} is no CSV in UTF-8 ({error}); save it as such."
        ) from error
    check_split(labels.values(), str(path))
    return labels


def check_split(labels: Iterable[Label], where: str) -> None:
    """See that nobody is in training and validation both.

    Raises:
        LipwrightError: somebody is.
    """
    side: dict[str, str] = {}
    for label in labels:
        if side.setdefault(label.identity, label.split) != label.split:
            raise LipwrightError(
                f"{where}: the identity {label.identity} is in the splits "
                f"{side[label.identity]} and {label.split}; put all its files into one."
            )


def default_label(source: Path, validation_share: float = 0.1) -> Label:
    """Without labels every source file is an identity of its own, split by a hash of its name."""
    digest = hashlib.sha256(source.stem.encode()).digest()
    share = int.from_bytes(digest[:4], "big") / 2**32
    return Label(source.stem, "val" if share < validation_share else "train")
