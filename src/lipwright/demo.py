"""``lipwright demo``: the main job on a bundled sample, down to a video and a contact sheet.

The sample is a public-domain portrait and a synthetic voice (``lipwright/assets``). The portrait is
turned into a video by warping the head smoothly (sway, nod, tilt, zoom) over a still background;
then :func:`lipwright.dub` runs on it exactly as it runs on anybody's video.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.observer import QuietObserver
from lipwright.dubbing.options import DubOptions
from lipwright.errors import system_errors
from lipwright.files.whole import written_whole
from lipwright.geometry import smoothstep

if TYPE_CHECKING:
    from lipwright.dubbing.analysis import Tracker
    from lipwright.dubbing.observer import Observer, Stage
    from lipwright.dubbing.report import Report
    from lipwright.methods.base import Method

SIZE = (1080, 720)  # width and height of the demo video, three times the bundled portrait
RATE = 25
CRF = "14"
HEAD = (0.514, 0.43)  # centre of the head, as shares of the portrait's width and height
RADIUS = (0.26, 0.46)  # half axes within which the head moves; beyond them the motion fades out
FACE_BOX = (0.347, 0.27, 0.681, 0.77)  # what the contact sheet shows: left, top, right, bottom


@dataclass(frozen=True)
class DemoFiles:
    """What the demo wrote.

    Attributes:
        source: the portrait moving, mouth as in the photograph.
        speech: the bundled voice.
        result: the dubbed video.
        comparison: source and result side by side, with the speech.
        sheet: moments of the dub, the source in the upper row and the result in the lower one.
        report: the dub's report in JSON.
    """

    source: Path
    speech: Path
    result: Path
    comparison: Path
    sheet: Path
    report: Path


def run_demo(
    folder: Path,
    observer: Observer | None = None,
    *,
    method: Method | None = None,
    tracker: Tracker | None = None,
) -> tuple[DemoFiles, Report]:
    """Make the sample video, dub it and lay source and result side by side.

    Args:
        folder: made if missing; files of an earlier demo in it are replaced.
        observer: is told of the dub's progress.
        method: as in :func:`lipwright.dubbing.job.dub`.
        tracker: as in :func:`lipwright.dubbing.job.dub`.

    Returns:
        The files written and the report of the dub.

    Raises:
        LipwrightError: the folder cannot be written, or the dub cannot run.
    """
    from lipwright.dubbing.job import dub

    files = DemoFiles(
        source=folder / "source.mp4",
        speech=folder / "speech.ogg",
        result=folder / "dubbed.mp4",
        comparison=folder / "side-by-side.mp4",
        sheet=folder / "contact-sheet.png",
        report=folder / "report.json",
    )
    with system_errors(
        f"The demo cannot be written into {str(folder)!r}", "name another folder with -o"
    ):
        folder.mkdir(parents=True, exist_ok=True)
        files.speech.write_bytes(_asset("speech.ogg"))
        samples, rate = speech_samples()
        make_video(files.source, seconds=len(samples) / rate)
    options = DubOptions(report=files.report, compare=files.comparison)
    inputs = (files.source, files.speech, files.result)
    watched = None if observer is None else _DemoObserver(observer)
    report = dub(*inputs, options, watched, method=method, tracker=tracker)
    write_contact_sheet(files, report)
    return files, report


class _DemoObserver(QuietObserver):
    """Passes the progress on. Nobody has to be asked for consent to a public-domain portrait."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def progress(self, stage: Stage, done: int, total: int | None, fps: float) -> None:
        """See Observer."""
        self._observer.progress(stage, done, total, fps)

    def notice(self, line: str) -> None:
        """See Observer."""
        self._observer.notice(line)


def load_portrait() -> NDArray[np.uint8]:
    """The bundled portrait, (H, W, 3) RGB."""
    bgr = cv2.imdecode(np.frombuffer(_asset("portrait.jpg"), np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def speech_samples() -> tuple[NDArray[np.float32], int]:
    """The bundled speech: mono samples in [-1, 1] and their rate in Hz."""
    with av.open(io.BytesIO(_asset("speech.ogg")), "r") as container:
        stream = container.streams.audio[0]
        pieces = [frame.to_ndarray()[0] for frame in container.decode(stream)]
        return np.concatenate(pieces).astype(np.float32), stream.rate


def make_video(
    out: Path, seconds: float, size: tuple[int, int] = SIZE, rate: Fraction | int = RATE
) -> None:
    """Write the portrait as an H.264 video in which the head moves gently.

    Args:
        out: file to write; its suffix chooses the container.
        seconds: length, rounded up to whole frames.
        size: width and height in pixels, both even.
        rate: frames per second.
    """
    with written_whole(out) as partial, av.open(str(partial), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate))
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": CRF, "preset": "veryfast"}
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
        context.color_range = 1  # limited
        for picture in moving_portrait(load_portrait(), seconds, size, Fraction(rate)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace=1)))
        container.mux(stream.encode(None))


