"""Look into an Audio-Lip Memory: slot use, addresses over time, sounds per slot, mouths per slot.

Park et al. (AAAI 2022) say that slots become phoneme-like and that mixing addresses edits mouths.
This shows both or their absence: pictures to look at, and one number for the first, the mutual
information of the top slot and what is said, against labels that belong elsewhere.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lipwright.data.encoded_speech import clip_wave
from lipwright.data.packed import ClipRow, PackedCorpus
from lipwright.errors import LipwrightError
from lipwright.evaluation.memory import pictures
from lipwright.evaluation.memory.information import information
from lipwright.evaluation.memory.labels import (
    PAUSES,
    FrameLabels,
    aligned_labels,
    recognised_labels,
    starts,
)
from lipwright.evaluation.memory.page import write_page
from lipwright.evaluation.memory.probe import Probe, ProbedClip
from lipwright.evaluation.plot import pyplot
from lipwright.models.memory import effective_slots, sharpness
from lipwright.training.pictures import write_sheet

STEPS = 7
"""Mixtures between two sounds."""
LEAST_SEEN = 20
"""Labels with fewer frames are left out of the maps."""
SHOWN_SLOTS = 48

Array = NDArray[np.float32]


def inspect(
    checkpoint: Path,
    corpus_path: Path,
    out: Path,
    split: str = "all",
    clips: int = 200,
    edit: str | None = None,
    alignments: Path | None = None,
    aligner: bool = False,
    identities: str = "*",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Write ``index.html``, ``inspect.json`` and the pictures into ``out``; return the numbers.

    Args:
        checkpoint: of the stage ``memory``.
        corpus_path: a prepared corpus, packed at the checkpoint's size.
        out: folder to write.
        split: ``train``, ``val`` or ``all``.
        clips: at most so many, those with alignments first.
        edit: ``A:B``, two words, phonemes or slot numbers; default: the two best known vowels, or
            the two most used slots.
        alignments: folder of GRID alignments; default: beside the sources.
        aligner: place phonemes by a forced aligner, in free English speech, too.
        identities: patterns with wildcards of the people to look at, separated by commas.
        progress: told of (done, total) clips.

    Raises:
        LipwrightError: wrong checkpoint, no clips, unknown labels.
    """
    corpus = PackedCorpus(corpus_path)
    probe = Probe(checkpoint, corpus)
    pyplot()  # say what is missing before the work begins
    begin = starts(corpus_path)
    chosen = _choose(corpus, split, clips, begin, alignments, identities)
    out.mkdir(parents=True, exist_ok=True)
    probed: list[ProbedClip] = []
    labels: list[FrameLabels | None] = []
    for i, (row, label) in enumerate(chosen):
        probed.append(probe.of_clip(row))
        if aligner:
            label = recognised_labels(
                row, clip_wave(corpus, row), begin.get(row.clip, 0.0), alignments
            )
        labels.append(label)
        progress(i + 1, len(chosen))
    audio = np.concatenate([h.audio for h in probed])
    lips = np.concatenate([h.lips for h in probed])
    order = np.argsort(-lips.mean(0), kind="stable")
    found: dict[str, Any] = {
        "model": probe.model_id,
        "split": split,
        "identities": len({h.row.identity for h in probed}),
        "labels": "forced aligner" if aligner else "word alignments, rough lengths",
        "clips": len(probed),
        "frames": len(audio),
        "slots": _use(audio, lips),
        "use": {"audio": _rounded(audio.mean(0)), "lips": _rounded(lips.mean(0))},
    }
    pictures.slot_use(audio.mean(0), lips.mean(0), order, out / "slots.png")
    shown = max(range(len(probed)), key=lambda i: (labels[i] is not None, _moves(probed[i])))
    found["heat"] = probed[shown].row.clip
    labelled = labels[shown]
    pictures.heat_map(
        probed[shown].audio,
        probed[shown].lips,
        _wave(corpus, probed[shown].row, begin.get(probed[shown].row.clip, 0.0)),
        labelled.words if labelled else None,
        out / "heat.png",
    )
    found["information"] = _sounds(probed, labels, out)
    faces = [probe.face(h.row, h.row.frames // 2) for h in _people(probed)]
    one_hot = torch.eye(probe.slots)[torch.from_numpy(order.copy())]
    drawn = probe.draw(one_hot, probe.rest(), faces[0])
    pictures.mouth_grid(drawn, [str(s) for s in order], out / "mouths.png")
    ends = _ends(edit, probed, labels, order)
    if ends is not None:
        mix = torch.linspace(0, 1, STEPS)[:, None]
        a, b = ends[0][1], ends[1][1]
        address = (1 - mix) * torch.from_numpy(a[0]) + mix * torch.from_numpy(b[0])
        sound = (1 - mix) * torch.from_numpy(a[1]) + mix * torch.from_numpy(b[1])
        write_sheet([probe.draw(address, sound, face) for face in faces], out / "edit.png")
        found["edit"] = {
            "from": ends[0][0],
            "to": ends[1][0],
            "steps": STEPS,
            "faces": len(faces),
        }
    text = json.dumps(found, indent=1, ensure_ascii=False)
    (out / "inspect.json").write_text(text + "\n", encoding="utf-8")
    write_page(out / "index.html", found)
    return found


def _choose(
    corpus: PackedCorpus,
    split: str,
    most: int,
    begin: dict[str, float],
    folder: Path | None,
    identities: str = "*",
) -> list[tuple[ClipRow, FrameLabels | None]]:
    """Clips with alignments first (half of them at most), then others evenly over the corpus."""
    rows = corpus.rows if split == "all" else corpus.split(split)
    wanted = [pattern.strip() for pattern in identities.split(",")]
    rows = [r for r in rows if any(fnmatchcase(r.identity, pattern) for pattern in wanted)]
    if not rows:
        raise LipwrightError(f"{corpus.folder} has no clips of '{identities}' in split '{split}'.")
    known = [(r, aligned_labels(r, begin.get(r.clip, 0.0), folder)) for r in rows]
    aligned = [k for k in known if k[1] is not None]
    others = [k for k in known if k[1] is None]
    first = aligned[: max(most // 2, most - len(others))]
    room = most - len(first)
    step = max(1, -(-len(others) // max(1, room)))
    return [*first, *others[::step][:room]]


def _use(audio: Array, lips: Array) -> dict[str, Any]:
    """Slot statistics of all frames (N, S)."""
    agreement = audio.argmax(1) == lips.argmax(1)
    shuffled = np.random.default_rng(0).permutation(len(lips))
    out: dict[str, Any] = {
        "count": audio.shape[1],
        "agreement": float(agreement.mean()),
        "agreement_shuffled": float((audio.argmax(1) == lips[shuffled].argmax(1)).mean()),
    }
    for name, table in (("audio", audio), ("lips", lips)):
        addresses = torch.from_numpy(table)
        out[name] = {
            "effective": round(effective_slots(addresses), 2),
            "mixed": round(sharpness(addresses), 2),
            "top": len(np.unique(table.argmax(1))),
        }
    return out


def _sounds(
    probed: Sequence[ProbedClip], labels: Sequence[FrameLabels | None], out: Path
) -> dict[str, Any] | None:
    """Mutual information of top slots with words and phonemes, and the maps."""
    pairs = [(h, s) for h, s in zip(probed, labels, strict=True) if s is not None]
    if not pairs:
        return None
    found: dict[str, Any] = {"clips": len(pairs)}
    for who in ("audio", "lips"):
        slots = [getattr(h, who).argmax(1) for h, _ in pairs]
        found[who] = {}
        for what in ("phonemes", "words"):
            of_frames = [getattr(s, what) for _, s in pairs]
            if not _known(of_frames):
                continue
            result = information(slots, of_frames, PAUSES | {"?"})
            found[who][what] = {k: _short(v) for k, v in asdict(result).items()}
            found["frames"] = result.frames
    addresses = np.concatenate([h.audio for h, _ in pairs])
    for what in ("phonemes", "words"):
        each = [x for _, s in pairs for x in getattr(s, what)]
        if not _known([each]):
            continue
        names = [n for n, c in sorted(Counter(each).items()) if c >= LEAST_SEEN] or sorted(
            set(each)
        )
        prior = addresses.mean(0)
        rows = [addresses[[x == n for x in each]].mean(0) / prior for n in names]
        shown = np.sort(np.argsort(-prior, kind="stable")[:SHOWN_SLOTS])
        table = np.stack(rows)[:, shown]
        pictures.label_map(table, names, shown.tolist(), out / f"{what}.png")
    return found


def _known(labels: Sequence[Sequence[str]]) -> bool:
    """Whether anything but pauses and unknown words is among them."""
    return any(x not in PAUSES and x != "?" for each in labels for x in each)


def _ends(
    edit: str | None,
    probed: Sequence[ProbedClip],
    labels: Sequence[FrameLabels | None],
    order: NDArray[np.int64],
) -> tuple[tuple[str, tuple[Array, Array]], tuple[str, tuple[Array, Array]]] | None:
    """Names, mean addresses and mean audio features of the two sounds to mix."""
    pairs = [(h, s) for h, s in zip(probed, labels, strict=True) if s is not None]
    if edit is None:
        known = Counter(x for _, s in pairs for x in s.phonemes)
        both = known["aa"] + known["ay"] > 0 and known["uw"] > 0
        edit = ("ay:uw" if known["ay"] else "aa:uw") if both else f"{order[0]}:{order[1]}"
    names = [part.strip().lower() for part in edit.split(":")]
    if len(names) != 2 or not all(names):
        raise LipwrightError(
            f"'{edit}' does not name two sounds; write --edit A:B with words, phonemes or slots."
        )
    ends = [(name, _mean_of(name, probed, pairs)) for name in names]
    return ends[0], ends[1]


def _mean_of(
    name: str, probed: Sequence[ProbedClip], pairs: Sequence[tuple[ProbedClip, FrameLabels]]
) -> tuple[Array, Array]:
    """Mean address and audio feature of the frames of a word or phoneme, or where a slot is top."""
    addresses, features = [], []
    if name.isdigit():
        slot, slots = int(name), probed[0].audio.shape[1]
        if slot >= slots:
            raise LipwrightError(f"there is no slot {slot}; this memory has 0 to {slots - 1}.")
        features = [h.features[h.audio[:, slot] >= h.audio[:, slot].max()] for h in probed]
        return np.eye(slots, dtype=np.float32)[slot], np.concatenate(features).mean(0)
    for h, s in pairs:
        there = np.array([name in (w, p) for w, p in zip(s.words, s.phonemes, strict=True)])
        addresses.append(h.audio[there])
        features.append(h.features[there])
    if not addresses or not sum(map(len, addresses)):
        raise LipwrightError(
            f"'{name}' is said in none of the aligned clips; give words, phonemes or slot numbers."
        )
    return np.concatenate(addresses).mean(0), np.concatenate(features).mean(0)


def _people(probed: Sequence[ProbedClip], most: int = 3) -> list[ProbedClip]:
    """One clip each of different people."""
    seen: dict[str, ProbedClip] = {}
    for h in probed:
        seen.setdefault(h.row.identity, h)
    each = list(seen.values())
    step = max(1, len(each) // most)
    return each[::step][:most]


def _moves(probed: ProbedClip) -> float:
    """How much of a clip's lips there is to see: variance of the addresses, long clips first."""
    return float(probed.lips.var(0).sum() * min(len(probed.lips), 100))


def _wave(corpus: PackedCorpus, row: ClipRow, begin: float) -> Array:
    """Samples of a clip where its source is at hand, else its loudness in the mel bands."""
    from lipwright.media.audio import SAMPLE_RATE, load_speech

    source = Path(row.source)
    if source.is_file():
        try:
            wave = load_speech(source)
            first = round(begin * SAMPLE_RATE)
            return wave[first : first + row.frames * SAMPLE_RATE // 25]
        except LipwrightError:
            pass
    return np.asarray(corpus.clip_mel(row).astype(np.float32).mean(0))


def _rounded(values: Array) -> list[float]:
    return [round(float(v), 5) for v in values]


def _short(value: float) -> float:
    return value if isinstance(value, int) else round(float(value), 4)
