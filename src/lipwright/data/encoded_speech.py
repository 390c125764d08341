"""Features of a frozen speech encoder for every clip of a corpus, computed once.

An encoder that is not trained gives the same features in every step; so its work is done before
the training and kept in the run's folder. Besides the clips as they are there are ``variants``
with speech varied as :mod:`lipwright.data.vary_speech` does it.

``FOLDER/`` holds ``<variant>.npy``, float16 (frames, C), and ``header.json``, which says of what,
and where in it every clip lies.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright.data.packed import ClipRow, PackedCorpus
from lipwright.data.vary_speech import SpeechVariation, at_pace, draw_pace, in_a_room
from lipwright.errors import LipwrightError
from lipwright.files.whole import write_json, written_whole
from lipwright.media.mel import SAMPLES_PER_FRAME

log = logging.getLogger("lipwright.train")

Features = NDArray[np.float16]
Wave = NDArray[np.float32]
Encode = Callable[[Wave], NDArray[np.float32]]
"""(n,) speech at 16 kHz -> (frames, C), frames = n // 640."""


@dataclass(frozen=True)
class EncodedSpeech:
    """Read access.

    Attributes:
        arrays: per variant (frames, C), memory maps; variant 0 is the speech as it is.
        places: per variant and clip the first row, the number of rows, and how many times as fast
            the speech is.
        silence: (frames, C) of digital silence.
    """

    arrays: list[Features]
    places: list[dict[str, tuple[int, int, float]]]
    silence: Features

    def of(self, row: ClipRow, variant: int = 0) -> tuple[Features, float]:
        """(n, C) features of a clip, and its pace."""
        first, count, pace = self.places[variant][row.clip]
        return self.arrays[variant][first : first + count], pace


def clip_wave(packed: PackedCorpus, row: ClipRow) -> Wave:
    """(640 frames,) speech of a clip, from ``CORPUS/clips``.

    Raises:
        LipwrightError: the file is not there.
    """
    from lipwright.media.audio import load_speech

    path = packed.folder.parent / "clips" / f"{row.clip}.flac"
    if not path.is_file():
        raise LipwrightError(
            f"{path} is missing; a speech encoder hears the clips themselves, so train where the "
            "whole corpus is, not only its folder 'packed'."
        )
    wave, count = load_speech(path), SAMPLES_PER_FRAME * row.frames
    return np.pad(wave[:count], (0, max(0, count - len(wave))))


def encode_corpus(
    packed: PackedCorpus,
    encode: Encode,
    identity: str,
    folder: Path,
    variants: int,
    variation: SpeechVariation,
) -> EncodedSpeech:
    """Features of all clips, and of the training clips' variants; from the folder where they are.

    Args:
        packed: the corpus.
        encode: the encoder.
        identity: names the encoder; with the clips and the variation it decides whether what lies
            in the folder is the same.
        folder: where to keep them; a variant that is there is not computed again.
        variants: how many beside the speech as it is.
        variation: of the variants.

    Raises:
        LipwrightError: the corpus holds no sound files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = {
        "encoder": identity,
        "clips": hashlib.sha256("\n".join(r.clip for r in packed.rows).encode()).hexdigest(),
        "variation": asdict(variation),
    }
    arrays, places = [], []
    for variant in range(variants + 1):
        header = folder / f"{variant}.json"
        wanted = json.loads(json.dumps({**key, "variant": variant}))
        found = _header(header)
        if found is None or {k: found[k] for k in wanted} != wanted:
            header.unlink(missing_ok=True)
            log.info("speech features, variant %d of %d", variant, variants)
            found = {**wanted, **_compute(packed, encode, folder, variant, variation)}
            write_json(header, found, indent=None)
        arrays.append(np.load(folder / f"{variant}.npy", mmap_mode="r"))
        places.append({clip: (int(a), int(n), float(p)) for clip, a, n, p in found["places"]})
    silence = encode(np.zeros(SAMPLES_PER_FRAME * 400, np.float32)).astype(np.float16)
    return EncodedSpeech(arrays, places, silence)


def rows_about(features: Features, first: int, count: int) -> NDArray[np.float32]:
    """Rows ``first`` .. ``first + count - 1``; beyond the ends the first and the last one again."""
    index = np.clip(np.arange(first, first + count), 0, len(features) - 1)
    return features[index].astype(np.float32)


def _header(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if {"encoder", "clips", "variation", "variant", "places"} <= set(found) else None


def _compute(
    packed: PackedCorpus,
    encode: Encode,
    folder: Path,
    variant: int,
    variation: SpeechVariation,
) -> dict[str, Any]:
    rows = packed.rows if variant == 0 else packed.split("train")
    parts: list[Features] = []
    places: list[tuple[str, int, int, float]] = []
    start = 0
    for number, row in enumerate(rows):
        wave, pace = clip_wave(packed, row), 1.0
        if variant:
            rng = np.random.default_rng([variant, number])
            pace = draw_pace(rng, variation)
            wave = at_pace(wave, pace)
            other = clip_wave(packed, rows[int(rng.integers(len(rows)))])
            wave = in_a_room(wave, rng, variation, np.resize(other, len(wave)))
        part = encode(wave).astype(np.float16)
        places.append((row.clip, start, len(part), pace))
        parts.append(part)
        start += len(part)
    with written_whole(folder / f"{variant}.npy") as temporary:
        np.save(temporary, np.concatenate(parts))
    return {"places": places}
