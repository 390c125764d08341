"""The ComfyUI node, without ComfyUI."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from lipwright.dubbing import job
from tests.dubbing.clips import Actor, ScriptedTracker

FOLDER = Path(__file__).resolve().parents[2] / "integrations" / "comfyui"


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The folder as ComfyUI loads it."""
    spec = importlib.util.spec_from_file_location(
        "comfyui_lipwright", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "comfyui_lipwright", module)
    spec.loader.exec_module(module)
    return module


def dub(*arguments: Any) -> Any:
    """The real job with the method that copies and a scripted face."""
    from lipwright.methods.copy import CopyMethod

    face = Actor(track=0, x=20, y=10, side=80)
    return job.dub(*arguments, method=CopyMethod(), tracker=ScriptedTracker(lambda i: [face]))


def inputs(frames: int = 6) -> tuple[torch.Tensor, dict[str, Any]]:
    images = torch.linspace(0, 1, frames * 96 * 128 * 3).reshape(frames, 96, 128, 3)
    wave = torch.sin(torch.arange(3840) / 5.0).repeat(2, 1)[None] * 0.3
    return images, {"waveform": wave, "sample_rate": 16_000}


def test_comfyui_finds_the_node(package: ModuleType) -> None:
    assert set(package.NODE_CLASS_MAPPINGS) == set(package.NODE_DISPLAY_NAME_MAPPINGS)
    node = package.NODE_CLASS_MAPPINGS["LipwrightDub"]
    wanted = node.INPUT_TYPES()["required"]
    assert wanted["images"] == ("IMAGE",)
    assert wanted["method"][0][0] == "vq"
    assert "auto" in wanted["length"][0]
    assert wanted["silence_gate"][0] == "BOOLEAN"
    assert wanted["seed"][1]["min"] == 0
    assert callable(getattr(node(), node.FUNCTION))
    assert len(node.RETURN_TYPES) == len(node.RETURN_NAMES)


def test_the_node_dubs(
    package: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LIPWRIGHT_HOME", str(tmp_path))
    node = package.NODE_CLASS_MAPPINGS["LipwrightDub"]()
    images, audio = inputs()
    defaults = {
        name: more[1]["default"]
        for name, more in node.INPUT_TYPES()["required"].items()
        if len(more) > 1 and "default" in more[1] and name not in ("fps", "consent")
    }
    frames, sound, report = node.run(images, audio, 25.0, "Ada, a test, today", dub=dub, **defaults)
    assert frames.shape == images.shape
    assert frames.dtype == torch.float32
    assert float(frames.min()) >= 0.0
    assert float(frames.max()) <= 1.0
    assert float((frames - images).abs().mean()) < 0.02  # the copy, the mark and 8 bits
    assert sound is audio
    assert "6 frames" in report


def test_consent_and_pictures_are_needed(package: ModuleType) -> None:
    node = package.NODE_CLASS_MAPPINGS["LipwrightDub"]()
    images, audio = inputs()
    with pytest.raises(ValueError, match="consent"):
        node.run(images, audio, 25.0, " ")
    with pytest.raises(ValueError, match="no picture"):
        node.run(images[:0], audio, 25.0, "Ada, a test, today")


def test_frames_and_sound_pass_without_loss(package: ModuleType, tmp_path: Path) -> None:
    nodes = sys.modules["comfyui_lipwright.nodes"]
    images, audio = inputs(3)
    nodes.write_frames(tmp_path / "a.mkv", images, 30000 / 1001)
    expected = (images * 255).round() / 255
    assert torch.equal(nodes.read_frames(tmp_path / "a.mkv"), expected)
    nodes.write_sound(tmp_path / "a.wav", audio)
    raw = (tmp_path / "a.wav").read_bytes()
    packed = audio["waveform"][0].T.contiguous().numpy().tobytes()
    assert packed in raw
