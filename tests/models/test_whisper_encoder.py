"""The lower layers of Whisper's encoder: shapes, windows, and its published weights."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.errors import LipwrightError
from lipwright.media import whisper_mel
from lipwright.models import whisper_encoder
from lipwright.models.published.ctranslate2_weights import read_variables
from lipwright.models.published.whisper import read_whisper
from lipwright.models.whisper_encoder import WhisperEncoder, positions
from lipwright.recording_windows import MARGIN, WINDOW
from lipwright.weights.fetch import check


def written(variables: dict[str, np.ndarray]) -> bytes:
    """A CTranslate2 file, as its converter writes it."""
    types = {"float32": 0, "int8": 1, "float16": 4}

    def name(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    out = struct.pack("<I", 6) + name("WhisperSpec") + struct.pack("<II", 3, len(variables))
    for key, value in variables.items():
        out += name(key) + struct.pack("<B", value.ndim)
        out += struct.pack(f"<{value.ndim}I", *value.shape)
        out += struct.pack("<BI", types[value.dtype.name], value.nbytes) + value.tobytes()
    return out


def random_file(layers: int) -> dict[str, np.ndarray]:
    """Variables of an encoder of 384 channels, float16, random."""
    rng = np.random.default_rng(0)

    def some(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) / math.sqrt(shape[-1])).astype(np.float16)

    out = {
        "encoder/conv1/weight": some(384, 80, 3),
        "encoder/conv1/bias": some(384),
        "encoder/conv2/weight": some(384, 384, 3),
        "encoder/conv2/bias": some(384),
        "encoder/num_heads": np.array(6, np.int8),
        "encoder/position_encodings/encodings": positions(20, 384).numpy().astype(np.float16),
        "decoder/unused": some(3),
    }
    for i in range(layers):
        at = f"encoder/layer_{i}"
        for norm in ("self_attention", "ffn"):
            out[f"{at}/{norm}/layer_norm/gamma"] = some(384) + np.float16(1)
            out[f"{at}/{norm}/layer_norm/beta"] = some(384)
        shapes = {
            "self_attention/linear_0": (1152, 384),
            "self_attention/linear_1": (384, 384),
            "ffn/linear_0": (1536, 384),
            "ffn/linear_1": (384, 1536),
        }
        for part, shape in shapes.items():
            out[f"{at}/{part}/weight"] = some(*shape)
            out[f"{at}/{part}/bias"] = some(shape[0])
    return out


def reference(variables: dict[str, np.ndarray], log_power: Tensor) -> Tensor:
    """The published encoder written with torch's own attention, (T, 384)."""
    v = {k: torch.from_numpy(a.astype(np.float32)) for k, a in variables.items()}
    x = (torch.maximum(log_power, log_power.max() - 8.0) + 4.0) / 4.0
    x = F.gelu(F.conv1d(x[None], v["encoder/conv1/weight"], v["encoder/conv1/bias"], padding=1))
    w = v["encoder/conv2/weight"]
    x = F.gelu(F.conv1d(x, w, v["encoder/conv2/bias"], stride=2, padding=1)).transpose(1, 2)
    x = x + positions(x.shape[1], 384)
    for i in (0, 1):
        at = f"encoder/layer_{i}"
        norm = [v[f"{at}/self_attention/layer_norm/{k}"] for k in ("gamma", "beta")]
        attention = nn.MultiheadAttention(384, 6, batch_first=True)
        with torch.no_grad():
            attention.in_proj_weight.copy_(v[f"{at}/self_attention/linear_0/weight"])
            attention.in_proj_bias.copy_(v[f"{at}/self_attention/linear_0/bias"])
            attention.out_proj.weight.copy_(v[f"{at}/self_attention/linear_1/weight"])
            attention.out_proj.bias.copy_(v[f"{at}/self_attention/linear_1/bias"])
        h = F.layer_norm(x, (384,), *norm)
        x = x + attention(h, h, h)[0]
        norm = [v[f"{at}/ffn/layer_norm/{k}"] for k in ("gamma", "beta")]
        h = F.layer_norm(x, (384,), *norm)
        h = F.gelu(F.linear(h, v[f"{at}/ffn/linear_0/weight"], v[f"{at}/ffn/linear_0/bias"]))
        x = x + F.linear(h, v[f"{at}/ffn/linear_1/weight"], v[f"{at}/ffn/linear_1/bias"])
    return x[0]


