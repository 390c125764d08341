"""Expert accuracy (table 5 of Gupta et al., WACV 2023): 50/50 pairs on real videos, any expert.

Every window of a clip is judged once with its own speech and once with speech at least five frames
away in the same clip, threshold 0.5. Beside it stand the same with all windows of a second judged
together by their mean cosine, which lets experts of few frames be seen beside those of 25, and the
offset that the expert finds: a real video in sync must give 0 +- 1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lipwright.errors import LipwrightError
from lipwright.evaluation.bootstrap import bootstrap_mean
from lipwright.evaluation.evaluate import versions
from lipwright.evaluation.experts import Expert, expert_features
from lipwright.evaluation.faces import watch
from lipwright.evaluation.metrics.expert_sync import expert_score, pair_accuracy
from lipwright.evaluation.protocols.clips import Clip
from lipwright.evaluation.published_numbers import table_markdown
from lipwright.evaluation.sampling import aligned_25
from lipwright.faces.tracker import FaceTracker
from lipwright.files.whole import write_text
from lipwright.media.audio import load_speech

SECOND = 25
"""Frames that windows judged together span."""


def expert_accuracy(
    experts: dict[str, Expert],
    clips: Sequence[Clip],
    out: Path,
    least: int = 5,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Judge real clips with every expert and write ``out`` (JSON) and its Markdown.

    Raises:
        LipwrightError: no clip is long enough for some expert.
    """
    tracker = FaceTracker()
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in experts}
    skipped: dict[str, str] = {}
    for n, clip in enumerate(clips):
        series = watch(clip.path, tracker)
        wave = load_speech(clip.path)
        for name, expert in experts.items():
            try:
                crops = aligned_25(clip.path, series, expert.size)
                features = expert_features(expert, crops, expert.speech_input(wave))
            except LipwrightError as error:
                skipped[f"{clip.path.name}, {name}"] = str(error)
                continue
            score = expert_score(*features)
            rows[name].append(
                {
                    "clip": clip.path.name,
                    "accuracy": pair_accuracy(*features, least=least),
                    "accuracy_second": pair_accuracy(
                        *features, least=least, over=max(1, SECOND - expert.window + 1)
                    ),
                    "offset": score.offset,
                    "cosine": score.cosine,
                    "windows": len(features[0]),
                }
            )
        progress(n + 1, len(clips))
    table = {}
    for name, found in rows.items():
        if not found:
            raise LipwrightError(f"no clip is long enough for the expert {name}.")
        accuracy = bootstrap_mean([r["accuracy"] for r in found])
        second = [r["accuracy_second"] for r in found if np.isfinite(r["accuracy_second"])]
        offsets = [abs(r["offset"]) for r in found]
        table[name] = {
            "kind": experts[name].kind,
            "T": experts[name].window,
            "accuracy": accuracy.value,
            "low": accuracy.low,
            "high": accuracy.high,
            "accuracy_second": float(np.mean(second)) if second else None,
            "within_1": sum(o <= 1 for o in offsets) / len(offsets),
            "clips": len(found),
        }
    content = {
        "protocol": f"50/50 pairs, negatives >= {least} frames away in the clip, threshold 0.5",
        "versions": versions(),
        "experts": table,
        "clips": rows,
        "skipped": skipped,
    }
    write_text(out, json.dumps(content, indent=1) + "\n")
    lines = [
        "| expert | T | accuracy | over a second | offset within 1 frame | clips |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in table.items():
        together = row["accuracy_second"]
        lines.append(
            f"| {name} ({row['kind']}) | {row['T']} | {row['accuracy']:.3f} "
            f"[{row['low']:.3f}, {row['high']:.3f}] | "
            f"{'-' if together is None else f'{together:.3f}'} | {row['within_1']:.0%} | "
            f"{row['clips']} |"
        )
    text = "\n".join(lines) + "\n\n" + table_markdown(("5",))
    write_text(out.with_suffix(".md"), text)
    return content
