"""``animate``: a still picture speaks.

A picture is a video of one frame, so the job is that of ``dub`` with everything that belongs to it:
the whole picture is kept, the face is pasted with a soft mask, the result is marked, signed and
reported on. What is added here: another default method, the frame rate, and idle motion, for which
the picture is first made into a lossless video.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from numpy.typing import NDArray

from lipwright.animation.idle import idle_frames
from lipwright.dubbing.disk_errors import disk_errors
from lipwright.dubbing.job import dub
from lipwright.dubbing.observer import Observer
from lipwright.dubbing.options import STILL_RATE, DubOptions
from lipwright.dubbing.origin import Origin
from lipwright.errors import LipwrightError
from lipwright.files.beside import folder_beside
from lipwright.media.audio import SAMPLE_RATE, load_speech
from lipwright.media.info import probe
from lipwright.media.reader import VideoReader

if TYPE_CHECKING:
    from lipwright.dubbing.analysis import Tracker
    from lipwright.dubbing.report import Report
    from lipwright.methods.base import Method

LARGEST = 1 << 12
"""Longest side of a picture in idle motion, px: 4K, as much as players show. Every frame of
8192 pixels a side has 200 MB, and several are at work at once."""


def animate(
    image: str | Path,
    speech: str | Path,
    out: str | Path,
    options: DubOptions | None = None,
    observer: Observer | None = None,
    *,
    fps: Fraction | int = STILL_RATE,
    idle: bool = False,
    method: Method | None = None,
    tracker: Tracker | None = None,
) -> Report:
    """Let the face in a picture speak.

    Args:
        image: a photograph, drawing or painting.
        speech: any file with an audio stream.
        out: the video to write; replaced if it exists.
        options: see ``DubOptions``; by default the method is ``landmark``.
        observer: is told of the progress.
        fps: frames per second of the video.
        idle: let the eyes blink and the head sway a little (a warp of the picture).
        method: one that is loaded already.
        tracker: another face tracker than the default.

    Returns:
        What was done to every frame.

    Raises:
        LipwrightError: whatever the user can understand and correct.
        Interrupted: Ctrl-C.
    """
    options = replace(options or DubOptions(), fps=Fraction(fps))
    if options.method is None and options.weights is None:
        options = replace(options, method="landmark")
    options.check()
    picture, speech, out = Path(image), Path(speech), Path(out)
    info = probe(picture)
    if not info.is_still:
        raise LipwrightError(f"{picture} is a video; give a picture, or use 'lipwright dub'.")
    if not idle or options.preview is not None:
        return dub(picture, speech, out, options, observer, method=method, tracker=tracker)
    lost = [f"The transparency of {picture} is lost with --idle."] if info.has_alpha else []
    if max(info.width, info.height) > LARGEST:
        lost.append(
            f"{picture} has {info.width} x {info.height} pixels; with --idle it is reduced to "
            f"{LARGEST} at its longer side."
        )
    with disk_errors(out), folder_beside(out, "lipwright-idle") as folder:
        moving = folder / "idle.mkv"
        seconds = len(load_speech(speech)) / SAMPLE_RATE
        _write_idle(picture, moving, seconds, Fraction(fps), options.seed, tracker)
        return dub(
            moving,
            speech,
            out,
            replace(options, plan_cache=False, length="speech"),
            observer,
            method=method,
            tracker=tracker,
            origin=Origin(picture, tuple(lost)),
        )


def _write_idle(
    picture: Path,
    out: Path,
    seconds: float,
    rate: Fraction,
    seed: int,
    tracker: Tracker | None,
) -> None:
    """The picture in idle motion, as FFV1 in RGB: what becomes of it is what becomes of a PNG."""
    image, landmarks = _face(picture, tracker)
    with av.open(str(out), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "bgr0"
        for made in idle_frames(image, landmarks, seconds, rate, seed):
            frame = av.VideoFrame.from_ndarray(made, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="bgr0")))
        container.mux(stream.encode(None))


def _face(picture: Path, tracker: Tracker | None) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The picture upright and its largest face's landmarks in its pixels."""
    if tracker is None:
        from lipwright.faces.tracker import FaceTracker

        tracker = FaceTracker()
    with VideoReader(picture) as reader:
        frame = next(iter(reader))
        image, scale = frame.thumbnail(LARGEST)
        small, coarse = frame.thumbnail(1280)
    tracker.reset()
    faces = tracker.update(small, coarse)
    tracker.reset()
    if not faces:
        raise LipwrightError(
            f"No face was found in {picture}; give a picture that shows a face from the front."
        )
    largest = max(faces, key=lambda f: float(np.prod(f.box[2:] - f.box[:2])))
    return image, np.asarray(largest.landmarks[:, :2], np.float64) / scale
