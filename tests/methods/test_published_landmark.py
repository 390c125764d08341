"""ATVGnet's published files from a folder: what their demo computes, and what users are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lipwright.errors import LipwrightError
from lipwright.methods.published_landmark import (
    COMPONENTS,
    GAIN,
    OUR_SIZE,
    SCALE,
    PublishedLandmarkMethod,
    example_landmarks,
)
from lipwright.methods.registry import load_method
from tests.models.landmark_shapes import face
from tests.models.test_published_atvgnet import Layout, audio_layout, video_layout

PREFIX = "module."


def random_state(layout: Layout) -> dict[str, torch.Tensor]:
    """Small random weights; variances of batch normalisation are 1."""
    generator = torch.Generator().manual_seed(0)
    out = {}
    for name, shape in layout.items():
        out[name] = torch.randn(shape, generator=generator) * 0.05
        if name.endswith("running_var"):
            out[name] = torch.ones(shape)
        elif name.endswith("num_batches_tracked"):
            out[name] = torch.tensor(0)
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random numbers under the published names, in the published shapes."""
    out = tmp_path_factory.mktemp("atvgnet")
    for name, layout in (("atnet_lstm_18", audio_layout()), ("generator_23", video_layout())):
        state = {PREFIX + k: v for k, v in random_state(layout).items()}
        torch.save(state, out / f"{name}.pth")
    rng = np.random.default_rng(0)
    square, _ = np.linalg.qr(rng.normal(size=(136, 136)))
    np.save(out / "U_lrw1.npy", square)
    np.save(out / "S.npy", square[:, 30:].T[:100])
    np.save(out / "mean_lrw1.npy", rng.normal(0, 0.3, 136))
    np.save(out / "mean_shape_norm.npy", rng.normal(0, 0.1, (68, 2)))
    np.save(out / "base_68_close.npy", face(0.02).numpy() * 80 + 64)
    return out


def read_points(crop: np.ndarray) -> np.ndarray:
    return np.asarray(face(0.02).numpy() * 0.5 + 0.45)


def load(folder: Path) -> PublishedLandmarkMethod:
    method = load_method("landmark", "cpu", weights=folder)
    assert isinstance(method, PublishedLandmarkMethod)
    method._read = read_points
    return method


def test_it_draws_inside_its_square_whatever_the_batch(folder: Path) -> None:
    rng = np.random.default_rng(1)
    faces = rng.uniform(-1, 1, (3, 3, OUR_SIZE, OUR_SIZE)).astype(np.float32)
    sound = rng.normal(size=(3, 12, 28)).astype(np.float32)
    method = load(folder)
    assert method.info.name == "landmark"
    assert (method.audio.steps, method.audio.before) == (28, 12)
    whole = method.render(faces, sound, method.start(faces)).faces
    state = method.start(faces)
    parts = [method.render(faces[i : i + 1], sound[i : i + 1], state).faces for i in range(3)]
    assert np.allclose(np.concatenate(parts), whole, atol=1e-5)
    assert np.abs(whole - faces).max() > 0.1
    assert np.array_equal(whole[:, :, :8, :8], faces[:, :, :8, :8])  # outside of the square
    assert np.abs(whole).max() <= 1.0 + 1e-5


def test_networks_are_fed_as_by_the_published_demo(folder: Path) -> None:
    method = load(folder)
    basis, centre = np.load(folder / "U_lrw1.npy")[:, :6], np.load(folder / "mean_lrw1.npy")
    mean, shapes = np.load(folder / "mean_shape_norm.npy").reshape(-1), np.load(folder / "S.npy")
    # The demo: the mouth of the mean shape is opened by the second component; its parameters come
    # off, and so do the face's own, of which nothing is left of a single picture.
    opened = mean.copy()
    opened[96:] += (np.eye(100)[1] * -0.06 @ shapes)[96:]
    expected = mean - (shapes @ (opened - mean)) @ shapes
    assert np.allclose(example_landmarks(mean, shapes), expected)
    coefficients = (SCALE * expected - centre) @ basis
    assert np.allclose(method.coefficients.numpy()[0], coefficients, atol=1e-4)
    assert np.allclose(method.example_points.numpy()[0], basis @ coefficients + centre, atol=1e-4)
    assert len(GAIN) == COMPONENTS
    assert np.allclose(GAIN, [1.0, *(2 * g for g in (1.1, 1.2, 1.3, 1.4, 1.5))])


def test_the_face_lies_where_the_template_says(folder: Path) -> None:
    method = load(folder)
    picture = np.zeros((3, OUR_SIZE, OUR_SIZE), np.float32)
    place = method._place(picture)
    points = read_points(picture) * OUR_SIZE - 0.5
    there = points @ place[:, :2].T + place[:, 2]
    assert np.allclose(there[27:45], method.template[27:45] - 1.0, atol=1e-6)


@pytest.mark.parametrize("name", ["atnet_lstm_18.pth", "S.npy", "base_68_close.npy"])
def test_a_missing_file_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    for path in folder.iterdir():
        if path.name != name:
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(LipwrightError, match=f"has no {name[:5]}"):
        load_method("landmark", "cpu", weights=tmp_path)


def test_wrong_numbers_and_backends_are_refused(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "S.npy").unlink()
    np.save(tmp_path / "S.npy", np.zeros((100, 12)))
    with pytest.raises(LipwrightError, match="shape"):
        load_method("landmark", "cpu", weights=tmp_path)
    with pytest.raises(LipwrightError, match="PyTorch"):
        load_method("landmark", "cpu", "openvino", weights=folder)
