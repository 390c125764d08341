"""One small picture of every person of a corpus, for its statistics page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np

from lipwright.data.cut import crop_path
from lipwright.data.rows import PrepareSettings, Row
from lipwright.data.statistics import minutes
from lipwright.data.storage import each_crop

SIDE = 72
QUALITY = 80
FRAME = 12
"""The picture is this frame of the clip: half a second in, and quick to decode up to."""
MOST = 400
"""So many people at the most; their pictures make a page of about one megabyte."""


@dataclass(frozen=True)
class Portrait:
    """A person of the corpus.

    Attributes:
        identity: name.
        split: train, val or test.
        clips: accepted clips.
        minutes: their length.
        jpeg: a square picture from the longest clip; empty if it cannot be read.
    """

    identity: str
    split: str
    clips: int
    minutes: float
    jpeg: bytes


def portraits(folder: Path, clips: Sequence[Row], settings: PrepareSettings) -> list[Portrait]:
    """The people of a corpus, those with most minutes first, at most :data:`MOST`.

    Args:
        folder: of the stored clips.
        clips: rows of the manifest; rejected ones are left out.
        settings: of the corpus.
    """
    groups: dict[str, list[Row]] = defaultdict(list)
    for clip in clips:
        if not clip["reason"]:
            groups[str(clip["identity"])].append(clip)
    order = sorted(groups, key=lambda name: (-minutes(groups[name]), name))
    out = []
    for name in order[:MOST]:
        group = groups[name]
        longest = max(group, key=lambda c: (int(c["frames"]), str(c["clip"])))
        picture = _picture(folder, longest, settings)
        out.append(Portrait(name, str(longest["split"]), len(group), minutes(group), picture))
    return out


def _picture(folder: Path, clip: Row, settings: PrepareSettings) -> bytes:
    path = crop_path(folder, str(clip["clip"]), settings.size, settings)
    place = min(int(clip["frames"]) // 2, FRAME)
    try:
        crop = next(islice(each_crop(path), place, None), None)
    except (OSError, av.FFmpegError):
        return b""
    if crop is None:
        return b""
    edge = settings.margin(settings.size)
    inner = np.ascontiguousarray(crop[edge : len(crop) - edge, edge : len(crop) - edge, ::-1])
    small = cv2.resize(inner, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return bytes(data) if done else b""
