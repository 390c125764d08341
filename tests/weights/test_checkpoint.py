"""Checkpoints: round trip, half precision, refusal of everything else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from lipwright.errors import LipwrightError
from lipwright.weights.checkpoint import load_checkpoint, read_header, save_checkpoint

HEADER = {"method": "vq", "size": 32, "networks": {"net": {}}}


def test_round_trip_in_half_precision(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    path = tmp_path / "sub" / "a.safetensors"
    save_checkpoint(path, HEADER, {"net": net})
    assert [p.name for p in path.parent.iterdir()] == ["a.safetensors"]
    assert path.stat().st_mode & 0o044
    checkpoint = load_checkpoint(path)
    assert checkpoint.header["size"] == 32
    assert checkpoint.model_id.startswith("vq-32-")
    other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    checkpoint.load_into("net", other)
    assert torch.allclose(other[0].weight, net[0].weight, atol=1e-3)
    assert other[1].num_batches_tracked.dtype == torch.long


def test_wrong_network_and_shapes(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, HEADER, {"net": nn.Linear(2, 2)})
    checkpoint = load_checkpoint(path)
    with pytest.raises(LipwrightError, match="no network 'face'"):
        checkpoint.network("face")
    with pytest.raises(LipwrightError, match="does not fit"):
        checkpoint.load_into("net", nn.Linear(3, 2))


def test_foreign_files(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    missing = tmp_path / "missing.safetensors"
    with pytest.raises(LipwrightError, match="there is no checkpoint"):
        read_header(missing)
    bare = tmp_path / "bare.safetensors"
    save_file({"x": torch.zeros(1)}, str(bare))
    with pytest.raises(LipwrightError, match="not written by lipwright"):
        read_header(bare)
    newer = tmp_path / "newer.safetensors"
    save_file({"x": torch.zeros(1)}, str(newer), metadata={"lipwright": '{"format": 99}'})
    with pytest.raises(LipwrightError, match="upgrade lipwright"):
        read_header(newer)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"x": torch.zeros(1)}, path)
    with pytest.raises(LipwrightError):
        load_checkpoint(path)
