"""Speech decoding: rates, layouts, sample formats, holes, damage."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from lipwright.errors import LipwrightError
from lipwright.media.audio import SAMPLE_RATE, load_speech
from tests.conftest import MakeSpeech, MakeVideo


def level(wave: np.ndarray, hertz: float = 440.0) -> float:
    """Amplitude of a sine in the middle of a wave, by correlation."""
    part = wave[len(wave) // 4 : -len(wave) // 4]
    phase = 2 * np.pi * hertz * np.arange(len(part)) / SAMPLE_RATE
    return float(np.hypot(part @ np.sin(phase), part @ np.cos(phase)) * 2 / len(part))


def sine(rate: int, hertz: float = 440.0, seconds: float = 1.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(
        np.float32
    )


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_every_rate_becomes_16_khz(make_speech: MakeSpeech, rate: int) -> None:
    wave = load_speech(make_speech(rate=rate))
    assert wave.dtype == np.float32
    assert abs(wave.size - 16_000) <= 1
    assert level(wave) == pytest.approx(0.5, abs=0.01)


def test_frequencies_above_8_khz_do_not_fold_back(make_speech: MakeSpeech) -> None:
    wave = load_speech(make_speech(audio=sine(48_000, 11_000.0), rate=48_000))
    assert np.abs(wave[2000:-2000]).max() < 0.005


@pytest.mark.parametrize(
    "codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"]
)
def test_every_sample_format(make_speech: MakeSpeech, codec: str) -> None:
    wave = load_speech(make_speech(codec=codec))
    assert level(wave) == pytest.approx(0.5, abs=0.01)
    assert abs(wave.mean()) < 0.01  # u8 has its zero at 128


@pytest.mark.parametrize("name", ["a.mp3", "a.m4a", "a.flac", "a.ogg", "a.mkv", "a.aac", "a.webm"])
def test_every_container(make_speech: MakeSpeech, name: str) -> None:
    wave = load_speech(make_speech(name, rate=48_000))
    assert abs(wave.size - 16_000) < 1_000
    assert level(wave) == pytest.approx(0.5, abs=0.03)


def test_encoder_padding_does_not_delay_the_speech(make_speech: MakeSpeech) -> None:
    click = np.zeros(24_000, np.float32)
    click[12_000:12_010] = 0.9
    for name in ("a.wav", "a.mp3", "a.m4a", "a.ogg"):
        wave = load_speech(make_speech(name, audio=click, rate=48_000))
        assert abs(int(np.abs(wave).argmax()) - 4_001) <= 8, name


def test_stereo_is_averaged(make_speech: MakeSpeech) -> None:
    both = np.stack([sine(16_000), sine(16_000)])
    left = np.stack([sine(16_000), np.zeros(16_000, np.float32)])
    assert level(load_speech(make_speech("b.wav", audio=both, layout="stereo"))) == pytest.approx(
        0.5, abs=0.005
    )
    assert level(load_speech(make_speech("l.wav", audio=left, layout="stereo"))) == pytest.approx(
        0.25, abs=0.005
    )


@pytest.mark.parametrize(
    ("channel", "weight"), [(0, 0.5), (1, 0.5), (2, 1.0), (3, 0.0), (4, 0.354), (5, 0.354)]
)
def test_a_voice_in_the_centre_of_5_1_keeps_its_level(
    make_speech: MakeSpeech, channel: int, weight: float
) -> None:
    """FL, FR, FC, LFE, BL, BR; the plain mean would make the centre 15 dB too quiet."""
    channels = np.zeros((6, 16_000), np.float32)
    channels[channel] = sine(16_000)
    wave = load_speech(make_speech(audio=channels, layout="5.1"))
    assert level(wave) == pytest.approx(0.5 * weight, abs=0.005)


def test_the_sound_of_a_video(make_video: MakeVideo) -> None:
    path = make_video(audio="sine", audio_rate=48_000, audio_layout="stereo", frames=25)
    assert level(load_speech(path)) == pytest.approx(0.5, abs=0.03)


def video_with_late_sound(path: Path, sound_at: float, wave: np.ndarray) -> Path:
    """Pictures from 0.5 s on; PCM at 16 kHz that starts ``sound_at`` seconds into the file."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("ffv1", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        pictures.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for index in range(25):
            frame = av.VideoFrame(32, 32, "yuv420p")
            frame.pts, frame.time_base = 500 + 40 * index, Fraction(1, 1000)
            container.mux(pictures.encode(frame))
        block = av.AudioFrame.from_ndarray(
            (wave[None] * 32767).astype(np.int16), format="s16", layout="mono"
        )
        block.sample_rate, block.pts = 16_000, round(sound_at * 16_000)
        container.mux(sound.encode(block))
    return path


