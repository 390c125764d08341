"""SyncNet v2 (Chung and Zisserman, "Out of Time", ACCV workshops 2016): 13,631,616 parameters.

Two convolutional encoders to 1024 numbers, *not* normalised: five BGR pictures of 224 px in 0..255,
and 20 columns of 13 MFCCs (0.2 s). The published file ``syncnet_v2.model`` is a plain state dict.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor, nn

from lipwright.errors import LipwrightError

DIMENSIONS = 1024
_AT = (0, 4, 8, 11, 14, 18)
"""Places of the six convolutions in either published sequence; normalisation follows each."""
_PARTS = {"netcnnaud": "speech", "netcnnlip": "faces"}
_HEADS = {"netfcaud": "speech_head", "netfclip": "faces_head"}


def _speech() -> nn.Sequential:
    """(B, 1, 13, 20) -> (B, 512, 1, 1)."""

    def unit(c_in: int, c_out: int, kernel: int | tuple[int, int], padding: int) -> list[nn.Module]:
        return [nn.Conv2d(c_in, c_out, kernel, padding=padding), nn.BatchNorm2d(c_out), nn.ReLU()]

    return nn.Sequential(
        *unit(1, 64, 3, 1),
        *unit(64, 192, 3, 1),
        nn.MaxPool2d(3, (1, 2)),
        *unit(192, 384, 3, 1),
        *unit(384, 256, 3, 1),
        *unit(256, 256, 3, 1),
        nn.MaxPool2d(3, 2),
        *unit(256, 512, (5, 4), 0),
    )


def _faces() -> nn.Sequential:
    """(B, 3, 5, 224, 224) -> (B, 512, 1, 1, 1)."""

    def unit(
        c_in: int, c_out: int, kernel: tuple[int, int, int], stride: int, padding: int
    ) -> list[nn.Module]:
        conv = nn.Conv3d(c_in, c_out, kernel, (1, stride, stride), (0, padding, padding))
        return [conv, nn.BatchNorm3d(c_out), nn.ReLU()]

    return nn.Sequential(
        *unit(3, 96, (5, 7, 7), 2, 0),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        *unit(96, 256, (1, 5, 5), 2, 1),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        *unit(256, 256, (1, 3, 3), 1, 1),
        *unit(256, 256, (1, 3, 3), 1, 1),
        *unit(256, 256, (1, 3, 3), 1, 1),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        *unit(256, 512, (1, 6, 6), 1, 0),
    )


def _head() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, DIMENSIONS)
    )


class SyncNet(nn.Module):
    """The two encoders."""

    def __init__(self) -> None:
        super().__init__()
        self.speech = _speech()
        self.speech_head = _head()
        self.faces = _faces()
        self.faces_head = _head()

    def embed_faces(self, frames: Tensor) -> Tensor:
        """(B, 3, 5, 224, 224) BGR in 0..255 -> (B, 1024)."""
        out: Tensor = self.faces_head(self.faces(frames).flatten(1))
        return out

    def embed_speech(self, mfcc: Tensor) -> Tensor:
        """(B, 1, 13, 20) -> (B, 1024)."""
        out: Tensor = self.speech_head(self.speech(mfcc).flatten(1))
        return out


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published names -> ours.

    Raises:
        LipwrightError: a name that SyncNet v2 does not have.
    """
    model = _layout()
    out = {}
    for key, value in state.items():
        part, _, rest = key.partition(".")
        place, _, leaf = rest.partition(".")
        if part in _HEADS and place in ("0", "1", "3"):
            out[f"{_HEADS[part]}.{rest}"] = value
        elif part in _PARTS and place.isdigit() and int(place) in model[_PARTS[part]]:
            out[f"{_PARTS[part]}.{model[_PARTS[part]][int(place)]}.{leaf}"] = value
        else:
            raise LipwrightError(
                f"the checkpoint has a tensor '{key}', which SyncNet v2 does not have; give the "
                "published file syncnet_v2.model."
            )
    return out


def _places(sequence: nn.Sequential) -> dict[int, int]:
    """Place in the published sequence -> place in ours, convolutions and normalisations."""
    convs = [i for i, m in enumerate(sequence) if isinstance(m, nn.Conv2d | nn.Conv3d)]
    return {
        theirs + extra: ours + extra
        for theirs, ours in zip(_AT, convs, strict=True)
        for extra in (0, 1)
    }


@lru_cache(maxsize=1)
def _layout() -> dict[str, dict[int, int]]:
    """Where the layers of both published sequences are in ours; built without weights."""
    with torch.device("meta"):
        return {"speech": _places(_speech()), "faces": _places(_faces())}
