"""The trained sync expert as a judge of offsets: mean cosine at every shift of the sound."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipwright.data.codes import stored_sigma
from lipwright.data.cut import crop_path
from lipwright.data.rows import Row, StepContext
from lipwright.data.sources import sound_of
from lipwright.data.storage import read_crops
from lipwright.errors import LipwrightError
from lipwright.lip_agreement import REACH
from lipwright.media.mel import STEPS_PER_FRAME, mel_spectrogram
from lipwright.models.expert import SyncExpert
from lipwright.models.vqgan import VQGAN
from lipwright.weights.checkpoint import load_checkpoint

BATCH = 32


def expert_curve(row: Row, piece: Row, work: StepContext) -> NDArray[np.float64]:
    """Mean cosine of a piece with its sound, for sound that comes -REACH .. REACH frames late.

    Pieces shorter than the expert's window give a flat curve: it cannot judge them.
    """
    vqgan, expert, size, sigma = load_judge(work.expert)
    count = piece["frames"] - expert.window + 1
    if count < 1:
        return np.zeros(2 * REACH + 1)
    crops = read_crops(crop_path(work.clips, piece["clip"], work.settings.size, work.settings))
    wave = sound_of(work, row, piece["first"] - REACH, piece["frames"] + 2 * REACH)
    mel = torch.from_numpy(mel_spectrogram(wave))
    with torch.no_grad():
        faces = _faces(vqgan, expert, sigma, _resized(crops, size), count)
        width = STEPS_PER_FRAME * expert.window
        starts = [STEPS_PER_FRAME * n for n in range(count + 2 * REACH)]
        speech = torch.cat(
            [
                expert.embed_speech(torch.stack([mel[:, s : s + width] for s in part]))
                for part in _batches(starts)
            ]
        )
        faces = torch.nn.functional.normalize(faces, dim=1)
        speech = torch.nn.functional.normalize(speech, dim=1)
        curve = [
            float((faces * speech[shift : shift + count]).sum(dim=1).mean())
            for shift in range(2 * REACH + 1)
        ]
    return np.array(curve)


@cache
def load_judge(run: str) -> tuple[VQGAN, SyncExpert, int, float]:
    """VQGAN, expert, crop size and sigma of a training run.

    Raises:
        LipwrightError: the run lacks one of them, or they do not belong together.
    """
    paths = [Path(run) / stage / f"{stage}.safetensors" for stage in ("vqgan", "expert")]
    for path in paths:
        if not path.is_file():
            raise LipwrightError(
                f"the run {run} has no {path.name}; train its stage '{path.stem}' first."
            )
    codes, judge = (load_checkpoint(path) for path in paths)
    if judge.header.get("parents", {}).get("vqgan") != codes.sha256:
        raise LipwrightError(f"the expert in {run} was trained on the codes of another VQGAN.")
    if judge.header.get("encoder"):
        raise LipwrightError(
            f"the expert in {run} hears {judge.header['encoder']}; offsets are judged by one that "
            "hears the mel spectrogram (expert.encoder='')."
        )
    vqgan, expert = codes.build("vqgan", VQGAN), judge.build("expert", SyncExpert)
    sigma = stored_sigma(judge, vqgan.quantiser.codebook)
    return vqgan, expert, int(judge.header["size"]), sigma


def _resized(crops: NDArray[np.uint8], size: int) -> Tensor:
    """(T, 3, size, size) in [-1, 1]: the crops without their margin."""
    side = crops.shape[1]
    edge = side // 18  # margins are a sixteenth of the inner side
    inner = crops[:, edge : side - edge, edge : side - edge]
    small = np.stack([cv2.resize(c, (size, size), interpolation=cv2.INTER_AREA) for c in inner])
    return torch.from_numpy(small).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def _faces(vqgan: VQGAN, expert: SyncExpert, sigma: float, x: Tensor, count: int) -> Tensor:
    book = vqgan.quantiser.codebook.detach().float() / sigma
    grids = torch.cat([vqgan.indices(x[i : i + BATCH]) for i in range(0, len(x), BATCH)])
    codes = torch.nn.functional.embedding(grids, book).permute(0, 3, 1, 2)
    return torch.cat(
        [
            expert.embed_faces(torch.stack([codes[n : n + expert.window] for n in part]))
            for part in _batches(list(range(count)))
        ]
    )


def _batches(items: list[int]) -> list[list[int]]:
    return [items[i : i + BATCH] for i in range(0, len(items), BATCH)]
