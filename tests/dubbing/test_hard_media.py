"""What a dub makes of the files that people have: rates, tags, streams, names, history."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from lipwright.dubbing.job import dub
from lipwright.dubbing.options import DubOptions
from lipwright.errors import LipwrightError
from lipwright.files.beside import LONGEST, beside
from lipwright.media.audio import load_speech
from lipwright.methods.copy import CopyMethod
from lipwright.provenance.record.manifest import find_sidecar
from tests.conftest import ffprobe
from tests.conftest import write_video as make_video
from tests.dubbing.clips import Actor, ScriptedTracker, write_speech, write_video

RATES = "stream=r_frame_rate,avg_frame_rate"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPWRIGHT_HOME", str(tmp_path / "home"))


def run(video: Path, speech: Path, out: Path, observer: Any = None, **options: Any) -> Any:
    settings = {
        "length": "video",
        "plan_cache": False,
        "watermark": False,
        "enhance": "none",
        **options,
    }
    return dub(
        video,
        speech,
        out,
        DubOptions(**settings),
        observer,
        method=CopyMethod(),
        tracker=ScriptedTracker(lambda _: [Actor(1, 40, 20, 110)]),
    )


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    return write_speech(tmp_path / "speech.wav", 0.5)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_players_read_the_rate_of_the_video(tmp_path: Path, speech: Path, suffix: str) -> None:
    video = write_video(tmp_path / "v.mp4", 12)
    out = tmp_path / f"o{suffix}"
    run(video, speech, out)
    stream = ffprobe(
        out, "-select_streams", "v", "-show_entries", "stream=r_frame_rate,avg_frame_rate"
    )
    assert stream["streams"][0] == {"r_frame_rate": "25/1", "avg_frame_rate": "25/1"}


def test_a_rate_that_milliseconds_hide_is_declared_exactly(tmp_path: Path, speech: Path) -> None:
    rate = Fraction(60_000, 1001)
    pts = [round(k / rate * 1000) for k in range(40)]
    video = write_video(tmp_path / "v.mkv", 40, pts=pts, time_base=Fraction(1, 1000))
    out = tmp_path / "o.mp4"
    run(video, speech, out)
    stream = ffprobe(
        out, "-select_streams", "v", "-show_entries", "stream=r_frame_rate,avg_frame_rate"
    )
    assert set(stream["streams"][0].values()) == {"60000/1001"}


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("seed", range(3))
def test_a_variable_rate_ends_with_the_last_picture(
    tmp_path: Path, speech: Path, suffix: str, seed: int
) -> None:
    """With B-frames the packet decoded last is not the picture shown last."""
    steps = np.random.default_rng(seed).choice([400, 600, 1500, 3000], 30)
    pts = [0, *np.cumsum(steps).tolist()]
    base = Fraction(1, 15_360)
    video = make_video(tmp_path / "v.mp4", size=(192, 160), pts=pts, time_base=base)
    out = tmp_path / f"o{suffix}"
    report = run(video, speech, out)
    times = ffprobe(out, "-select_streams", "v", "-show_entries", "packet=pts_time")["packets"]
    assert max(float(packet["pts_time"]) for packet in times) == pytest.approx(pts[-1] / 15_360)
    found = ffprobe(out, "-show_entries", "format=duration:stream=codec_type,duration")
    assert float(found["format"]["duration"]) == pytest.approx(report.seconds, abs=0.0011)
    lasts = {stream["codec_type"]: float(stream["duration"]) for stream in found["streams"]}
    assert lasts["video"] == pytest.approx(report.seconds, abs=0.0001)
    # 31 frames; the last is shown for as long as a usual one.
    assert report.seconds == pytest.approx((pts[-1] + np.median(steps)) / 15_360, abs=0.1)


def upright(path: Path, size: tuple[int, int], start: str = "0") -> np.ndarray:
    """(n, height, width) luma that another program shows, turned as the file says."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    command = ["ffmpeg", "-v", "error", "-ss", start, "-i", str(path)]
    command += ["-f", "rawvideo", "-pix_fmt", "gray", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, size[1], size[0]).astype(np.int16)


