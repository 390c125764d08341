"""Draw docs/images/landmark.png: what the landmark cascade does to the bundled portrait.

    python tools/landmark_picture.py [--weights CHECKPOINT] [-o docs/images/landmark.png]

Columns: moments of the bundled speech; rows: the driving landmarks over the portrait, what VG-net
drew, where it drew (alpha). Prints the mean alpha inside and outside the box around the mouth.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.demo import load_portrait, speech_samples
from lipwright.faces import alignment
from lipwright.faces.landmarks import sample_patch
from lipwright.faces.tracker import FaceTracker
from lipwright.media.mel import MODEL_FPS, SAMPLE_RATE
from lipwright.methods.base import heard
from lipwright.methods.landmark import LandmarkMethod
from lipwright.methods.registry import load_method

COLUMNS = 8
TILE = 192
PARTS = ((0, 17), (17, 22), (22, 27), (27, 31), (31, 36), (36, 42), (42, 48), (48, 60), (60, 68))
CLOSED = {36, 42, 48, 60}
MOUTH = (0.24, 0.50, 0.76, 0.94)  # left, top, right, bottom in parts of the crop


def main() -> None:
    """Parse, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("docs/images/landmark.png"))
    args = parser.parse_args()
    method = load_method("landmark", "cpu", "torch", args.weights)
    assert isinstance(method, LandmarkMethod)
    crop = portrait_crop(method.size)
    face = crop.transpose(2, 0, 1).astype(np.float32) / 127.5 - 1.0
    samples, rate = speech_samples()
    assert rate % SAMPLE_RATE == 0 or rate == SAMPLE_RATE
    wave = samples[:: rate // SAMPLE_RATE].copy()
    count = len(wave) * MODEL_FPS // SAMPLE_RATE
    sound = heard(method, wave, [Fraction(n, MODEL_FPS) for n in range(count)])
    state = method.start(face[None])
    shown = set(np.linspace(0, count - 1, COLUMNS + 2).round().astype(int)[1:-1].tolist())
    columns, alphas = [], []
    for n in range(count):
        made = method.render(face[None], sound[n : n + 1], state)
        assert state.alpha is not None
        alpha = state.alpha[0, 0]
        alphas.append(alpha)
        if n in shown:
            assert state.driven is not None
            columns.append(column(crop, state.driven, made.faces[0], alpha))
    sheet = np.concatenate(columns, axis=1)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(args.out), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    inside, outside = split_mean(np.mean(alphas, axis=0))
    print(
        f"mean alpha in the mouth box {inside:.4f}, outside {outside:.4f}, "
        f"ratio {inside / max(outside, 1e-9):.1f}"
    )


def portrait_crop(size: int) -> NDArray[np.uint8]:
    """The aligned crop of the bundled portrait."""
    portrait = load_portrait()
    face = FaceTracker().update(portrait, 1.0)[0]
    to_display = alignment.to_pixels(alignment.estimate(face.landmarks), size)
    return sample_patch(portrait, to_display, (size, size))


def column(
    crop: NDArray[np.uint8],
    points: NDArray[np.float32],
    made: NDArray[np.float32],
    alpha: NDArray[np.float32],
) -> NDArray[np.uint8]:
    """Landmarks, frame and alpha of one moment, one under another."""
    base = cv2.resize(crop, (TILE, TILE), interpolation=cv2.INTER_CUBIC)
    base = np.ascontiguousarray(base // 2 + 96)
    for first, end in PARTS:
        line = np.round(points[first:end] * TILE * 16).astype(np.int32)
        cv2.polylines(base, [line], first in CLOSED, (200, 30, 30), 1, cv2.LINE_AA, 4)
    drawn = np.rint((made + 1) * 127.5).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
    drawn = cv2.resize(drawn, (TILE, TILE), interpolation=cv2.INTER_CUBIC)
    shade = cv2.resize((alpha * 255).astype(np.uint8), (TILE, TILE))
    return np.concatenate([base, drawn, np.repeat(shade[..., None], 3, axis=2)], axis=0)


def split_mean(alpha: NDArray[np.float32]) -> tuple[float, float]:
    """Mean inside and outside the mouth box."""
    size = alpha.shape[0]
    left, top, right, bottom = (round(v * size) for v in MOUTH)
    inside = np.zeros(alpha.shape, bool)
    inside[top:bottom, left:right] = True
    return float(alpha[inside].mean()), float(alpha[~inside].mean())


if __name__ == "__main__":
    main()
