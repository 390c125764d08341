"""One table out of several quality tables: real video, copy, and one row per method.

    python benchmarks/quality.py --labels CORPUS/clips.csv --method vq -o q/vq
    python benchmarks/quality.py --labels CORPUS/clips.csv --method wav2lip --weights W -o q/wav2lip
    python benchmarks/compare.py VQ=q/vq Wav2Lip=q/wav2lip -o q/comparison.md

All tables must be of the same clips; ``--common`` takes those that are in all of them. Intervals
are 95 % bootstraps over clips. ``--silent`` shows what the dubs with silent speech came to instead.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from lipwright.evaluation.bootstrap import bootstrap_mean

COLUMNS = (
    ("own_opening", "opening r, own", 2),
    ("own_envelope", "envelope r, own", 2),
    ("foreign_envelope", "envelope r, foreign", 2),
    ("offset", "abs. offset, frames", 1),
    ("spread", "opening spread", 2),
    ("silence", "silence ratio", 2),
    ("lmd", "LMD, % face", 2),
    ("psnr", "PSNR, dB", 1),
    ("ssim", "SSIM", 3),
    ("lip_colour", "lip colour, dE", 1),
    ("flicker", "flicker", 2),
    ("mouth_octave_1", "mouth octave 1", 2),
    ("mouth_octave_2", "octave 2", 2),
    ("mouth_octave_3", "octave 3", 2),
    ("mouth_high_flicker", "high-band flicker", 2),
)
JUDGED = (
    ("own_accuracy", "expert accuracy, own", 2),
    ("foreign_accuracy", "expert accuracy, foreign", 2),
    ("own_expert_offset", "abs. expert offset, own", 1),
    ("own_in_step", "in step, says the expert, own", 2),
    ("foreign_in_step", "in step, foreign", 2),
)
"""Where every table was made with the same expert."""
SILENT = (
    ("silence", "silence ratio", 2),
    ("silent_activity", "silence activity", 4),
    ("silent_closed", "lips closed", 2),
    ("silent_lip_colour", "lip colour, dE", 1),
    *((f"silent_{name}", title, digits) for name, title, digits in COLUMNS if "mouth" in name),
)
"""Of dubs with silent speech; further down what the expert says of them."""
SILENT_JUDGED = (("silent_in_step", "in step with silence, says the expert", 2),)


def main() -> None:
    """Parse, merge, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--silent", action="store_true", help="dubs with silent speech")
    parser.add_argument("--common", action="store_true", help="only clips that all tables have")
    parser.add_argument("-o", "--out", type=Path, default=None)
    args = parser.parse_args()
    runs: dict[str, dict[str, Any]] = {}
    for text in args.tables:
        name, _, folder = text.partition("=")
        runs[name] = json.loads((Path(folder) / "quality.json").read_text(encoding="utf-8"))
    if args.common:
        runs = common(runs)
    sets = {tuple(row["clip"] for row in run["clips"]) for run in runs.values()}
    if len(sets) != 1 or not next(iter(sets)):
        sys.exit("the tables are not of the same clips; run quality.py with the same options.")
    text = comparison(runs, args.silent)
    print(text, end="")
    if args.out is not None:
        args.out.write_text(text, encoding="utf-8")


def common(runs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The tables with the clips that all of them have, in the order of the first."""
    known = [{row["clip"]: row for row in run["clips"]} for run in runs.values()]
    names = [name for name in known[0] if all(name in clips for clips in known)]
    return {
        title: {**run, "clips": [clips[name] for name in names]}
        for (title, run), clips in zip(runs.items(), known, strict=True)
    }


def comparison(runs: dict[str, dict[str, Any]], silent: bool = False) -> str:
    """The table as Markdown; ``silent``: of the dubs with silent speech."""
    clips = next(iter(runs.values()))["clips"]
    experts = {run.get("expert", "") for run in runs.values()}
    judged = len(experts) == 1 and experts != {""}
    if silent:
        columns = SILENT + (SILENT_JUDGED if judged else ())
        real = {"silent_activity"}
        copied = {"silent_activity", "silent_closed", "silent_in_step"}
        rows = [("real video, in its pauses", "real", real), ("copy of the source", "copy", copied)]
    else:
        columns = COLUMNS + (JUDGED if judged else ())
        real = {"own_envelope", "own_accuracy", "own_expert_offset", "own_in_step"}
        copied = real | {"foreign_envelope", "foreign_accuracy", "foreign_in_step"}
        rows = [("real video, own speech", "real", real), ("copy of the source", "real", copied)]
    lines = ["| | " + " | ".join(title for _, title, _ in columns) + " |"]
    lines.append("|---|" + "---|" * len(columns))
    lines += [line(title, clips, side, columns, only) for title, side, only in rows]
    for name, run in runs.items():
        lines.append(line(f"{name} ({run['model']})", run["clips"], "ours", columns, None))
    return "\n".join(lines) + f"\n\n{len(clips)} clips; mean [95 % interval].\n"


def line(
    title: str,
    clips: list[dict[str, Any]],
    side: str,
    columns: tuple[tuple[str, str, int], ...],
    only: set[str] | None,
) -> str:
    """One row; ``only`` names the columns that mean something in it."""
    cells = []
    for key, _, digits in columns:
        if only is not None and key not in only:
            cells.append("-")
            continue
        values = [row.get(f"{side}.{key}", float("nan")) for row in clips]
        e = bootstrap_mean([abs(v) if key.endswith("offset") else v for v in values])
        cells.append(f"{e.value:.{digits}f} [{e.low:.{digits}f}, {e.high:.{digits}f}]")
    return f"| {title} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