def test_constants_are_those_of_media() -> None:
    """Networks depend on nothing in the package, so the numbers are written down twice."""
    assert whisper_encoder.LOG_SILENCE == whisper_mel.LOG_SILENCE
    assert whisper_encoder.BANDS == whisper_mel.N_MELS


def test_two_layers_of_tiny_have_this_many_parameters() -> None:
    assert sum(p.numel() for p in WhisperEncoder().parameters()) == 4_084_224


def test_published_weights_are_read_into_the_same_function(tmp_path: Path) -> None:
    variables = random_file(3)
    path = tmp_path / "model.bin"
    path.write_bytes(written(variables))
    network = WhisperEncoder().eval()
    network.load_state_dict(read_whisper(path))
    log_power = torch.rand(80, 31) * 12 - 10
    with torch.no_grad():
        found = network(log_power[None])[0].T
        assert found.shape == (16, 384)
        assert torch.allclose(found, reference(variables, log_power), atol=1e-4)


def test_a_whole_recording_in_windows_at_fixed_places() -> None:
    torch.manual_seed(0)
    network = WhisperEncoder(16, 2, 1).eval()
    step = WINDOW - 2 * MARGIN
    log_power = torch.rand(80, step + 301) * 6 - 6
    with torch.no_grad():
        whole = network.recording(log_power)
        assert whole.shape == (16, (step + 302) // 2)
        first = network(log_power[None, :, : step + MARGIN])[0]
        assert torch.equal(whole[:, : step // 2], first[:, : step // 2])
        second = network(log_power[None, :, step - MARGIN :])[0]
        assert torch.equal(whole[:, step // 2 :], second[:, MARGIN // 2 :])
        short = network.recording(log_power[:, :101])
        assert torch.equal(short, network(log_power[None, :, :101])[0])
        changed = log_power.clone()
        changed[:, step + MARGIN :] = 0.0  # behind what the first window sees
        assert torch.equal(network.recording(changed)[:, : step // 2], whole[:, : step // 2])


def test_level_and_a_floor_below_the_range_change_little_or_nothing() -> None:
    torch.manual_seed(0)
    network = WhisperEncoder(16, 2, 1).eval()
    log_power = torch.rand(1, 80, 40) * 4 - 2
    log_power[:, :, 20:] = -9.5
    deeper = log_power.clone()
    deeper[:, :, 20:] = whisper_encoder.LOG_SILENCE
    with torch.no_grad():
        assert torch.equal(network(log_power), network(deeper))
        silence = network(torch.full((1, 80, 40), whisper_encoder.LOG_SILENCE))
    assert bool(silence.isfinite().all())


def test_what_is_not_the_published_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    with pytest.raises(LipwrightError, match="there is no file"):
        read_whisper(path)
    good = written(random_file(2))
    for content, reason in (
        (b"no network", "binary version"),
        (good[: len(good) // 2], "cut off"),
        (written(random_file(1)), "there is no encoder/layer_1"),
    ):
        path.write_bytes(content)
        with pytest.raises(LipwrightError, match=reason):
            read_whisper(path)


def test_variables_whose_size_does_not_fit_are_refused() -> None:
    content = bytearray(written({"a": np.zeros(3, np.float32)}))
    content[-17 + 0] = 4  # float16 in the place of float32: twelve bytes are too many
    with pytest.raises(ValueError, match="does not fit"):
        read_variables(bytes(content))


def test_the_published_file_itself() -> None:
    path = next(s.path for s in check() if s.entry.name == "whisper-tiny-en")
    if path is None:
        pytest.skip("the encoder is not here; 'lipwright weights fetch' gets it")
    network = WhisperEncoder().eval()
    network.load_state_dict(read_whisper(path))
    time = torch.arange(16_000) / 16_000
    wave = 0.2 * torch.sin(2 * math.pi * 200 * time) * torch.sin(2 * math.pi * 3 * time)
    with torch.no_grad():
        found = network.recording(torch.from_numpy(whisper_mel.whisper_log_power(wave)))
    assert found.shape == (384, 51)
    assert 0.3 < float(found.std()) < 3.0
