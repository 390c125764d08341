"""What is shown in a study: clips of several methods under names that tell nothing.

A study is a folder: ``study.json`` (the design, with the key that says which file is whose),
``media/`` (the files under random names), ``answers.sqlite``.
"""

from __future__ import annotations

import json
import random
import re
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

from lipwright.errors import LipwrightError
from lipwright.files.whole import write_json

Mode = Literal["scale", "pairs"]
FORMAT = 1
DESIGN, MEDIA = "study.json", "media"
SUFFIXES = (".mp4", ".webm", ".mov", ".m4v", ".mkv")
QUESTIONS = {
    "lip_sync": "How well do the lips match the speech?",
    "sharpness": "How sharp and clear is the face?",
    "overall": "How good is the video overall?",
}
"""The three questions of Gupta et al. (WACV 2023), section 4.2."""
TITLES = {"lip_sync": "Lip-sync quality", "sharpness": "Sharpness", "overall": "Overall experience"}
SCALE = {1: "Bad", 2: "Poor", 3: "Fair", 4: "Good", 5: "Excellent"}
"""The five grades of absolute category rating (ITU-T P.910)."""
PAIR_ANSWERS = {1: "Left", 2: "No difference", 3: "Right"}
_MEDIA_NAME = re.compile(r"[0-9a-f]{16}\.[a-z0-9]{2,5}")


@dataclass(frozen=True)
class Shown:
    """One file of a study.

    Attributes:
        media: its name in ``media/``.
        method, clip: whose it is; raters never see this.
    """

    media: str
    method: str
    clip: str


@dataclass(frozen=True)
class Design:
    """A study.

    Attributes:
        title: shown to raters.
        mode: ``scale``: one clip, three questions from 1 to 5; ``pairs``: two clips side by side.
        seed: of every order.
        checks: attention checks for each rater.
        join: secret part of the address that new raters are given.
        methods, clips: names.
        shown: every method of every clip.
    """

    title: str
    mode: Mode
    seed: int
    checks: int
    join: str
    methods: tuple[str, ...]
    clips: tuple[str, ...]
    shown: tuple[Shown, ...]

    def media_of(self, method: str, clip: str) -> str:
        """Name of a file in ``media/``."""
        return next(s.media for s in self.shown if (s.method, s.clip) == (method, clip))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """All pairs of methods."""
        return list(combinations(self.methods, 2))


def build(
    folders: Sequence[Path],
    out: Path,
    *,
    title: str = "Which videos look right?",
    mode: Mode = "scale",
    checks: int = 2,
    seed: int = 0,
) -> Design:
    """Make a study of folders with clips of the same names.

    Args:
        folders: one for each method, which is called like its folder.
        out: folder to make.
        title: shown to raters.
        mode: see :class:`Design`.
        checks: attention checks for each rater.
        seed: of every order.

    Raises:
        LipwrightError: fewer than two methods in mode ``pairs``, no common clips, or ``out`` is
            there already.
    """
    methods = tuple(folder.resolve().name for folder in folders)
    if len(set(methods)) != len(methods):
        raise LipwrightError("Two folders have the same name; methods are called by their folders.")
    if len(methods) < (2 if mode == "pairs" else 1):
        raise LipwrightError("Pairs need two folders or more, one for each method.")
    files = [_clips_of(folder) for folder in folders]
    clips = tuple(sorted(set.intersection(*(set(found) for found in files))))
    if not clips:
        raise LipwrightError(
            "The folders have no clip of the same name in common; name the clips alike."
        )
    if out.exists() and any(out.iterdir()):
        raise LipwrightError(f"The folder {out} is not empty; choose another for the study.")
    rng = random.Random(f"{seed} media")
    (out / MEDIA).mkdir(parents=True, exist_ok=True)
    shown = []
    for method, found in zip(methods, files, strict=True):
        for clip in clips:
            name = f"{rng.getrandbits(64):016x}{found[clip].suffix.lower()}"
            shutil.copyfile(found[clip], out / MEDIA / name)
            shown.append(Shown(name, method, clip))
    shown.sort(key=lambda one: one.media)  # the order of the key tells nothing, either
    join = secrets.token_urlsafe(12)
    design = Design(title, mode, seed, checks, join, methods, clips, tuple(shown))
    write_json(out / DESIGN, {"format": FORMAT, **asdict(design)})
    return design


def load(study: Path) -> Design:
    """Read the design of a study.

    Raises:
        LipwrightError: there is none, or it is damaged.
    """
    try:
        data = json.loads((study / DESIGN).read_text("utf-8"))
        if data.pop("format") != FORMAT:
            raise LipwrightError(f"The study {study} was made by another version of Lipwright.")
        data["shown"] = tuple(Shown(**one) for one in data["shown"])
        for name in ("methods", "clips"):
            data[name] = tuple(data[name])
        design = Design(**data)
    except FileNotFoundError:
        raise LipwrightError(
            f"There is no study in {study}; make one with 'lipwright study build'."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LipwrightError(f"The design {study / DESIGN} is damaged; build it anew.") from error
    if not all(_MEDIA_NAME.fullmatch(one.media) for one in design.shown):
        raise LipwrightError(f"The design {study / DESIGN} is damaged; build it anew.")
    return design


def _clips_of(folder: Path) -> dict[str, Path]:
    """Clips of a folder by name without suffix."""
    if not folder.is_dir():
        raise LipwrightError(f"There is no folder {folder}; give one folder for each method.")
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    return {path.stem: path for path in files}
