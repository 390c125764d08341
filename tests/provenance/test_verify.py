"""Manifest and watermark together, on files as the product writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import pytest

from lipwright.errors import LipwrightError
from lipwright.files.user_folders import home
from lipwright.media.reader import VideoReader
from lipwright.media.writer import VideoWriter
from lipwright.provenance import verify as verify_module
from lipwright.provenance.record.certificate import local_credentials
from lipwright.provenance.record.manifest import Input
from lipwright.provenance.record.registry import read_registry
from lipwright.provenance.session import Provenance, ProvenanceOptions
from lipwright.provenance.verify import verify
from lipwright.provenance.watermark.detect import detect_file
from tests.conftest import MakeSpeech, MakeVideo
from tests.provenance.scenes import FACE, MARK, faces_at, moving_portrait

MODEL = "vq@0123456789abcdef"


@pytest.fixture(autouse=True)
def known_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """No networks in these tests: every frame has the same face."""

    def detect(path: Any, ids: Any, **options: Any) -> Any:
        return detect_file(path, ids, find_faces=faces_at(FACE), **{**options, "mode": "off"})

    monkeypatch.setattr(verify_module, "detect_file", detect)


def make(
    make_video: MakeVideo, out: Path, inputs: list[Input] | None = None, **options: Any
) -> Provenance:
    """Write an output the way a dub does."""
    source = make_video("source.mp4", size=(320, 288), frames=8, paint=moving_portrait)
    settings = ProvenanceOptions(mark_id=MARK, **options)
    provenance = Provenance(settings, inputs or [Input.of("video", source)], model=MODEL)
    with (
        VideoReader(source) as reader,
        VideoWriter(
            out, reader.info, finish_hook=lambda complete: provenance.finish(complete, out)
        ) as writer,
    ):
        for frame in reader:
            provenance.mark(frame.native, reader.info, [FACE])
            writer.write(frame.native, frame.pts, frame.duration)
    return provenance


def flip(path: Path, where: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * where)] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_written_and_read_back(make_video: MakeVideo, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    provenance = make(make_video, out, consent="Ada, a dub, 2026-11-21")
    inside = suffix in (".mp4", ".mov")
    assert (provenance.sidecar is None) is inside
    assert (tmp_path / "out.c2pa").exists() is not inside
    found = verify(out)
    assert found.status == "valid"
    assert found.exit_code == 0
    manifest = found.manifest
    assert manifest is not None
    assert manifest.state == "valid"
    assert manifest.ai_edited
    assert manifest.model == MODEL
    assert manifest.mark_id == "5ec0de42"
    assert manifest.signed_here
    assert manifest.consent == {"who": "Ada", "purpose": "a dub", "date": "2026-11-21", "more": {}}
    assert [i["role"] for i in manifest.inputs] == ["video"]
    assert manifest.inputs[0]["sha256"] == provenance.inputs[0].hashed.sha256
    assert found.watermark is not None
    assert found.watermark.mark_id == "5ec0de42"
    assert found.unchanged
    text = " ".join(found.sentences)
    for words in ("intact", "not by a public authority", "AI", MODEL, "Consent", "to the byte"):
        assert words in text
    assert json.loads(json.dumps(found.to_json()))["exit_code"] == 0
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 8


def test_the_reader_of_c2pa_calls_it_valid(make_video: MakeVideo, tmp_path: Path) -> None:
    import c2pa

    out = tmp_path / "out.mp4"
    make(make_video, out)
    with c2pa.Reader(str(out)) as reader:
        assert reader.get_validation_state() == "Valid"
        store = json.loads(reader.json())
    codes = [status["code"] for status in store["validation_status"]]
    assert codes == ["signingCredential.untrusted"]
    active = store["manifests"][store["active_manifest"]]
    actions = next(a for a in active["assertions"] if a["label"].startswith("c2pa.actions"))
    names = [a["action"] for a in actions["data"]["actions"]]
    assert names == ["c2pa.opened", "c2pa.edited", "c2pa.watermarked.bound"]
    edited = actions["data"]["actions"][1]
    assert edited["digitalSourceType"].endswith("compositeWithTrainedAlgorithmicMedia")
    assert active["ingredients"][0]["relationship"] == "parentOf"
    binding = next(a for a in active["assertions"] if a["label"] == "c2pa.soft-binding")
    assert binding["data"]["blocks"][0]["value"] == "5ec0de42"


def test_trusted_by_ones_own_anchors(make_video: MakeVideo, tmp_path: Path) -> None:
    out, anchors = tmp_path / "out.mp4", tmp_path / "anchors.pem"
    make(make_video, out)
    anchors.write_bytes(local_credentials().chain)
    found = verify(out, trust_anchors=anchors)
    assert found.manifest is not None
    assert found.manifest.state == "trusted"
    with pytest.raises(LipwrightError, match="cannot be read"):
        verify(out, trust_anchors=tmp_path / "none.pem")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_one_flipped_byte_is_reported(make_video: MakeVideo, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    make(make_video, out)
    flip(out)
    found = verify(out)
    assert found.status == "broken"
    assert found.exit_code == 4
    assert "changed" in " ".join(found.sentences)
    assert found.unchanged in (False, None)


def test_a_damaged_sidecar_is_broken(make_video: MakeVideo, tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    make(make_video, out)
    (tmp_path / "out.c2pa").write_bytes(b"nonsense")
    assert verify(out).exit_code == 4


def test_encoded_again_only_the_watermark_is_left(make_video: MakeVideo, tmp_path: Path) -> None:
    out, again = tmp_path / "out.mp4", tmp_path / "again.mp4"
    make(make_video, out)
    with VideoReader(out) as reader, VideoWriter(again, reader.info, crf=20) as writer:
        for frame in reader:
            writer.write(frame.native, frame.pts)
    found = verify(again)
    assert found.exit_code == 0
    assert found.manifest is None
    assert found.watermark is not None
    assert found.watermark.found
    assert found.entry is not None
    assert found.unchanged is False
    text = " ".join(found.sentences)
    assert "manifest is lost" in text
    assert "5ec0de42" in text
    assert "not that output" in text


def test_stripping_metadata_leaves_the_watermark(make_video: MakeVideo, tmp_path: Path) -> None:
    """Remuxing copies the coded pictures bit for bit and nothing else."""
    out, bare = tmp_path / "out.mp4", tmp_path / "bare.mp4"
    make(make_video, out)
    with av.open(str(out)) as source, av.open(str(bare), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    found = verify(bare)
    assert found.exit_code == 0
    assert found.manifest is None
    assert found.watermark is not None
    assert found.watermark.known
    assert "manifest is lost" in " ".join(found.sentences)


def test_without_the_registry_a_lost_manifest_is_a_guess(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    make(make_video, out, manifest=False)
    (home() / "watermarks.jsonl").unlink()
    text = " ".join(verify(out).sentences)
    assert "if there was one" in text
    assert "unknown here" in text


def test_a_stale_sidecar_is_pointed_out(make_video: MakeVideo, tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    make(make_video, out)
    assert "out.c2pa" in make(make_video, out, manifest=False).warnings[0]
    assert verify(out).exit_code == 4


def test_a_finished_part_of_an_earlier_run_counts_as_marked(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    source = make_video("source.mp4", size=(320, 288), frames=2)
    settings = ProvenanceOptions(mark_id=MARK)
    provenance = Provenance(settings, [Input.of("video", source)], size=(320, 288))
    provenance.resumed_from = 2
    provenance.finish(source, tmp_path / "out.mp4")
    assert [entry.mark_id for entry in read_registry()] == [MARK]
    assert provenance.warnings == []


def test_a_manifest_on_another_video(make_video: MakeVideo, tmp_path: Path) -> None:
    """The sidecar of one output beside another: its hash does not fit."""
    out, other = tmp_path / "out.mkv", tmp_path / "other.mkv"
    make(make_video, out)
    make_video("other.mkv", size=(320, 288), frames=3)
    (tmp_path / "other.c2pa").write_bytes((tmp_path / "out.c2pa").read_bytes())
    assert verify(other).exit_code == 4


def test_nothing_found(make_video: MakeVideo) -> None:
    plain = make_video("plain.mp4", size=(320, 288), frames=3, paint=moving_portrait)
    found = verify(plain)
    assert found.status == "nothing"
    assert found.exit_code == 3
    assert found.manifest is None


def test_no_watermark_and_no_manifest(make_video: MakeVideo, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    provenance = make(make_video, out, watermark=False, manifest=False)
    assert len([n for n in provenance.notices if n.startswith("No ")]) == 2
    assert provenance.to_json()["watermark"] is None
    assert provenance.to_json()["manifest"] is None
    assert verify(out).exit_code == 3
    assert read_registry() == []


def test_only_a_manifest(make_video: MakeVideo, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    make(make_video, out, watermark=False)
    found = verify(out)
    assert found.exit_code == 0
    assert found.manifest is not None
    assert found.manifest.mark_id is None


def test_several_inputs_of_all_kinds(
    make_video: MakeVideo, make_speech: MakeSpeech, tmp_path: Path
) -> None:
    """c2pa reads some of them, refuses others, and one only looks like what it is called."""
    fake = tmp_path / "fake.mp4"
    fake.write_bytes(b"no video at all")
    inputs = [
        Input.of("video", make_video("in.mkv", frames=2)),
        Input.of("speech", make_speech("in.wav")),
        Input.of("speech", make_speech("in.ogg")),
        Input.of("picture", fake),
    ]
    out = tmp_path / "out.mp4"
    make(make_video, out, inputs)
    found = verify(out)
    assert found.manifest is not None
    assert found.manifest.state == "valid"
    assert len(found.manifest.inputs) == 4


def test_a_chain_of_edits(make_video: MakeVideo, tmp_path: Path) -> None:
    """An output that is dubbed again keeps its history."""
    import c2pa

    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    make(make_video, first)
    make(make_video, second, [Input.of("video", first)])
    with c2pa.Reader(str(second)) as reader:
        assert reader.get_validation_state() == "Valid"
        assert len(json.loads(reader.json())["manifests"]) == 2
    third = tmp_path / "third.mp4"
    make(make_video, third, [Input.of("video", second)])
    found = verify(third)
    told = [line for line in found.sentences if "of its own" in line]
    assert [line.split()[0] for line in told] == ["second.mp4", "first.mp4"]
    for line in told:
        assert "signed with a self-made certificate, which says that AI took part" in line
        assert line.endswith("it was intact when the file was used.")
    assert [p["name"] for p in found.to_json()["manifest"]["parents"]] == [
        "second.mp4",
        "first.mp4",
    ]


def test_what_is_made_of_a_changed_file_says_so(make_video: MakeVideo, tmp_path: Path) -> None:
    first, second = tmp_path / "first.mp4", tmp_path / "second.mp4"
    make(make_video, first)
    flip(first)
    make(make_video, second, [Input.of("video", first)])
    found = verify(second)
    assert found.status == "valid"
    (told,) = [line for line in found.sentences if "of its own" in line]
    assert "it was broken (the picture or sound was changed after signing) when" in told
    assert not [line for line in verify(first).sentences if "of its own" in line]


def test_a_failed_signature_leaves_the_file_alone(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import c2pa

    def refuse(*_: Any, **__: Any) -> None:
        raise c2pa.C2paError("no")

    monkeypatch.setattr(c2pa.Builder, "sign", refuse)
    out = tmp_path / "out.mp4"
    with pytest.raises(LipwrightError, match="could not be signed"):
        make(make_video, out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home", "source.mp4"]


def test_bad_options_are_found_before_the_work(tmp_path: Path) -> None:
    for options in (
        ProvenanceOptions(consent="nobody"),
        ProvenanceOptions(certificate=tmp_path / "a.pem"),
        ProvenanceOptions(certificate=tmp_path / "a.pem", key=tmp_path / "b.pem"),
        ProvenanceOptions(mark_id=2**40),
    ):
        with pytest.raises(LipwrightError):
            Provenance(options, [])


def test_the_registry_entry(make_video: MakeVideo, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    make(make_video, out)
    entry = read_registry()[0]
    assert entry.mark_id == MARK
    assert entry.size == (320, 288)
    assert entry.model == MODEL
    assert entry.output is not None
    assert entry.output.name == "out.mp4"
    assert entry.output.bytes == out.stat().st_size
    assert home() in (home() / "x").parents


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(LipwrightError, match="There is no file"):
        verify(tmp_path / "none.mp4")


def test_files_that_are_no_video(tmp_path: Path, make_speech: MakeSpeech) -> None:
    text = tmp_path / "text.txt"
    text.write_text("hello")
    assert verify(text).exit_code == 3
    assert verify(make_speech("sound.wav")).exit_code == 3
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert verify(empty).exit_code == 3


def test_a_file_of_an_earlier_version_is_still_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundled portrait, marked and signed by version 0.1; never to be made anew."""
    monkeypatch.setattr(verify_module, "detect_file", detect_file)
    found = verify(Path(__file__).parent / "data" / "marked-0.1.jpg", faces=False)
    assert found.watermark is not None
    assert found.watermark.mark_id == "5ec0de42"
    assert found.watermark.known
    manifest = found.manifest
    assert manifest is not None
    # Its certificate expires in 2036, so nothing is said about the state.
    assert (manifest.model, manifest.mark_id) == (MODEL, "5ec0de42")
    assert manifest.consent is not None
    assert manifest.consent["who"] == "Ada"
    assert [i["name"] for i in manifest.inputs] == ["portrait.png"]


