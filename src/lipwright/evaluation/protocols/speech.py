"""Speech that protocols make: digital silence, and speech under noise of a given level."""

from __future__ import annotations

import hashlib
import wave as wavefile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.media.mel import SAMPLE_RATE


def write_wave(path: Path, samples: NDArray[np.floating]) -> Path:
    """Write mono samples in [-1, 1] at 16 kHz as 16-bit WAV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    integers = np.clip(np.round(np.asarray(samples) * 32767.0), -32768, 32767).astype("<i2")
    with wavefile.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(integers.tobytes())
    return path


def active_power(samples: NDArray[np.floating]) -> float:
    """Mean power over the 20 ms pieces within 30 dB of the loudest one (pauses do not count)."""
    piece = SAMPLE_RATE // 50
    n = len(samples) // piece
    if n == 0:
        return float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    power = np.square(samples[: n * piece].reshape(n, piece), dtype=np.float64).mean(axis=1)
    loudest = float(power.max())
    return float(power[power >= loudest * 1e-3].mean()) if loudest > 0 else 0.0


def add_noise(samples: NDArray[np.float32], snr_db: float, name: str) -> NDArray[np.float32]:
    """Speech with white Gaussian noise.

    Args:
        samples: (n,) speech in [-1, 1].
        snr_db: power of the active speech over that of the noise, decibels; infinite for none.
        name: of the clip; with the level it is the seed, so that every method hears the same.

    Returns:
        (n,) scaled down as a whole where it would clip, which leaves the ratio as it is.

    Raises:
        LipwrightError: the speech is silent.
    """
    if np.isposinf(snr_db):
        return samples
    power = active_power(samples)
    if power <= 0:
        raise LipwrightError(f"the speech of {name} is silent, so no noise level can be set.")
    digest = hashlib.sha256(f"{name}/{snr_db:g}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    noise = rng.normal(0.0, np.sqrt(power * 10 ** (-snr_db / 10)), len(samples))
    mixed = samples + noise
    return np.asarray(mixed / max(1.0, float(np.abs(mixed).max())), np.float32)
