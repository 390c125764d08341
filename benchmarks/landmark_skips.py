"""What is lost where landmarks are looked for in every second frame: of real clips.

    python benchmarks/landmark_skips.py CLIP... [--seconds 5]

Landmarks of all frames, and of every second one with the frames between filled in halfway between
their neighbours. The residual of a filled frame is how far its grey mouth (32 x 32 pixels of the
aligned crop) is from the mean of its neighbours' mouths, in levels. Of filled frames, all and those
with the smallest residuals: how far the opening of the mouth is off, as part of its standard
deviation, the crop's corners and the lips in pixels of a crop of 256.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from lipwright.dubbing.analysis import THUMBNAIL_SIDE
from lipwright.faces import alignment, measure
from lipwright.faces.measure import OUTER_LIPS
from lipwright.faces.tracker import FaceTracker
from lipwright.media.reader import VideoReader
from lipwright.media.region import sample_crop

CROP = 256
MOUTH = np.array([[0.5, 0, 0.25], [0, 0.4, 0.55], [0, 0, 1.0]])
SHARES = (1.0, 0.5, 0.25, 0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    found = [rows for clip in given.clips for rows in filled(clip, given.seconds)]
    table = np.array(found)
    order = np.argsort(table[:, 0])
    print(f"{len(table)} filled frames of {len(given.clips)} clips; medians, and 95 % of them")
    for share in SHARES:
        part = table[order[: max(1, round(share * len(table)))]]
        middle, high = (np.percentile(part[:, 1:], q, axis=0) for q in (50, 95))
        print(
            f"residual up to {part[-1, 0]:5.2f} ({100 * share:3.0f} %): opening off by "
            f"{middle[0]:.2f} ({high[0]:.2f}) of its deviation, corners {middle[1]:.2f} "
            f"({high[1]:.2f}) px, lips {middle[2]:.2f} ({high[2]:.2f}) px"
        )


def filled(clip: Path, seconds: float) -> list[tuple[float, ...]]:
    """Residual, and errors of opening, corners and lips, of frames between two others."""
    tracker = FaceTracker()
    meshes, mouths = [], []
    with VideoReader(clip) as reader:
        for frame in reader:
            if float(frame.time) >= seconds:
                break
            image, scale = frame.thumbnail(THUMBNAIL_SIDE)
            faces = tracker.update(image, scale, partial(sample_crop, frame.native, reader.info))
            if not faces:
                continue
            face = max(faces, key=lambda f: float(np.prod(f.box[2:] - f.box[:2])))
            crop = alignment.estimate(face.landmarks)
            part = crop @ MOUTH
            to_display = alignment.to_pixels(part, 32)
            grey = sample_crop(frame.native, reader.info, to_display, (32, 32)).mean(axis=2) * 255
            meshes.append(face.landmarks.astype(np.float64))
            mouths.append(cv2.blur(grey.astype(np.float32), (3, 3)))
    openings = np.array([measure.mouth_opening(mesh) for mesh in meshes])
    rows = []
    for k in range(1, len(meshes) - 1, 2):
        between = (meshes[k - 1] + meshes[k + 1]) / 2
        residual = float(np.abs(mouths[k] - (mouths[k - 1] + mouths[k + 1]) / 2).mean())
        true, guess = alignment.estimate(meshes[k]), alignment.estimate(between)
        unit = CROP / float(np.hypot(*true[:, 0]))
        corners = np.array([[0, 0, 1.0], [1, 0, 1], [0, 1, 1], [1, 1, 1]])
        moved = np.linalg.norm((corners @ (true - guess).T), axis=1).max() * unit
        lips = meshes[k][list(OUTER_LIPS), :2] - between[list(OUTER_LIPS), :2]
        rows.append(
            (
                residual,
                abs(float(measure.mouth_opening(between)) - openings[k]) / openings.std(),
                float(moved),
                float(np.linalg.norm(lips, axis=1).mean() * unit),
            )
        )
    return rows


if __name__ == "__main__":
    main()
