"""LSE-D and LSE-C: how well SyncNet finds that lips and speech belong together.

Chung and Zisserman (ACCV workshops 2016) with the bookkeeping of the published SyncNet v2 script,
which Wav2Lip's evaluation wraps:

* 25 fps pictures of 224 x 224, BGR, 0..255; speech as 13 MFCCs at 100 steps a second;
* ``n = min(frames, floor(samples / 640)) - 5`` positions (one fewer than there are; kept for
  comparability); position i sees frames i..i+4 and MFCC columns 4i..4i+19;
* for each shift v in -15..15 the mean over i of the Euclidean distance between visual feature i
  and audio feature i + v, audio padded with 15 rows of zeros at both ends **that enter the mean**;
* LSE-D is the minimum over v, LSE-C the median minus the minimum, the offset 15 minus the index
  of the minimum: speech that lags by k frames gives -k.

The padding rewards short clips: unrelated features reach an LSE-C of 3.2 at 30 positions, 0.9 at
120. Clips below 125 frames are therefore flagged, as is a minimum at the border, and sets of
different clip lengths must not be compared. In digital silence (table 3 of Gupta et al., WACV 2023)
every window of speech has the same features, so that nothing but the padding tells shifts apart:
LSE-C then says nothing of how the mouth moves in time. LSE exists for SyncNet v2 alone; an expert
trained here reports under other names (:mod:`lipwright.evaluation.metrics.expert_sync`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.evaluation.metrics.base import (
    ClipResult,
    Metric,
    MetricInfo,
    Side,
    features_of_one_clip,
)
from lipwright.evaluation.sampling import at_25, sync_pictures
from lipwright.evaluation.without_gradients import without_gradients
from lipwright.media.mfcc13 import mfcc13, to_int16

if TYPE_CHECKING:
    from torch import Tensor

SHIFT = 15
WINDOW = 5
COLUMNS = 20
SIDE = 224
ENOUGH_FRAMES = 125
_SOURCE = "Chung and Zisserman 2016; SyncNet v2 script; Prajwal et al., ACM MM 2020"
_DEVIATIONS = (
    "front end 'tracked': our face tracker instead of S3FD, box of the face mesh, median filter "
    "13, crop scale 0.4, grey 110 outside; nearest frame by timestamp instead of an ffmpeg "
    "re-encode at 25 fps. Front end 'whole': exact for cropped faces at 25 fps"
)
LSE_C = MetricInfo(
    "lse_c",
    "LSE-C",
    _SOURCE,
    "adapted",
    "real",
    _DEVIATIONS,
    needs=("syncnet",),
    paired=False,
    protocols=("reconstruction", "unpaired", "silent", "noise"),
)
LSE_D = replace(LSE_C, name="lse_d", title="LSE-D")
OFFSET = MetricInfo(
    "lse_offset",
    "LSE offset",
    _SOURCE,
    "adapted",
    "low",
    _DEVIATIONS,
    "frames",
    1,
    ("syncnet",),
    False,
)


class SyncFeatures(Protocol):
    """Two encoders into one space, as SyncNet has them."""

    def embed_faces(self, frames: Tensor) -> Tensor:
        """(B, 3, 5, 224, 224) BGR in 0..255 -> (B, D)."""
        ...

    def embed_speech(self, mfcc: Tensor) -> Tensor:
        """(B, 1, 13, 20) -> (B, D)."""
        ...


@dataclass(frozen=True)
class SyncScore:
    """Result for one clip.

    Attributes:
        offset: 15 - argmin; 0 in sync, negative when the speech lags.
        distance: LSE-D.
        confidence: LSE-C.
        means: (31,) mean distance per shift.
        positions: n.
        flags: what limits the meaning of the numbers.
    """

    offset: int
    distance: float
    confidence: float
    means: NDArray[np.float64]
    positions: int
    flags: tuple[str, ...] = ()


def positions(frames: int, samples: int) -> int:
    """Window positions of a clip.

    Raises:
        LipwrightError: there is none.
    """
    n = min(frames, samples // 640) - 5
    if n < 1:
        raise LipwrightError(
            f"LSE needs at least 6 frames with sound at 25 fps, this clip has {frames} frames and "
            f"{samples / 640:.1f} frames of sound; leave it out."
        )
    return n


def shifted_distances(
    visual: NDArray[np.floating], speech: NDArray[np.floating], shift: int = SHIFT
) -> NDArray[np.float64]:
    """(N, D) features of both sides -> (N, 2 shift + 1) distances, column v + shift.

    Raises:
        LipwrightError: other shapes, no rows, or values that are not finite.
    """
    v, s = features_of_one_clip(visual, speech)
    padded = np.pad(s, ((shift, shift), (0, 0)))
    columns = [
        np.linalg.norm(v - padded[k : k + len(v)] + 1e-6, axis=1) for k in range(2 * shift + 1)
    ]
    return np.stack(columns, axis=1)


def sync_score(
    visual: NDArray[np.floating], speech: NDArray[np.floating], shift: int = SHIFT
) -> SyncScore:
    """Offset, distance and confidence of one clip's features (N, D)."""
    means = shifted_distances(visual, speech, shift).mean(axis=0)
    at = int(means.argmin())
    flags = []
    if len(visual) + WINDOW < ENOUGH_FRAMES:
        flags.append(f"short: under {ENOUGH_FRAMES} frames, padding inflates LSE-C")
    if at in (0, 2 * shift):
        flags.append("border: the best shift is the largest that was tried")
    confidence = float(np.median(means) - means[at])
    return SyncScore(shift - at, float(means[at]), confidence, means, len(visual), tuple(flags))


