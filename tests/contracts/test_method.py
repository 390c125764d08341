"""What every registered method has to do; a new one is held to it by being registered.

Its checkpoint of random weights is written by ``tests/contracts/tiny_methods.py``.
"""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Callable
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipwright.dubbing.option_info import info_of
from lipwright.dubbing.options import DubOptions
from lipwright.errors import LipwrightError
from lipwright.lip_motion import NeutralMouth
from lipwright.media.mel import windows
from lipwright.methods.base import Array, Method, ReferenceLips, heard
from lipwright.methods.registry import METHODS, load_method
from tests.contracts.tiny_methods import CHECKPOINTS
from tests.methods.test_landmark import read_points

FRAMES, REFERENCES = 11, 3


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path | None]:
    """The checkpoint of a variant, written once."""
    folder, made = tmp_path_factory.mktemp("methods"), {}

    def write(variant: str) -> Path | None:
        if variant not in made:
            build = CHECKPOINTS[variant][1]
            made[variant] = None if build is None else build(folder)
        return made[variant]

    return write


@pytest.fixture(params=CHECKPOINTS)
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Loader = Callable[..., Method]


@pytest.fixture(scope="module")
def shared() -> dict[tuple[str, str], Method]:
    """Methods that several tests use: building one compiles its networks."""
    return {}


@pytest.fixture
def load(
    written: Callable[[str], Path | None], variant: str, shared: dict[tuple[str, str], Method]
) -> Loader:
    def loaded(backend: str = "auto", *, fresh: bool = False) -> Method:
        if not fresh and (variant, backend) in shared:
            return shared[variant, backend]
        name = CHECKPOINTS[variant][0]
        method = load_method(name, "cpu", backend, written(variant))
        if name == "landmark":
            method._read_points = read_points  # type: ignore[attr-defined]
        if not fresh:
            shared[variant, backend] = method
        return method

    return loaded


def inputs(method: Method, seed: int = 0) -> tuple[Array, Array, Array, ReferenceLips]:
    """Faces, what they hear, references and their lips."""
    rng = np.random.default_rng(seed)
    size, info = method.info.size, method.info
    faces = rng.uniform(-1, 1, (FRAMES, 3, size, size)).astype(np.float32)
    wave = rng.normal(0, 0.1, 16_000).astype(np.float32)
    features = method.speech_features(wave)
    assert features.shape[1] == 101
    assert features.dtype == np.float32
    times = [Fraction(n, 25) for n in range(FRAMES)]
    if info.whole_speech:
        audio = features[:, : 4 * FRAMES : 4].T
    else:
        audio = windows(features, times, info.audio)
    side = info.reference_size
    references = rng.uniform(-1, 1, (REFERENCES, 3, side, side)).astype(np.float32)
    shapes = rng.uniform(0.4, 0.7, (REFERENCES, 40, 2))
    openings = np.linspace(0.0, 0.1, REFERENCES)
    lips = ReferenceLips(openings, shapes, NeutralMouth.of(openings, shapes))
    return faces, audio, references, lips


def draw(method: Method, faces: Array, audio: Array, state: Any, batch: int) -> dict[str, Array]:
    """Render in batches; every field of arrays that is there, whole."""
    parts = [
        method.render(faces[i : i + batch], audio[i : i + batch], state)
        for i in range(0, len(faces), batch)
    ]
    assert len({part.redrawn for part in parts}) == 1
    names = [n for n, value in vars(parts[0]).items() if isinstance(value, np.ndarray)]
    return {n: np.concatenate([getattr(p, n) for p in parts]) for n in names}


def test_help_names_every_method() -> None:
    help_ = info_of(next(f for f in fields(DubOptions) if f.name == "method")).help
    assert f"Method of lip-sync: {', '.join(METHODS)}." in help_


@pytest.mark.parametrize("name", [name for name, entry in METHODS.items() if entry.weightless])
def test_weights_for_a_method_that_takes_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(LipwrightError, match=f"'{name}' takes no weights; leave out --weights"):
        load_method(name, weights=tmp_path / "any.safetensors")


def test_every_registered_method_has_a_checkpoint_here() -> None:
    assert {name for name, _ in CHECKPOINTS.values()} == set(METHODS), (
        "add what writes a tiny checkpoint to CHECKPOINTS in tests/contracts/tiny_methods.py"
    )


def test_info_describes_it(load: Loader, variant: str) -> None:
    info = load().info
    assert info.name == CHECKPOINTS[variant][0]
    assert info.model_id
    assert info.backend
    assert 16 <= info.size <= info.reference_size <= 1024
    assert 1 <= info.audio.steps <= 1000
    with pytest.raises(AttributeError):
        info.size = 1  # type: ignore[misc]


