"""Pixel baselines behind the contract: trained and published checkpoints, what is seen, errors."""

from __future__ import annotations

import contextlib
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lipwright.errors import LipwrightError
from lipwright.media.mel import AudioSpec
from lipwright.media.whisper_mel import whisper_log_power
from lipwright.methods.pixel import (
    PixelDrawer,
    PixelMethod,
    PixelState,
    load_pixel,
    published_mel,
)
from lipwright.methods.registry import load_method
from lipwright.models.encoder_lips import by_frame
from lipwright.models.pixel_unet import PixelUNet, stack_input
from lipwright.models.published import wav2lip
from lipwright.weights.checkpoint import load_checkpoint, save_checkpoint
from lipwright.weights.published import find_published, load_state
from tests.methods.tensors import TensorMethod

KINDS = ("wav2lip", "lipgan", "speech2vid")


def checkpoint(folder: Path, kind: str) -> Path:
    torch.manual_seed(3)
    arguments = {"size": 48, "faces": 5 if kind == "speech2vid" else 2, "steps": 20, "width": 0.05}
    path = folder / f"{kind}.safetensors"
    header = {
        "method": kind,
        "size": 48,
        "audio": {"steps": 20, "before": 8},
        "networks": {"generator": arguments},
    }
    save_checkpoint(path, header, {"generator": PixelUNet(**arguments)})  # type: ignore[arg-type]
    return path


def encoded(folder: Path) -> Path:
    """Speech2Vid on top of a speech encoder."""
    torch.manual_seed(3)
    arguments = {
        **{"size": 48, "faces": 5, "steps": 1, "width": 0.05},
        "encoder": {
            **{"width": 8, "layers": 2},
            **{"encoder_width": 16, "encoder_heads": 2, "encoder_layers": 1},
        },
    }
    path = folder / "encoded.safetensors"
    header = {
        "method": "speech2vid",
        "size": 48,
        "audio": {"steps": 1, "before": 0, "features": "whisper"},
        "networks": {"generator": arguments},
    }
    save_checkpoint(path, header, {"generator": PixelUNet(**arguments)})  # type: ignore[arg-type]
    return path


def test_on_top_of_a_speech_encoder_it_hears_whole_recordings(tmp_path: Path) -> None:
    path = encoded(tmp_path)
    method = load_pixel("speech2vid", path, "cpu", "torch")
    assert method.info.whole_speech
    rng = np.random.default_rng(0)
    wave = rng.normal(0.0, 0.1, 16000).astype(np.float32)
    heard = method.speech_features(wave)
    network = load_checkpoint(path).build("generator", PixelUNet).eval()
    assert network.encoded is not None
    with torch.no_grad():
        log_power = torch.from_numpy(whisper_log_power(wave))
        columns = by_frame(network.encoded.encoder.recording(log_power)[None])
        stills = torch.rand(1, 15, 48, 48)
        trained = network(stills, columns[:, :, 8:13])  # frame 10 with two on either side
    state = PixelState(stills.numpy())
    made = method.render(np.zeros((1, 3, 48, 48), np.float32), heard[:, 40][None], state)
    assert np.abs(made.faces - (trained * 2 - 1).numpy()).max() < 1e-3
    louder = method.render(np.zeros((1, 3, 48, 48), np.float32), 1e4 * heard[:, 40][None], state)
    assert np.abs(louder.faces - made.faces).max() > 1e-3  # so narrow a network hears little


