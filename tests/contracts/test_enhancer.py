"""What every enhancer keeps to; a new one is tested here by being registered."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
import torch

from lipwright.dubbing.option_info import info_of
from lipwright.dubbing.options import DubOptions, Enhance
from lipwright.enhance.base import Enhancer, References, brightness
from lipwright.enhance.registry import AUTO, CHOICES, ENHANCERS, load_enhancer
from lipwright.errors import LipwrightError
from tests.enhance.mouths import context, drawn, filmed, nbytes, references

STATE_BYTES = 96 << 20
"""What a face with 32 references of 768 pixels may hold."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkpoints with random weights of the enhancers that take one."""
    from lipwright.models.published import gfpgan, gpen
    from lipwright.models.restorer import Restorer
    from lipwright.weights.checkpoint import save_checkpoint

    torch.manual_seed(0)
    model = {"scale": 2, "width": 8, "blocks": 1, "groups": 4}
    network = Restorer(**model)
    torch.nn.init.normal_(network.last.weight, std=0.02)
    path = tmp_path_factory.mktemp("restorer") / "restorer.safetensors"
    header = {"method": "restorer", "size": 32, "references": 2, "networks": {"restorer": model}}
    save_checkpoint(path, header, {"restorer": network})
    found = {"restorer": path}
    published = {"gfpgan": gfpgan.GFPGAN([4, 4, 6], [6, 8, 8], 8), "gpen": gpen.GPEN([6, 6, 4], 8)}
    for name, published_network in published.items():
        for parameter in published_network.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        found[name] = path.with_name(f"{name}.pth")
        torch.save({"params_ema": published_network.state_dict()}, found[name])
    return found


@pytest.fixture(params=sorted(ENHANCERS), scope="module")
def enhancer(request: pytest.FixtureRequest, weights: dict[str, Path]) -> Enhancer:
    made = load_enhancer(request.param, weights.get(request.param))
    assert made is not None
    return made


@pytest.fixture(scope="module")
def batch(enhancer: Enhancer) -> tuple[np.ndarray, list[object]]:
    """Three drawn mouths of different opening, and their contexts, in the channels it works on."""
    size = enhancer.info.size
    openings = (0.02, 0.03, 0.05)
    pictures = [drawn(filmed(opening=opening)) for opening in openings]
    contexts = [context(filmed(), opening=opening) for opening in openings]
    if size:
        scale = size / pictures[0].shape[-1]
        pictures = [_scaled(p, size) for p in pictures]
        contexts = [
            dataclasses.replace(
                c,
                source=None if c.source is None else _scaled(c.source, size),
                to_picture=np.array([[scale], [scale]]) * c.to_picture
                + np.array([[0, 0, 0.5 * scale - 0.5]]),
            )
            for c in contexts
        ]
    if enhancer.info.brightness:
        pictures = [_grey(p) for p in pictures]
        contexts = [
            dataclasses.replace(c, source=None if c.source is None else _grey(c.source))
            for c in contexts
        ]
    return np.stack(pictures).astype(np.float32), list(contexts)


def _grey(picture: np.ndarray) -> np.ndarray:
    return brightness(np.moveaxis(picture, 0, 2))[None]


def _scaled(picture: np.ndarray, size: int) -> np.ndarray:
    return np.stack([cv2.resize(plane, (size, size)) for plane in picture])


SHAPES = [{"opening": o} for o in (0.02, 0.03, 0.04)]


def reference_frames() -> References:
    return references(*(filmed(opening=s["opening"]) for s in SHAPES), shapes=SHAPES)


def test_says_what_it_is(enhancer: Enhancer) -> None:
    info = enhancer.info
    assert info.name in ENHANCERS
    assert info.model_id.startswith(info.name)
    assert info.scale >= 1
    assert info.size >= 0
    assert info.size or info.scale == 1, "the pixels of the video are as many as they are"
    assert info.needs <= {"references", "source", "lips"}


def test_shapes_and_ranges(enhancer: Enhancer, batch: tuple[np.ndarray, list]) -> None:
    pictures, contexts = batch
    before = pictures.copy()
    made = enhancer.enhance(pictures, contexts, enhancer.start(reference_frames()))
    k = enhancer.info.scale
    count, channels, height, width = pictures.shape
    assert made.shape == (count, channels, k * height, k * width)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    assert made.min() >= 0
    assert made.max() <= 1
    assert np.array_equal(pictures, before), "its input is not its to change"