def test_what_has_a_space_of_motions_predicts_them_from_speech(load: Loader) -> None:
    method = load()
    features = method.speech_features(np.zeros(8000, np.float32))
    if method.motions is not None:
        assert method.info.whole_speech
        assert len(features) == method.motions.dim


def test_what_is_heard_at_a_time_is_what_a_frame_is_drawn_from(load: Loader) -> None:
    method = load()
    wave = np.random.default_rng(4).normal(0, 0.1, 16_000).astype(np.float32)
    features = method.speech_features(wave)
    sound = heard(method, wave, [Fraction(2, 25), Fraction(1, 2), Fraction(9)])
    if method.info.whole_speech:
        assert np.array_equal(sound, features[:, [8, 50, 100]].T)
    else:
        times = [Fraction(2, 25), Fraction(1, 2), Fraction(9)]
        assert np.array_equal(sound, windows(features, times, method.info.audio))


def test_shapes_and_ranges(load: Loader) -> None:
    method = load()
    faces, audio, references, lips = inputs(method)
    for known in (lips, None):
        made = method.render(faces, audio, method.start(references, known))
        assert made.faces.shape == faces.shape
        for pictures in (made.faces, made.baseline, made.restored):
            if pictures is not None:
                assert pictures.dtype == np.float32
                assert np.isfinite(pictures).all()
                assert np.abs(pictures).max() <= 1.0 + 1e-4
        if made.restored is not None:
            assert made.restored.shape[-1] % method.size == 0
        if made.weights is not None:
            assert made.weights.shape == (FRAMES, REFERENCES)
            assert made.weights.sum(1) == pytest.approx(1.0, abs=2e-2)
        for points in (made.lips, made.step):
            assert points is None or points.shape == (FRAMES, 40, 2)