@without_gradients
def sync_features(
    network: SyncFeatures,
    frames: Iterable[NDArray[np.uint8]],
    frame_count: int,
    wave: NDArray[np.float32],
    batch: int = 20,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features of all positions of a clip, in bounded memory.

    Args:
        network: SyncNet.
        frames: (224, 224, 3) uint8 **RGB** pictures at 25 fps.
        frame_count: how many ``frames`` gives.
        wave: (n,) speech at 16 kHz in [-1, 1].
        batch: positions per call.

    Returns:
        Visual and speech features, (N, D) each.
    """
    import torch

    n = positions(frame_count, len(wave))
    cepstra = torch.from_numpy(mfcc13(to_int16(wave)).T.astype(np.float32))
    visual: list[Tensor] = []
    speech: list[Tensor] = []
    buffer: list[NDArray[np.uint8]] = []
    first = 0  # position of buffer[0]

    def flush(last: bool) -> None:
        nonlocal first
        count = min(len(buffer) - WINDOW + 1, n - first)
        if count < 1 or (count < batch and not last):
            return
        x = torch.from_numpy(np.stack(buffer)[..., ::-1].copy()).permute(3, 0, 1, 2).float()
        windows = torch.stack([x[:, i : i + WINDOW] for i in range(count)])
        columns = [cepstra[:, 4 * i : 4 * i + COLUMNS] for i in range(first, first + count)]
        visual.append(network.embed_faces(windows))
        speech.append(network.embed_speech(torch.stack(columns).unsqueeze(1)))
        del buffer[:count]
        first += count

    for picture in frames:
        buffer.append(picture)
        flush(last=False)
    flush(last=True)
    if first < n:
        raise LipwrightError(f"the clip broke off after {first} of {n} positions; check the video.")
    return torch.cat(visual).double().numpy(), torch.cat(speech).double().numpy()


class Lse(Metric):
    """LSE of both sides, each with its own sound."""

    infos = (LSE_C, LSE_D, OFFSET)

    def finish(self, out: ClipResult) -> None:
        """Judge both videos."""
        for side, speech, values in self.sides_with_sound(out):
            try:
                score = self._score(side, speech)
            except LipwrightError as error:
                out.notes.append(f"{side.path.name}: {error}")
                continue
            out.notes.extend(f"{side.path.name}: {flag}" for flag in score.flags)
            values |= {
                LSE_C.name: score.confidence,
                LSE_D.name: score.distance,
                OFFSET.name: float(abs(score.offset)),
            }

    def _score(self, side: Side, wave: NDArray[np.float32]) -> SyncScore:
        pictures = sync_pictures(side.path, side.series, self.clip.front)
        count = len(at_25(side.series.times))
        network = self.clip.networks.loaded["syncnet"]
        return sync_score(*sync_features(network, pictures, count, wave))
