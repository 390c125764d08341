"""The whole preparation on made talking heads: verdicts, resuming, outputs."""

from __future__ import annotations

import html
import json
import shutil
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from lipwright.data import prepare as module
from lipwright.data.pack import pack_corpus
from lipwright.data.packed import PackedCorpus
from lipwright.data.portraits import Portrait, portraits
from lipwright.data.prepare import PrepareOptions, planned, prepare
from lipwright.data.rows import PrepareSettings, append_row, drop_partial_last_line, read_rows
from lipwright.data.shards import write_shards
from lipwright.data.storage import read_crops
from lipwright.errors import LipwrightError
from tests.data.talker import write_talker

SMALL = PrepareSettings(size=64, pack_size=64, hd=0)
ALONE = PrepareOptions(workers=1)


@pytest.fixture(scope="module")
def talkers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("talkers")
    write_talker(folder / "good.mkv", 5, seed=1)
    write_talker(folder / "late.mkv", 5, late=0.24, seed=2)
    write_talker(folder / "still.mkv", 2, still=True)
    write_talker(folder / "silent.mkv", 2, silent=True)
    (folder / "copy.mkv").write_bytes((folder / "good.mkv").read_bytes())
    (folder / "text.mp4").write_text("no video at all")
    return folder


@pytest.fixture(scope="module")
def made(talkers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "corpus"
    settings = PrepareSettings(size=64, pack_size=64, hd=0, mark="0badcafe")
    summary = prepare([talkers], out, settings, PrepareOptions(workers=1, shards=True))
    assert (summary.sources, summary.clips) == (6, 2)
    return out


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two short clips, for runs that are stopped and go on."""
    folder = tmp_path_factory.mktemp("two")
    return [write_talker(folder / f"{name}.mkv", 2, seed=3 + n) for n, name in enumerate("ab")]


@pytest.fixture(scope="module")
def uninterrupted(two: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("uninterrupted") / "corpus"
    prepare(two, out, SMALL, ALONE)
    return out


def by_source(out: Path) -> dict[str, dict[str, object]]:
    return {Path(r["source"]).name: r for r in read_rows(out / "manifest.jsonl")}


def test_every_source_ends_with_a_clip_or_a_reason(made: Path) -> None:
    rows = by_source(made)
    # Files are taken in the order of their names: of two equal ones the first is kept.
    assert rows["copy.mkv"]["reason"] == ""
    assert str(rows["good.mkv"]["reason"]).startswith("duplicate: same content as ")
    assert str(rows["still.mkv"]["reason"]).startswith("the mouth stays still: ")
    assert str(rows["silent.mkv"]["reason"]).startswith("no speech: ")
    assert str(rows["text.mp4"]["reason"]).startswith("unusable: ")


def test_late_sound_is_brought_into_step(made: Path) -> None:
    rows = by_source(made)
    assert rows["copy.mkv"]["offset"] == 0
    late = rows["late.mkv"]
    assert late["sync"] == "envelope"
    # 0.24 s are 6 frames; the mouths of these heads open with the sound, not a frame before it.
    assert late["offset"] in (5, 6)
    with np.load(made / "clips" / f"{late['clip']}.npz") as features:
        opening, mel = features["opening"], features["mel"].astype(float)
    loud = mel.mean(axis=0).reshape(-1, 4).mean(axis=1)[: len(opening)]
    fits = [np.corrcoef(opening[15:-15], np.roll(loud, -k)[15:-15])[0, 1] for k in range(-8, 9)]
    assert abs(int(np.argmax(fits)) - 8) <= 1


def test_crops_features_and_packed_arrays_agree(made: Path) -> None:
    packed = PackedCorpus(made)
    assert packed.frames.shape[1:] == (72, 72, 3)
    for row in packed.rows:
        crops = read_crops(made / "clips" / f"{row.clip}.mp4")
        assert len(crops) == row.frames
        inside = packed.frames[row.start : row.start + row.frames].astype(int)
        assert np.abs(crops.astype(int) - inside).mean() < 3
        assert packed.clip_mel(row).shape == (80, 4 * row.frames)
    landmarks = np.load(made / "packed" / "landmarks.npy")
    assert landmarks.shape[0] == len(packed.frames)
    # The lips lie in the middle below the centre, the chin below them, inside the crop.
    assert np.abs(landmarks[:, 13, 0].astype(float)).max() < 0.1
    assert 0.05 < landmarks[:, 13, 1].mean() < landmarks[:, 152, 1].mean() < 0.5


def test_frames_carry_the_mark(made: Path) -> None:
    from lipwright.provenance.watermark.grid import chips, code_word
    from lipwright.provenance.watermark.reading import Reading, votes
    from lipwright.provenance.watermark.scheme import half_of_rgb, strengths

    frames = PackedCorpus(made).frames
    bits = code_word(0x0BADCAFE)[chips(0, 0, 9, 9)].astype(float) * 2 - 1
    said = [votes(strengths(half_of_rgb(f)), Reading()) for f in frames[::10]]
    agreement = np.mean([(v * bits).mean() for v in said])
    assert agreement > 0.8
    other = code_word(0x12345678)[chips(0, 0, 9, 9)].astype(float) * 2 - 1
    foreign = np.mean([(v * other).mean() for v in said])
    assert foreign < 0.5


def test_shards_hold_every_part_of_every_clip(made: Path) -> None:
    clips = {r["clip"] for r in read_rows(made / "manifest.jsonl") if not r["reason"]}
    names = []
    for path in sorted((made / "shards").glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                names.append(member.name)
                if member.name.endswith(".json"):
                    handle = tar.extractfile(member)
                    assert handle is not None
                    assert json.load(handle)["split"] == path.name.split("-")[0]
    assert {n.split(".")[0] for n in names} == clips
    assert {n.split(".", 1)[1] for n in names} == {"mp4", "flac", "npz", "json"}
    assert not any(str(made) in n for n in names)


def test_statistics(made: Path) -> None:
    numbers = json.loads((made / "statistics.json").read_text())
    assert numbers["clips"] == 2
    assert numbers["offset_corrected"] == 1
    assert {k: v["count"] for k, v in numbers["rejected"].items()} == {
        "duplicate": 1,
        "no speech": 1,
        "the mouth stays still": 1,
        "unusable": 1,
    }
    assert sum(numbers["histograms"]["fps"]["minutes"]) == pytest.approx(
        numbers["minutes"], abs=0.02
    )
    page = (made / "statistics.html").read_text()
    assert "the mouth stays still" in page
    assert page.count("<svg") == len(numbers["histograms"]) + 3
    assert page.count("src='data:image/jpeg;base64,") == numbers["identities"]
    left_out = [c for c in read_rows(made / "manifest.jsonl") if c["reason"]]
    assert len(numbers["left_out"]) == len(left_out) == 4
    assert all(html.escape(c["reason"]) in page for c in left_out)
    assert str(made.parent) not in page


def test_a_picture_of_the_person_is_the_inner_part_of_a_stored_crop(made: Path) -> None:
    clips = read_rows(made / "manifest.jsonl")
    settings = PrepareSettings(**json.loads((made / "settings.json").read_text()))
    (person, *_) = portraits(made / "clips", clips, settings)
    shown = cv2.imdecode(np.frombuffer(person.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (72, 72, 3)
    longest = max(
        (c for c in clips if c["identity"] == person.identity and not c["reason"]),
        key=lambda c: (c["frames"], c["clip"]),
    )
    crop = read_crops(made / "clips" / f"{longest['clip']}.mp4")[12]
    edge = settings.margin(settings.size)
    inner = crop[edge:-edge, edge:-edge].mean(axis=(0, 1))
    assert shown[..., ::-1].mean(axis=(0, 1)) == pytest.approx(inner, abs=2)


def test_a_lost_crop_is_a_person_without_a_picture(tmp_path: Path) -> None:
    clip = {"clip": "a", "identity": "<x>", "split": "val", "frames": 50, "reason": ""}
    (person,) = portraits(tmp_path, [clip], PrepareSettings())
    assert person == Portrait("<x>", "val", 1, 0.03, b"")


def test_nothing_is_left_of_rejected_pieces_or_of_the_steps(made: Path) -> None:
    kept = {r["clip"] for r in read_rows(made / "manifest.jsonl") if not r["reason"]}
    assert {p.name.split(".")[0] for p in (made / "clips").iterdir()} == kept
    assert not (made / "scratch").exists()


def assert_same_corpus(ours: Path, theirs: Path) -> None:
    """The same clips of the same moments with the same sound.

    Pictures are compared to within what a lossy codec adds: a processor that rounds one landmark
    otherwise moves a crop by a hundredth of a pixel.
    """
    rows = [read_rows(c / "manifest.jsonl") for c in (ours, theirs)]
    assert [(r["clip"], r["frames"], r["reason"]) for r in rows[0]] == [
        (r["clip"], r["frames"], r["reason"]) for r in rows[1]
    ]
    assert [r.get("offset") for r in rows[0]] == [r.get("offset") for r in rows[1]]
    a, b = (PackedCorpus(c) for c in (ours, theirs))
    assert a.rows == b.rows
    assert np.array_equal(a.mel, b.mel)
    # Openings range over 0.1 and change by hundredths from frame to frame.
    assert np.abs(a.opening - b.opening).max() < 0.003
    each = np.abs(a.frames.astype(int) - b.frames.astype(int)).mean(axis=(1, 2, 3))
    assert each.max() < 3.0


def test_corpora_that_differ_by_a_frame_are_not_the_same(made: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(made, other)
    assert_same_corpus(made, other)
    with np.load(made / "packed" / "features.npz") as features:
        moved = {name: np.roll(features[name], 1, axis=0) for name in features}
    np.savez(other / "packed" / "features.npz", **moved)
    with pytest.raises(AssertionError):
        assert_same_corpus(made, other)


def test_packing_tells_of_every_clip(made: Path, tmp_path: Path) -> None:
    """It takes minutes for a large corpus."""
    out = tmp_path / "copy"
    shutil.copytree(made, out)
    (out / "packed" / "rows.json").unlink()
    rows, settings = (
        read_rows(out / "manifest.jsonl"),
        PrepareSettings(size=64, pack_size=64, hd=0, mark="0badcafe"),
    )
    told: list[tuple[int, int]] = []
    pack_corpus(out, rows, settings, lambda *counts: told.append(counts))
    assert told == [(0, 2), (1, 2), (2, 2)]
    pack_corpus(out, rows, settings, lambda *_: pytest.fail("there was nothing to do"))
    assert_same_corpus(made, out)

    told.clear()
    write_shards(out, rows, progress=lambda *counts: told.append(counts))
    assert told == [(0, 2), (1, 2), (2, 2)]


class PowerCutError(Exception):
    """Raised in the middle of a run."""


@pytest.mark.parametrize("when", ["cut", "sync", "finish"])
def test_an_interrupted_run_goes_on(
    two: list[Path],
    uninterrupted: Path,
    tmp_path: Path,
    when: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "corpus"
    calls: list[str] = []
    original = dict(module.STEPS)

    def counted(name: str):  # type: ignore[no-untyped-def]
        def step(row, work):  # type: ignore[no-untyped-def]
            calls.append(name)
            return original[name](row, work)

        return step

    monkeypatch.setattr(module, "STEPS", tuple((n, counted(n)) for n, _ in module.STEPS))

    def stop(step: str, done: int, total: int) -> None:
        if step == when and done == 1:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        prepare(two, out, SMALL, ALONE, stop)
    unfinished = next((out / "steps").glob(f"*-{when}.jsonl"))
    with unfinished.open("a") as file:
        file.write('{"source": "half a li')  # what a crash in the middle of writing leaves
    summary = prepare(two, out, SMALL, ALONE)
    assert summary.clips == 2
    assert calls.count(when) == 2  # one before the stop, one after; none twice
    assert calls.count("cut") == 2
    assert_same_corpus(out, uninterrupted)
    before = len(calls)
    prepare(two, out, SMALL, ALONE)
    assert len(calls) == before  # all is done


def test_a_step_that_broke_down_is_tried_again(
    two: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "corpus"
    original = dict(module.STEPS)

    def broken(row, work):  # type: ignore[no-untyped-def]
        if row["source"].endswith("b.mkv"):
            raise ZeroDivisionError("a bug")
        return original["finish"](row, work)

    steps = tuple((n, broken if n == "finish" else step) for n, step in module.STEPS)
    monkeypatch.setattr(module, "STEPS", steps)
    summary = prepare(two, out, SMALL, ALONE)
    assert summary.rejected == {"failed": 1}
    assert summary.clips == 1
    monkeypatch.undo()
    assert prepare(two, out, SMALL, ALONE).clips == 2
    assert not (out / "scratch").exists()


def test_one_run_at_a_time(talkers: Path, tmp_path: Path) -> None:
    def again(step: str, done: int, total: int) -> None:
        with pytest.raises(LipwrightError, match="Another job is writing"):
            prepare([talkers / "silent.mkv"], tmp_path / "corpus", SMALL, ALONE)
        raise PowerCutError

    with pytest.raises(PowerCutError):
        prepare([talkers / "silent.mkv"], tmp_path / "corpus", SMALL, ALONE, again)


@pytest.mark.slow
def test_processes_give_what_one_process_gives(talkers: Path, made: Path, tmp_path: Path) -> None:
    settings = PrepareSettings(size=64, pack_size=64, hd=0, mark="0badcafe")
    prepare([talkers], tmp_path / "two", settings, PrepareOptions(workers=2))
    assert_same_corpus(tmp_path / "two", made)


@pytest.mark.slow
def test_ray_gives_what_one_process_gives(talkers: Path, made: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    settings = PrepareSettings(size=64, pack_size=64, hd=0, mark="0badcafe")
    prepare([talkers], tmp_path / "ray", settings, PrepareOptions(ray="local"))
    assert_same_corpus(tmp_path / "ray", made)


def test_words_on_the_list_are_left_out(talkers: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "good.mkv").write_bytes((talkers / "good.mkv").read_bytes())
    (folder / "good.en.vtt").write_text(
        "WEBVTT\n\n00:01.000 --> 00:02.000\nwhat a <b>Bother</b>, this\n"
    )
    listed = tmp_path / "words.txt"
    listed.write_text("# not for children\nbother\n")
    with pytest.raises(LipwrightError, match="no clip of"):
        prepare([folder], tmp_path / "out", SMALL, PrepareOptions(workers=1, words=listed))
    assert by_source(tmp_path / "out")["good.mkv"]["reason"] == "word on the list"


def test_settings_and_labels_are_kept(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "in" / name).write_text(name)
    out = tmp_path / "corpus"
    with pytest.raises(LipwrightError, match="no clip of"):
        prepare([tmp_path / "in"], out, SMALL, ALONE)
    with pytest.raises(LipwrightError, match="begun with size=64"):
        prepare([tmp_path / "in"], out, PrepareSettings(size=128), ALONE)
    table = tmp_path / "labels.csv"
    table.write_text("file,identity,split\nin/a.mp4,ann,val\nin/b.mp4,ben,train\n")
    again = PrepareOptions(workers=1, labels=table)
    for options in (again, ALONE):  # the labels outlive the run that brought them
        with pytest.raises(LipwrightError, match="no clip of"):
            prepare([tmp_path / "in"], out, SMALL, options)
        assert {r["identity"] for r in read_rows(out / "manifest.jsonl")} == {"ann", "ben"}
    table.write_text("file,identity,split\nin/a.mp4,ann,val\nin/b.mp4,ann,train\n")
    with pytest.raises(LipwrightError, match="the identity ann is in the splits"):
        prepare([tmp_path / "in"], out, SMALL, again)


def test_dry_run_writes_nothing(talkers: Path, tmp_path: Path) -> None:
    plan = planned([talkers], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert plan["sources"] == 6
    assert plan["usable"] == 4
    assert plan["minutes"] == pytest.approx((5 + 5 + 2 + 2) / 60, abs=0.1)


def test_broken_last_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append_row(path, {"source": "a"})
    with path.open("a") as file:
        file.write('{"sour')
    assert read_rows(path) == [{"source": "a"}]
    drop_partial_last_line(path)
    append_row(path, {"source": "b"})
    assert [r["source"] for r in read_rows(path)] == ["a", "b"]


@pytest.mark.slow
def test_real_clips_and_resume(corpus: Path, tmp_path: Path) -> None:
    """Two real clips; a second call does nothing anew and packs both."""
    clips = sorted((corpus / "anchors").rglob("*.mp4"))[:2]
    out = tmp_path / "corpus"
    options = PrepareOptions(workers=1, labels=corpus / "clips.csv")
    assert prepare([clips[0]], out, options=options).clips == 1
    stamp = next((out / "clips").glob("*.mp4")).stat().st_mtime_ns
    summary = prepare([clips[1]], out, options=options)  # the first stays in the corpus
    assert summary.sources == 2
    assert stamp in {p.stat().st_mtime_ns for p in (out / "clips").glob("*.mp4")}
    packed = PackedCorpus(out)
    assert packed.frames.shape[1:] == (144, 144, 3)
    assert len(packed.rows) == summary.clips
    assert packed.opening.std() > 0