@pytest.mark.parametrize("rotation", [90, 180, 270])
@pytest.mark.parametrize(("source", "result"), [("v.mp4", "o.mp4"), ("v.mov", "o.mov")])
def test_a_part_of_a_turned_phone_recording(
    tmp_path: Path, speech: Path, rotation: int, source: str, result: str
) -> None:
    stored = (192, 160)
    video = make_video(tmp_path / source, size=stored, frames=25, rotation=rotation)
    corner = {90: (160, 0), 180: (192, 160), 270: (0, 192)}[rotation]  # phones write it, too
    matrix = bytearray(video.read_bytes())
    place = matrix.index(b"tkhd") + 4 + 40  # behind version, times, numbers, layer and volume
    matrix[place + 24 : place + 32] = struct.pack(">2i", corner[0] << 16, corner[1] << 16)
    video.write_bytes(matrix)
    out = tmp_path / result
    report = run(video, speech, out, start=Fraction(1, 5), end=Fraction(3, 5), length="video")
    assert report.frames == 10

    wanted = ("-select_streams", "v", "-show_entries", "stream_side_data=displaymatrix,rotation")
    assert ffprobe(out, *wanted) == ffprobe(video, *wanted)
    shown = stored if rotation == 180 else stored[::-1]
    before, after = upright(video, shown, "0.2")[:10], upright(out, shown)
    assert after.shape == before.shape
    assert np.abs(after - before)[:, :16].mean() < 4  # above the face; else 50 and more


def with_tags(path: Path) -> Path:
    """Half a second of pictures, two sounds (the second is the default), chapters and a title."""
    with av.open(str(path), "w") as out:
        pictures = out.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 192, 160, "yuv420p"
        sounds = [out.add_stream("aac", rate=48_000, layout="mono") for _ in range(2)]
        for number, (sound, language) in enumerate(zip(sounds, ("eng", "deu"), strict=True)):
            sound.metadata["language"] = language
            sound.disposition = number
        out.metadata["title"] = "My interview"
        pictures.metadata["timecode"] = "01:00:00:00"
        chapters = [(0, 240, "Intro"), (240, 480, "Talk")]
        out.set_chapters(
            [
                {
                    "id": n,
                    "start": a,
                    "end": b,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": title},
                }
                for n, (a, b, title) in enumerate(chapters)
            ]
        )
        for index in range(12):
            rgb = np.full((160, 192, 3), 20 * index, np.uint8)
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
            frame.pts = index
            out.mux(pictures.encode(frame))
        for sound in sounds:
            silence = np.zeros((1, 24_000), np.float32)
            piece = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            piece.sample_rate, piece.pts = 48_000, 0
            out.mux(sound.encode(piece))
        for stream in (pictures, *sounds):
            out.mux(stream.encode(None))
    return path


class Listener:
    """What the user is told, in order; ``begun`` after the analysis has started."""

    def __init__(self) -> None:
        self.before: list[str] = []
        self.begun = False

    def progress(self, stage: str, *_: object) -> None:
        self.begun |= stage == "plan"

    def notice(self, line: str) -> None:
        if not self.begun:
            self.before.append(line)


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
def test_time_code_and_chapters_of_a_part(tmp_path: Path, speech: Path, suffix: str) -> None:
    video = with_tags(tmp_path / "v.mov")
    out = tmp_path / f"o{suffix}"
    run(video, speech, out, keep_streams=True, start=Fraction(1, 5))
    found = ffprobe(out, "-show_entries", "stream_tags=timecode")["streams"][0]
    assert list(found["tags"].values()) == ["01:00:00:05"]  # five frames of 1/25 s later


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
@pytest.mark.parametrize("keep", [False, True])
def test_lost_streams_are_said_before_the_work(
    tmp_path: Path, speech: Path, suffix: str, keep: bool
) -> None:
    video = with_tags(tmp_path / "v.mov")
    listener = Listener()
    report = run(video, speech, tmp_path / f"o{suffix}", keep_streams=keep, observer=listener)
    told = [line for line in listener.before if "stream" in line]
    kept = ffprobe(tmp_path / f"o{suffix}", "-show_streams", "-show_chapters")
    sounds = sum(stream["codec_type"] == "audio" for stream in kept["streams"])
    assert (sounds, len(kept["chapters"])) == ((2, 2) if keep else (1, 0))
    assert [line for line in report.warnings if "stream" in line] == told
    if keep:
        assert told == []
    else:
        (line,) = told
        assert "another sound stream, chapters and a time code" in line
        assert "--keep-streams" in line


def test_a_subtitle_that_the_container_cannot_hold_is_said_once(
    tmp_path: Path, speech: Path
) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    silent, words = write_video(tmp_path / "s.mp4", 10), tmp_path / "w.srt"
    words.write_text("1\n00:00:00,000 --> 00:00:00,200\nHello\n", encoding="utf-8")
    video = tmp_path / "v.mkv"
    command = ["ffmpeg", "-v", "error", "-i", str(silent), "-i", str(words), "-c", "copy"]
    subprocess.run([*command, str(video)], check=True)
    listener = Listener()
    report = run(video, speech, tmp_path / "o.mp4", keep_streams=True, observer=listener)
    lost = [line for line in report.warnings if "subtitle stream 1 (subrip)" in line]
    assert len(lost) == 1
    assert lost[0] in listener.before