def moving_portrait(
    portrait: NDArray[np.uint8], seconds: float, size: tuple[int, int], rate: Fraction
) -> Iterator[NDArray[np.uint8]]:
    """Frames of the portrait with gentle synthetic head motion.

    Every frame is sampled once from the portrait: enlargement and motion in a single warp. The
    motion is a similarity transform about the head's centre whose weight fades out smoothly
    towards the edge of an ellipse, so that the background stands still.

    Args:
        portrait: (H, W, 3) RGB.
        seconds: length, rounded up to whole frames.
        size: width and height of the frames.
        rate: frames per second.

    Yields:
        (height, width, 3) uint8 RGB.
    """
    rows, columns = portrait.shape[:2]
    width, height = size
    x = (np.arange(width, dtype=np.float32) + 0.5) * (columns / width) - 0.5
    y = (np.arange(height, dtype=np.float32) + 0.5) * (rows / height) - 0.5
    centre = (HEAD[0] * columns, HEAD[1] * rows)
    right, down = np.meshgrid(x - centre[0], y - centre[1])
    distance = np.hypot(right / (RADIUS[0] * columns), down / (RADIUS[1] * rows))
    fade = np.clip(1.6 - distance, 0.0, 1.0)
    weight = smoothstep(fade)  # 1 in the head, 0 beyond 1.6 radii
    for index in range(int(np.ceil(seconds * float(rate)))):
        linear, shift = head_pose(float(index / rate), rows)
        # Where this pixel of the moved head comes from: the inverse motion.
        inverse = np.linalg.inv(linear) - np.eye(2)
        from_x = inverse[0, 0] * (right - shift[0]) + inverse[0, 1] * (down - shift[1]) - shift[0]
        from_y = inverse[1, 0] * (right - shift[0]) + inverse[1, 1] * (down - shift[1]) - shift[1]
        picture = cv2.remap(
            portrait,
            (right + centre[0] + weight * from_x).astype(np.float32),
            (down + centre[1] + weight * from_y).astype(np.float32),
            interpolation=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        yield np.asarray(picture, dtype=np.uint8)


def head_pose(time: float, rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Motion of the head at a time in seconds.

    Returns:
        The 2x2 rotation and scale about the head's centre, and the shift in pixels of a portrait
        with that many rows. Slow sines whose periods have no common multiple within minutes.
    """
    wave = 2.0 * np.pi * time
    tilt = np.radians(1.8 * np.sin(wave / 4.7) + 0.8 * np.sin(wave / 2.3 + 1.0))
    scale = 1.0 + 0.02 * np.sin(wave / 5.9 + 0.5)
    shift = rows * np.array(
        [
            0.016 * np.sin(wave / 3.7) + 0.005 * np.sin(wave / 1.9 + 2.0),
            0.010 * np.sin(wave / 3.1 + 0.7) + 0.004 * np.sin(wave / 1.3),
        ]
    )
    cosine, sine = scale * np.cos(tilt), scale * np.sin(tilt)
    return np.array([[cosine, -sine], [sine, cosine]]), shift


def write_contact_sheet(files: DemoFiles, report: Report) -> None:
    """Draw moments of the dub, source above result, into ``files.sheet``.

    Raises:
        LipwrightError: it cannot be written.
    """
    from lipwright.dubbing.contact_sheet import (
        Loudness,
        Moment,
        Strip,
        choose_moments,
        draw_sheet,
        save_picture,
    )
    from lipwright.media.audio import SAMPLE_RATE, load_speech
    from lipwright.media.voice_activity import band_level

    statuses = [run.status for run in report.runs for _ in range(run.count)]
    chosen = choose_moments(statuses)
    before, after = (_faces(path, chosen) for path in (files.source, files.result))
    moments = [
        Moment(k, k / float(RATE), statuses[k], before[k], after[k])
        for k in chosen
        if k in before and k in after
    ]
    loudness = Loudness(band_level(load_speech(files.speech), SAMPLE_RATE), report.seconds)
    note = f"method {report.model['name']}, {len(moments)} of {report.frames} frames"
    sheet = draw_sheet([Strip("Face 0", moments)], loudness, "lipwright demo", note)
    save_picture(sheet, files.sheet)


def _faces(path: Path, frames: list[int]) -> dict[int, NDArray[np.uint8]]:
    """The head in some frames of a video, as large as the sheet shows it."""
    from lipwright.dubbing.contact_sheet import SIDE

    faces: dict[int, NDArray[np.uint8]] = {}
    with av.open(str(path)) as container:
        for k, frame in enumerate(container.decode(video=0)):
            if k not in frames:
                continue
            left, top, right, bottom = (
                round(share * side)
                for share, side in zip(FACE_BOX, (frame.width, frame.height) * 2, strict=True)
            )
            crop = frame.to_ndarray(format="rgb24")[top:bottom, left:right]
            faces[k] = np.asarray(cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
    return faces


def _asset(name: str) -> bytes:
    return resources.files("lipwright").joinpath("assets", name).read_bytes()