def test_speech_that_goes_on_has_the_form_of_the_whole_recording(
    load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = load()
    faces, audio, references, _ = inputs(method)
    stream = method.speech_stream()
    assert 0 <= stream.look_ahead <= 16_000
    wave = np.random.default_rng(3).normal(0, 0.1, 16_000).astype(np.float32)
    stream.feed(wave[: stream.look_ahead])
    assert stream.ready(Fraction(0))
    stream.feed(wave[stream.look_ahead :])
    heard = stream.audio(Fraction(1, 5))
    assert heard.shape == audio[0].shape
    assert heard.dtype == np.float32
    monkeypatch.setattr(method, "batch", 1)  # it is shared with other tests
    made = method.render(faces[:1], heard[None], method.start(references))
    assert np.isfinite(made.faces).all()


def test_one_frame_per_call_draws_the_same_up_to_rounding(
    load: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = load()
    faces, audio, references, lips = inputs(method)
    whole = draw(method, faces, audio, method.start(references, lips), FRAMES)
    monkeypatch.setattr(method, "batch", 1, raising=False)
    alone = draw(method, faces, audio, method.start(references, lips), 1)
    assert whole.keys() == alone.keys()
    for name, values in whole.items():
        assert np.abs(alone[name] - values).max() <= 0.05, name


def test_one_reference_is_enough(load: Loader) -> None:
    method = load()
    faces, audio, references, _ = inputs(method)
    made = method.render(faces[:1], audio[:1], method.start(references[:1]))
    assert np.isfinite(made.faces).all()


@pytest.mark.parametrize("batch", [1, 4])
def test_the_result_does_not_depend_on_the_batch(load: Loader, batch: int) -> None:
    method = load()
    faces, audio, references, lips = inputs(method)
    whole = draw(method, faces, audio, method.start(references, lips), FRAMES)
    parts = draw(method, faces, audio, method.start(references, lips), batch)
    assert whole.keys() == parts.keys()
    for name, values in whole.items():
        assert np.allclose(parts[name], values, atol=1e-5), name


def test_two_loads_draw_the_same(load: Loader) -> None:
    made = []
    fresh = load(fresh=True)
    for method in (load(), fresh):
        faces, audio, references, lips = inputs(method)
        made.append(draw(method, faces, audio, method.start(references, lips), FRAMES))
    fresh.close()
    fresh.close()
    for name, values in made[0].items():
        assert np.array_equal(made[1][name], values), name


def test_inputs_stay_as_they_are(load: Loader) -> None:
    method = load()
    faces, audio, references, lips = inputs(method)
    before = [x.copy() for x in (faces, audio, references)]
    method.render(faces, audio, method.start(references, lips))
    for now, then in zip((faces, audio, references), before, strict=True):
        assert np.array_equal(now, then)


def test_speech_moves_the_mouth(load: Loader, variant: str) -> None:
    if variant == "copy":
        pytest.skip("changes nothing")
    method = load("torch")  # in bfloat16 random networks hardly let anything through
    faces, audio, references, lips = inputs(method)
    a = method.render(faces, audio, method.start(references, lips))
    # Another spectrum, or softer speech: some methods know nothing but the level.
    others = [-3.0 * audio, audio - 3.0]
    made = [method.render(faces, other, method.start(references, lips)).faces for other in others]
    assert any(not np.array_equal(a.faces, other) for other in made)


def test_the_lower_half_of_the_source_does_not_leak(load: Loader, variant: str) -> None:
    """Shown in the middle of the mouth; round it, some methods show the frame itself."""
    if METHODS[CHECKPOINTS[variant][0]].sees_mouth:
        pytest.skip("draws on the source frame itself")
    method = load()
    if "fixed" in method.info.reference_choices:  # with 'same' the frame itself is the reference
        method = method.with_reference("fixed")
    faces, audio, references, lips = inputs(method)
    other = faces.copy()
    other[:, :, method.size // 2 :] = 0.3
    rows = slice(round(0.66 * method.size), round(0.76 * method.size))
    columns = slice(round(0.45 * method.size), round(0.55 * method.size))
    made = [method.render(x, audio, method.start(references, lips)).faces for x in (faces, other)]
    drawn, differently = (faces[..., rows, columns] for faces in made)
    if not np.allclose(drawn, differently, atol=1e-5):
        pytest.fail(
            "the drawn mouth changes with the mouth of the source frame; hide it from the method, "
            "or, if it is meant to draw on the source frame, say sees_mouth=True in METHODS"
        )


# Damaged files ------------------------------------------------------------------------------


def parts_of(path: Path) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Header of the container, header of the checkpoint, and the tensors' bytes."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    outer = json.loads(data[8 : 8 + length])
    return outer, json.loads(outer["__metadata__"]["lipwright"]), data[8 + length :]


def with_header(path: Path, header: Any, out: Path) -> Path:
    outer, _, tensors = parts_of(path)
    outer["__metadata__"]["lipwright"] = json.dumps(header)
    text = json.dumps(outer).encode()
    out.write_bytes(struct.pack("<Q", len(text)) + text + tensors)
    return out


def checkpoint_of(written: Callable[[str], Path | None], variant: str) -> Path:
    path = written(variant)
    if path is None:
        pytest.skip("needs no checkpoint")
    return path


def refused(path: Path) -> None:
    with pytest.raises(LipwrightError) as caught:
        load_method(path, "cpu")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_cut_files_are_one_sentence(
    written: Callable[[str], Path | None], variant: str, tmp_path: Path
) -> None:
    data = checkpoint_of(written, variant).read_bytes()
    for length in (0, 7, 100, len(data) // 2, len(data) - 1):
        cut = tmp_path / f"{length}.safetensors"
        cut.write_bytes(data[:length])
        refused(cut)


ABSURD: list[Any] = [None, [], "text", -1, 10**12, {"a": 1}, float("nan"), [10**9] * 5]


def test_absurd_values_of_every_key_are_one_sentence(
    written: Callable[[str], Path | None], variant: str, tmp_path: Path
) -> None:
    path = checkpoint_of(written, variant)
    _, header, _ = parts_of(path)
    optional = {"licence", "training", "parents", "format", "articulation", "finer", "graphs"}
    for key in sorted(set(header) - optional):
        without = {k: v for k, v in header.items() if k != key}
        refused(with_header(path, without, tmp_path / "x.safetensors"))
        for value in ABSURD:
            refused(with_header(path, {**header, key: value}, tmp_path / "x.safetensors"))
    for key in sorted(optional & set(header) - {"licence", "training"}):
        for value in ("text", -1, 10**12, [10**9] * 5):
            refused(with_header(path, {**header, key: value}, tmp_path / "x.safetensors"))


def test_absurd_arguments_of_networks_are_harmless_or_one_sentence(
    written: Callable[[str], Path | None], variant: str, tmp_path: Path
) -> None:
    path = checkpoint_of(written, variant)
    _, header, _ = parts_of(path)
    for network, arguments in header["networks"].items():
        for name in arguments:
            for value in (65_000, [10**12] * 5, {"deep": []}):
                changed = {**arguments, name: value}
                networks = {**header["networks"], network: changed}
                target = tmp_path / "x.safetensors"
                # Some arguments are harmless at any size (a scale); nothing else may happen.
                with contextlib.suppress(LipwrightError):
                    load_method(with_header(path, {**header, "networks": networks}, target), "cpu")


def test_an_endless_container_header_is_refused_unread(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.safetensors"
    bomb.write_bytes(struct.pack("<Q", 1 << 40) + b"{" * 1000)
    refused(bomb)
