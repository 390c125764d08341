"""``lipwright evaluate``: many results against their real videos, one table, resumable.

Every clip's numbers are kept in ``TABLE.parts/`` under a key of both files' contents, the metrics,
the networks and the protocol, so an interrupted run goes on and a second run only reads. The table
is ``TABLE.json``, the same as Markdown beside it, and a bar plot ``TABLE.png``.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright import __version__
from lipwright.errors import LipwrightError
from lipwright.evaluation.measure import ClipResult, measure_clip
from lipwright.evaluation.metrics.catalogue import CATALOGUE, choose
from lipwright.evaluation.networks import Networks, load_networks
from lipwright.evaluation.published_numbers import published_tables, table_markdown
from lipwright.evaluation.sampling import PROTOCOL
from lipwright.evaluation.table import Rows, as_data, bar_plot, markdown, summarise
from lipwright.faces.tracker import FaceTracker
from lipwright.files.whole import file_sha256, write_text, written_whole

VIDEOS = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m4v"}
FORMAT = 1


@dataclass(frozen=True)
class Pair:
    """A result and the real video that it is measured against."""

    result: Path
    real: Path


def find_pairs(results: Sequence[Path], references: Sequence[Path]) -> list[Pair]:
    """Pairs of files: in order, or for folders by file name without suffix.

    Raises:
        LipwrightError: counts or names do not match, or a file is missing.
    """
    if len(results) == len(references) == 1 and results[0].is_dir() and references[0].is_dir():
        named = {p.stem: p for p in _videos(references[0])}
        pairs = []
        for path in _videos(results[0]):
            if path.stem not in named:
                raise LipwrightError(
                    f"{path} has no reference of the same name in {references[0]}; name them alike."
                )
            pairs.append(Pair(path, named[path.stem]))
        if not pairs:
            raise LipwrightError(f"there are no videos in {results[0]}.")
        return pairs
    if len(results) != len(references):
        raise LipwrightError(
            f"there are {len(results)} results and {len(references)} references; give one "
            "--reference for each result, in the same order, or one folder of each."
        )
    for path in (*results, *references):
        if not path.is_file():
            raise LipwrightError(f"there is no video at {path}; check the path.")
    return [Pair(a, b) for a, b in zip(results, references, strict=True)]


def _videos(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in VIDEOS)


def evaluate(
    pairs: Sequence[Pair],
    out: Path,
    metrics: list[str] | None = None,
    weights: dict[str, Path] | None = None,
    front: str = "tracked",
    title: str = "result",
    extra: dict[str, Any] | None = None,
    tell: Callable[[int, int], None] = lambda done, total: None,
    compared: tuple[str, ...] = ("2",),
    lenient: bool = False,
) -> dict[str, Any]:
    """Measure all pairs and write the table.

    Args:
        pairs: what to measure.
        out: ``TABLE.json``; ``.md`` and ``.png`` are written beside it.
        metrics: names, or None for all that can be computed.
        weights: files of networks by name.
        front: SyncNet's front end, ``tracked`` or ``whole``.
        title: name of the row.
        extra: further facts for the result's protocol.
        tell: called with (done, total).
        compared: published tables to print below, by the beginning of their number.
        lenient: leave metrics out whose network is absent even when they were named.

    Returns:
        The content of ``TABLE.json``.

    Raises:
        LipwrightError: a metric asked for by name lacks its network; a clip cannot be measured.
    """
    if front not in ("tracked", "whole"):
        raise LipwrightError(f"there is no front end '{front}'; use tracked or whole.")
    names = choose(metrics)
    networks = load_networks(weights or {})
    left_out = {}
    for name in list(names):
        missing = [n for n in CATALOGUE[name].needs if n not in networks.loaded]
        if missing:
            left_out[name] = networks.absent.get(missing[0], f"{missing[0]} was not given")
            names.remove(name)
    if metrics and left_out and not lenient:
        name, why = next(iter(left_out.items()))
        raise LipwrightError(f"{CATALOGUE[name].title} cannot be computed: {why}")
    parts = out.with_suffix(".parts")
    parts.mkdir(parents=True, exist_ok=True)
    tracker: FaceTracker | None = None
    clips: list[ClipResult] = []
    for n, pair in enumerate(pairs):
        key = _key(pair, names, networks, front)
        found = _read_part(parts, key)
        if found is None:
            tracker = tracker or FaceTracker()
            found = measure_clip(pair.result, pair.real, names, networks, front, tracker)
            _write_part(parts, key, found)
        clips.append(found)
        tell(n + 1, len(pairs))
    features: dict[str, list[NDArray[np.float32]]] = {}
    for clip in clips:
        for kind, x in clip.features.items():
            features.setdefault(kind, []).append(x)
    rows, notes = summarise(
        names, [c.result for c in clips], [c.real for c in clips], features, title
    )
    content: dict[str, Any] = {
        "format": FORMAT,
        "protocol": {
            **PROTOCOL,
            "lse_front_end": front,
            "interval": "95 % percentile bootstrap over clips, seed 0",
            "frames": sum(c.frames for c in clips),
            "networks": networks.files,
            "versions": versions(),
            **(extra or {}),
        },
        "metrics": {name: CATALOGUE[name].card() for name in names},
        "left_out": left_out,
        "rows": as_data(rows),
        "notes": notes,
        "clips": [
            {
                "result": p.result.name,
                "reference": p.real.name,
                "frames": c.frames,
                "values": _plain(c.result),
                "real": _plain(c.real),
                "notes": c.notes,
            }
            for p, c in zip(pairs, clips, strict=True)
        ],
        "published": published_tables(),
    }
    write_text(out, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    write_text(out.with_suffix(".md"), page(content, names, rows, compared))
    bar_plot(names, rows, out.with_suffix(".png"))
    return content


def page(content: dict[str, Any], names: list[str], rows: Rows, compared: tuple[str, ...]) -> str:
    """The table with its notes and the published numbers, as Markdown."""
    clips = content["clips"]
    lines = [
        f"{len(clips)} clips, {content['protocol']['frames']} frames. Mean [95 % interval].",
        "",
    ]
    lines.append(markdown(names, rows))
    lines += [f"- {note}" for note in content["notes"]]
    lines += [f"- {c['result']}: {note}" for c in clips for note in c["notes"]]
    reasons: dict[str, list[str]] = {}
    for name, why in content["left_out"].items():
        reasons.setdefault(why, []).append(CATALOGUE[name].title)
    lines += [f"- Left out: {', '.join(titles)}; {why}" for why, titles in reasons.items()]
    lines += ["", "## Published reference numbers", "", table_markdown(compared)]
    return "\n".join(lines) + "\n"


def versions() -> dict[str, str]:
    """Versions of what computes."""
    out = {"lipwright": __version__, "python": platform.python_version()}
    for package in ("torch", "numpy", "scikit-image", "opencv-python-headless", "av", "openvino"):
        try:
            out[package] = version(package)
        except PackageNotFoundError:
            out[package] = "not installed"
    return out


def _plain(values: dict[str, float]) -> dict[str, float | None]:
    return {k: (v if math.isfinite(v) else None) for k, v in values.items()}


def _key(pair: Pair, names: list[str], networks: Networks, front: str) -> str:
    digest = hashlib.sha256()
    for path in (pair.result, pair.real):
        digest.update(bytes.fromhex(file_sha256(path)))
    facts = [names, sorted(networks.files.items()), front, PROTOCOL, FORMAT, __version__]
    digest.update(json.dumps(facts).encode())
    return digest.hexdigest()[:32]


def _write_part(folder: Path, key: str, clip: ClipResult) -> None:
    if clip.features:
        with written_whole(folder / f"{key}.npz") as temporary:
            np.savez(temporary, allow_pickle=False, **clip.features)
    content = {
        "result": _plain(clip.result),
        "real": _plain(clip.real),
        "frames": clip.frames,
        "notes": clip.notes,
        "features": sorted(clip.features),
    }
    write_text(folder / f"{key}.json", json.dumps(content))


def _read_part(folder: Path, key: str) -> ClipResult | None:
    try:
        content = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
        features = {}
        if content["features"]:
            with np.load(folder / f"{key}.npz") as arrays:
                features = {name: arrays[name] for name in content["features"]}
    except (OSError, ValueError, KeyError):
        return None

    def back(values: dict[str, float | None]) -> dict[str, float]:
        return {k: math.nan if v is None else v for k, v in values.items()}

    return ClipResult(
        back(content["result"]),
        back(content["real"]),
        features,
        content["frames"],
        content["notes"],
    )
