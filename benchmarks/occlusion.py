"""What becomes of things before a mouth: ``python benchmarks/occlusion.py CORPUS -o FOLDER``.

A microphone, fingers of the face's own colour, and a blue cup are drawn into real clips (those of
validation people in the folder with ``clips.csv``), and a real hand is laid into them that is cut
out of the clip ``--hand``, moving before the mouth for half of the time; so it is known which
pixels they cover. Each clip is dubbed with the next one's speech, as it is and
with each thing, without loss and without marks. Where the dub of the clip as it is changes a pixel
by more than ``CHANGED`` levels, there is something to be drawn or kept. Of those pixels, in frames
in which the thing covers some of them:

- ``kept``: of the covered ones, those that stay within ``NEAR`` levels of the video with the thing;
- ``not drawn``: of the uncovered ones that the plain dub changes, those that stay the same, too;
- ``left alone``: frames that pass through unchanged as a whole.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np

from lipwright.dubbing.hidden import hidden_by
from lipwright.dubbing.job import DubOptions, dub
from lipwright.faces import alignment
from lipwright.faces.hands import HandTracker, hand_cover
from lipwright.faces.measure import OUTER_LIPS
from lipwright.faces.paste import OUTLINE_POINTS
from lipwright.faces.tracker import FaceTracker
from lipwright.media.reader import VideoReader
from lipwright.methods.registry import load_method

CHANGED, NEAR = 6, 3
THINGS = ("microphone", "fingers", "cup", "hand")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("-o", "--out", type=Path, help="keep videos and sheets there")
    parser.add_argument("--split", default="val")
    parser.add_argument("--set", default="demo,people")
    parser.add_argument("--clips", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--things", default=",".join(THINGS))
    parser.add_argument("--hand", default="vlogs/vlog_222_004.mp4", help="clip with a raised hand")
    given = parser.parse_args()
    chosen: dict[str, str] = {}
    for row in csv.DictReader((given.corpus / "clips.csv").open()):
        long = float(row["duration"] or 0) >= given.seconds
        if row["split"] == given.split and row["set"] in given.set.split(",") and long:
            chosen.setdefault(row["identity"], row["file"])
    clips = [given.corpus / file for _, file in sorted(chosen.items())][: given.clips]
    method = load_method("vq")
    if "hand" in given.things:
        HAND.update(cut_hand(given.corpus / given.hand))
    totals = {thing: np.zeros(6) for thing in given.things.split(",")}
    with tempfile.TemporaryDirectory(prefix="lipwright-") as scratch:
        folder = given.out or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for n, clip in enumerate(clips):
            speech = clips[(n + 1) % len(clips)]
            frames, lips = watched(clip, given.seconds)
            plain = folder / f"{n}-plain.mkv"
            write(plain, frames)
            dubbed = folder / f"{n}-plain-dubbed.mkv"
            speak(plain, speech, dubbed, method)
            changes = [
                difference(a, b) > CHANGED for a, b in zip(read(plain), read(dubbed), strict=True)
            ]
            for thing, total in totals.items():
                covered = []
                shown = []
                for k, frame in enumerate(frames):
                    picture, mask = put(thing, frame, lips, k, np.random.default_rng(n))
                    shown.append(picture)
                    covered.append(mask)
                source, out = folder / f"{n}-{thing}.mkv", folder / f"{n}-{thing}-dubbed.mkv"
                write(source, shown)
                speak(source, speech, out, method)
                counts = np.zeros(6)
                pairs = zip(read(source), read(out), changes, covered, strict=True)
                for before, after, change, mask in pairs:
                    if not (mask & change).any():
                        continue
                    same = difference(before, after) <= NEAR
                    counts += [
                        (same & mask & change).sum(),
                        (mask & change).sum(),
                        (same & ~mask & change).sum(),
                        (~mask & change).sum(),
                        bool((before == after).all()),
                        1,
                    ]
                total += counts
                print(f"{clip.name[:50]:50s} {thing:11s} {line(counts)}", flush=True)
                if given.out:
                    cv2.imwrite(str(folder / f"{n}-{thing}.png"), sheet(source, out, lips))
    for thing, total in totals.items():
        print(f"{'all':50s} {thing:11s} {line(total)}")


def line(counts: np.ndarray) -> str:
    kept, covered, undrawn, open_, alone, frames = counts.tolist()
    return (
        f"kept {100 * kept / max(1, covered):5.1f} %  "
        f"not drawn {100 * undrawn / max(1, open_):5.1f} %  "
        f"left alone {alone:.0f} of {frames:.0f} frames"
    )


def watched(clip: Path, seconds: float) -> tuple[list[np.ndarray], np.ndarray]:
    """RGB frames of a clip, and (T, 3) middle and half width of the mouth in pixels."""
    tracker = FaceTracker()
    frames: list[np.ndarray] = []
    lips = []
    with VideoReader(clip) as reader:
        for frame in reader:
            if float(frame.time) >= seconds:
                break
            image = frame.native.to_ndarray(format="rgb24")
            height, width = (side // 2 * 2 for side in image.shape[:2])
            image = np.ascontiguousarray(image[:height, :width])
            faces = tracker.update(image)
            frames.append(image)
            if faces:
                face = max(faces, key=lambda f: float(np.prod(f.box[2:] - f.box[:2])))
                ring = face.landmarks[list(OUTER_LIPS), :2]
                lips.append([*ring.mean(axis=0), np.ptp(ring[:, 0]) / 2])
            else:
                lips.append([np.nan] * 3)
    found = np.array(lips)
    index = np.arange(len(found))
    for column in found.T:
        known = np.isfinite(column)
        column[:] = np.interp(index, index[known], column[known])
    return frames, found


def put(
    thing: str, frame: np.ndarray, lips: np.ndarray, k: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A frame with a thing before the mouth, and (H, W) where it is."""
    height, width = frame.shape[:2]
    count = len(lips)
    x, y, half = lips[:, 0].mean(), lips[:, 1].mean(), lips[:, 2].mean()
    side = random.choice([-1.0, 1.0])
    progress = (k / count - 0.25) / 0.5  # in the middle half of the clip
    if not 0 <= progress < 1:
        return frame, np.zeros((height, width), bool)
    rise = min(1.0, progress / 0.15, (1 - progress) / 0.15)  # it comes and goes from below
    across = side * np.cos(np.pi * progress) * 0.9 * half
    cx, cy = x + across, y + 0.35 * half + (1 - rise) * 4.0 * half
    fine = 4
    yy, xx = (np.mgrid[: height * 1, : width * 1]).astype(np.float32)
    dx, dy = (xx - cx) / half, (yy - cy) / half
    texture = np.random.default_rng(5).standard_normal((64 * fine, 64 * fine)).astype(np.float32)
    if thing == "microphone":
        ball = 1 - np.hypot(dx / 0.62, dy / 0.72)
        rod = np.where(dy > 0, 0.26 - np.abs(dx), -1.0)
        inside = np.maximum(ball, rod)
        grid = 14 * np.sign(np.sin(dx * 40) * np.sin(dy * 40)) * (ball > 0)
        shade = 46 + 26 * np.clip(ball, 0, 1) + grid - 18 * dx
        colour = np.stack([shade, shade, shade + 4], axis=2)
    elif thing == "hand":
        return laid(frame, cx, cy, half, cheek_of(frame, x, y, half))
    elif thing == "cup":
        inside = np.minimum(0.75 - np.abs(dx) + 0.05 * dy, np.minimum(dy + 0.6, 4.0))
        shade = 1.0 - 0.35 * np.abs(dx)
        colour = np.stack([40 * shade, 80 * shade, 170 * shade], axis=2)
    else:
        # Three fingers, side by side, of the colour of the cheek beside the mouth.
        cheek = cheek_of(frame, x, y, half)
        inside = np.full((height, width), -1.0, np.float32)
        shade = np.zeros((height, width), np.float32)
        for place, top in ((-0.52, -0.35), (0.0, -0.6), (0.52, -0.4)):
            across_ = (dx - place) / 0.25
            tip = np.where(
                dy < top + 0.25, np.hypot(across_, (dy - top - 0.25) / 0.25), np.abs(across_)
            )
            here = (1 - tip) * 0.25
            shade = np.where(here > inside, 1.04 - 0.28 * across_**2, shade)
            inside = np.maximum(inside, here)
        rows = (np.abs(yy).astype(int) // 2) % texture.shape[0]
        columns = (np.abs(xx - cx).astype(int) // 2) % texture.shape[1]
        shade = shade + 0.015 * texture[rows, columns]
        colour = shade[:, :, None] * cheek
    alpha = np.clip(inside * half / 1.2 + 0.5, 0, 1)[:, :, None]  # an edge of about a pixel
    mixed = frame * (1 - alpha) + np.clip(colour, 0, 255) * alpha
    return np.rint(mixed).astype(np.uint8), alpha[:, :, 0] > 0.5


HAND: dict[str, np.ndarray] = {}
"""The hand that was cut out: RGB, alpha in [0, 1], and its 21 points."""


def cut_hand(clip: Path) -> dict[str, np.ndarray]:
    """The surest hand of a clip that lies beside the face, cut along its edges."""
    faces, hands = FaceTracker(), HandTracker()
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    with VideoReader(clip) as reader:
        for frame in reader:
            image = frame.native.to_ndarray(format="rgb24")
            found = faces.update(image)
            crops = [alignment.estimate(face.landmarks) for face in found]
            high = np.array(image.shape[1::-1])
            for hand in hands.update(image, 1.0, crops):
                outline = found[0].landmarks[list(OUTLINE_POINTS), :2]
                beside = not hidden_by([hand], crops[0], outline).packed
                inside = ((hand.points[5:] >= 0) & (hand.points[5:] < high)).all()
                if beside and inside and (best is None or hand.presence > best[0]):
                    best = hand.presence, image, hand.points
    assert best is not None, f"{clip} shows no hand beside the face"
    _, image, points = best
    cover = hand_cover(points, max(image.shape[:2]))[: image.shape[0], : image.shape[1]]
    around = np.ones((15, 15), np.uint8)
    wide = cv2.dilate(cover.astype(np.uint8), around) > 0
    marks = np.where(wide, cv2.GC_PR_BGD, cv2.GC_BGD).astype(np.uint8)
    marks[cover] = cv2.GC_PR_FGD
    marks[cv2.erode(cover.astype(np.uint8), around) > 0] = cv2.GC_FGD
    cv2.grabCut(image, marks, None, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK)
    alpha = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    soft = cv2.GaussianBlur(cv2.erode(alpha, np.ones((3, 3))), (0, 0), 0.8)
    return {"picture": image, "alpha": soft, "points": points}


def cheek_of(frame: np.ndarray, x: float, y: float, half: float) -> np.ndarray:
    """(3,) colour of the cheek beside a mouth."""
    if y - half < 0 or x + 1.7 * half >= frame.shape[1]:
        return np.array([190.0, 140, 120])
    rows, columns = (int(y - half), int(y - 0.5 * half)), (int(x + 1.2 * half), int(x + 1.7 * half))
    return np.median(frame[slice(*rows), slice(*columns)].reshape(-1, 3), axis=0)


def laid(
    frame: np.ndarray, cx: float, cy: float, half: float, cheek: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The hand before a mouth, upright, in the light of the face; its tip is above the place."""
    points, (height, width) = HAND["points"], frame.shape[:2]
    way = points[9] - points[0]
    angle = np.arctan2(way[0], -way[1])
    scale = 5.0 * half / np.linalg.norm(points[12] - points[0])
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array([[c, s, 0.0], [-s, c, 0.0]])
    matrix[:, 2] = np.array([cx, cy - 0.3 * half]) - matrix[:, :2] @ points[12]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    alpha = cv2.warpAffine(HAND["alpha"], matrix, (width, height), flags=how)
    picture = cv2.warpAffine(HAND["picture"], matrix, (width, height), flags=how)
    skin = np.median(HAND["picture"][HAND["alpha"] > 0.9], axis=0)
    picture = np.clip(picture * (cheek / skin), 0, 255)
    mixed = frame * (1 - alpha[:, :, None]) + picture * alpha[:, :, None]
    return np.rint(mixed).astype(np.uint8), alpha > 0.5


def write(path: Path, frames: list[np.ndarray]) -> None:
    """A lossless file at 25 frames a second, in YUV 4:4:4."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv444p"
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())


def speak(video: Path, speech: Path, out: Path, method: object) -> None:
    options = DubOptions(lossless=True, watermark=False, manifest=False, length="video")
    dub(video, speech, out, options, method=method)


def read(path: Path) -> Iterator[np.ndarray]:
    with av.open(str(path)) as file:
        for frame in file.decode(video=0):
            yield frame.to_ndarray(format="yuv444p").transpose(1, 2, 0)


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(H, W) largest difference of a channel, in levels of 255."""
    return np.asarray(cv2.absdiff(a, b).max(axis=2))


def sheet(source: Path, out: Path, lips: np.ndarray) -> np.ndarray:
    """Mouths before (above) and after, at eight times of the time with the thing."""
    wanted = np.linspace(0.27, 0.73, 8) * len(lips)
    rows = []
    for path in (source, out):
        row = []
        with av.open(str(path)) as file:
            for k, frame in enumerate(file.decode(video=0)):
                if k in wanted.astype(int):
                    x, y, half = lips[k]
                    x0, y0, r = int(max(0, x - 2 * half)), int(max(0, y - 2 * half)), int(4 * half)
                    image = frame.to_ndarray(format="bgr24")[y0 : y0 + r, x0 : x0 + r]
                    row.append(cv2.resize(image, (240, 240), interpolation=cv2.INTER_AREA))
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows)


if __name__ == "__main__":
    main()
