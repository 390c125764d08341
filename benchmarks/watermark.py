"""How well the watermark survives on real clips, how little it changes, and how fast it is.

    python benchmarks/watermark.py survive CLIP... --dub --region face --report survive.jsonl
    python benchmarks/watermark.py speed

``survive --dub`` dubs each clip by the whole product, with the next clip's speech; without
``--dub`` the clip is only marked. The file (x264, CRF 16) is then attacked, and the id looked for
in what is left, by the whole of ``detect_file``: faces found anew, search where nothing is in
place. The list of ids has 20 entries, one of them right. Started again with the same report, it
goes on after the last clip. For the other side of the coin see ``false_alarms.py``.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
import wave
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from skimage.metrics import structural_similarity

from attacks import ATTACKS, Attack, strike
from false_alarms import IDS
from lipwright.dubbing.job import DubOptions, dub
from lipwright.media.audio import SAMPLE_RATE, load_speech
from lipwright.media.info import VideoInfo
from lipwright.media.planes import private_copy
from lipwright.media.reader import Frame, VideoReader
from lipwright.media.writer import VideoWriter
from lipwright.methods.base import Method
from lipwright.methods.registry import load_method
from lipwright.provenance import session
from lipwright.provenance.watermark.detect import detect_file
from lipwright.provenance.watermark.marker import FaceFinder, Marker, Region, face_finder
from lipwright.provenance.watermark.reading import Reading, votes
from lipwright.provenance.watermark.scheme import half_of_rgb, mark_blocks, strengths
from results import Results


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

    size: tuple[int, int]
    face_height: float
    frames: int
    mark_id: int
    bytes: int
    psnr: float
    ssim_luma: float
    ssim_rgb: float
    outcomes: list[Outcome] = field(default_factory=list)

    @classmethod
    def of(cls, row: dict[str, Any]) -> Clip:
        """Undo ``asdict``."""
        return cls(**{**row, "outcomes": [Outcome(**o) for o in row["outcomes"]]})

    def sentence(self) -> str:
        """In one line."""
        lost = [o.attack for o in self.outcomes if not o.recovered]
        return (
            f"{self.size[0]}x{self.size[1]}, face {self.face_height:.0f} px, "
            f"PSNR {self.psnr:.1f} dB, SSIM {self.ssim_luma:.4f} luma {self.ssim_rgb:.4f} RGB, "
            f"lost: {lost or 'none'}"
        )


class Watched(Marker):
    """A marker that compares some frames before and after."""

    last: Watched

    def __init__(self, mark_id: int, region: Region) -> None:
        super().__init__(mark_id, region)
        self.errors: list[float] = []
        self.luma: list[float] = []
        self.rgb: list[float] = []
        Watched.last = self

    def mark(self, frame: av.VideoFrame, info: VideoInfo, face_boxes_display: Any) -> None:
        """Mark, and compare the first marked region of every tenth frame."""
        faces = list(face_boxes_display)
        before = private_copy(frame)
        super().mark(frame, info, faces)
        boxes = self.regions(info, faces)
        if not boxes or (self.marked - 1) % 10:
            return
        x0, y0, x1, y1 = boxes[0]
        old, new = (f.reformat(format="rgb24").to_ndarray()[y0:y1, x0:x1] for f in (before, frame))
        self.errors.append(float(((old.astype(np.float64) - new) ** 2).mean()))
        greys = [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (old, new)]
        self.luma.append(structural_similarity(*greys, data_range=255))
        self.rgb.append(structural_similarity(old, new, channel_axis=2, data_range=255))


def survive(
    path: Path,
    speech: Path,
    region: Region,
    attacks: tuple[Attack, ...],
    seconds: float,
    method: Method | None,
    find_faces: FaceFinder,
) -> Clip:
    """Mark (or dub and mark) one clip, attack it in every way, and look for the id each time."""
    rng = random.Random(f"7 {path.name}")
    ids = [rng.getrandbits(32) for _ in range(IDS)]
    with tempfile.TemporaryDirectory() as folder:
        marked = Path(folder) / "marked.mp4"
        if method is not None:
            words = cut_speech(speech, Path(folder), seconds)
            options = DubOptions(length="speech", watermark=region)
            session.Marker = Watched  # type: ignore[misc]
            dub(path, words, marked, options, method=method)
        else:
            mark_clip(path, marked, ids[0], region, seconds, find_faces)
        clip = describe(marked, find_faces)
        ids[0] = clip.mark_id
        blank = Attack("as written, CRF 16", 16)
        clip.outcomes.append(judge(marked, blank, ids, clip, find_faces))
        for attack in attacks:
            attacked = Path(folder) / "attacked.mp4"
            strike(marked, attacked, attack)
            clip.outcomes.append(judge(attacked, attack, ids, clip, find_faces))
    return clip


def cut_speech(path: Path, folder: Path, seconds: float) -> Path:
    samples = load_speech(path)[: round(seconds * SAMPLE_RATE)]
    with wave.open(str(folder / "speech.wav"), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return folder / "speech.wav"


def mark_clip(
    path: Path,
    out: Path,
    mark_id: int,
    region: Region,
    seconds: float,
    find_faces: FaceFinder,
) -> None:
    marker = Watched(mark_id, region)
    with VideoReader(path) as reader, VideoWriter(out, reader.info, crf=16) as writer:
        for frame in reader:
            if frame.time >= seconds:
                break
            marker.mark(frame.native, reader.info, find_faces(frame))
            writer.write(frame.native, frame.pts, frame.duration)


def describe(path: Path, find_faces: FaceFinder) -> Clip:
    """The facts about a file that was just marked by ``Watched.last``."""
    marker = Watched.last
    with VideoReader(path) as reader:
        size = (reader.info.width, reader.info.height)
        heights = [box[3] - box[1] for frame in reader for box in find_faces(frame)]
    mse = max(statistics.fmean(marker.errors), 1e-9)
    return Clip(
        size,
        statistics.median(heights) if heights else 0.0,
        marker.marked + marker.unmarked,
        marker.mark_id,
        path.stat().st_size,
        10 * float(np.log10(255**2 / mse)),
        statistics.fmean(marker.luma),
        statistics.fmean(marker.rgb),
    )


def judge(
    path: Path, attack: Attack, ids: list[int], clip: Clip, find_faces: FaceFinder
) -> Outcome:
    began = time.process_time()
    seen: list[list[Any]] = []

    def find(frame: Frame) -> list[Any]:
        seen.append(find_faces(frame))
        return seen[-1]

    report = detect_file(path, sorted(ids), sizes=[clip.size], find_faces=find)
    seconds = time.process_time() - began
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


def speed() -> dict[str, float]:
    rng = np.random.default_rng(0)
    picture = rng.integers(60, 200, (96, 96, 3)).astype(np.uint8)
    picture = np.asarray(cv2.resize(picture, (768, 768), interpolation=cv2.INTER_CUBIC), np.uint8)
    bits = rng.integers(0, 2, (96, 96)).astype(np.uint8)
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
        "mark a 768x768 RGB picture, per second": rate(lambda: mark_blocks(picture, bits)),
        "read a 768x768 RGB picture, per second": rate(
            lambda: votes(strengths(half_of_rgb(picture)), Reading())
        ),
        "mark a 768x768 frame in place, per second": rate(lambda: marker.mark(native, info, [])),
    }


def rate(work: Callable[[], object], seconds: float = 2.0) -> float:
    """How often a second of one core does it; processor time, so that other work does not count."""
    cv2.setNumThreads(1)
    work()
    began, count = time.process_time(), 0
    while time.process_time() - began < seconds:
        work()
        count += 1
    return count / (time.process_time() - began)


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
    parser.add_argument("what", choices=("survive", "speed"))
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--dub", action="store_true", help="dub the clips, not only mark them")
    parser.add_argument("--region", choices=("face", "frame"), default="face")
    parser.add_argument("--seconds", type=float, default=3.0, help="survive: length of each clip")
    parser.add_argument("--attacks", default="", help="parts of the names of attacks, with commas")
    parser.add_argument("--report", type=Path, help="survive: JSON lines, one for each clip")
    arguments = parser.parse_intermixed_args()
    if arguments.what == "speed":
        print(json.dumps(speed(), indent=1))
        return
    parts = arguments.attacks.split(",")
    chosen = tuple(a for a in ATTACKS if any(part in a.name for part in parts))
    method = load_method("vq") if arguments.dub else None
    results, find_faces = Results(arguments.report), face_finder()
    clips: list[Path] = arguments.clips
    for number, path in enumerate(clips):
        if str(path) in results.rows:
            continue
        speech = clips[(number + 1) % len(clips)]
        clip = survive(
            path, speech, arguments.region, chosen, arguments.seconds, method, find_faces
        )
        results.add(str(path), asdict(clip))
        print(f"clip {number + 1:02d}: {clip.sentence()}", flush=True)
    print(table([Clip.of(row) for row in results.rows.values()]))


if __name__ == "__main__":
    main()
