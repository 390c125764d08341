"""All numbers of one clip: the result against the real video, and the real video by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from lipwright.data.extract import warp
from lipwright.errors import LipwrightError
from lipwright.evaluation.experts import expert_features
from lipwright.evaluation.faces import FaceSeries, crop_transforms, watch
from lipwright.evaluation.metrics.cpbd import cpbd
from lipwright.evaluation.metrics.expert_sync import expert_score, pair_accuracy
from lipwright.evaluation.metrics.fid import fid_features
from lipwright.evaluation.metrics.flicker import FlickerMeter
from lipwright.evaluation.metrics.fvd import CLIP, fvd_features
from lipwright.evaluation.metrics.identity import cosine
from lipwright.evaluation.metrics.lip_colour import colour_difference, lip_colour
from lipwright.evaluation.metrics.lmd import lmd, mouth_points
from lipwright.evaluation.metrics.lpips import lpips
from lipwright.evaluation.metrics.lse import sync_features, sync_score
from lipwright.evaluation.metrics.opening import (
    best_lag,
    correlation,
    speech_envelope,
    spread_ratio,
)
from lipwright.evaluation.metrics.psnr import CEILING, psnr
from lipwright.evaluation.metrics.seam import seam_step
from lipwright.evaluation.metrics.silence import lip_gap, silence_activity, silent_frames
from lipwright.evaluation.metrics.ssim import ssim
from lipwright.evaluation.networks import Networks
from lipwright.evaluation.sampling import (
    CROP,
    at_25,
    match_times,
    matched_crops,
    sync_pictures,
)
from lipwright.face_regions import MOUTH_BOX, pixel_box
from lipwright.faces.paste import lower_face_mask
from lipwright.faces.tracker import FaceTracker
from lipwright.media.audio import load_speech
from lipwright.media.mel import mel_spectrogram
from lipwright.media.reader import VideoReader

EVERY = 5
BATCH = 16
Features = dict[str, NDArray[np.float32]]


@dataclass
class ClipResult:
    """What one clip gave.

    Attributes:
        result: metric values of the result by name.
        real: those of the real video that exist without a partner.
        features: ``fid.real``, ``fid.result``, ``fvd.real``, ``fvd.result``, (N, D) each.
        frames: frames compared.
        notes: what limits the numbers, one sentence each.
    """

    result: dict[str, float] = field(default_factory=dict)
    real: dict[str, float] = field(default_factory=dict)
    features: Features = field(default_factory=dict)
    frames: int = 0
    notes: list[str] = field(default_factory=list)


def measure_clip(
    result: Path,
    real: Path,
    names: list[str],
    networks: Networks,
    front: str = "tracked",
    tracker: FaceTracker | None = None,
) -> ClipResult:
    """Measure one pair of videos.

    Raises:
        LipwrightError: unreadable, no face in one of them, different sizes, no common time.
    """
    tracker = tracker or FaceTracker()
    theirs, ours = watch(real, tracker), watch(result, tracker)
    out = ClipResult()
    partner = match_times(theirs.times, ours.times)
    if not (partner >= 0).any():
        raise LipwrightError(
            f"{result} and {real} share no moment; check that they belong together."
        )
    _mouths(out, theirs, ours, partner)
    _pictures(out, real, result, theirs, ours, partner, names, networks)
    for path, series, values in ((real, theirs, out.real), (result, ours, out.result)):
        _alone(path, series, values, out.notes, names, networks, front)
    for values in (out.real, out.result):
        for name in [n for n in values if n not in names and n != "opening_lag"]:
            del values[name]
    return out


def _mouths(
    out: ClipResult, theirs: FaceSeries, ours: FaceSeries, partner: NDArray[np.int64]
) -> None:
    """Landmark metrics on matched frames."""
    both = partner >= 0
    a, b = theirs.opening[both], ours.opening[partner[both]]
    lag = best_lag(b, a)
    total, point = lmd(mouth_points(theirs.lips[both]), mouth_points(ours.lips[partner[both]]))
    out.result |= {
        "opening_r": correlation(b, a),
        "opening_lag": float(lag),
        "opening_offset": float(abs(lag)),
        "opening_spread": spread_ratio(b, a),
        "lmd": total,
        "lmd_point": point,
    }


def _pictures(
    out: ClipResult,
    real: Path,
    result: Path,
    theirs: FaceSeries,
    ours: FaceSeries,
    partner: NDArray[np.int64],
    names: list[str],
    networks: Networks,
) -> None:
    """Pixel metrics and features, in one pass over both videos."""
    left, top, right, bottom = pixel_box(MOUTH_BOX, CROP)
    values: dict[str, list[float]] = {}
    sharp: list[float] = []
    still, moving = FlickerMeter(), FlickerMeter()
    inception = networks.loaded.get("inception") if "fid" in names else None
    i3d = networks.loaded.get("i3d") if {"fvd", "fvd_100"} & set(names) else None
    pictures, clips = _Pool(BATCH), _Pool(1)
    grid = at_25(theirs.times)
    run: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = []
    last = -1

    def note(name: str, value: float) -> None:
        if name in names:
            values.setdefault(name, []).append(value)

    for pair in matched_crops(real, result, theirs, partner):
        out.frames += 1
        a, b = pair.real, pair.result
        note("psnr", min(psnr(a, b), CEILING))
        if pair.index != last + 1:
            still.add(None)
            moving.add(None)
            run.clear()
        last = pair.index
        still.add(a[top:bottom, left:right])
        moving.add(b[top:bottom, left:right])
        if "lip_colour" in names and ours.found[pair.partner]:
            colours = lip_colour(a, theirs.lips[pair.index]), lip_colour(b, ours.lips[pair.partner])
            note("lip_colour", colour_difference(*colours))
        if (out.frames - 1) % EVERY == 0:
            _sometimes(pair, a, b, theirs, names, networks, note, sharp)
        if inception is not None:
            pictures.add(a, b)
            pictures.embed(lambda x: fid_features(inception, x))
        if i3d is not None:
            run += [(a, b)] * int((grid == pair.index).sum())
            while len(run) >= CLIP:
                x, y = (np.stack([p[k] for p in run[:CLIP]]) for k in (0, 1))
                del run[:CLIP]
                clips.add(x, y)
                clips.embed(lambda x: fvd_features(i3d, x))
    if inception is not None:
        pictures.embed(lambda x: fid_features(inception, x), rest=True)
        out.features |= pictures.named("fid")
    if i3d is not None:
        out.features |= clips.named("fvd")
    quiet, loud = still.value(), moving.value()
    out.result["flicker"] = loud / quiet if quiet else float("nan")
    out.result |= {k: _mean(v) for k, v in values.items() if k != "cpbd"}
    if "cpbd" in names:
        out.result["cpbd"], out.real["cpbd"] = _mean(values.get("cpbd", [])), _mean(sharp)


def _sometimes(
    pair: Any,
    a: NDArray[np.uint8],
    b: NDArray[np.uint8],
    theirs: FaceSeries,
    names: list[str],
    networks: Networks,
    note: Any,
    sharp: list[float],
) -> None:
    """The metrics of every fifth frame."""
    if "ssim" in names:
        note("ssim", ssim(a, b))
    if "seam_step" in names:
        mask = lower_face_mask(theirs.landmarks[pair.index], pair.transform, CROP)
        note("seam_step", seam_step(a, b, mask))
    if "cpbd" in names:
        sharp.append(cpbd(np.asarray(cv2.cvtColor(a, cv2.COLOR_RGB2GRAY), np.uint8)))
        note("cpbd", cpbd(np.asarray(cv2.cvtColor(b, cv2.COLOR_RGB2GRAY), np.uint8)))
    if "lpips" in names and networks.has(("vgg16", "lpips-heads")):
        note("lpips", lpips(networks.loaded["vgg16"], a, b))
    if "identity" in names and networks.has(("identity",)):
        embed = networks.loaded["identity"]
        note("identity", cosine(embed(a), embed(b)))


class _Pool:
    """Collects pictures of both sides and embeds them in batches."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.waiting: tuple[list[Any], list[Any]] = ([], [])
        self.done: tuple[list[Any], list[Any]] = ([], [])

    def add(self, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> None:
        self.waiting[0].append(a)
        self.waiting[1].append(b)

    def embed(self, network: Any, rest: bool = False) -> None:
        if self.waiting[0] and (rest or len(self.waiting[0]) >= self.batch):
            for waiting, done in zip(self.waiting, self.done, strict=True):
                done.append(network(np.stack(waiting)))
                waiting.clear()

    def named(self, name: str) -> Features:
        if not self.done[0]:
            return {}
        real, result = (np.concatenate(d) for d in self.done)
        return {f"{name}.real": real, f"{name}.result": result}


def _mean(values: list[float]) -> float:
    known = [v for v in values if np.isfinite(v)]
    return float(np.mean(known)) if known else float("nan")


def _alone(
    path: Path,
    series: FaceSeries,
    values: dict[str, float],
    notes: list[str],
    names: list[str],
    networks: Networks,
    front: str,
) -> None:
    """Metrics of a video with its own sound."""
    try:
        wave = load_speech(path)
    except LipwrightError:
        notes.append(f"{path.name} has no sound, so its sync was not measured")
        return
    values["envelope_r"] = correlation(series.opening, speech_envelope(wave, series.times))
    silent = silent_frames(wave, series.times)
    values["silence_activity"] = silence_activity(lip_gap(series.landmarks), silent)
    if networks.has(("syncnet",)) and {"lse_c", "lse_d", "lse_offset"} & set(names):
        count = len(at_25(series.times))
        try:
            features = sync_features(
                networks.loaded["syncnet"], sync_pictures(path, series, front), count, wave
            )
        except LipwrightError as error:
            notes.append(f"{path.name}: {error}")
        else:
            lse = sync_score(*features)
            notes.extend(f"{path.name}: {flag}" for flag in lse.flags)
            values |= {"lse_c": lse.confidence, "lse_d": lse.distance}
            values["lse_offset"] = float(abs(lse.offset))
    if networks.has(("expert",)) and any(n.startswith("expert_") for n in names):
        expert = networks.loaded["expert"]
        mel = torch.from_numpy(mel_spectrogram(wave))
        try:
            features = expert_features(expert, aligned_25(path, series, expert.size), mel)
        except LipwrightError as error:
            notes.append(f"{path.name}: {error}")
            return
        score = expert_score(*features)
        values["expert_cosine"] = score.cosine
        values["expert_offset"] = float(abs(score.offset))
        values["expert_accuracy"] = pair_accuracy(*features)


def aligned_25(path: Path, series: FaceSeries, size: int) -> Iterator[NDArray[np.uint8]]:
    """Aligned crops of a video at 25 fps; where the face is lost, the crop stays where it was."""
    transforms = crop_transforms(series, size)
    known = np.flatnonzero([m is not None for m in transforms])
    wanted = at_25(series.times)
    n = 0
    with VideoReader(path) as reader:
        for i, frame in enumerate(reader):
            if n >= len(wanted):
                return
            if wanted[n] != i:
                continue
            m = transforms[int(known[np.abs(known - i).argmin()])]
            assert m is not None
            crop = warp(frame.thumbnail(1 << 20)[0], m, size)
            while n < len(wanted) and wanted[n] == i:
                yield crop
                n += 1
