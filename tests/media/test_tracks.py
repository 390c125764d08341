"""Which streams go into an output as they are, and what becomes of the others."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from lipwright.media.audio import load_speech
from lipwright.media.copied_streams import codec_name, refused
from lipwright.media.encoding import MUXERS
from lipwright.media.names import Kind
from lipwright.media.tracks import kept_streams, speech_track
from tests.conftest import MakeSpeech


@pytest.mark.parametrize(
    ("given", "expected"), [({}, "unknown"), ({"name": ""}, "unknown"), ({"name": "tmcd"}, "tmcd")]
)
def test_a_stream_of_an_unknown_format_has_a_name_all_the_same(
    given: dict[str, str], expected: str
) -> None:
    assert codec_name(SimpleNamespace(codec_context=None, **given)) == expected


def headless(flac: Path) -> Path:
    """The frames of a FLAC file without its header: they decode, but muxers want STREAMINFO."""
    data = flac.read_bytes()
    out = flac.with_name("headless.flac")
    out.write_bytes(data[data.index(b"\xff\xf8") :])
    return out


def spoken(path: Path, out: Path, kind: Kind, notices: list[str]) -> str:
    """The format of the sound in an output that has the speech of a file."""
    with ExitStack() as stack:
        output = stack.enter_context(av.open(str(out), "w", format=MUXERS[kind]))
        track = speech_track(output, kind, path, stack, notices=notices)
        track.start(Fraction(0))
        track.advance(None, None)
    with av.open(str(out)) as file:
        return codec_name(file.streams.audio[0])


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_packets_that_a_container_refuses_are_encoded_anew(
    make_speech: MakeSpeech, tmp_path: Path, kind: Kind
) -> None:
    whole = make_speech("speech.flac", seconds=0.5)
    damaged = headless(whole)
    assert refused(kind, whole, [0]) == set()
    assert refused(kind, damaged, [0]) == {0}
    notices: list[str] = []
    assert spoken(whole, tmp_path / f"whole.{kind}", kind, notices) == "flac"
    assert notices == []
    assert spoken(damaged, tmp_path / f"mended.{kind}", kind, notices) == "aac"
    (sentence,) = notices
    assert f"(flac) could not be copied into a {kind} file" in sentence
    before, after = load_speech(whole), load_speech(tmp_path / f"mended.{kind}")
    inner = slice(2000, 6000)
    assert np.corrcoef(before[inner], after[inner])[0, 1] > 0.98


def test_only_the_stream_that_is_refused_is_left_out(tmp_path: Path) -> None:
    """Three sounds in Matroska; the header of the second one is damaged."""
    source = tmp_path / "three.mkv"
    with av.open(str(source), "w") as out:
        streams = [out.add_stream("flac", rate=16_000, layout="mono") for _ in range(3)]
        for stream in streams:
            wave = np.zeros((1, 4_000), np.int16)
            frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16_000, 0
            out.mux([*stream.encode(frame), *stream.encode(None)])
    data = source.read_bytes()
    place = data.rindex(b"\x63\xa2", 0, data.index(b"fLaC", data.index(b"fLaC") + 4))
    # An element that no reader knows, in place of the private data of the codec.
    source.write_bytes(data[:place] + b"\x63\xa3" + data[place + 2 :])
    with ExitStack() as stack:
        output = stack.enter_context(av.open(str(tmp_path / "o.mkv"), "w", format="matroska"))
        track, lost = kept_streams(output, "mkv", source, Fraction(0), stack)
        assert track is not None
        track.start(Fraction(0))
        track.advance(None, None)
    (sentence,) = lost
    assert "audio stream 1 (flac)" in sentence
    with av.open(str(tmp_path / "o.mkv")) as file:
        assert len(file.streams.audio) == 1  # stream 0 is what the speech replaces


def with_data(path: Path) -> Path:
    """A video whose camera noted its motion: six samples of GoPro's format beside six pictures."""
    with av.open(str(path), "w") as out:
        pictures = out.add_stream("libx264", rate=25, options={"bf": "0"})
        pictures.width = pictures.height = 64
        pictures.pix_fmt = "yuv420p"
        data = out.add_data_stream("bin_data")
        data.metadata["handler_name"] = "GoPro MET"
        for index in range(6):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            frame.pts = index
            out.mux(pictures.encode(frame))
        out.mux(pictures.encode(None))
        for index in range(6):
            packet = av.Packet(sample(index))
            packet.stream, packet.time_base = data, Fraction(1, 1000)
            packet.pts = packet.dts = 40 * index
            packet.duration = 40
            out.mux(packet)
    return path


def sample(index: int) -> bytes:
    return b"DEVC" + bytes([index]) * (20 + index)


@pytest.mark.parametrize(("kind", "kept"), [("mp4", True), ("mov", True), ("mkv", False)])
def test_data_of_cameras_is_kept_where_the_container_can(
    tmp_path: Path, kind: Kind, kept: bool
) -> None:
    source, out = with_data(tmp_path / "d.mp4"), tmp_path / f"o.{kind}"
    with ExitStack() as stack:
        output = stack.enter_context(av.open(str(out), "w", format=MUXERS[kind]))
        if not kept:
            output.add_stream("libx264", rate=25)
        track, lost = kept_streams(output, kind, source, Fraction(0), stack)
        if not kept:
            assert track is None
            assert lost == [
                f"The data stream 1 (GoPro MET) of {source} cannot be kept in a mkv file."
            ]
            return
        assert track is not None
        assert lost == []
        track.start(Fraction(0))
        track.advance(None, None)
    with av.open(str(out)) as file:
        (stream,) = file.streams.data
        found = [(p.pts * p.time_base, bytes(p)) for p in file.demux(stream) if p.size]
    assert found == [(Fraction(k, 25), sample(k)) for k in range(6)]