def test_a_frame_depends_on_itself_alone(
    enhancer: Enhancer, batch: tuple[np.ndarray, list]
) -> None:
    pictures, contexts = batch
    state = enhancer.start(reference_frames())
    together = enhancer.enhance(pictures, contexts, state)
    for i in (2, 0, 1):
        alone = enhancer.enhance(pictures[i : i + 1], contexts[i : i + 1], state)
        assert np.array_equal(alone[0], together[i])
    again = enhancer.enhance(pictures, contexts, enhancer.start(reference_frames()))
    assert np.array_equal(again, together)


def test_less_context_is_enough(enhancer: Enhancer, batch: tuple[np.ndarray, list]) -> None:
    """A method may not know where its lips are, and a still picture has few references."""
    pictures, contexts = batch
    bare = [dataclasses.replace(c, source=None, lips=None, outline=None) for c in contexts]
    none = References((), np.zeros((0, 40, 2)), np.zeros((0, 0, 2)), 128)
    empty = dataclasses.replace(reference_frames(), pictures=[np.zeros((0, 0, 3), np.uint8)] * 3)
    for refs, known in ((none, bare), (empty, contexts), (reference_frames(), bare)):
        made = enhancer.enhance(pictures, known, enhancer.start(refs))
        assert np.isfinite(made).all()


def test_memory_is_bounded(enhancer: Enhancer) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (768, 768, 3), np.uint8)
    shape = reference_frames()
    many = References(
        [picture] * 32, shape.lips[:1].repeat(32, 0), shape.outlines[:1].repeat(32, 0), 256
    )
    assert nbytes(enhancer.start(many)) <= STATE_BYTES


def test_close_twice(weights: dict[str, Path]) -> None:
    for name in ENHANCERS:
        made = load_enhancer(name, weights.get(name))
        assert made is not None
        made.close()
        made.close()


@pytest.mark.parametrize("name", [n for n, spec in ENHANCERS.items() if spec.weights])
def test_bad_weights_are_one_sentence(name: str, weights: dict[str, Path], tmp_path: Path) -> None:
    good = weights[name].read_bytes()
    for content in (None, b"", b"rubbish" * 40, good[: len(good) // 2]):
        path = tmp_path / "w.safetensors"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(LipwrightError) as caught:
            load_enhancer(name, path)
        assert "\n" not in str(caught.value)
        assert str(caught.value).endswith(".")
    with pytest.raises(LipwrightError, match="--enhance-weights"):
        load_enhancer(name)


def test_weights_for_an_enhancer_that_takes_none(weights: dict[str, Path]) -> None:
    for name in ("none", "self", "auto"):
        with pytest.raises(LipwrightError, match="takes no weights"):
            load_enhancer(name, weights["restorer"])


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    from lipwright.weights.checkpoint import save_checkpoint

    path = tmp_path / "vqgan.safetensors"
    header = {"method": "vqgan", "size": 32, "networks": {"vqgan": {}}}
    save_checkpoint(path, header, {"vqgan": torch.nn.Linear(2, 2)})
    with pytest.raises(LipwrightError, match="not of the restorer"):
        load_enhancer("restorer", path)


def test_a_file_of_another_published_network_is_refused(weights: dict[str, Path]) -> None:
    for name, other in (("gfpgan", "gpen"), ("gpen", "gfpgan")):
        with pytest.raises(LipwrightError, match=f"is no file of {name}"):
            load_enhancer(name, weights[other])


def test_names() -> None:
    assert get_args(Enhance) == CHOICES == ("auto", "none", *ENHANCERS)
    told = info_of(DubOptions.__dataclass_fields__["enhance"]).help
    assert all(f"{name}: {spec.summary}" in told for name, spec in ENHANCERS.items())
    told = info_of(DubOptions.__dataclass_fields__["enhance_weights"]).help
    assert all((name in told) == spec.weights for name, spec in ENHANCERS.items())
    assert AUTO in ENHANCERS
    assert load_enhancer("none") is None
    chosen = load_enhancer("auto")
    assert chosen is not None
    assert chosen.info.name == AUTO
    with pytest.raises(LipwrightError, match="There is no enhancer 'magic'; choose one of"):
        load_enhancer("magic")