@pytest.mark.parametrize(
    ("end", "length", "seconds"), [(0.4, "auto", 0.52), (0.8, "auto", 0.8), (0.4, "bounce", 0.52)]
)
def test_speech_longer_than_a_passage_is_said(
    tmp_path: Path, speech: Path, end: float, length: str, seconds: float
) -> None:
    """Who cuts a passage does not expect more; who names a way to go on does."""
    video = write_video(tmp_path / "v.mp4", 25)
    report = run(video, speech, tmp_path / "o.mp4", end=Fraction(str(end)), length=length)
    assert report.seconds == pytest.approx(seconds)  # the speech lasts 0.5 s
    told = [line for line in report.warnings if "longer than the passage" in line]
    assert len(told) == (1 if (end, length) == (0.4, "auto") else 0)
    if told:
        assert "0.52 s, of which the passage has 0.40 s" in told[0]


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".mp4"])
def test_a_clip_with_its_own_sound_keeps_its_length(tmp_path: Path, suffix: str) -> None:
    """AAC fills its last block, and neither Matroska nor MPEG-TS says by how much."""
    silent, sound = write_video(tmp_path / "v.mp4", 20), write_speech(tmp_path / "s.wav", 0.8)
    video = tmp_path / f"own{suffix}"
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    copy = ["-c:v", "copy", "-c:a", "aac", "-ar", "44100", str(video)]
    command = ["ffmpeg", "-v", "error", "-i", str(silent), "-i", str(sound), *copy]
    subprocess.run(command, check=True)
    out = tmp_path / "o.mkv"
    report = run(video, video, out, length="auto")
    assert report.frames == 20
    assert len(load_speech(video)) / 16_000 >= 0.8


