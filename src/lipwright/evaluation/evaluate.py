"""``lipwright evaluate``: many results against their real videos, one table, resumable.

Every clip's numbers are kept in ``TABLE.parts/`` under a key of both files' contents, the metrics,
the networks and the protocol, so an interrupted run goes on and a second run only reads. The table
is ``TABLE.json`` or ``TABLE.csv``, the same as Markdown beside it, and a plot ``TABLE.png``.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright import __version__
from lipwright.errors import LipwrightError
from lipwright.evaluation.measure import ClipResult, measure_clip
from lipwright.evaluation.metrics.catalogue import CATALOGUE, choose
from lipwright.evaluation.networks import Networks, load_networks
from lipwright.evaluation.plot import dot_plot
from lipwright.evaluation.published_numbers import published_tables, table_markdown
from lipwright.evaluation.sampling import PROTOCOL
from lipwright.evaluation.table import (
    REAL,
    Rows,
    as_data,
    csv_text,
    markdown,
    summarise,
    warnings_about,
)
from lipwright.faces.tracker import FaceTracker
from lipwright.files.whole import file_sha256, write_text, written_whole
from lipwright.versions import versions as installed_versions

VIDEOS = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m4v"}
FORMAT = 1
PACKAGES = ("torch", "numpy", "scikit-image", "opencv-python-headless", "av", "openvino")
"""What computes."""


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
    for path in (*results, *references):
        if not path.exists():
            raise LipwrightError(f"there is no file or folder {path}; check the path.")
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
    for a, b in zip(results, references, strict=True):
        if a.is_dir() or b.is_dir():
            kinds = [f"{p} is a {'folder' if p.is_dir() else 'file'}" for p in (a, b)]
            raise LipwrightError(
                f"{' and '.join(kinds)}; give two files, or one folder of results and one folder "
                "of references."
            )
    return [Pair(a, b) for a, b in zip(results, references, strict=True)]


def find_groups(
    results: Sequence[Path], references: Sequence[Path], title: str = "result"
) -> dict[str, list[Pair]]:
    """Pairs by row of the table: several folders of results are several methods.

    Args:
        results: files, one folder, or several folders, each with the results of a method.
        references: see :func:`find_pairs`; one folder for several methods.
        title: name of the row where there is one method.

    Raises:
        LipwrightError: as :func:`find_pairs`; methods with other clips than the first has.
    """
    several = len(results) > 1 and len(references) == 1 and references[0].is_dir()
    if not several or not all(p.is_dir() for p in results):
        return {title: find_pairs(results, references)}
    groups: dict[str, list[Pair]] = {}
    for folder in results:
        name = folder.name if folder.name not in groups else str(folder)
        groups[name] = find_pairs([folder], references)
    first = {p.real.stem for p in groups[next(iter(groups))]}
    for name, pairs in groups.items():
        other = {p.real.stem for p in pairs} ^ first
        if other:
            raise LipwrightError(
                f"{name} and {next(iter(groups))} have not the same clips ({sorted(other)[0]} is "
                "in one of them only); methods are compared on the same clips."
            )
    return groups


def _videos(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in VIDEOS)


def check_table(out: Path) -> None:
    """Whether a table can be written under this name.

    Raises:
        LipwrightError: neither .json nor .csv.
    """
    if out.suffix.lower() not in (".json", ".csv"):
        raise LipwrightError(f"The table {out} must end in .json or .csv; choose one of them.")


def evaluate(
    pairs: Sequence[Pair] | Mapping[str, Sequence[Pair]],
    out: Path,
    metrics: list[str] | None = None,
    weights: dict[str, Path] | None = None,
    front: str = "tracked",
    title: str = "result",
    extra: dict[str, Any] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    compared: tuple[str, ...] = ("2",),
    lenient: bool = False,
) -> dict[str, Any]:
    """Measure all pairs and write the table.

    Args:
        pairs: what to measure; a mapping has a list for every row of the table.
        out: ``TABLE.json`` or ``TABLE.csv``; ``.md`` and ``.png`` are written beside it.
        metrics: names, or None for all that can be computed.
        weights: files of networks by name.
        front: SyncNet's front end, ``tracked`` or ``whole``.
        title: name of the row where ``pairs`` is a list.
        extra: further facts for the result's protocol.
        progress: called with (done, total).
        compared: published tables to print in the Markdown, by the beginning of their number.
        lenient: leave metrics out whose network is absent even when they were named.

    Returns:
        The content of ``TABLE.json``.

    Raises:
        LipwrightError: a metric asked for by name lacks its network; a clip cannot be measured.
    """
    check_table(out)
    if front not in ("tracked", "whole"):
        raise LipwrightError(f"there is no front end '{front}'; use tracked or whole.")
    groups = pairs if isinstance(pairs, Mapping) else {title: pairs}
    names, networks, left_out = _computable(metrics, weights or {}, lenient)
    clips = _measured(groups, out.with_suffix(".parts"), names, networks, front, progress)
    rows: Rows = {REAL: {}}
    notes: list[str] = []
    for row, measured in clips.items():
        found, remarks = _summary(names, measured, row)
        rows[REAL] |= {k: v for k, v in found[REAL].items() if k not in rows[REAL]}
        rows[row] = found[row]
        notes += [remark for remark in remarks if remark not in notes]
    count = min((len(measured) for measured in clips.values()), default=0)
    content: dict[str, Any] = {
        "format": FORMAT,
        "protocol": {
            **PROTOCOL,
            "lse_front_end": front,
            "interval": "95 % percentile bootstrap over clips, seed 0",
            "frames": sum(c.frames for measured in clips.values() for c in measured),
            "networks": networks.files,
            "versions": versions(),
            **(extra or {}),
        },
        "metrics": {name: CATALOGUE[name].card() for name in names},
        "left_out": left_out,
        "rows": as_data(rows),
        "notes": warnings_about(count) + notes,
        "clips": [
            {
                "row": row,
                "result": p.result.name,
                "reference": p.real.name,
                "frames": c.frames,
                "values": _plain(c.result),
                "real": _plain(c.real),
                "notes": c.notes,
            }
            for row, measured in clips.items()
            for p, c in zip(groups[row], measured, strict=True)
        ],
        "published": published_tables(),
    }
    if out.suffix.lower() == ".csv":
        write_text(out, csv_text(names, rows))
    else:
        write_text(out, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    write_text(out.with_suffix(".md"), page(content, markdown(names, rows), compared))
    methods = {row: values for row, values in rows.items() if row != REAL}
    dot_plot(names, rows[REAL], methods, out.with_suffix(".png"))
    return content


def _computable(
    metrics: list[str] | None, weights: dict[str, Path], lenient: bool
) -> tuple[list[str], Networks, dict[str, str]]:
    """Names of what can be computed, the networks, and why the others cannot be."""
    names = choose(metrics)
    networks = load_networks(weights)
    left_out = {}
    for name in list(names):
        missing = [n for n in CATALOGUE[name].needs if n not in networks.loaded]
        if missing:
            left_out[name] = networks.absent.get(missing[0], f"{missing[0]} was not given")
            names.remove(name)
    if metrics and left_out and not lenient:
        name, why = next(iter(left_out.items()))
        raise LipwrightError(f"{CATALOGUE[name].title} cannot be computed: {why}")
    return names, networks, left_out


def _measured(
    groups: Mapping[str, Sequence[Pair]],
    parts: Path,
    names: list[str],
    networks: Networks,
    front: str,
    progress: Callable[[int, int], None],
) -> dict[str, list[ClipResult]]:
    """The numbers of every clip, those kept from earlier runs included."""
    parts.mkdir(parents=True, exist_ok=True)
    tracker: FaceTracker | None = None
    done, total = 0, sum(len(pairs) for pairs in groups.values())
    clips: dict[str, list[ClipResult]] = {}
    for row, pairs in groups.items():
        clips[row] = []
        for pair in pairs:
            key = _key(pair, names, networks, front)
            found = _read_part(parts, key)
            if found is None:
                tracker = tracker or FaceTracker()
                found = measure_clip(pair.result, pair.real, names, networks, front, tracker)
                _write_part(parts, key, found)
            clips[row].append(found)
            done += 1
            progress(done, total)
    return clips


def _summary(names: list[str], clips: list[ClipResult], row: str) -> tuple[Rows, list[str]]:
    features: dict[str, list[NDArray[np.float32]]] = {}
    for clip in clips:
        for kind, x in clip.features.items():
            features.setdefault(kind, []).append(x)
    return summarise(names, [c.result for c in clips], [c.real for c in clips], features, row)


def page(content: dict[str, Any], table: str, compared: tuple[str, ...]) -> str:
    """The table with its notes and the published numbers, as Markdown."""
    clips = content["clips"]
    number = "1 clip" if len(clips) == 1 else f"{len(clips)} clips"
    lines = [
        f"{number}, {content['protocol']['frames']} frames. Mean [95 % interval].",
        "",
        table,
    ]
    lines += [f"- {note}" for note in content["notes"]]
    lines += [f"- {note}" for note in notes_of_clips(clips)]
    lines += [f"- {line}" for line in left_out_lines(content)]
    if compared:
        lines += ["", "## Published reference numbers", "", table_markdown(compared)]
    return "\n".join(lines) + "\n"


def notes_of_clips(clips: Sequence[dict[str, Any]]) -> list[str]:
    """The notes of all clips, each once; of many clips with the same note the first is named."""
    said: dict[str, list[str]] = {}
    for clip in clips:
        for note in clip["notes"]:
            names = [n for n in (clip["result"], clip["reference"]) if note.startswith(n)]
            what = note.removeprefix(names[0]).lstrip(": ") if names else note
            said.setdefault(what, []).append(names[0] if names else clip["result"])
    lines = []
    for what, names in said.items():
        others = len(set(names)) - 1
        more = f" and {others} more" if others else ""
        lines.append(f"{names[0]}{more}: {what}")
    return lines


def left_out_lines(content: dict[str, Any], most: int | None = None) -> list[str]:
    """``Left out: FID; why``, a line for every reason, cut after ``most`` characters."""
    reasons: dict[str, list[str]] = {}
    for name, why in content["left_out"].items():
        reasons.setdefault(why, []).append(CATALOGUE[name].title)
    return [
        f"Left out: {', '.join(titles)}; "
        + (why if most is None else shorten(why, most, placeholder=" ..."))
        for why, titles in reasons.items()
    ]


def versions() -> dict[str, str]:
    """Versions of what computes, and what of it is not installed."""
    found = installed_versions(*PACKAGES)
    return found | {name: "not installed" for name in PACKAGES if name not in found}


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