@pytest.mark.parametrize("sound_at", [0.5, 0.8, 0.2, 0.0])
def test_the_speech_of_a_video_counts_from_its_first_picture(
    tmp_path: Path, sound_at: float
) -> None:
    """Streams of one file may start at different times; lips and voice must stay in step."""
    click = np.zeros(16_000, np.float32)
    click[9_600] = 0.9  # 0.6 s after the sound's start
    path = video_with_late_sound(tmp_path / "late.mkv", sound_at, click)
    wave = load_speech(path)
    assert int(np.abs(wave).argmax()) == pytest.approx((sound_at + 0.6 - 0.5) * 16_000, abs=1)
    assert wave.size == pytest.approx((sound_at + 1.0 - 0.5) * 16_000, abs=1)


def test_a_hole_becomes_silence_so_that_later_speech_stays_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "hole.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for start in (0, 32_000):  # one second of sound, one of nothing, one of sound
            frame = av.AudioFrame.from_ndarray(
                (sine(16_000)[None] * 32767).astype(np.int16), format="s16", layout="mono"
            )
            frame.sample_rate, frame.pts = 16_000, start
            container.mux(stream.encode(frame))
    wave = load_speech(path)
    assert abs(wave.size - 48_000) <= 32
    assert np.abs(wave[17_000:31_000]).max() == 0.0
    assert level(wave[32_000:]) == pytest.approx(0.5, abs=0.01)


def test_a_truncated_file_gives_what_it_holds(make_speech: MakeSpeech) -> None:
    for name in ("a.wav", "a.mp3", "a.mkv"):
        path = make_speech(name, seconds=2.0, rate=48_000)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        wave = load_speech(path)
        assert 8_000 < wave.size < 24_000, name


def test_damage_in_the_middle_is_survived(make_speech: MakeSpeech) -> None:
    path = make_speech("a.mp3", seconds=3.0, rate=48_000)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 500] = b"\x00" * 500
    path.write_bytes(data)
    assert load_speech(path).size > 30_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"Dear diary,\n" * 300, "not a media file"),
        (bytes(range(256)) * 40, "not a media file"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "speech file"),
        (b"#EXTM3U\n#EXTINF:10,\n/etc/passwd\n", "not a media file"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "not a media file"),
    ],
)
@pytest.mark.parametrize("suffix", [".wav", ".txt", ".mp3"])
def test_what_is_no_sound_ends_in_one_sentence(
    tmp_path: Path, content: bytes, words: str, suffix: str
) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(LipwrightError) as caught:
        load_speech(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert message.endswith(".")
    if words != "speech file":
        assert words in message or "could not be decoded" in message


def test_floats_that_are_no_numbers(make_speech: MakeSpeech) -> None:
    broken = sine(16_000)
    broken[8_000:8_003] = np.nan, np.inf, -np.inf
    wave = load_speech(make_speech(audio=broken, codec="pcm_f32le"))
    assert np.isfinite(wave).all()
    assert level(wave) == pytest.approx(0.5, abs=0.02)


def test_header_without_samples(make_speech: MakeSpeech) -> None:
    path = make_speech(seconds=0.0)
    with pytest.raises(LipwrightError, match="speech"):
        load_speech(path)


def test_missing_and_folder_and_silent_video(tmp_path: Path, make_video: MakeVideo) -> None:
    with pytest.raises(LipwrightError, match="does not exist"):
        load_speech(tmp_path / "none.wav")
    with pytest.raises(LipwrightError, match="folder"):
        load_speech(tmp_path)
    with pytest.raises(LipwrightError, match="no audio stream"):
        load_speech(make_video())
    with pytest.raises(LipwrightError):
        load_speech("nul\0byte.wav")


def test_names_that_libav_would_take_for_something_else(make_speech: MakeSpeech) -> None:
    for name in ("a%d.wav", "concat:b.wav", "-i.wav", "ünï çødé.wav"):
        assert (
            load_speech(
                make_speech("plain.wav").rename(make_speech("plain.wav").with_name(name))
            ).size
            == 16_000
        )


def test_a_real_clip(corpus: Path) -> None:
    clip = next((corpus / "demo").glob("*video-retalking__1.mp4"))
    wave = load_speech(clip)
    assert 5.9 < wave.size / SAMPLE_RATE < 6.3
    assert 0.01 < float(np.sqrt(np.mean(wave**2))) < 0.5
