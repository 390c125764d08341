"""How well the watermark survives, on real clips, and how often it is seen where it is not.

    python benchmarks/watermark.py survive CLIP... --region face --report survive.json
    python benchmarks/watermark.py unmarked CLIP... --report unmarked.json
    python benchmarks/watermark.py speed

``survive`` marks each clip, writes it as the product does (x264, CRF 16), attacks that file, and
looks for the id in what is left, by the whole of ``detect_file``: faces found anew, search where
nothing is in place. The list of ids has 20 entries, one of them right. ``unmarked`` runs the same
detection on clips that were never marked.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from skimage.metrics import structural_similarity

from lipwright.media.planes import private_copy
from lipwright.media.reader import Frame, VideoReader
from lipwright.media.writer import VideoWriter
from lipwright.provenance.collect import face_finder
from lipwright.provenance.detect import DetectionReport, detect_file
from lipwright.provenance.marker import Marker, Region
from lipwright.provenance.watermark import mark_picture, read_picture

Rgb = npt.NDArray[np.uint8]
Change = Callable[[Rgb], Rgb]
IDS = 20


@dataclass(frozen=True)
class Attack:
    """What happens to a marked file: a change of every picture, then x264."""

    name: str
    crf: int
    change: Change | None = None
    fps: int | None = None


def crop(pixels: int) -> Change:
    return lambda rgb: rgb[pixels:, pixels:]


def zoom(factor: float) -> Change:
    def change(rgb: Rgb) -> Rgb:
        height, width = rgb.shape[:2]
        big = cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        y, x = (big.shape[0] - height) // 2, (big.shape[1] - width) // 2
        return np.asarray(big[y : y + height, x : x + width], np.uint8)

    return change


def half(rgb: Rgb) -> Rgb:
    size = (rgb.shape[1] // 2, rgb.shape[0] // 2)
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def brighter(factor: float) -> Change:
    return lambda rgb: np.clip(np.rint(rgb * np.float32(factor)), 0, 255).astype(np.uint8)


ATTACKS = (
    Attack("CRF 18", 18),
    Attack("CRF 23", 23),
    Attack("CRF 28", 28),
    Attack("CRF 33", 33),
    Attack("half size, CRF 23", 23, half),
    Attack("brightness +10 %, CRF 23", 23, brighter(1.1)),
    Attack("brightness -10 %, CRF 23", 23, brighter(0.9)),
    Attack("to 30 fps, CRF 23", 23, None, 30),
    Attack("crop 1 px, CRF 23", 23, crop(1)),
    Attack("crop 7 px, CRF 23", 23, crop(7)),
    Attack("crop 16 px, CRF 23", 23, crop(16)),
    Attack("zoom 5 %, CRF 23", 23, zoom(1.05)),
)


@dataclass
class Outcome:
    """Result of one attack on one clip."""

    attack: str
    recovered: bool
    false_alarm: float
    frames_matching: int
    frames_with_face: int
    matches_half: bool
    searched: bool
    read_without_list: bool | None
    seconds: float


@dataclass
class Clip:
    """Results of one clip."""

    name: str
    size: tuple[int, int]
    face_height: float
    frames: int
    psnr: float
    ssim_luma: float
    ssim_rgb: float
    outcomes: list[Outcome] = field(default_factory=list)


def survive(
    clips: list[Path], region: Region, attacks: tuple[Attack, ...], most: int
) -> list[Clip]:
    rng = random.Random(7)
    results = []
    for number, path in enumerate(clips):
        ids = [rng.getrandbits(32) for _ in range(IDS)]
        with tempfile.TemporaryDirectory() as folder:
            marked = Path(folder) / "marked.mp4"
            clip = mark_clip(path, marked, ids[0], region, most, f"clip {number + 1:02d}")
            blank = Attack("as written, CRF 16", 16)
            clip.outcomes.append(judge(marked, blank, ids, clip))
            for attack in attacks:
                attacked = Path(folder) / "attacked.mp4"
                strike(marked, attacked, attack)
                clip.outcomes.append(judge(attacked, attack, ids, clip))
        results.append(clip)
        lost = [o.attack for o in clip.outcomes if not o.recovered]
        print(
            f"{clip.name}: {clip.size[0]}x{clip.size[1]}, face {clip.face_height:.0f} px, "
            f"PSNR {clip.psnr:.1f} dB, lost: {lost or 'none'}",
            flush=True,
        )
    return results


def mark_clip(path: Path, out: Path, mark_id: int, region: Region, most: int, name: str) -> Clip:
    finder, marker = face_finder(), Marker(mark_id, region)
    heights, errors, luma, rgb_similar = [], [], [], []
    with VideoReader(path) as reader, VideoWriter(out, reader.info, crf=16) as writer:
        info = reader.info
        for frame in first(reader, most):
            faces = finder(frame)
            heights += [box[3] - box[1] for box in faces]
            before = private_copy(frame.native)
            marker.mark(frame.native, info, faces)
            boxes = marker.regions(info, faces)
            if boxes and frame.index % 10 == 0:
                x0, y0, x1, y1 = boxes[0]
                old, new = (
                    f.reformat(format="rgb24").to_ndarray()[y0:y1, x0:x1]
                    for f in (before, frame.native)
                )
                errors.append(float(((old.astype(np.float64) - new) ** 2).mean()))
                greys = [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (old, new)]
                luma.append(structural_similarity(*greys, data_range=255))
                rgb_similar.append(structural_similarity(old, new, channel_axis=2, data_range=255))
            writer.write(frame.native, frame.pts, frame.duration)
    mse = statistics.fmean(errors) if errors else 1e-9
    return Clip(
        name,
        (info.width, info.height),
        statistics.median(heights) if heights else 0.0,
        marker.marked + marker.unmarked,
        10 * float(np.log10(255**2 / max(mse, 1e-9))),
        statistics.fmean(luma) if luma else 1.0,
        statistics.fmean(rgb_similar) if rgb_similar else 1.0,
    )


def first(reader: VideoReader, most: int) -> Iterator[Frame]:
    for frame in reader:
        if frame.index >= most:
            return
        yield frame


def strike(path: Path, out: Path, attack: Attack) -> None:
    with VideoReader(path) as reader, av.open(str(out), "w") as container:
        stream: Any = None
        rate = Fraction(attack.fps or reader.info.average_rate).limit_denominator(1000)
        shown = 0
        for frame in reader:
            picture = frame.native
            if attack.change is not None:
                rgb = attack.change(frame.native.reformat(format="rgb24").to_ndarray())
                rgb = np.ascontiguousarray(rgb[: rgb.shape[0] // 2 * 2, : rgb.shape[1] // 2 * 2])
                picture = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            picture = picture.reformat(format="yuv420p")
            if stream is None:
                stream = container.add_stream(
                    "libx264", rate=rate, options={"crf": str(attack.crf), "preset": "medium"}
                )
                stream.width, stream.height = picture.width, picture.height
                stream.pix_fmt = "yuv420p"
            # A new rate repeats or leaves out frames, as the filter "fps" does.
            while attack.fps is None or shown <= frame.time * rate:
                picture.pts, picture.time_base = shown, 1 / rate
                picture.pict_type = 0
                container.mux(stream.encode(picture))
                shown += 1
                if attack.fps is None:
                    break
        container.mux(stream.encode(None))


def judge(path: Path, attack: Attack, ids: list[int], clip: Clip) -> Outcome:
    began = time.perf_counter()
    finder, seen = face_finder(), []

    def find(frame: Frame) -> list[tuple[float, float, float, float]]:
        seen.append(finder(frame))
        return seen[-1]

    report = detect_file(path, sorted(ids), sizes=[clip.size], find_faces=find)
    seconds = time.perf_counter() - began
    right = f"{ids[0]:08x}"
    blind: bool | None = None
    if not report.searched:
        again = iter(seen)
        alone = detect_file(
            path, [], sizes=[clip.size], find_faces=lambda _: next(again, []), mode="off"
        )
        blind = alone.found and alone.mark_id == right
    return Outcome(
        attack.name,
        report.found and report.mark_id == right,
        report.false_alarm,
        report.frames_matching,
        report.frames_with_face,
        report.matches_half and report.mark_id == right,
        report.searched,
        blind,
        seconds,
    )


def unmarked(clips: list[Path]) -> dict[str, Any]:
    rng = random.Random(8)
    false: list[str] = []
    halves = 0
    smallest = 1.0
    for number, path in enumerate(clips):
        report: DetectionReport = detect_file(
            path, [rng.getrandbits(32) for _ in range(IDS)], sizes=[]
        )
        halves += report.matches_half
        smallest = min(smallest, report.false_alarm)
        if report.found:
            false.append(path.name)
        if number % 20 == 19:
            print(f"{number + 1} clips, {len(false)} found, least {smallest:.1e}", flush=True)
    return {
        "clips": len(clips),
        "found": len(false),
        "matching_half": halves,
        "least_false_alarm": smallest,
    }


def speed() -> dict[str, float]:
    rng = np.random.default_rng(0)
    picture = rng.integers(60, 200, (96, 96, 3)).astype(np.uint8)
    picture = np.asarray(cv2.resize(picture, (768, 768), interpolation=cv2.INTER_CUBIC), np.uint8)
    bits = rng.integers(0, 2, 32).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.mp4"
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream("libx264", rate=25)
            stream.width = stream.height = 768
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        with VideoReader(path) as reader:
            native, info = next(iter(reader)).native, reader.info
    marker = Marker(1, "frame")
    return {
        "mark a 768x768 RGB picture, per second": rate(lambda: mark_picture(picture, bits)),
        "read a 768x768 RGB picture, per second": rate(lambda: read_picture(picture)),
        "mark a 768x768 frame in place, per second": rate(lambda: marker.mark(native, info, [])),
    }


def rate(work: Callable[[], object], seconds: float = 2.0) -> float:
    work()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        work()
        count += 1
    return count / (time.perf_counter() - began)


def table(clips: list[Clip]) -> str:
    lines = [
        "| | id recovered | with face >= 200 px | largest false-alarm bound | frames that match "
        "| paper's rule | read without a list |",
        "|---|---|---|---|---|---|---|",
    ]
    for k, outcome in enumerate(clips[0].outcomes):
        every = [c.outcomes[k] for c in clips]
        large = [c.outcomes[k] for c in clips if c.face_height >= 200]
        worst = max((o.false_alarm for o in large if o.recovered), default=1.0)
        frames = sum(o.frames_with_face for o in every)
        matching = sum(o.frames_matching for o in every)
        blind = [o.read_without_list for o in every if o.read_without_list is not None]
        lines.append(
            f"| {outcome.attack} | {sum(o.recovered for o in every)}/{len(every)} "
            f"| {sum(o.recovered for o in large)}/{len(large)} | {worst:.0e} "
            f"| {100 * matching / max(1, frames):.0f} % "
            f"| {sum(o.matches_half for o in every)}/{len(every)} "
            f"| {sum(blind)}/{len(blind)} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("survive", "unmarked", "speed"))
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--region", choices=("face", "frame"), default="face")
    parser.add_argument("--frames", type=int, default=75, help="frames used of each clip")
    parser.add_argument("--attacks", default="", help="only attacks whose name contains this")
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    data: Any
    if arguments.what == "survive":
        chosen = tuple(a for a in ATTACKS if arguments.attacks in a.name)
        clips = survive(arguments.clips, arguments.region, chosen, arguments.frames)
        print(table(clips))
        data = [asdict(clip) for clip in clips]
    elif arguments.what == "unmarked":
        data = unmarked(arguments.clips)
        print(json.dumps(data))
    else:
        data = speed()
        print(json.dumps(data, indent=1))
    if arguments.report:
        arguments.report.write_text(json.dumps(data, indent=1))


if __name__ == "__main__":
    main()
