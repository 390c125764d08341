"""The networks that some metrics need, loaded when they are given; a metric without is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipwright.errors import LipwrightError, missing_extra
from lipwright.files.whole import file_sha256
from lipwright.methods.runtime import has_torch

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

PUBLISHED = (("syncnet",), ("inception",), ("i3d",), ("vgg16", "lpips-heads"))
"""Names of the files of each network that is published."""
NAMES = (*(name for names in PUBLISHED for name in names), "identity", "expert", "vqgan")


@dataclass
class Networks:
    """Loaded networks by name, and why others are absent.

    Attributes:
        loaded: the networks.
        files: name and sha256 of each file, for the result.
        absent: one sentence per network that was not found.
    """

    loaded: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def has(self, names: tuple[str, ...]) -> bool:
        """Whether all of ``names`` are loaded."""
        return all(n in self.loaded for n in names)


def parse_weights(texts: list[str]) -> dict[str, Path]:
    """``NAME=FILE`` options.

    Raises:
        LipwrightError: no such name, or no ``=``.
    """
    out = {}
    for text in texts:
        name, found, path = text.partition("=")
        if not found or name not in NAMES:
            raise LipwrightError(
                f"'{text}' names no network; write NAME=FILE with one of {', '.join(NAMES)}."
            )
        out[name] = Path(path)
    return out


def load_networks(given: Mapping[str, Path]) -> Networks:
    """Load what is given or lies in the models folder; a *given* file must load.

    Raises:
        LipwrightError: a given file is missing or is not that network.
    """
    out = Networks()
    for names in PUBLISHED:
        _load_published(names, given, out)
    if "identity" in given:
        from lipwright.evaluation.metrics.identity import OnnxEmbedder

        out.loaded["identity"] = OnnxEmbedder(given["identity"])
        out.files["identity"] = f"{given['identity'].name} sha256 {file_sha256(given['identity'])}"
    else:
        out.absent["identity"] = "give a face recognition network with --weights identity=FILE.onnx"
    if "expert" in given:
        if not has_torch():
            raise missing_extra("The network 'expert'", "train")
        from lipwright.evaluation.experts import load_expert

        out.loaded["expert"] = load_expert(given["expert"], given.get("vqgan"))
        out.files["expert"] = f"{given['expert'].name} sha256 {file_sha256(given['expert'])}"
    else:
        out.absent["expert"] = "give a trained sync expert with --weights expert=FILE"
    return out


def _load_published(names: tuple[str, ...], given: Mapping[str, Path], out: Networks) -> None:
    from lipwright.weights.published import find_published, load_into, load_state

    paths: dict[str, Path] = {}
    for name in names:
        try:
            paths[name] = find_published(name, given.get(name))
        except LipwrightError as error:
            if name in given:
                raise
            out.absent[name] = str(error)
    if len(paths) < len(names):
        return
    if not has_torch():
        for name in names:
            lacking = missing_extra(f"The network '{name}'", "train")
            if name in given:
                raise lacking
            out.absent[name] = str(lacking)
        return
    from lipwright.models.published import i3d, inception, lpips, syncnet

    networks: dict[str, tuple[type[Module], Callable[..., dict[str, Tensor]], str]] = {
        "syncnet": (syncnet.SyncNet, syncnet.convert, "SyncNet v2"),
        "inception": (inception.InceptionFID, inception.convert, "the Inception-v3 of FID"),
        "i3d": (i3d.I3D, i3d.convert, "I3D"),
        "vgg16": (lpips.LPIPS, lpips.convert, "LPIPS"),
    }
    make, convert, title = networks[names[0]]
    network = make().eval()
    load_into(network, convert(*(load_state(p) for p in paths.values())), paths[names[0]], title)
    for name, path in paths.items():
        out.loaded[name] = network
        out.files[name] = f"{path.name} sha256 {file_sha256(path)}"
