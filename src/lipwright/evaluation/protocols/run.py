"""The dubbing protocols: own speech, another's speech, digital silence, speech under noise.

* ``reconstruction``: every clip with its own speech, against the real video; all metrics.
* ``unpaired``: every clip with another person's speech by a fixed pairing; no metric that needs the
  real mouth of that speech, which does not exist.
* ``silent`` (table 3 of Gupta et al., WACV 2023): digital silence as long as the video.
* ``noise``: own speech with white noise at 20, 10, 5 and 0 dB, and without, as a plot.

A dub that is there already, made by the same method from the same files, is not made again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lipwright.dubbing.job import DubOptions, dub
from lipwright.errors import LipwrightError
from lipwright.evaluation.evaluate import Pair, evaluate
from lipwright.evaluation.metrics.catalogue import names_of_protocol
from lipwright.evaluation.plot import level_plot
from lipwright.evaluation.protocols.clips import (
    Clip,
    pair_unpaired,
    read_pairing,
    write_pairing,
)
from lipwright.evaluation.protocols.speech import add_noise, write_wave
from lipwright.evaluation.table import REAL, estimates, markdown
from lipwright.files.whole import file_sha256, write_text
from lipwright.media.audio import SAMPLE_RATE, load_speech
from lipwright.media.info import probe
from lipwright.methods.base import Method
from lipwright.methods.registry import load_method

ProgressFunction = Callable[[int, int], None]
Dubbed = Literal["reconstruction", "unpaired", "silent"]
PROTOCOLS: tuple[Dubbed, ...] = ("reconstruction", "unpaired", "silent")
LEVELS = (math.inf, 20.0, 10.0, 5.0, 0.0)
COMPARED = {"reconstruction": ("2", "4"), "unpaired": ("2",), "silent": ("3",)}


def run_protocol(
    name: Dubbed,
    clips: Sequence[Clip],
    out: Path,
    method: str = "vq",
    checkpoint: Path | None = None,
    weights: dict[str, Path] | None = None,
    pairing: Path | None = None,
    options: dict[str, Any] | None = None,
    progress: ProgressFunction = lambda done, total: None,
    measuring_progress: ProgressFunction = lambda done, total: None,
) -> Path:
    """Dub all clips as the protocol says and measure the results.

    Args:
        name: one of :data:`PROTOCOLS`.
        clips: real videos.
        out: folder: ``videos/``, ``table.json``, ``.md``, ``.png``, and ``pairing.csv``.
        method: name of the method.
        checkpoint: of the method, instead of its default.
        weights: networks of the metrics.
        pairing: a pairing file for ``unpaired`` instead of the rule.
        options: further options of the dub (``enhance``, ``detail``, ...).
        progress: called with (done, total) while dubbing.
        measuring_progress: the same while measuring.

    Returns:
        The path of ``table.json``.

    Raises:
        LipwrightError: unknown protocol; a clip cannot be dubbed or measured.
    """
    if name not in PROTOCOLS:
        raise LipwrightError(f"there is no protocol '{name}'; use {', '.join(PROTOCOLS)}.")
    facts: dict[str, Any] = {"protocol": name}
    spoken: list[tuple[Clip, Path]] = []
    if name == "unpaired":
        pairs = read_pairing(pairing, clips) if pairing else pair_unpaired(clips)
        facts["pairing_sha256"] = write_pairing(pairs, out / "pairing.csv")
        spoken = [(a, b.path) for a, b in pairs]
    elif name == "silent":
        spoken = [
            (c, _silence(c.path, out / "speech" / f"{n:04d}.wav")) for n, c in enumerate(clips)
        ]
    else:
        spoken = [(c, c.path) for c in clips]
    drawn = load_method(method, weights=checkpoint)
    results = dub_all(spoken, out / "videos", drawn, options or {}, progress)
    facts |= {"method": drawn.model_id, "dub_options": options or {}}
    table = out / "table.json"
    evaluate(
        [Pair(r, c.path) for r, (c, _) in zip(results, spoken, strict=True)],
        table,
        names_of_protocol(name),
        weights,
        title=drawn.model_id,
        extra=facts,
        progress=measuring_progress,
        compared=COMPARED[name],
        lenient=True,
    )
    return table


def _silence(video: Path, path: Path) -> Path:
    duration = probe(video).duration
    seconds = float(duration) if duration is not None else 10.0
    return write_wave(path, np.zeros(math.ceil((seconds + 0.1) * SAMPLE_RATE), np.float32))


def dub_all(
    spoken: Sequence[tuple[Clip, Path]],
    folder: Path,
    method: Method,
    options: dict[str, Any],
    progress: ProgressFunction = lambda done, total: None,
) -> list[Path]:
    """Dub every clip with its speech into ``folder``; finished ones are kept.

    The length is the video's, so that every frame has a partner in the real video; the manifest is
    left out, since nothing is published.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    for n, (clip, speech) in enumerate(spoken):
        out = folder / f"{n:04d}-{clip.path.stem[:60]}.mp4"
        record = out.with_suffix(".json")
        facts = {
            "video": file_sha256(clip.path),
            "speech": file_sha256(speech),
            "method": method.model_id,
            "options": options,
        }
        if not (out.is_file() and record.is_file() and _read(record) == facts):
            record.unlink(missing_ok=True)
            chosen = DubOptions(**{"length": "video", "manifest": False, **options})
            dub(clip.path, speech, out, chosen, method=method)
            write_text(record, json.dumps(facts))
        results.append(out)
        progress(n + 1, len(spoken))
    return results


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def run_noise(
    clips: Sequence[Clip],
    out: Path,
    method: str = "vq",
    checkpoint: Path | None = None,
    weights: dict[str, Path] | None = None,
    levels: Sequence[float] = LEVELS,
    progress: ProgressFunction = lambda done, total: None,
) -> Path:
    """Dub with speech under noise at each level; ``noise.json`` and a plot of metric against SNR.

    The mouth is compared with the real video's, which spoke without noise. LSE and the expert hear
    the noise too, so their fall is partly the judge's own.
    """
    drawn = load_method(method, weights=checkpoint)
    rows: dict[str, Any] = {}
    notes: list[str] = []
    for turn, level in enumerate(levels):
        label = "clean" if math.isinf(level) else f"{level:g} dB"
        folder = out / label.replace(" ", "")
        spoken = []
        for n, clip in enumerate(clips):
            noisy = add_noise(load_speech(clip.path), level, clip.path.name)
            spoken.append((clip, write_wave(folder / "speech" / f"{n:04d}.wav", noisy)))
        before = turn * len(clips)

        def dubbed(done: int, _total: int, before: int = before) -> None:
            progress(before + done, len(levels) * len(clips))

        results = dub_all(spoken, folder / "videos", drawn, {}, dubbed)
        pairs = [Pair(r, c.path) for r, (c, _) in zip(results, spoken, strict=True)]
        content = evaluate(
            pairs,
            folder / "table.json",
            names_of_protocol("noise"),
            weights,
            title=label,
            extra={"protocol": "noise", "snr_db": None if math.isinf(level) else level},
            lenient=True,
            compared=(),
        )
        rows = {REAL: content["rows"][REAL], **rows, label: content["rows"][label]}
        notes = content["notes"]
    table = out / "noise.json"
    facts = {"method": drawn.model_id, "notes": notes, "rows": rows}
    write_text(table, json.dumps(facts, indent=1) + "\n")
    known = estimates(rows)
    names = names_of_protocol("noise")
    write_text(table.with_suffix(".md"), markdown(names, known))
    by_level = {label: row for label, row in known.items() if label != REAL}
    level_plot(names, known[REAL], by_level, out / "noise.png", "noise")
    return table
