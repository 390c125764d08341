"""Code grids of a corpus, cached once: ``expert`` and ``generator`` never touch pixels.

``FOLDER/`` holds ``face.npy`` and ``pose.npy``, uint16 (V, N, 16, 16) with V variants of every
frame (0 plain, 1 mirrored), ``books.npz`` with both codebooks scaled to unit component variance,
and ``header.json`` with the hashes of the VQGANs that made them. A frame costs 512 bytes per
VQGAN and variant.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipwright.data.arrays import read_array, read_arrays, read_header
from lipwright.data.augment import NONE, crop_batch
from lipwright.data.packed import PackedCorpus
from lipwright.errors import LipwrightError
from lipwright.face_regions import blank_lower_half
from lipwright.files.whole import write_json
from lipwright.lip_motion import NeutralMouth
from lipwright.models.layers import channels_last
from lipwright.models.lip_space import LipSpace
from lipwright.models.low_precision import computes_bfloat16
from lipwright.models.quantiser import codebook_sigma
from lipwright.models.vq_pipeline import CodeEncoder
from lipwright.models.vqgan import VQGAN
from lipwright.weights.checkpoint import Checkpoint, load_checkpoint

log = logging.getLogger("lipwright.train")

COARSE_POINTS = 468
"""Of the network that :func:`lipwright.faces.landmarks.best_network` falls back to."""


def load_vqgan(checkpoint: Checkpoint) -> VQGAN:
    """The VQGAN of a checkpoint, in eval mode; without the decoder where it holds none."""
    if not checkpoint.header.get("encoder_only"):
        return checkpoint.build("vqgan", VQGAN)
    model = VQGAN(**checkpoint.header["networks"]["vqgan"])
    checkpoint.load_into("vqgan", CodeEncoder(model))
    del model.decoder, model.post  # of random numbers: decoding is to fail
    return model.eval().requires_grad_(False)


def cache_codes(
    corpus: PackedCorpus,
    face: Path,
    pose: Path,
    out: Path,
    device: torch.device,
    flip: bool = False,
    batch: int = 64,
    min_frames: int = 0,
) -> None:
    """Encode the frames of a packed corpus with both VQGANs.

    Shorter clips than ``min_frames`` are left out: their grids are zeros, and
    :class:`CodeCorpus` leaves the clips out, too.

    Nothing is done when the folder already holds the codes of the same checkpoints and frames.
    """
    checkpoints = {"face": load_checkpoint(face), "pose": load_checkpoint(pose)}
    variants = 2 if flip else 1
    header = {
        "face": checkpoints["face"].sha256,
        "pose": checkpoints["pose"].sha256,
        "frames": len(corpus.frames),
        "variants": variants,
    }
    if min_frames:
        header["min_frames"] = min_frames
    wanted = _frames_of(corpus.without_short(min_frames))
    path = out / "header.json"
    if path.is_file() and read_header(path, f"delete {out} to make it again") == header:
        return
    out.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    books: dict[str, NDArray[np.float32]] = {}
    low = computes_bfloat16(device)
    for name, checkpoint in checkpoints.items():
        model = channels_last(load_vqgan(checkpoint), device)
        grids: NDArray[np.uint16] | None = None
        for variant in range(variants):
            for start in range(0, len(wanted), batch):
                part = wanted[start : start + batch]
                stacked = torch.from_numpy(np.array(corpus.frames[part]))
                x = crop_batch(stacked.to(device), corpus.size, NONE)
                x = x.flip(3) if variant else x
                x = blank_lower_half(x) if name == "pose" else x
                with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=low):
                    indices = model.indices(x.contiguous(memory_format=torch.channels_last))
                if grids is None:
                    shape = (variants, len(corpus.frames), *indices.shape[1:])
                    grids = np.zeros(shape, np.uint16)
                grids[variant, part] = indices.cpu().numpy()
                if start % (batch * 100) == 0:
                    log.info("codes %s/%d: %d of %d", name, variant, start, len(wanted))
        assert grids is not None
        np.save(out / f"{name}.npy", grids)
        books[name] = model.quantiser.codebook.detach().float().cpu().numpy()
        used = torch.from_numpy(np.unique(grids[0, wanted]).astype(np.int64))
        sigma = codebook_sigma(torch.from_numpy(books[name]), used)
        books[f"{name}_sigma"] = np.array(sigma, np.float32)
        log.info("codes %s: %d of %d entries in use", name, len(used), len(books[name]))
    np.savez(out / "books.npz", allow_pickle=False, **books)
    write_json(path, header)


def _frames_of(corpus: PackedCorpus) -> NDArray[np.int64]:
    """Frame numbers of all clips of a corpus."""
    return np.concatenate([np.arange(r.start, r.start + r.frames) for r in corpus.rows])


def stored_sigma(checkpoint: Checkpoint, book: Tensor) -> float:
    """Sigma of the face codes that an expert was trained on; older checkpoints did not keep it."""
    sigma = checkpoint.header.get("sigma")
    return codebook_sigma(book) if sigma is None else float(sigma)


class CodeCorpus:
    """Code grids beside the sound and the mouth measures of a packed corpus.

    Attributes:
        whole: the packed corpus.
        packed: the same without the clips that were not encoded.
        face, pose: (V, N, 16, 16) uint16.
        face_book, pose_book: (entries, D) float32, divided by their standard deviation.
        face_sigma, pose_sigma: these deviations, over the entries in use (``sigma_c``).
        space: the lip space, fitted on the training split.
        motion: (N, K) float32 what the lips do in every frame, in that space.
    """

    def __init__(self, packed: PackedCorpus, folder: Path, lip_dim: int = 8) -> None:
        if not (folder / "header.json").is_file():
            raise LipwrightError(
                f"{folder} holds no cached codes; run the stage 'codes' (or 'all') first."
            )
        remedy = f"delete {folder} and run the stage 'codes' again"
        self.header = read_header(folder / "header.json", remedy)
        if self.header.get("frames") != len(packed.frames):
            raise LipwrightError(f"the codes in {folder} were made from another corpus; {remedy}.")
        min_frames = int(self.header.get("min_frames", 0))
        self.whole = packed
        self.packed = packed = packed.without_short(min_frames) if min_frames else packed
        self.face: NDArray[np.uint16] = read_array(folder / "face.npy", remedy)
        self.pose: NDArray[np.uint16] = read_array(folder / "pose.npy", remedy)
        names = ("face", "pose", "face_sigma", "pose_sigma")
        books = read_arrays(folder / "books.npz", names, remedy)
        self.face_sigma = float(books["face_sigma"])
        self.pose_sigma = float(books["pose_sigma"])
        self.face_book = torch.from_numpy(books["face"] / self.face_sigma)
        self.pose_book = torch.from_numpy(books["pose"] / self.pose_sigma)
        self.space, self.motion = lip_motions(packed, lip_dim)
        self._mel = [packed.speech(r) for r in packed.rows]
        self._at = {r.clip: i for i, r in enumerate(packed.rows)}

    @property
    def sigma(self) -> dict[str, float]:
        """Both deviations, as checkpoints keep them."""
        return {"face": self.face_sigma, "pose": self.pose_sigma}

    def clip_mel(self, clip: str) -> Tensor:
        """(80, columns) log-mel of a clip."""
        return self._mel[self._at[clip]]


def lip_motions(packed: PackedCorpus, dim: int) -> tuple[LipSpace, NDArray[np.float32]]:
    """The lip space of a corpus, fitted on its training split, and the motions (N, dim) in it.

    Warns where the lips were measured by the network of 468 points.
    """
    if packed.landmark_points == COARSE_POINTS:
        log.warning(
            "the lips of %s were measured by the landmark network of 468 points, which follows "
            "them only coarsely; prepare the corpus anew where face_landmarker.task is at hand",
            packed.folder.parent,
        )
    shapes = packed.lips.reshape(len(packed.lips), -1, 2)
    rests, opening, shape = {}, [], []
    for r in packed.rows:
        part = slice(r.start, r.start + r.frames)
        rest = rests[r.clip] = NeutralMouth.of(packed.opening[part], shapes[part])
        if r.split == "train":
            opening.append(packed.opening[part] - rest.opening)
            shape.append(shapes[part] - rest.shape)
    space = LipSpace(dim, shapes.shape[1])
    space.fit(np.concatenate(opening), np.concatenate(shape))
    motion = np.zeros((len(shapes), dim), np.float32)
    for r in packed.rows:
        part = slice(r.start, r.start + r.frames)
        motion[part] = space.encode(packed.opening[part], shapes[part], rests[r.clip])
    return space, motion
