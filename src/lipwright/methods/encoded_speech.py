"""A whole recording, heard by a frozen speech encoder and the networks on top of it.

The same as ``EncoderToLips.dense`` of PyTorch (``models/encoder_lips.py``), for engines that take
arrays; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lipwright.recording_windows import FEATURES_PER_FRAME, recording_windows

Array = NDArray[np.float32]
Run = Callable[[Array], tuple[Array, ...]]

ENCODER, MEMBERS = "speech-encoder", "speech-members"
"""Names of the two graphs."""
FRAMES = 512
"""Video frames per call of the networks, so that memory does not grow with the recording."""


def lip_motions(encoder: Run, members: Run, log_power: Array, layers: int) -> Array:
    """(80, T) log10 power -> (K, T) lip motions, 0 at rest.

    Args:
        encoder: (1, 80, t) log power of a window -> (1, C, ceil(t / 2)) features.
        members: (1, 2 C, n + 2 layers) features by frame -> (1, n, K), the mean of the networks.
        log_power: see ``media.whisper_mel``.
        layers: frames of context that the networks see on either side.
    """
    parts = []
    for window in recording_windows(log_power.shape[1]):
        (found,) = encoder(log_power[None, :, window.start : window.stop])
        parts.append(found[0, :, window.skip : window.skip + window.wanted])
    features = np.concatenate(parts, axis=1)
    # Frames lie two columns of the encoder apart: those that begin at even and at odd columns are
    # two recordings. Beyond the ends the first and the last column are repeated.
    count = features.shape[1]
    frames = -(-count // FEATURES_PER_FRAME)
    before = FEATURES_PER_FRAME * layers
    after = FEATURES_PER_FRAME * (frames + layers + 1) - count
    padded = np.pad(features, ((0, 0), (before, after)), mode="edge")
    rows = [
        _frames(
            members, padded[:, first : first + FEATURES_PER_FRAME * (frames + 2 * layers)], layers
        )
        for first in range(FEATURES_PER_FRAME)
    ]
    fifty = np.stack(rows, axis=2).reshape(rows[0].shape[0], -1)
    between = np.concatenate([(fifty[:, :-1] + fifty[:, 1:]) / 2, fifty[:, -1:]], axis=1)
    spread = np.stack([fifty, between], axis=2).reshape(len(fifty), -1)
    return np.ascontiguousarray(spread[:, : log_power.shape[1]], np.float32)


def _frames(members: Run, columns: Array, layers: int) -> Array:
    """(C, 2 (n + 2 layers)) feature columns -> (K, n)."""
    channels, total = columns.shape
    frames = total // FEATURES_PER_FRAME
    pairs = columns.reshape(channels, frames, FEATURES_PER_FRAME)
    by_frame = pairs.transpose(2, 0, 1).reshape(FEATURES_PER_FRAME * channels, frames)
    out = []
    for start in range(0, frames - 2 * layers, FRAMES):
        stop = min(start + FRAMES, frames - 2 * layers)
        (found,) = members(by_frame[None, :, start : stop + 2 * layers])
        out.append(found[0].T)
    return np.concatenate(out, axis=1)
