"""What a corpus holds, in numbers: the JSON beside the statistics page, and the source of both.

The quantities are those by which Gupta et al. (WACV 2023, section 2 and figure 2) describe 4KTF,
and those on which the training of a sync expert stands or falls.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lipwright.data.rows import Row
from lipwright.media.mel import MODEL_FPS

HISTOGRAMS: tuple[tuple[str, str, tuple[float, ...]], ...] = (
    ("frames", "length in seconds", (0, 1, 2, 3, 5, 10, 20, 30.1)),
    ("face_height", "height of the face in the source, px", (0, 80, 120, 180, 256, 400, 768, 4000)),
    ("height", "height of the source picture, px", (0, 300, 400, 500, 800, 1100, 2200, 9000)),
    ("fps", "frame rate of the source", (0, 20, 24.5, 26, 31, 51, 241)),
    ("speech", "share of speech", (0, 0.2, 0.4, 0.6, 0.8, 1.01)),
    ("yaw", "turn of the head, degrees", (0, 5, 10, 15, 20, 30, 40, 90)),
    ("motion", "movement of the mouth", (0, 0.004, 0.01, 0.02, 0.03, 0.05, 1)),
)
"""Key of a clip's row, what it is, and the borders of its bins."""

LEFT_OUT = 500
"""So many rejected pieces are listed one by one; manifest.jsonl has all of them."""


def statistics(rows: Iterable[Row], clips: Sequence[Row]) -> dict[str, Any]:
    """Numbers of a corpus.

    Args:
        rows: of the sources.
        clips: of the manifest.
    """
    sources = list(rows)
    accepted = [c for c in clips if not c["reason"]]
    offsets = Counter(int(c.get("offset", 0)) for c in accepted if c.get("sync") != "unsure")
    return {
        "sources": len(sources),
        "source_minutes": round(sum(float(r.get("seconds") or 0) for r in sources) / 60, 1),
        "clips": len(accepted),
        "minutes": minutes(accepted),
        "identities": len({c["identity"] for c in accepted}),
        "splits": {
            name: {
                "clips": len(part),
                "identities": len({c["identity"] for c in part}),
                "minutes": minutes(part),
            }
            for name, part in _grouped(accepted, lambda c: str(c["split"])).items()
        },
        "languages": _minutes_by(accepted, lambda c: str(c.get("language") or "unknown")),
        "minutes_by_identity": _minutes_by(accepted, lambda c: str(c["identity"])),
        "hd_minutes": minutes([c for c in accepted if len(c.get("sizes", ())) > 1]),
        "rejected": _rejected(clips),
        "left_out": left_out(clips),
        "offsets": {str(k): offsets[k] for k in sorted(offsets)},
        "offset_unsure": sum(1 for c in accepted if c.get("sync") == "unsure"),
        "offset_corrected": sum(1 for c in accepted if c.get("offset")),
        "histograms": {
            key: _histogram(accepted, key, title, borders) for key, title, borders in HISTOGRAMS
        },
    }


def minutes(clips: Iterable[Row]) -> float:
    """Length of clips in minutes, two decimals."""
    return round(sum(int(c["frames"]) for c in clips) / MODEL_FPS / 60, 2)


def _grouped(clips: Iterable[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for clip in clips:
        groups[key(clip)].append(clip)
    return dict(sorted(groups.items()))


def _minutes_by(clips: Iterable[Row], key: Callable[[Row], str]) -> dict[str, float]:
    """Minutes by group, most first."""
    found = {name: minutes(part) for name, part in _grouped(clips, key).items()}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _rejected(clips: Iterable[Row]) -> dict[str, dict[str, float]]:
    """Clips (or whole sources) and minutes by the first part of their reason."""
    groups = _grouped([c for c in clips if c["reason"]], lambda c: str(c["reason"]).split(":")[0])
    found = {name: {"count": len(part), "minutes": minutes(part)} for name, part in groups.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1]["count"]))


def left_out(clips: Iterable[Row]) -> list[dict[str, str | float]]:
    """What was left out, piece by piece: source, start in seconds, reason; at most LEFT_OUT."""
    found = sorted(
        (Path(str(c["source"])).name, round(float(c.get("start") or 0), 2), str(c["reason"]))
        for c in clips
        if c["reason"]
    )
    return [
        {"source": source, "start": start, "reason": reason}
        for source, start, reason in found[:LEFT_OUT]
    ]


def _histogram(
    clips: Iterable[Row], key: str, title: str, borders: tuple[float, ...]
) -> dict[str, Any]:
    """Minutes of clips in every bin."""
    scale = MODEL_FPS if key == "frames" else 1
    chosen = [c for c in clips if key in c]
    values = [float(c[key]) / scale for c in chosen]
    weights = [int(c["frames"]) / MODEL_FPS / 60 for c in chosen]
    counts, _ = np.histogram(values, borders, weights=weights)
    return {
        "title": title,
        "borders": list(borders),
        "minutes": [round(float(c), 2) for c in counts],
        "median": round(float(np.median(values)), 4) if values else None,
    }
