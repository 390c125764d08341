"""A whole recording, heard by a frozen speech encoder and the networks on top of it.

The same as ``EncoderToLips.dense`` of PyTorch (``models/encoder_lips.py``), for engines that take
arrays; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from lipwright.recording_windows import (
    COLUMNS_PER_FEATURE,
    FEATURES_PER_FRAME,
    recording_windows,
)

Array = NDArray[np.float32]
Columns = Callable[[int, int], Array]
Run = Callable[[Array], tuple[Array, ...]]

ENCODER, MEMBERS = "speech-encoder", "speech-members"
"""Names of the two graphs."""
FRAMES = 512
"""Video frames per call of the networks, so that memory does not grow with the recording."""


def lip_motions(encoder: Run, members: Run, log_power: Array, layers: int) -> Array:
    """(80, T) log10 power -> (K, T) lip motions, 0 at rest; see :func:`lip_motions_of`."""
    return lip_motions_of(
        encoder, members, log_power.shape[1], lambda a, b: log_power[:, a:b], layers
    )


def lip_motions_of(encoder: Run, members: Run, total: int, columns: Columns, layers: int) -> Array:
    """(K, T) lip motions of a recording, 0 at rest; nothing but they grows with its length.

    Args:
        encoder: (1, 80, t) log power of a window -> (1, C, ceil(t / 2)) features.
        members: (1, 2 C, n + 2 layers) features by frame -> (1, n, K), the mean of the networks.
        total: columns of its log10 power, see ``media.whisper_mel``.
        columns: the first and the one after the last column -> (80, n) of them.
        layers: frames of context that the networks see on either side.
    """
    rows = list(_frames(_features(encoder, total, columns), members, total, layers))
    fifty = np.concatenate(rows, axis=1)
    between = np.concatenate([(fifty[:, :-1] + fifty[:, 1:]) / 2, fifty[:, -1:]], axis=1)
    spread = np.stack([fifty, between], axis=2).reshape(len(fifty), -1)
    return np.ascontiguousarray(spread[:, :total], np.float32)


def _features(encoder: Run, total: int, columns: Columns) -> Iterator[Array]:
    """(C, n) features of the encoder, window by window."""
    for window in recording_windows(total):
        (found,) = encoder(columns(window.start, window.stop)[None])
        yield found[0, :, window.skip : window.skip + window.wanted]


def _frames(features: Iterator[Array], members: Run, total: int, layers: int) -> Iterator[Array]:
    """(K, 2 n) lip motions, 50 a second, of up to ``FRAMES`` video frames after one another.

    Frames lie two columns of the encoder apart: those that begin at even and at odd columns are two
    recordings. Beyond the ends the first and the last column are repeated.
    """
    count = -(-total // COLUMNS_PER_FEATURE)
    frames = -(-count // FEATURES_PER_FRAME)
    held = next(features)
    held = np.pad(held, ((0, 0), (FEATURES_PER_FRAME * layers, 0)), mode="edge")
    for start in range(0, frames, FRAMES):
        stop = min(start + FRAMES, frames)
        seen = FEATURES_PER_FRAME * (stop - start + 2 * layers)
        needed = seen + FEATURES_PER_FRAME - 1
        while held.shape[1] < needed:
            more = next(features, None)
            if more is None:
                held = np.pad(held, ((0, 0), (0, needed - held.shape[1])), mode="edge")
            else:
                held = np.concatenate([held, more], axis=1)
        made = []
        for first in range(FEATURES_PER_FRAME):
            pairs = held[:, first : first + seen].reshape(len(held), -1, FEATURES_PER_FRAME)
            by_frame = pairs.transpose(2, 0, 1).reshape(FEATURES_PER_FRAME * len(held), -1)
            made.append(members(by_frame[None])[0][0].T)
        yield np.stack(made, axis=2).reshape(made[0].shape[0], -1)
        held = held[:, FEATURES_PER_FRAME * (stop - start) :]
