"""What runs in a process that cannot import PyTorch, and the sentence where it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lipwright.methods.registry import SHIPPED, shipped

SHIPPED_FILE = shipped("vq")
WITHOUT = "import sys; sys.modules['torch'] = None\n"
NEED_IT = (
    *("training", "models", "data", "evaluation.experts", "evaluation.memory"),
    *("evaluation.protocols", "methods.engine", "methods.export", "methods.graphs"),
    *("methods.vq_networks", "methods.memory_networks", "methods.landmark_networks"),
    *(
        "methods.pixel",
        "methods.speech_graphs",
        "methods.published_landmark",
        "weights.checkpoint",
        "cli.prepare",
        "enhance.restorer",
    ),
    "enhance.face_restoration",
)
"""Rooms and modules that may import PyTorch at their top: the extras bring it."""


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Code in a fresh interpreter without PyTorch."""
    words = [sys.executable, "-c", WITHOUT + code, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def command(*words: object) -> subprocess.CompletedProcess[str]:
    """A command line without PyTorch."""
    return run("from lipwright.cli import main; main(sys.argv[1:])", *words)


def test_all_other_modules_can_be_imported() -> None:
    code = (
        "import importlib, pkgutil, lipwright\n"
        f"spared = tuple('lipwright.' + name for name in {NEED_IT!r})\n"
        "for found in pkgutil.walk_packages(lipwright.__path__, 'lipwright.'):\n"
        "    if not found.name.startswith((*spared, 'lipwright.__main__')):\n"
        "        importlib.import_module(found.name)\n"
        "print(sys.modules['torch'])"
    )
    done = run(code)
    assert done.stdout == "None\n", done.stderr


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_shipped_method_draws(name: str) -> None:
    code = (
        "import numpy as np\n"
        "from lipwright.media.mel import windows\n"
        "from lipwright.methods.registry import load_method\n"
        f"method = load_method({name!r})\n"
        "if hasattr(method, '_read_points'):\n"
        "    rng = np.random.default_rng(0)\n"
        "    method._read_points = lambda crop: rng.uniform(0.2, 0.8, (68, 2))\n"
        "sound = method.speech_features(np.zeros(8000, np.float32))\n"
        "if method.info.whole_speech:\n"
        "    sound = sound[:, :1].T\n"
        "else:\n"
        "    sound = windows(sound, [0], method.audio)\n"
        "side = method.info.reference_size\n"
        "state = method.start(np.zeros((2, 3, side, side), np.float32))\n"
        "faces = np.zeros((1, 3, method.size, method.size), np.float32)\n"
        "drawn = method.render(faces, sound, state).faces\n"
        "print(drawn.shape, bool(np.isfinite(drawn).all()))\n"
    )
    done = run(code)
    assert done.stdout == "(1, 3, 128, 128) True\n", done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["train", "vq", "--data", "corpus", "-o", "run"],
        ["prepare", "videos", "-o", "corpus"],
        ["memory", "inspect", "memory.safetensors", "--data", "corpus", "-o", "page"],
    ],
)
def test_one_sentence_names_the_extra(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "videos").mkdir()
    code = f"import os; os.chdir({str(tmp_path)!r})\n"
    done = run(f"{code}from lipwright.cli import main; main(sys.argv[1:])", *words)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "lipwright[train]" in done.stderr, done.stderr


@pytest.mark.parametrize("asked", ["device='cuda'", "backend='torch'", "name_or_path='wav2lip'"])
def test_a_gpu_and_the_other_runtime_want_their_extra(asked: str) -> None:
    weights = f", weights={str(SHIPPED_FILE)!r}" if "wav2lip" in asked else ""
    code = f"from lipwright.methods.registry import load_method\nload_method({asked}{weights})"
    done = run(code)
    assert "LipwrightError" in done.stderr, done.stderr
    assert "lipwright[gpu]" in done.stderr.splitlines()[-1]


def test_the_trained_restorer_wants_its_extra() -> None:
    done = run(
        "from pathlib import Path\nfrom lipwright.enhance.registry import load_enhancer\n"
        "load_enhancer('restorer', Path('restorer.safetensors'))"
    )
    assert "LipwrightError" in done.stderr, done.stderr
    assert "lipwright[gpu]" in done.stderr.splitlines()[-1]


def test_the_list_of_weights_and_the_doctor() -> None:
    assert "vq-tiny" in command("weights", "list").stdout
    done = command("doctor")
    assert done.returncode == 0, done.stdout
    assert "lipwright[train]" in done.stdout
