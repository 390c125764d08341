"""The identity network: eyes where it expects them, a graph that equals its layers by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from lipwright.errors import LipwrightError
from lipwright.faces.alignment import EYE_DISTANCE, EYE_LINE
from lipwright.faces.identity import MEAN_RGB, SIDE, IdentityNetwork, _face

BLOCKS = (
    *("conv32_1", "conv32_2", "conv32_3", "conv64_down", "conv64_1", "conv64_2", "conv64_3"),
    *("conv128_down", "conv128_1", "conv128_2", "conv256_down", "conv256_1", "conv256_2"),
    "conv256_down_out",
)


def _layers(width: int = 4) -> list[tuple[str, tuple[int, ...]]]:
    """Names and shapes of a narrow network of the same layout."""
    widths = {"conv32": width, "conv64": width + 1, "conv128": width + 2, "conv256": width + 3}
    layers: list[tuple[str, tuple[int, ...]]] = []

    def convolution(name: str, k: int, before: int, after: int) -> None:
        layers.append((f"{name}/conv/filters", (k, k, before, after)))
        layers.extend(
            (f"{name}/{x}", (after,)) for x in ("conv/bias", "scale/weights", "scale/biases")
        )

    convolution("conv32_down", 7, 3, width)
    before = width
    for block in BLOCKS:
        after = widths[block.split("_")[0]]
        convolution(f"{block}/conv1", 3, before, after)
        convolution(f"{block}/conv2", 3, after, after)
        before = after
    return [*layers, ("fc", (before, 128))]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    data, manifest = b"", []
    for i, (name, shape) in enumerate(_layers()):
        entry: dict[str, Any] = {"name": name, "shape": shape, "dtype": "float32"}
        if i % 2:
            data += rng.normal(0, 0.3, shape).astype("<f4").tobytes()
        else:
            entry["quantization"] = {"dtype": "uint8", "scale": 0.01, "min": -1.0}
            data += rng.integers(0, 201, shape, np.uint8).tobytes()
        manifest.append(entry)
    weights, layers = tmp_path / "net.bin", tmp_path / "net.json"
    weights.write_bytes(data)
    layers.write_text(json.dumps([{"paths": ["net.bin"], "weights": manifest}]))
    return weights, layers


def _tensors(weights: Path, layers: Path) -> dict[str, Tensor]:
    data, place, found = weights.read_bytes(), 0, {}
    for entry in json.loads(layers.read_text())[0]["weights"]:
        count = int(np.prod(entry["shape"]))
        if "quantization" in entry:
            values = np.frombuffer(data[place : place + count], np.uint8) * 0.01 - 1.0
            place += count
        else:
            values = np.frombuffer(data[place : place + 4 * count], "<f4")
            place += 4 * count
        found[entry["name"]] = torch.tensor(values, dtype=torch.float32).reshape(entry["shape"])
    return found


def _by_hand(t: dict[str, Tensor], x: Tensor) -> Tensor:
    """The layers as face-api describes them, in PyTorch."""

    def convolve(x: Tensor, name: str, stride: int, pad: int) -> Tensor:
        kernel = t[f"{name}/conv/filters"].permute(3, 2, 0, 1)
        x = F.conv2d(x, kernel, t[f"{name}/conv/bias"], stride, pad)
        scale, bias = (t[f"{name}/scale/{n}"][:, None, None] for n in ("weights", "biases"))
        return x * scale + bias

    x = (x - torch.tensor(MEAN_RGB)[:, None, None]) / 256
    x = F.max_pool2d(convolve(x, "conv32_down", 2, 0).relu(), 3, 2)
    for block in BLOCKS:
        down = "_down" in block
        y = convolve(x, f"{block}/conv1", 2 if down else 1, 0 if down else 1).relu()
        y = convolve(y, f"{block}/conv2", 1, 1)
        if down:
            x = F.avg_pool2d(x, 2)
            more = [max(a, b) for a, b in zip(x.shape[1:], y.shape[1:], strict=True)]
            x, y = (
                F.pad(
                    z, [0, more[2] - z.shape[3], 0, more[1] - z.shape[2], 0, more[0] - z.shape[1]]
                )
                for z in (x, y)
            )
        x = (x + y).relu()
    return x.mean((2, 3)) @ t["fc"]


def test_the_graph_equals_its_layers(files: tuple[Path, Path]) -> None:
    rng = np.random.default_rng(1)
    crops = cv2.resize(rng.integers(0, 255, (24, 24, 3), np.uint8), (128, 128))[None]
    crops = np.concatenate([crops, crops[:, ::-1]])
    found = IdentityNetwork(*files)(crops)
    faces = torch.tensor(np.stack([_face(crop) for crop in crops]))
    expected = _by_hand(_tensors(*files), faces).numpy()
    assert found.shape == (2, 128)
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("side", [96, 128, 256, 512])
def test_the_eyes_lie_where_the_network_expects_them(side: int) -> None:
    crop = np.zeros((side, side, 3), np.uint8)
    y, x = np.mgrid[:side, :side] + 0.5
    spots: NDArray[np.bool_] = np.zeros((side, side), bool)
    for way in (-1, 1):
        eye = (0.5 + way * EYE_DISTANCE / 2) * side
        spots |= np.hypot(x - eye, y - EYE_LINE * side) < side / 20
    crop[spots] = 255
    face = _face(crop)[0]
    # dlib has the outer eye corners at 0.2471 and 0.7397 across and 0.309 down; ours are the same
    # distance apart, about the middle.
    for half, across in ((face[:, : SIDE // 2], 0.2535), (face[:, SIDE // 2 :], 0.7465)):
        rows, columns = np.mgrid[: half.shape[0], : half.shape[1]] + 0.5
        middle = (half * columns).sum() / half.sum() + (0 if across < 0.5 else SIDE // 2)
        assert middle / SIDE == pytest.approx(across, abs=0.006)
        assert (half * rows).sum() / half.sum() / SIDE == pytest.approx(0.309, abs=0.006)


def test_files_that_do_not_fit_are_one_sentence(files: tuple[Path, Path]) -> None:
    weights, layers = files
    weights.write_bytes(weights.read_bytes() + b"more")
    with pytest.raises(LipwrightError, match="do not fit each other"):
        IdentityNetwork(weights, layers)
    layers.write_text("[]")
    with pytest.raises(LipwrightError, match="do not fit each other"):
        IdentityNetwork(weights, layers)