def published_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our generator's weights under the published names."""
    back = {
        "face_encoder": "face_encoder_blocks",
        "speech_encoder": "audio_encoder",
        "decoder": "face_decoder_blocks",
        "head": "output_block",
    }
    out = {}
    for key, value in state.items():
        head, rest = key.split(".", 1)
        rest = rest.replace("conv.", "conv_block.0.").replace("norm.", "conv_block.1.")
        out[f"module.{back[head]}.{rest}"] = value
    return out


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("pth") / "wav2lip.pth"
    state = published_names(wav2lip.published_generator().state_dict())
    content = {"state_dict": state, "optimizer": {"lr": 1e-4}, "global_step": 7}
    torch.save(content, path, _use_new_zipfile_serialization=False)  # as the old files are
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_renders_and_does_not_depend_on_the_batch(kind: str, backend: str, tmp_path: Path) -> None:
    method = TensorMethod(load_method(checkpoint(tmp_path, kind), "cpu", backend))
    assert (method.name, method.size) == (kind, 48)
    faces, mel = torch.rand(5, 3, 48, 48) * 2 - 1, torch.randn(5, 80, 20)
    state = method.start(torch.rand(3, 3, 48, 48) * 2 - 1)
    whole = method.render(faces, mel, state).faces
    assert whole.shape == faces.shape
    assert whole.abs().max() <= 1.0
    parts = [method.render(faces[i : i + 1], mel[i : i + 1], state).faces for i in range(5)]
    # A place in the batch may change the last bits of a kernel's sums.
    assert torch.allclose(whole, torch.cat(parts), atol=1e-5)


def test_the_targets_lower_half_is_never_seen() -> None:
    target, other = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    changed = target.clone()
    changed[:, :, 4:] = 0.5
    for kind in ("wav2lip", "lipgan"):
        assert torch.equal(stack_input(kind, target, other), stack_input(kind, changed, other))
    a, b = (stack_input(k, target, other) for k in ("wav2lip", "lipgan"))
    assert torch.equal(a[:, 3:], other)  # masked target first
    assert torch.equal(b[:, :3], other)  # reference first
    assert not a[:, :3, 4:].any()


def test_stills_are_spread_over_the_looks(tmp_path: Path) -> None:
    method = load_pixel("speech2vid", checkpoint(tmp_path, "speech2vid"), "cpu", "torch")
    references = torch.arange(9).float().reshape(9, 1, 1, 1).expand(9, 3, 48, 48) / 10
    stills = method.start(references).stills
    assert stills.shape == (1, 15, 48, 48)
    seen = stills[0, ::3, 0, 0] * 2 - 1
    assert torch.allclose(seen, torch.tensor([0.0, 0.2, 0.4, 0.6, 0.8]))


def test_published_wav2lip_draws_its_box_in_bgr(published: Path) -> None:
    method = TensorMethod(load_method("wav2lip", "cpu", "torch", weights=published))
    assert method.audio == AudioSpec(20, 0)
    assert method.model_id.startswith("wav2lip-published-")
    faces = torch.rand(1, 3, 128, 128) * 2 - 1
    mel = torch.randn(1, 80, 20)
    out = method.render(faces, mel, method.start(faces)).faces
    changed = (out != faces).any(1)[0]
    rows, columns = torch.where(changed)
    assert (int(columns.min()), int(columns.max())) == (15, 112)
    assert (int(rows.min()), int(rows.max())) == (0, 124)
    # The same by hand: crop, BGR, 96 px, mask, network, back.
    net = wav2lip.published_generator()
    net.load_state_dict(wav2lip.generator_state(load_state(published)))
    box = (faces * 0.5 + 0.5)[:, [2, 1, 0], 0:125, 15:113]
    small = torch.nn.functional.interpolate(box, (96, 96), mode="bilinear", antialias=True)
    masked = small.clone()
    masked[:, :, 48:] = 0
    with torch.no_grad():
        drawn = net.eval()(torch.cat([masked, small], 1), published_mel(mel))
    large = torch.nn.functional.interpolate(drawn, (125, 98), mode="bilinear")[:, [2, 1, 0]]
    assert torch.allclose(out[:, :, 0:125, 15:113], large * 2 - 1, atol=1e-4)


