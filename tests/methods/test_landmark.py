"""The landmark method: batches, state, what moves and what stays, damaged checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lipwright.errors import LipwrightError
from lipwright.faces.points68 import opening_68
from lipwright.media.features import MfccSpec
from lipwright.media.whisper_mel import whisper_log_power
from lipwright.methods.base import NeutralMouth, ReferenceLips
from lipwright.methods.graphs import export_graphs
from lipwright.methods.landmark import (
    OF_SEVERAL,
    LandmarkMethod,
    around_mouth,
    load_landmark,
    with_dark_inside,
)
from lipwright.methods.landmark_networks import modules_of
from lipwright.methods.registry import load_method
from lipwright.models.encoder_lips import by_frame
from lipwright.models.landmark_audio import LandmarkAudio
from lipwright.models.landmark_video import LandmarkVideo
from lipwright.training.stages.landmark_space import LandmarkSpaceConfig, fit_space
from lipwright.weights.checkpoint import load_checkpoint, save_checkpoint
from tests.methods.tensors import TensorMethod
from tests.models.landmark_shapes import clips, face
from tests.models.test_landmark_networks import AUDIO, VIDEO

# Random networks with batch normalisation hardly let their input through.
VIDEO = {**VIDEO, "norm_kind": "group"}
SIZE = VIDEO["size"]


def save(path: Path, features: str = "mel", colour: str = "drawn", **over: Any) -> Path:
    """A joined checkpoint of random networks."""
    torch.manual_seed(0)
    shape = {**VIDEO, "colour": colour}
    audio = {"components": 6, "features": features, **AUDIO}
    window = {"steps": 28, "before": 12}
    if features == "whisper":
        audio["encoder"] = {
            **{"width": 8, "layers": 2},
            **{"encoder_width": 16, "encoder_heads": 2, "encoder_layers": 1},
        }
        window = {"steps": 1, "before": 0}
    space = fit_space(clips(), LandmarkSpaceConfig())[0].float()
    header = {
        "method": "landmark",
        "size": SIZE,
        "networks": {"space": {"components": 6, "scale": 5.0}, "audio": audio, "video": shape},
        "audio": {**window, "features": features},
        "gain": [1.0] * 6,
        "spoken": [True] * 6,
        "project": True,
        "training": {},
        "licence": "none",
        **over,
    }
    video = LandmarkVideo(**shape)
    torch.nn.init.constant_(video.landmark[0].bias, 4.0)  # so small a map could be all zeros
    if colour == "moved":
        for head in (video.head_flow, video.head_colour):
            torch.nn.init.normal_(head[0].weight, std=0.05)
    networks = {"space": space, "audio": LandmarkAudio(**audio), "video": video}
    save_checkpoint(path, header, networks)
    return path


def read_points(crop: np.ndarray) -> np.ndarray:
    """Points whose mouth is as open as the crop is bright."""
    return (face(0.1 * float(crop.mean()) / 255.0) * 0.6 + 0.4).numpy()


def load(path: Path, backend: str = "torch") -> Any:
    method = TensorMethod(load_landmark(path, "cpu", backend))
    method._read_points = read_points
    return method


@pytest.fixture
def method(tmp_path: Path) -> LandmarkMethod:
    return load(save(tmp_path / "m.safetensors"))


def frames(n: int, seed: int = 0, bands: int = 80) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.rand(n, 3, SIZE, SIZE, generator=g) * 2 - 1, torch.randn(n, bands, 28, generator=g)


def render(method: Any, faces: Tensor, audio: Tensor, batch: int) -> Tensor:
    state = method.start(faces[:2])
    made = [
        method.render(f, a, state).faces
        for f, a in zip(faces.split(batch), audio.split(batch), strict=True)
    ]
    return torch.cat(made)


def test_keeps_the_contract(method: Any) -> None:
    assert (method.name, method.size, method.info.stateless) == ("landmark", SIZE, False)
    faces, audio = frames(3)
    made = method.render(faces, audio, method.start(faces[:1]))
    assert made.faces.shape == faces.shape
    assert made.baseline is not None
    assert torch.equal(made.baseline, faces)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_any_batch_size_gives_the_same_frames(method: Any, batch: int) -> None:
    faces, audio = frames(7)
    assert torch.equal(render(method, faces, audio, batch), render(method, faces, audio, 3))


def test_speech_and_memory_reach_the_picture(method: Any) -> None:
    faces, audio = frames(1)
    faces, audio = faces.expand(4, -1, -1, -1).contiguous(), audio.expand(4, -1, -1).contiguous()
    made = render(method, faces, audio, 4)
    assert not torch.equal(made[0], made[1])  # same picture, same sound, another state
    other = audio.clone()
    other[2:] *= -1.0
    changed = render(method, faces, other, 4)
    assert torch.equal(changed[:2], made[:2])
    assert not torch.equal(changed[2], made[2])


def test_a_still_picture_is_looked_at_once(method: Any) -> None:
    seen: list[int] = []

    def counting(crop: np.ndarray) -> np.ndarray:
        seen.append(1)
        return read_points(crop)

    method._read_points = counting
    faces, audio = frames(1)
    state = method.start(faces)
    method.render(faces.expand(5, -1, -1, -1), audio.expand(5, -1, -1), state)
    assert len(seen) == 2  # once for its shape at rest, once as a frame


def test_what_speech_does_not_tell_stays_as_it_is(tmp_path: Path) -> None:
    method = load(save(tmp_path / "m.safetensors", spoken=[False] * 6))
    faces, audio = frames(3)
    assert torch.equal(render(method, faces, audio, 3), render(method, faces, audio + 1, 3))


def test_gain_articulates(tmp_path: Path) -> None:
    plain, strong = (
        save(tmp_path / "a.safetensors"),
        save(tmp_path / "b.safetensors", gain=[3.0] * 6),
    )
    faces, audio = frames(2)
    assert not torch.equal(
        render(load(plain), faces, audio, 2), render(load(strong), faces, audio, 2)
    )


def test_mfcc_come_in_shifted(tmp_path: Path) -> None:
    method = load(save(tmp_path / "m.safetensors", "mfcc"))
    assert isinstance(method.audio, MfccSpec)
    heard: list[np.ndarray] = []
    listen = method.listen

    def listening(sound: np.ndarray, *state: np.ndarray) -> Any:
        heard.append(sound)
        return listen(sound, *state)

    method.listen = listening
    faces, audio = frames(1, bands=12)
    method.render(faces, audio, method.start(faces))
    assert np.allclose(heard[0][0], audio[0].numpy() + 4.0)


def test_one_step_of_speech_is_the_whole_sequence_frame_by_frame(tmp_path: Path) -> None:
    path = save(tmp_path / "m.safetensors")
    module: Any = modules_of(path)["listen"]
    _, audio = frames(3)
    state = (torch.zeros(2, 1, 16), torch.zeros(2, 1, 16))
    steps = []
    with torch.inference_mode():
        for sound in audio:
            found, *state = module(sound[None], *state)
            steps.append(found[0])
        whole, (hidden, cell) = module.network(torch.zeros(1, 6), audio[None])
    assert torch.allclose(torch.stack(steps), whole[0], atol=1e-5)
    assert torch.allclose(state[0], hidden, atol=1e-5)
    assert torch.allclose(state[1], cell, atol=1e-5)


@pytest.mark.parametrize("colour", ["drawn", "moved"])
def test_its_graphs_draw_what_pytorch_draws(tmp_path: Path, colour: str) -> None:
    path = save(tmp_path / "m.safetensors", colour=colour)
    faces, audio = frames(3)
    plain = render(load(path), faces, audio, 3)
    assert export_graphs(path)
    exported = load(path, "auto")
    assert exported.info.backend.startswith("openvino")
    drawn = render(exported, faces, audio, 3)
    assert float((drawn - plain).abs().mean()) < 0.02
    assert torch.equal(drawn, render(exported, faces, audio, 1))
    assert float((plain - faces).abs().mean()) > 0.04


@pytest.mark.parametrize("colour", ["drawn", "moved"])
def test_openvino_draws_the_same(tmp_path: Path, colour: str) -> None:
    pytest.importorskip("openvino")
    path = save(tmp_path / "m.safetensors", colour=colour)
    faces, audio = frames(3)
    fast = load(path, "openvino")
    assert fast.info.backend.startswith("openvino")
    a, b = render(load(path), faces, audio, 3), render(fast, faces, audio, 3)
    assert float((a - b).abs().mean()) < 0.02


def test_load_by_name_and_by_path(tmp_path: Path) -> None:
    path = save(tmp_path / "m.safetensors")
    for given in (
        TensorMethod(load_method(path, "cpu", "torch")),
        TensorMethod(load_method("landmark", "cpu", "torch", path)),
    ):
        assert given.model_id.startswith(f"landmark-{SIZE}-")


@pytest.mark.parametrize("key", ["networks", "gain", "spoken", "project", "audio"])
def test_a_damaged_header_is_one_sentence(tmp_path: Path, key: str) -> None:
    path = save(tmp_path / "m.safetensors", **{key: {}} if key == "networks" else {})
    if key != "networks":
        import json

        from safetensors import safe_open
        from safetensors.torch import save_file

        with safe_open(str(path), "pt") as file:
            header = json.loads(file.metadata()["lipwright"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header.pop(key)
        save_file(tensors, str(path), {"lipwright": json.dumps(header)})
    with pytest.raises(LipwrightError, match="incomplete or wrong"):
        load_landmark(path, "cpu", "torch")


@pytest.mark.parametrize("references", [1, 3])
def test_in_a_video_nothing_is_drawn_from_the_frame(tmp_path: Path, references: int) -> None:
    """With alpha 1 and points that stay, another face in the frame changes a still picture only."""
    method = load(save(tmp_path / "m.safetensors", colour="moved"))
    method._read_points = lambda crop: (face(0.05) * 0.6 + 0.4).numpy()
    method.step.engine.module.network.head_alpha[0].bias.data.fill_(50.0)
    faces, audio = frames(4)
    reference = frames(references)[0]
    a = method.render(faces, audio, method.start(reference)).faces
    b = method.render(-faces, audio, method.start(reference)).faces
    assert torch.allclose(a, b, atol=1e-4) == (references > 1)


def test_a_mouth_at_rest_a_middling_and_an_open_one_are_the_examples(tmp_path: Path) -> None:
    method = load(save(tmp_path / "m.safetensors"))
    reference = torch.linspace(-0.9, 0.9, 5)[:, None, None, None].expand(5, 3, SIZE, SIZE)
    shapes = np.zeros((5, 40, 2))
    openings = np.array([0.0, 0.05, 0.1, 0.2, 0.3])
    lips = ReferenceLips(openings, shapes, NeutralMouth(0.04, shapes[0]))
    state = method.start(reference.contiguous(), lips)
    shown = [float(example.picture.mean()) for example in state.examples]
    assert shown == pytest.approx([-0.45, 0.0, 0.9])
    gaps = [example.opening for example in state.examples]
    assert gaps == sorted(gaps)
    assert gaps[0] < gaps[-1]
    assert not method.start(reference[:1].contiguous()).examples  # a still picture is its own


def test_a_frame_is_mixed_from_the_examples_about_what_speech_asks_for(tmp_path: Path) -> None:
    method = load(save(tmp_path / "m.safetensors", colour="moved"))
    reference = torch.linspace(-0.9, 0.9, 3)[:, None, None, None].expand(3, 3, SIZE, SIZE)
    shapes = np.zeros((3, 40, 2))
    lips = ReferenceLips(np.array([0.0, 0.1, 0.2]), shapes, NeutralMouth(0.0, shapes[0]))
    faces, audio = frames(1)
    given = faces[0].numpy(), audio[0].numpy()
    told = method._predict(given[1], method.start(reference.contiguous(), lips))
    still = method.space.decode(np.zeros(6))
    opens = np.array([opening_68(method.space.decode(unit) - still) for unit in np.eye(6)])
    opens /= opens @ opens
    method.quiet = told - 0.1 * opens  # so the mouth is so much wider than in silence:
    wider = 0.1 * OF_SEVERAL

    def drawn(*gaps: float) -> np.ndarray:
        """With examples whose lips are so much further apart than those of the first."""
        state = method.start(reference.contiguous(), lips)
        for example, gap in zip(state.examples, (0.0, *gaps), strict=True):
            example.opening = gap
        return np.asarray(method._frame(*given, state))

    low = drawn(1e6 * wider, 2e6 * wider)
    middle = drawn(wider, 2 * wider)
    high = drawn(wider / 2, wider)
    assert np.abs(low - middle).mean() > 0.05
    assert np.abs(middle - high).mean() > 0.05
    mixed = drawn(0.75 * wider, 1.75 * wider)
    assert np.allclose(mixed, 0.75 * middle + 0.25 * high, atol=1e-4)
    assert np.array_equal(drawn(wider / 4, wider / 2), drawn(wider / 8, wider / 3))  # the widest


def test_on_the_mouth_the_moved_picture_is_shown_in_full(tmp_path: Path) -> None:
    points = (face(0.1) * 0.6 + 0.4).numpy()
    mask = around_mouth(points, 64)[0, 0]
    middle = (points[48:60].mean(0) * 64).astype(int)
    assert float(mask[middle[1], middle[0]]) == 1.0
    for x, y in (points[48:60] * 64 - 0.5).round().astype(int).tolist():
        assert float(mask[y, x]) > 0.5  # all of the lips
    assert float(mask[0].max()) == float(mask[:, 0].max()) == 0.0
    wider = points.copy()
    wider[48:68, 1] += 0.05 * (points[48:68, 1] > points[48:68, 1].mean())
    assert float(around_mouth(wider, 64).sum()) > float(mask.sum())
    faces, audio = frames(1)
    for colour, least in (("moved", 1.0), ("drawn", 0.0)):
        method = load(save(tmp_path / f"{colour}.safetensors", colour=colour))
        state = method.start(faces)
        method.render(faces, audio, state)
        assert state.alpha is not None
        inside = state.alpha[0, 0][around_mouth(state.driven, SIZE)[0, 0] == 1.0]
        assert inside.size > 0
        assert (float(inside.min()) == 1.0) == bool(least)


@pytest.mark.parametrize("graphs", [False, True])
def test_on_top_of_a_speech_encoder_it_hears_whole_recordings(tmp_path: Path, graphs: bool) -> None:
    path = save(tmp_path / "encoded.safetensors", "whisper")
    if graphs:
        assert export_graphs(path)
    made = load_landmark(path, "cpu", "openvino" if graphs else "torch")
    assert made.info.whole_speech
    wave = np.random.default_rng(0).normal(0.0, 0.1, 16000).astype(np.float32)
    heard = made.speech_features(wave)
    network = load_checkpoint(path).build("audio", LandmarkAudio).eval()
    assert network.encoded is not None
    with torch.no_grad():
        log_power = torch.from_numpy(whisper_log_power(wave))
        rows = network.encoded.dense(log_power).T - network.encoded.silence()
        coded = by_frame(network.encoded.encoder.recording(log_power)[None])
        padded = torch.nn.functional.pad(coded, (2, 2), mode="replicate")
        whole, _ = network(torch.zeros(1, 6), padded)
    assert np.abs(heard - rows.T.numpy()).max() < 0.02 * float(rows.abs().max())
    # Frame by frame it is the sequence that training heard.
    state = made.start(np.zeros((1, 3, SIZE, SIZE), np.float32))
    told = [made._predict(np.ascontiguousarray(heard[:, 4 * n]), state) for n in range(20)]
    assert np.abs(np.stack(told) - whole[0, :20].numpy()).max() < 0.02 * float(whole.abs().max())


def test_lips_moved_apart_show_a_dark_mouth_and_nothing_else_changes() -> None:
    skin = np.full((1, 3, 64, 64), 0.4, np.float32)
    shut, wide = (face(o).numpy() * 0.6 + [0.5, 0.35] for o in (-0.02, 0.16))
    made = with_dark_inside(skin, shut, wide)
    middle = (wide[62] + wide[66]) / 2 * 64
    assert made[0, :, int(middle[1]), 32].max() < -0.6
    assert np.array_equal(made[..., :20, :], skin[..., :20, :])
    assert with_dark_inside(skin, wide, shut) is skin