def test_a_registry_line_of_an_earlier_version_is_still_read() -> None:
    line = (
        '{"mark_id": "5ec0de42", "time": "2026-11-21T12:00:00+00:00", "output": {"name": '
        '"out.mp4", "sha256": "ab", "bytes": 9}, "inputs": [], "size": [320, 288], '
        '"region": "face", "model": "vq@1", "signed": true}'
    )
    home().mkdir(parents=True)
    (home() / "watermarks.jsonl").write_text(line + "\n")
    entry = read_registry()[0]
    assert (entry.mark_id, entry.size, entry.signed) == (MARK, (320, 288), True)
    assert entry.output is not None
    assert entry.output.name == "out.mp4"


def test_the_verdict_comes_first(make_video: MakeVideo, tmp_path: Path) -> None:
    out, again = tmp_path / "out.mp4", tmp_path / "again.mp4"
    make(make_video, out)
    found = verify(out)
    assert found.verdict == "intact"
    assert found.headline.startswith("AI-edited; marks intact")
    with VideoReader(out) as reader, VideoWriter(again, reader.info, crf=20) as writer:
        for frame in reader:
            writer.write(frame.native, frame.pts)
    found = verify(again)
    assert found.verdict == "mark only"
    assert "AI-edited" in found.headline
    flip(out)
    found = verify(out)
    assert found.verdict == "changed"
    plain = make_video("plain.mp4", size=(320, 288), frames=3, paint=moving_portrait)
    found = verify(plain)
    assert found.verdict == "nothing"
    assert "--thorough" in found.sentences[-1]


def test_two_outputs_of_one_job_do_not_contradict_each_other(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.mp4", tmp_path / "second.mkv"
    make(make_video, first)
    make(make_video, second)
    for path in (first, second):
        found = verify(path)
        assert found.unchanged
        assert found.entry is not None
        assert found.entry.output is not None
        assert found.entry.output.name == path.name
        assert "not that output" not in " ".join(found.sentences)


def test_a_promised_mark_that_is_faint_is_looked_for_with_full_effort(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, efforts = tmp_path / "out.mp4", []
    make(make_video, out)

    def detect(path: Any, ids: Any, **options: Any) -> Any:
        efforts.append(options["effort"])
        return detect_file(path, [], find_faces=faces_at(), mode="off", faces=False)

    monkeypatch.setattr(verify_module, "detect_file", detect)
    monkeypatch.setattr("lipwright.provenance.watermark.detect.FALSE_ALARM", 1e-300)
    assert verify(out).watermark is not None
    assert efforts == ["quick", "full"]
