"""The frozen speech embedding: its bands, what it sees of the sound, and its published weights."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lipwright.errors import LipwrightError
from lipwright.media.mel import SILENCE, mel_spectrogram, mel_to_hz
from lipwright.media.mel import hz_to_mel as to_mel
from lipwright.models.landmark_audio import LandmarkAudio
from lipwright.models.published.speech_embedding import read_onnx
from lipwright.models.speech_embedding import FEATURES, FIELD, Bands, SpeechEmbedding
from lipwright.models.speech_lips import SpeechToLips
from lipwright.weights.fetch import check


def published_front_end(wave: Tensor) -> Tensor:
    """(n,) samples at 16 kHz -> (T, 32): log10 of Slaney bands of power, 16 bit scale, plus 2."""
    bins = torch.arange(257, dtype=torch.float64) * 16_000 / 512
    low, high = to_mel(60.0), to_mel(3800.0)
    edges = torch.tensor([mel_to_hz(low + (high - low) * i / 33) for i in range(34)])
    rows = []
    for a, b, c in zip(edges[:-2], edges[1:-1], edges[2:], strict=True):
        rows.append(torch.minimum((bins - a) / (b - a), (c - bins) / (c - b)).clamp(min=0))
        rows[-1] *= 2.0 / (c - a)
    hann = torch.hann_window(400, periodic=True)
    spectrum = torch.stft(
        wave * 32_767.0, 512, 160, 400, window=hann, center=True, return_complex=True
    )
    power = torch.stack(rows).float() @ spectrum.abs().square()
    return torch.log10(power.clamp_min(1e-10)).T + 2.0


def test_the_mel_that_comes_in_is_that_of_media() -> None:
    """Networks depend on nothing in the package, so the numbers are written down twice."""
    from lipwright.media import mel
    from lipwright.models import speech_embedding as ours

    assert (ours.MEL_BANDS, ours.MEL_LOW, ours.MEL_HIGH) == (mel.N_MELS, mel.F_MIN, mel.F_MAX)
    assert (ours.MEL_RATE, ours.MEL_FFT) == (mel.SAMPLE_RATE, mel.N_FFT)
    assert ours.PRE_EMPHASIS == mel.PRE_EMPHASIS
    assert (ours.MEL_LIMIT, ours.MEL_FLOOR_DB) == (mel.LIMIT, mel.FLOOR_DB)
    assert ours.MEL_REFERENCE_DB == mel.REFERENCE_DB
    assert ours.COLUMNS_PER_FRAME == mel.STEPS_PER_FRAME
    low, high = to_mel(55.0), to_mel(7600.0)
    edges = [mel_to_hz(low + (high - low) * i / 81) for i in range(82)]
    assert ours._edges(80, 55.0, 7600.0).tolist() == pytest.approx(edges, rel=1e-12)


def test_bands_of_noise_are_those_of_the_published_front_end() -> None:
    generator = torch.Generator().manual_seed(0)
    for level in (0.3, 0.003):
        wave = level * torch.randn(16_000 * 4, generator=generator)
        ours = Bands()(torch.from_numpy(mel_spectrogram(wave))[None])[0, 0]
        theirs = published_front_end(wave)
        # In the mean over time: one column of noise alone says little. The logarithm of a longer
        # window's power has the higher mean: 0.1 to 0.2, where speech spans six.
        assert torch.allclose(ours.mean(0), theirs.mean(0), atol=0.22)


def test_bands_of_a_voice_rise_and_fall_with_the_published_ones() -> None:
    time = torch.arange(16_000 * 3) / 16_000
    pitch = 2 * math.pi * (120 * time - 8 * (3 * time).cos())
    voice = sum((k * pitch).sin() / k for k in range(1, 30))
    wave = 0.1 * voice * (0.1 + (4 * time).sin().square()) + 1e-3 * torch.randn(len(time))
    ours, theirs = (
        Bands()(torch.from_numpy(mel_spectrogram(wave))[None])[0, 0],
        published_front_end(wave),
    )
    both = torch.stack([ours.mean(1), theirs.mean(1)])
    assert float(torch.corrcoef(both)[0, 1]) > 0.97
    assert abs(float((ours - theirs).mean())) < 0.4  # 4 dB: partials are no noise


def test_silence_is_finite_and_far_below_speech() -> None:
    quiet = Bands()(torch.full((1, 80, 5), SILENCE))
    loud = Bands()(torch.full((1, 80, 5), 2.0))
    assert float(quiet.min()) > 3.0
    assert float(quiet.max()) < 7.0
    assert torch.allclose(loud - quiet, torch.full_like(quiet, 7.5), atol=1e-3)  # 75 dB


def test_a_frame_sees_its_own_columns_and_no_others() -> None:
    torch.manual_seed(0)
    network = SpeechEmbedding().eval()
    mel = torch.rand(1, 80, FIELD + 4 * 6) * 6 - 4
    with torch.no_grad():
        whole = network(mel)
        assert whole.shape == (1, FEATURES, 7)
        for i in (0, 3, 6):
            alone = network(mel[:, :, 4 * i : 4 * i + FIELD])
            assert torch.allclose(alone[:, :, 0], whole[:, :, i], atol=1e-5)
        changed = mel.clone()
        changed[:, :, 4 * 3 + FIELD :] = 0.0  # behind what frame 3 sees
        again = network(changed)
    assert torch.equal(again[:, :, :4], whole[:, :, :4])
    assert not torch.equal(again[:, :, 6], whole[:, :, 6])


def test_speech_to_lips_with_it_over_a_clip_or_window_by_window() -> None:
    torch.manual_seed(0)
    network = SpeechToLips(3, (4, 4, 8), 16, 2, embedding=True).eval()
    assert (network.steps, network.before) == (FIELD + 16, (FIELD + 16) // 2 - 2)
    assert not any(p.requires_grad for p in network.embedding.parameters())  # type: ignore[union-attr]
    mel = torch.rand(2, 80, network.steps + 4 * 3) * 6 - 4
    whole = network.sequence(mel)
    assert whole.shape == (2, 4, 3)
    for n in range(4):
        part = mel[:, :, 4 * n : 4 * n + network.steps]
        assert torch.allclose(network(part), whole[:, n], atol=1e-5)


def test_at_net_takes_what_the_caller_has_computed() -> None:
    torch.manual_seed(0)
    sizes = {"bands": 12, "channels": (2, 2, 3, 3, 4), "dense": 8, "hidden": 8, "layers": 1}
    with pytest.raises(ValueError, match="56 steps"):
        LandmarkAudio(4, "mel", 28, embedding=True, example=(4, 4), **sizes)  # type: ignore[arg-type]
    network = LandmarkAudio(4, "mel", 60, embedding=True, example=(4, 4), **sizes).eval()  # type: ignore[arg-type]
    mel = torch.rand(1, 80, 60 + 4 * 4) * 6 - 4
    windows = mel.unfold(2, 60, 4).permute(0, 2, 1, 3)  # (1, 5, 80, 60)
    assert network.embedding is not None
    known = network.embedding(mel[:, :, 2:-2]).transpose(1, 2)  # the middle 56 of every window
    example = torch.zeros(1, 4)
    made, _ = network(example, windows)
    assert torch.allclose(network(example, windows, known=known)[0], made, atol=1e-6)
    assert not torch.allclose(network(example, windows, known=known + 1.0)[0], made, atol=1e-3)


def test_what_is_not_the_published_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LipwrightError, match="there is no file"):
        read_onnx(tmp_path / "nothing.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(LipwrightError, match="cannot be read"):
        read_onnx(tmp_path / "text.onnx")


def test_the_published_weights_give_the_published_features() -> None:
    import openvino

    from lipwright.openvino_core import core

    path = next(s.path for s in check() if s.entry.name == "speech-embedding")
    if path is None:
        pytest.skip("the speech embedding is not here; 'lipwright weights fetch' gets it")
    network = SpeechEmbedding().eval()
    network.load_state_dict(read_onnx(path))
    graph = core().read_model(str(path))
    taps = [
        op.output(0)
        for op in graph.get_ordered_ops()
        if op.get_friendly_name() in ("model/tf.math.maximum_14/Maximum", LAST)
    ]
    graph = openvino.Model(taps, graph.get_parameters(), "taps")
    run = core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    audio_features = torch.randn(2, 76, 32) * 2 + 8
    network.bands = torch.nn.Identity()  # type: ignore[assignment]
    with torch.no_grad():
        ours = network(audio_features[:, None])
    shallow, deep = (torch.from_numpy(run(audio_features[..., None].numpy())[i]) for i in (0, 1))
    joined = [x.transpose(2, 3).flatten(1, 2) for x in (shallow[:, :, 2:-2], deep)]
    assert torch.allclose(ours, torch.cat(joined, dim=1), atol=2e-3)


LAST = "model/tf.math.maximum_18/Maximum"
