"""Sound as people have it: many channels, inverted ones, padded ends, pre-skip, several tracks."""

from __future__ import annotations

import wave as waves
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from lipwright.errors import LipwrightError
from lipwright.media.audio import SAMPLE_RATE, load_speech
from lipwright.media.encoding import MUXERS
from lipwright.media.mix import Limiter, mono_weights, placed, stereo_weights
from lipwright.media.names import Kind
from lipwright.media.tracks import speech_track
from tests.conftest import ffprobe


def tone(hertz: float = 440.0, level: float = 0.5, seconds: float = 1.0) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(48_000 * seconds)) / 48_000)).astype(
        np.float32
    )


def level(wave: np.ndarray, hertz: float = 440.0, rate: int = SAMPLE_RATE) -> float:
    part = wave[wave.size // 4 : -wave.size // 4].astype(np.float64)
    phase = 2 * np.pi * hertz * np.arange(part.size) / rate
    return float(np.hypot(part @ np.sin(phase), part @ np.cos(phase)) * 2 / part.size)


def write(path: Path, channels: np.ndarray, layout: str, codec: str) -> Path:
    """Samples (channels, n) at 48 kHz, interleaved: PyAV's planes end at eight."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=48_000)
        stream.codec_context.layout = layout
        packed = np.ascontiguousarray(channels.T, np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate, frame.pts = 48_000, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def test_mono_of_stereo_is_mono() -> None:
    for layout in ("stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1", "22.2"):
        names = [channel.name for channel in av.AudioLayout(layout).channels]
        mono = mono_weights(names, len(names))
        left_right = stereo_weights(names, len(names))
        assert mono == pytest.approx(mono_weights(["FL", "FR"], 2) @ left_right)
        by_name = dict(zip(names, mono, strict=True))
        assert by_name.get("FC", 1.0) == 1.0
        assert by_name["FL"] == by_name["FR"] == 0.5
        assert by_name.get("LFE", 0.0) == 0.0
        assert by_name.get("BL", 0.35355) == pytest.approx(0.35355, abs=1e-4)
    assert mono_weights([], 4).tolist() == [0.25] * 4
    assert placed(("FL", "FR", "SL", "SR"), ("FL", "FR", "FC", "BL", "BR")) is not None
    assert placed(("FL", "FR", "BC"), ("FL", "FR", "FC")) is None


@pytest.mark.parametrize(
    ("codec", "name"),
    [("aac", "a.m4a"), ("flac", "a.flac"), ("pcm_s16le", "a.wav"), ("pcm_f32le", "a.wav")],
)
@pytest.mark.parametrize("layout", ["stereo", "3.0", "5.0", "5.1", "7.1"])
def test_one_mix_whatever_the_sample_format(
    tmp_path: Path, codec: str, name: str, layout: str
) -> None:
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    for voice, expected in (("FC", 0.5), ("FL", 0.25)):
        if voice not in names:
            continue
        channels = np.zeros((len(names), 48_000), np.float32)
        channels[names.index(voice)] = tone()
        wave = load_speech(write(tmp_path / name, channels, layout, codec))
        assert level(wave) == pytest.approx(expected, abs=0.01)


def muxed(
    path: Path,
    out: Path,
    kind: Kind,
    stream: int | None = None,
    notices: list[str] | None = None,
) -> Path:
    """A speech in a file with a second of small pictures, as the product muxes it."""
    with ExitStack() as stack:
        output = stack.enter_context(av.open(str(out), "w", format=MUXERS[kind]))
        pictures = output.add_stream("libvpx-vp9" if kind == "webm" else "libx264", rate=25)
        pictures.width = pictures.height = 64
        pictures.pix_fmt = "yuv420p"
        track = speech_track(output, kind, path, stack, stream, notices=notices)
        track.start(Fraction(0))
        for index in range(25):
            frame = av.VideoFrame(64, 64, "yuv420p")
            frame.pts = index
            output.mux(pictures.encode(frame))
        output.mux(pictures.encode(None))
        track.advance(None, None)
    return out


@pytest.mark.parametrize("kind", ["mp4", "webm"])
@pytest.mark.parametrize("layout", ["3.0", "quad", "5.0", "5.1", "6.1", "7.1"])
def test_channels_keep_level_and_place_in_the_output(
    tmp_path: Path, kind: Kind, layout: str
) -> None:
    """A voice of 0.5 in the centre is heard at 0.5; loud channels do not clip."""
    names = [channel.name for channel in av.AudioLayout(layout).channels]
    voice = "FC" if "FC" in names else "FL"
    channels = np.zeros((len(names), 48_000), np.float32)
    channels[names.index(voice)] = tone()
    source = write(tmp_path / "in.mka", channels, layout, "pcm_s24le")
    out = muxed(source, tmp_path / f"o.{kind}", kind)
    expected = 0.5 if voice == "FC" else 0.25
    assert level(load_speech(out)) == pytest.approx(expected, abs=0.02)
    loud = write(tmp_path / "loud.mka", np.tile(tone(), (len(names), 1)) * 1.9, layout, "pcm_f32le")
    with av.open(str(muxed(loud, tmp_path / f"l.{kind}", kind))) as file:
        resampler = av.AudioResampler("flt", file.streams.audio[0].layout, 48_000)
        peaks = [
            float(np.abs(packed.to_ndarray()).max())
            for frame in file.decode(audio=0)
            for packed in resampler.resample(frame)
        ]
    assert np.median(peaks) < 1.1  # libavcodec's AAC encoder overshoots in single blocks


@pytest.mark.parametrize(("kind", "codec"), [("mp4", "AAC"), ("webm", "Opus")])
def test_channels_without_a_place_are_mixed_with_a_word(
    tmp_path: Path, kind: Kind, codec: str
) -> None:
    """Ten channels, as objects and 5.1.4 come, have no layout in either encoder."""
    for count, expected in ((10, 1), (2, 0)):
        path = tmp_path / f"{count}.wav"
        samples = np.tile((tone() * 16_000).astype("<i2")[:, None], (1, count))
        with waves.open(str(path), "wb") as file:
            file.setnchannels(count)
            file.setsampwidth(2)
            file.setframerate(48_000)
            file.writeframes(samples.tobytes())
        notices: list[str] = []
        out = muxed(path, tmp_path / f"{count}.{kind}", kind, notices=notices)
        said = [f"The 10 channels of {path} are mixed to stereo, for {codec} has no layout in"]
        assert [line[: len(said[0])] for line in notices] == said * expected
        (sound,) = ffprobe(out, "-select_streams", "a", "-show_streams")["streams"]
        assert sound["channels"] == 2


def test_what_the_limiter_lowers_is_said(tmp_path: Path) -> None:
    for peak, said in ((4.0, "lowered by up to 12 dB"), (0.9, "")):
        path = write(tmp_path / f"{peak}.wav", tone(level=peak)[None], "mono", "pcm_f32le")
        notices: list[str] = []
        muxed(path, tmp_path / f"{peak}.mp4", "mp4", notices=notices)
        assert len(notices) == bool(said)
        assert said in " ".join(notices)


def test_the_limiter_keeps_samples_below_full_scale_without_steps() -> None:
    limiter = Limiter(48_000)
    blocks = [tone(level=v, seconds=0.05)[None] for v in (0.5, 0.5, 2.0, 0.5, 0.5)]
    out = [limiter.push(block) for block in blocks] + [limiter.flush()]
    wave = np.concatenate([part for part in out if part.size], axis=1)[0]
    assert wave.size == 5 * 2_400
    assert np.abs(wave).max() <= 1.0 + 1e-6
    assert np.abs(wave[:2_400]).max() == pytest.approx(0.5, abs=1e-3)
    assert np.abs(np.diff(wave)).max() < 0.1


def test_an_inverted_channel_does_not_cancel_the_voice(tmp_path: Path) -> None:
    voice = tone(seconds=4.0)
    for name, right, count in (("inverted", -voice, 1), ("plain", voice, 0)):
        notices: list[str] = []
        path = write(tmp_path / f"{name}.wav", np.stack([voice, right]), "stereo", "pcm_s16le")
        wave = load_speech(path, notices=notices)
        assert level(wave) == pytest.approx(0.5, abs=0.01)
        assert sum("inverted" in line for line in notices) == count
    one_side = np.stack([voice, np.zeros_like(voice)])
    notices = []
    load_speech(write(tmp_path / "one.wav", one_side, "stereo", "pcm_s16le"), notices=notices)
    assert notices == []


def test_a_stretch_with_an_inverted_channel(tmp_path: Path) -> None:
    voice = tone(seconds=12.0)
    right = voice.copy()
    right[4 * 48_000 : 8 * 48_000] *= -1
    notices: list[str] = []
    path = write(tmp_path / "part.wav", np.stack([voice, right]), "stereo", "pcm_s16le")
    wave = load_speech(path, notices=notices)
    assert any("for 4" in line or "for 3" in line or "for 5" in line for line in notices)
    for second in (1, 6, 10):
        assert level(wave[16_000 * second : 16_000 * (second + 1)]) == pytest.approx(0.5, abs=0.02)


def test_what_an_encoder_padded_is_cut(tmp_path: Path) -> None:
    """One second of 48 kHz is no whole number of AAC's blocks of 1,024 samples."""
    path = write(tmp_path / "a.m4a", tone()[None], "mono", "aac")
    wave = load_speech(path)
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        declared = stream.duration * stream.time_base
    assert wave.size == pytest.approx(float(declared) * SAMPLE_RATE, abs=1)
    assert declared <= Fraction(1025, 1000)


@pytest.mark.parametrize("source", ["webm", "mp4", "ogg", "mka"])
@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm"])
def test_copied_opus_keeps_its_pre_skip(tmp_path: Path, source: str, kind: Kind) -> None:
    """A click at 0.25 s, in the file as it is and after it went through another container."""
    click = np.zeros((1, 48_000), np.float32)
    click[0, 12_000:12_012] = 0.9
    path = write(tmp_path / f"c.{source}", click, "mono", "libopus")
    before = int(np.abs(load_speech(path)).argmax())
    after = int(np.abs(load_speech(muxed(path, tmp_path / f"o.{kind}", kind))).argmax())
    assert before == pytest.approx(4_001, abs=8)
    assert after == pytest.approx(before, abs=2)  # 0.1 ms


def test_the_default_track_is_spoken_and_another_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "m.mka"
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("pcm_s16le", rate=48_000, layout="mono") for _ in range(2)]
        for number, stream in enumerate(streams):
            stream.disposition = number
        for stream, hertz in zip(streams, (300.0, 700.0), strict=True):
            wave = (tone(hertz) * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48_000, 0
            out.mux(stream.encode(frame))
    notices: list[str] = []
    assert level(load_speech(path, notices=notices), 700.0) == pytest.approx(0.5, abs=0.01)
    assert "stream 1 was used (--speech-stream" in notices[0]
    assert level(load_speech(path, 0), 300.0) == pytest.approx(0.5, abs=0.01)
    with pytest.raises(LipwrightError, match="no audio stream 5"):
        load_speech(path, 5)
    out_file = muxed(path, tmp_path / "o.mkv", "mkv")
    assert level(load_speech(out_file), 700.0) == pytest.approx(0.5, abs=0.01)