def test_a_published_file_is_drawn_alike_by_both_runtimes() -> None:
    """On a narrower network of the same form: compiling the whole one takes seconds."""
    torch.manual_seed(4)
    drawer = PixelDrawer(PixelUNet(96, 2, 16, 0.05), "wav2lip", published=True)
    faces, mel = torch.rand(1, 3, 128, 128) * 2 - 1, torch.randn(1, 80, 20)
    found = []
    for backend in ("torch", "openvino"):
        made = PixelMethod(drawer, 128, AudioSpec(20, 0), "narrow", "cpu", backend)
        method = TensorMethod(made)
        found.append(method.render(faces, mel, method.start(faces)).faces)
    assert (found[0] != faces).any()
    assert (found[1] - found[0]).abs().mean() < 0.02  # bfloat16 where the processor has it


def test_resampled_mel_is_close_to_the_published_front_end() -> None:
    """Speech-like sound: hop 160 interpolated against hop 200 computed."""
    from lipwright.media import mel as front

    t = np.arange(16000) / 16000
    wave = np.sin(2 * np.pi * (200 + 100 * np.sin(6 * t)) * t) * (0.2 + 0.2 * np.sin(9 * t))
    wave = torch.from_numpy(wave.astype(np.float32))
    ours = torch.from_numpy(front.mel_spectrogram(wave))
    padded = torch.from_numpy(np.pad(front._pre_emphasis(np.pad(wave.numpy(), (1, 0))), (400, 400)))
    hann = torch.hann_window(800)
    spectrum = torch.stft(padded, 800, 200, window=hann, center=False, return_complex=True)
    theirs = torch.from_numpy(front._normalise(front.mel_filters() @ spectrum.abs().numpy()))
    window = ours[:, 40:60][None]  # frame 10 begins at 0.4 s: column 32 of 80 a second
    assert (published_mel(window)[0] - theirs[:, 32:48]).abs().mean() < 0.1


def test_errors_say_what_to_do(tmp_path: Path, published: Path) -> None:
    with pytest.raises(LipwrightError, match="without weights; train it"):
        TensorMethod(load_method("lipgan", "cpu", "torch"))
    with pytest.raises(LipwrightError, match="a checkpoint of 'lipgan', not of 'wav2lip'"):
        load_pixel("wav2lip", checkpoint(tmp_path, "lipgan"))
    with pytest.raises(LipwrightError, match="there is no checkpoint"):
        load_pixel("wav2lip", tmp_path / "no.pth")
    torch.save(
        {"state_dict": {"face_encoder_blocks.0.0.conv_block.0.bias": torch.zeros(3)}},
        tmp_path / "small.pth",
    )
    with pytest.raises(LipwrightError, match=r"does not fit|lacks tensor"):
        load_pixel("wav2lip", tmp_path / "small.pth", "cpu", "torch")
    (tmp_path / "noise.pth").write_bytes(b"no weights at all")
    with pytest.raises(LipwrightError, match="cannot be read as weights") as caught:
        load_pixel("wav2lip", tmp_path / "noise.pth")
    assert "PyTorch 2" not in str(caught.value)  # its own page about its versions
    with pytest.raises(LipwrightError, match="rgb_imagenet"):
        find_published("i3d")


class Callback:
    """Stands for a class of a training framework."""


def test_classes_in_a_checkpoint_are_not_run(tmp_path: Path) -> None:
    torch.save(
        {"state_dict": {"a": torch.ones(2)}, "callbacks": {Callback: Callback()}},
        tmp_path / "lightning.ckpt",
    )
    assert load_state(tmp_path / "lightning.ckpt")["a"].tolist() == [1, 1]

    class Bomb:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "exploded",))

    (tmp_path / "bomb.pth").write_bytes(pickle.dumps({"state_dict": Bomb()}))
    torch.save({"state_dict": {"a": torch.ones(1)}, "x": Bomb()}, tmp_path / "bomb2.pth")
    for name in ("bomb.pth", "bomb2.pth"):
        with contextlib.suppress(LipwrightError):
            load_state(tmp_path / name)
        assert not (tmp_path / "exploded").exists()


def test_torchscript_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("script/constants.pkl", b"")
        archive.writestr("script/data.pkl", b"x")
    with pytest.raises(LipwrightError, match="TorchScript archive"):
        load_state(tmp_path / "script.pt")