@pytest.mark.parametrize(
    ("out", "options", "decoder"),
    [
        ("o.webm", {}, ["-c:v", "libvpx-vp9"]),
        ("o.mov", {"codec": "prores"}, []),
        ("o.mkv", {"lossless": True}, []),
    ],
)
def test_transparency_is_kept(
    tmp_path: Path, speech: Path, out: str, options: dict[str, Any], decoder: list[str]
) -> None:
    """A ramp of opacity, as the program ffmpeg reads it before and after."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")

    def paint(index: int, planes: list[np.ndarray]) -> None:
        for plane in planes[:3]:
            plane[:] = 90
        planes[3][:] = np.arange(192, dtype=np.uint8)

    def opacity(path: Path, how: list[str]) -> np.ndarray:
        wanted = ["-vf", "alphaextract,format=gray", "-f", "rawvideo", "-"]
        command = ["ffmpeg", "-v", "error", *how, "-i", str(path), *wanted]
        made = subprocess.run(command, capture_output=True, check=True).stdout
        return np.frombuffer(made, np.uint8).astype(int).reshape(-1, 160, 192)

    video = tmp_path / "v.mkv"
    make_video(video, size=(192, 160), frames=6, pix_fmt="yuva420p", codec="ffv1", paint=paint)
    report = run(video, speech, tmp_path / out, **options)
    assert not any("transparency" in line for line in report.warnings)
    found = opacity(tmp_path / out, decoder)
    assert found.shape == (6, 160, 192)
    assert np.abs(found - np.arange(192)).max() <= 4
    if out == "o.webm":
        # AlphaMode of the track (RFC 9559, section 5.1.4.1.28.4), which browsers look at.
        assert b"\x53\xc0\x81\x01" in (tmp_path / out).read_bytes()


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
def test_tags_chapters_time_code_and_languages_are_kept(
    tmp_path: Path, speech: Path, suffix: str
) -> None:
    video = with_tags(tmp_path / "v.mov")
    out = tmp_path / f"o{suffix}"
    report = run(video, speech, out, keep_streams=True)
    found = ffprobe(out, "-show_chapters", "-show_format", "-show_streams")
    titles = [chapter["tags"]["title"] for chapter in found["chapters"]]
    assert titles == ["Intro", "Talk"]
    assert [float(c["start_time"]) for c in found["chapters"]] == pytest.approx([0, 0.24])
    tags = {key.lower(): value for key, value in found["format"]["tags"].items()}
    assert tags["title"] == "My interview"
    everywhere = json.dumps(found).lower()
    assert '"timecode": "01:00:00:00"' in everywhere
    sounds = [s for s in found["streams"] if s["codec_type"] == "audio"]
    assert len(sounds) == 2  # the speech, and the one that was not replaced
    assert [s["disposition"]["default"] for s in sounds] == [1, 0]
    assert sounds[1]["tags"]["language"] == "eng"
    assert not [w for w in report.warnings if "cannot be kept" in w and "bin_data" not in w]


def test_a_matroska_result_that_is_dubbed_again_keeps_its_history(
    tmp_path: Path, speech: Path
) -> None:
    import c2pa

    first, second = tmp_path / "first.mkv", tmp_path / "second.mkv"
    run(write_video(tmp_path / "v.mp4", 8), speech, first, consent="Anna Example, a test, today")
    assert find_sidecar(first) == tmp_path / "first.c2pa"
    run(first, speech, second)
    with c2pa.Reader(
        "application/octet-stream", second.open("rb"), (tmp_path / "second.c2pa").read_bytes()
    ) as reader:
        store = json.loads(reader.json())
        assert reader.get_validation_state() in ("Valid", "Trusted")
    assert len(store["manifests"]) == 2
    assert "Anna Example" in json.dumps(store)
    changed = tmp_path / "changed.mkv"
    changed.write_bytes(first.read_bytes() + b"\0")
    shutil.copy(tmp_path / "first.c2pa", tmp_path / "changed.c2pa")
    report = run(changed, speech, tmp_path / "third.mkv")
    assert any("history in it is not taken over" in line for line in report.warnings)


def test_long_legal_names_work(tmp_path: Path, speech: Path) -> None:
    video = write_video(tmp_path / "v.mp4", 6)
    for name in ("n" * (LONGEST - 4), "ü" * ((LONGEST - 4) // 2) + "x"):
        out = tmp_path / f"{name}.mp4"
        run(video, speech, out)
        assert out.exists()
        shutil.copy(out, tmp_path / "in.mp4")
        with pytest.raises(LipwrightError, match="too long for the manifest"):
            run(out, speech, out.with_suffix(".mkv"))
        run(out, speech, out.with_suffix(".mkv"), manifest=False)
    left = {path.suffix for path in tmp_path.iterdir()}
    assert left <= {".mp4", ".mkv", ".c2pa", ".wav", ""}


def test_names_beside_an_output() -> None:
    assert beside(Path("/a/b.mp4"), "work") == Path("/a/.b.mp4.work")
    long = [beside(Path("/a") / ("é" * 120 + f"{n}.mp4"), "lipwright-parts") for n in range(3)]
    assert len({*long}) == 3
    assert all(len(path.name.encode()) <= LONGEST for path in long)


def test_interlaced_sources_stay_so_or_are_made_whole(tmp_path: Path, speech: Path) -> None:
    options = {"crf": "12", "preset": "ultrafast", "x264-params": "bff=1"}
    video = write_video(tmp_path / "i.mp4", 8, options=options)
    entries = ("-select_streams", "v", "-show_entries", "frame=interlaced_frame,top_field_first")
    out = tmp_path / "o.mp4"
    run(video, speech, out)
    frames = ffprobe(out, *entries)["frames"]
    kept = {(f["interlaced_frame"], f["top_field_first"]) for f in frames}
    assert len(frames) == 8
    assert kept == {(1, 0)}
    # By the timing messages of H.264, which its parser reads: other than the order of the fields.
    (stream,) = ffprobe(out, "-select_streams", "v", "-show_streams")["streams"]
    assert stream["field_order"] == "bb"
    whole = tmp_path / "w.mp4"
    run(video, speech, whole, deinterlace=True)
    frames = ffprobe(whole, *entries)["frames"]
    assert [f["interlaced_frame"] for f in frames] == [0] * 8


def test_stretches_of_noise_are_no_speech_and_quiet_speech_is_raised(tmp_path: Path) -> None:
    import wave

    noise = np.random.default_rng(0).standard_normal(16_000) * 10 ** (-71 / 20) * 32_768
    with wave.open(str(tmp_path / "n.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.rint(noise).astype("<i2").tobytes())
    video = write_video(tmp_path / "v.mp4", 25)
    report = run(video, tmp_path / "n.wav", tmp_path / "o.mp4")
    assert report.counts()["synced"] == 0
    loud = write_speech(tmp_path / "loud.wav", 1.0)
    with wave.open(str(loud)) as file:
        samples = np.frombuffer(file.readframes(16_000), "<i2")
    with wave.open(str(tmp_path / "soft.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((samples / 60).astype("<i2").tobytes())
    spoken = run(video, loud, tmp_path / "a.mp4").counts()["synced"]
    soft = run(video, tmp_path / "soft.wav", tmp_path / "b.mp4")
    assert soft.counts()["synced"] >= spoken - 2
    assert any("raised by" in line for line in soft.warnings)


def test_the_job_uses_the_streams_that_were_chosen(tmp_path: Path, speech: Path) -> None:
    video = with_tags(tmp_path / "v.mov")
    report = run(video, video, tmp_path / "o.mp4", speech_stream=1)
    assert any("stream 1 was used" in line for line in report.warnings)
    by_default = run(video, video, tmp_path / "p.mp4")
    assert any("stream 2 was used" in line for line in by_default.warnings)
