"""What the Face-VQGAN makes of the mouths of a corpus, once for every frame.

The restorer shows its network the mouths of a few hundred frames thousands of times. Of what the
first stage does to them only mixture, mask and codec differ from time to time; the VQGAN, the dear
part of it, does not.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lipwright.data.augment import crop_batch
from lipwright.data.mouth_windows import MouthWindows
from lipwright.data.packed import PackedCorpus
from lipwright.face_regions import MOUTH_WINDOW, cut_box
from lipwright.files.whole import write_json, written_whole
from lipwright.models.layers import channels_last
from lipwright.training.drawn_mouths import copy_side, resized

BATCH = 16


def mouth_copies(
    vqgan: nn.Module,
    content: str,
    corpus: PackedCorpus,
    windows: MouthWindows,
    folder: Path,
    device: torch.device | str = "cpu",
) -> NDArray[np.float16]:
    """Make the copies, or find those that the same VQGAN made before.

    Args:
        vqgan: the Face-VQGAN; gives a picture and its codes.
        content: what tells its weights from others, such as a checksum.
        corpus: the packed corpus.
        windows: which frames of it are used.
        folder: where the copies are kept.
        device: where they are computed.

    Returns:
        (N, 3, F, F) in [-1, 1], in the order of the windows, memory-mapped; F of
        :func:`~lipwright.training.drawn_mouths.copy_side`.
    """
    frames = [frame for clip in windows.clips for frame in clip.frames]
    side = copy_side(corpus.size)
    settings = {"vqgan": content, "side": side, "frames": frames}
    listing, path = folder / "copies.json", folder / "copies.f16"
    shape = (len(frames), 3, side, side)
    known = listing.is_file() and json.loads(listing.read_text(encoding="utf-8")) == settings
    if not (known and path.is_file() and path.stat().st_size == 2 * int(np.prod(shape))):
        folder.mkdir(parents=True, exist_ok=True)
        network = channels_last(vqgan, device).eval()
        with written_whole(path) as temporary, temporary.open("wb") as file:
            for start in range(0, len(frames), BATCH):
                part = np.stack([corpus.frames[i] for i in frames[start : start + BATCH]])
                crops = crop_batch(torch.from_numpy(part).to(device), corpus.size)
                with torch.no_grad():
                    made = network(crops.contiguous(memory_format=torch.channels_last))[0]
                cut = resized(cut_box(made.clamp(-1, 1), MOUTH_WINDOW), side)
                file.write(cut.cpu().numpy().astype(np.float16).tobytes())
        write_json(listing, settings)
    return np.memmap(path, np.float16, mode="r", shape=shape)
