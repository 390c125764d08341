"""The networks that some metrics need, loaded when they are given; a metric without is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipwright.errors import LipwrightError, missing_extra
from lipwright.files.whole import file_sha256
from lipwright.methods.runtime import has_torch

NAMES = ("syncnet", "inception", "i3d", "vgg16", "lpips-heads", "identity", "expert", "vqgan")


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
    from lipwright.weights.published import find_published

    out = Networks()
    loaders: dict[str, Callable[[Path], Any]] = {
        "syncnet": _syncnet,
        "inception": _inception,
        "i3d": _i3d,
    }
    for name, loader in loaders.items():
        try:
            path = find_published(name, given.get(name))
        except LipwrightError as error:
            if name in given:
                raise
            out.absent[name] = str(error)
            continue
        if not has_torch():
            _lacks_torch(name, given, out)
            continue
        out.loaded[name] = loader(path)
        out.files[name] = f"{path.name} sha256 {file_sha256(path)}"
    _lpips(given, out)
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


def _lacks_torch(name: str, given: Mapping[str, Path], out: Networks) -> None:
    """Leave a network out where PyTorch is not installed; raise for one that was asked for."""
    error = missing_extra(f"The network '{name}'", "train")
    if name in given:
        raise error
    out.absent[name] = str(error)


def _syncnet(path: Path) -> Any:
    from lipwright.models.published import syncnet
    from lipwright.weights.published import load_into, load_state

    network = syncnet.SyncNet().eval()
    load_into(network, syncnet.convert(load_state(path)), path, "SyncNet v2")
    return network


def _inception(path: Path) -> Any:
    from lipwright.models.published import inception
    from lipwright.weights.published import load_into, load_state

    network = inception.InceptionFID().eval()
    state = inception.convert(load_state(path))
    load_into(network, state, path, "the Inception-v3 of FID")
    return network


def _i3d(path: Path) -> Any:
    from lipwright.models.published import i3d
    from lipwright.weights.published import load_into, load_state

    network = i3d.I3D().eval()
    load_into(network, i3d.convert(load_state(path)), path, "I3D")
    return network


def _lpips(given: Mapping[str, Path], out: Networks) -> None:
    from lipwright.weights.published import find_published, load_into, load_state

    parts: dict[str, Path] = {}
    for name in ("vgg16", "lpips-heads"):
        try:
            parts[name] = find_published(name, given.get(name))
        except LipwrightError as error:
            if name in given:
                raise
            out.absent[name] = str(error)
    if len(parts) < 2:
        return
    if not has_torch():
        for name in parts:
            _lacks_torch(name, given, out)
        return
    from lipwright.models.published import lpips

    network = lpips.LPIPS().eval()
    trunk, heads = (load_state(p) for p in parts.values())
    load_into(network, lpips.convert(trunk, heads), parts["vgg16"], "LPIPS")
    for name, path in parts.items():
        out.loaded[name] = network
        out.files[name] = f"{path.name} sha256 {file_sha256(path)}"
