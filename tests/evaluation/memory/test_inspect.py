"""``lipwright memory inspect``: labels, information against its control, the page and its files."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lipwright.data.packed import ClipRow, PackedCorpus
from lipwright.errors import LipwrightError
from lipwright.evaluation.memory.information import entropy, information, mutual_information
from lipwright.evaluation.memory.inspect import inspect
from lipwright.evaluation.memory.labels import (
    DICTIONARY,
    LONG,
    Word,
    find_alignment,
    frame_labels,
    phoneme_at,
    read_alignment,
    recognised_labels,
)
from lipwright.evaluation.memory.probe import Probe
from lipwright.evaluation.phones import Phone
from lipwright.media.mel import windows
from lipwright.training.config import parse
from lipwright.training.stages.memory import MemoryStage
from lipwright.training.stages.memory_config import MemoryConfig
from lipwright.training.stages.memory_network import TrainedMemory

from ...training.tiny import make_corpus

CONFIG: dict[str, Any] = {
    "model": {
        "lip_dim": 8,
        "audio_dim": 6,
        "memory": {"slots": 6},
        "audio": {"kind": "context", "channels": [4, 4, 4], "width": 8, "layers": 1},
        "identity": {"channels": [8, 8, 16], "patch": 2, "groups": 4},
        "decoder": {"channels": [8, 8, 16], "lower": True},
    },
    "lips": {"channels": [8, 8], "patch": 2, "groups": 4},
    "loss": {"sync": 0.0, "discriminator": 0.0},
    "lip_dim": 3,
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def checkpoint(corpus: Path) -> Path:
    stage = MemoryStage(parse(MemoryConfig, CONFIG, "test"), PackedCorpus(corpus))
    stage.export(stage.network.eval(), corpus / "memory.safetensors", {})
    return corpus / "memory.safetensors"


@pytest.fixture(scope="module")
def alignments(corpus: Path) -> Path:
    folder = corpus / "align"
    folder.mkdir()
    for i in range(3):
        (folder / f"s{i}.align").write_text("0 10000 sil\n10000 25000 blue\n25000 40000 nine\n")
    return folder


def test_frames_are_labelled_by_their_middle(tmp_path: Path) -> None:
    path = tmp_path / "a.align"
    path.write_text("0 2000 sil\n2000 8000 BLUE\n8000 9000 xyz\n")
    words = read_alignment(path)
    assert words[1] == Word(0.08, 0.32, "blue")
    said = frame_labels(words, 10)
    assert said.words == (*["sil"] * 2, *["blue"] * 6, "xyz", "sil")
    # b, l and a vowel of twice their length over 0.08 .. 0.32: until 0.14, 0.20 and 0.32.
    assert said.phonemes[2:8] == ("b", "l", "l", "uw", "uw", "uw")
    assert said.phonemes[8:] == ("?", "sil")
    assert frame_labels(words, 3, start=0.08).words == ("blue",) * 3
    assert phoneme_at(words[1], 0.3199999) == "uw"


def test_the_dictionary_covers_grid() -> None:
    assert len(DICTIONARY) == 51
    used = {p for phonemes in DICTIONARY.values() for p in phonemes}
    assert used >= LONG - {"er"}
    assert all(p.isalpha() for p in used)


def test_alignments_are_found_and_checked(tmp_path: Path) -> None:
    (tmp_path / "s1").mkdir()
    (tmp_path / "align").mkdir()
    there = tmp_path / "align" / "clip.align"
    there.write_text("0 oops word\n")
    assert find_alignment(tmp_path / "s1" / "clip.mp4") == there
    assert find_alignment(tmp_path / "s1" / "other.mp4") is None
    assert find_alignment(Path("clip.mp4"), tmp_path / "align") == there
    with pytest.raises(LipwrightError, match="wrong in line 1"):
        read_alignment(there)


def test_information_by_hand() -> None:
    slots = np.array([0, 0, 1, 1])
    assert mutual_information(slots, np.array([0, 0, 1, 1])) == pytest.approx(1.0)
    assert mutual_information(slots, np.array([0, 1, 0, 1])) == pytest.approx(0.0)
    # p(0, 0) = 1/2, p(1, 0) = p(1, 1) = 1/4.
    expected = 0.5 * np.log2(4 / 3) + 0.25 * np.log2(2 / 3) + 0.25 * np.log2(2)
    assert mutual_information(slots, np.array([0, 0, 0, 1])) == pytest.approx(expected)
    assert entropy(np.array([0, 0, 1, 1])) == pytest.approx(1.0)


def test_the_control_tells_sounds_from_chance() -> None:
    rng = np.random.default_rng(0)
    labels, knowing, guessing = [], [], []
    for _ in range(12):
        said = rng.integers(0, 5, 60)
        labels.append([f"p{x}" for x in said])
        knowing.append((said * 3 + rng.integers(0, 3, 60)).astype(np.int64))
        guessing.append(rng.integers(0, 15, 60))
    wise = information(knowing, labels, shuffles=50)
    assert wise.bits > 2.2 > 10 * wise.control
    assert wise.p < 0.03
    blind = information(guessing, labels, shuffles=50)
    assert abs(blind.bits - blind.control) < 0.03
    assert blind.p > 0.03
    part = information(knowing, labels, frozenset({"p0", "p1"}), shuffles=5)
    assert part.frames == sum(name not in ("p0", "p1") for clip in labels for name in clip)
    assert part.label_bits < np.log2(3) + 1e-9


def test_the_probe_hears_what_the_stage_hears(checkpoint: Path, corpus: Path) -> None:
    packed = PackedCorpus(corpus)
    probe = Probe(checkpoint, packed)
    row = packed.rows[0]
    heard = probe.of_clip(row)
    assert heard.audio.shape == heard.lips.shape == (row.frames, 6)
    stage = MemoryStage(parse(MemoryConfig, CONFIG, "test"), packed)
    network = stage.network.eval()
    assert isinstance(network, TrainedMemory)
    steps, before = probe.talker.audio.steps, probe.talker.audio.before
    assert before <= 40
    window = torch.from_numpy(packed.clip_mel(row).astype(np.float32))[:, 40 - before :][:, :steps]
    with torch.no_grad():
        feature = probe.talker.audio(window[None])
        assert np.allclose(probe.talker.memory.address_audio(feature), heard.audio[10], atol=1e-5)
    # The stage cuts its windows with the one function for it.
    spec = stage.clips.audio
    assert (spec.steps, spec.before) == (steps, before)
    cut = windows(packed.speech(row), [Fraction(10, 25)], spec)
    assert torch.allclose(torch.as_tensor(cut[0]).float(), window)


@pytest.mark.parametrize("edit", [None, "blue:ay", "0:5"])
def test_inspect_writes_a_page(
    edit: str | None, checkpoint: Path, corpus: Path, alignments: Path, tmp_path: Path
) -> None:
    out = tmp_path / "page"
    told: list[tuple[int, int]] = []
    found = inspect(
        *(checkpoint, corpus, out, "all", 6, edit, alignments),
        progress=lambda a, b: told.append((a, b)),
    )
    assert told[-1] == (6, 6)
    page = (out / "index.html").read_text()
    for name in ("slots", "heat", "phonemes", "words", "mouths", "edit"):
        assert (out / f"{name}.png").stat().st_size > 500
        assert f"{name}.png" in page
    assert json.loads((out / "inspect.json").read_text()) == found
    predicted_from = found["information"]
    assert predicted_from["clips"] == 3
    assert predicted_from["frames"] == 3 * 30  # silence is not counted
    for who in ("audio", "lips"):
        for what in ("phonemes", "words"):
            assert 0 < predicted_from[who][what]["p"] <= 1
    assert 1 <= found["slots"]["audio"]["effective"] <= 6.01
    assert len(found["use"]["lips"]) == 6
    assert found["edit"]["from"] == (edit or "ay:uw").split(":")[0]


def test_without_alignments_it_says_so(checkpoint: Path, corpus: Path, tmp_path: Path) -> None:
    found = inspect(checkpoint, corpus, tmp_path, "val", 9, alignments=tmp_path)
    assert found["information"] is None
    assert "word alignment" in (tmp_path / "index.html").read_text()
    assert not (tmp_path / "words.png").exists()
    assert (tmp_path / "edit.png").exists()  # between the two most used slots


def test_wrong_questions(checkpoint: Path, corpus: Path, alignments: Path, tmp_path: Path) -> None:
    for edit, message in (
        ("blue", "does not name two sounds"),
        ("blue:zebra", "said in none"),
        ("0:6", "no slot 6"),
    ):
        with pytest.raises(LipwrightError, match=message):
            inspect(checkpoint, corpus, tmp_path, "all", 4, edit, alignments)
    other = make_corpus(tmp_path / "larger", clips=3, frames=8, size=48)
    with pytest.raises(LipwrightError, match="holds crops of 48 px"):
        inspect(checkpoint, other, tmp_path)


def test_the_command_says_what_it_found(
    checkpoint: Path, corpus: Path, alignments: Path, tmp_path: Path
) -> None:
    from typer.testing import CliRunner

    from lipwright.cli import app

    words = ["memory", "inspect", str(checkpoint), "--data", str(corpus), "-o", str(tmp_path)]
    told = CliRunner().invoke(app, [*words, "--clips", "4", "--alignments", str(alignments)])
    assert told.exit_code == 0, told.output
    assert "of 6 slots" in told.output
    assert "Top slot and phoneme share" in told.output
    wrong = CliRunner().invoke(app, [*words, "--split", "test"])
    assert isinstance(wrong.exception, LipwrightError)


def test_phones_of_the_aligner_become_labels(tmp_path: Path, monkeypatch: Any) -> None:
    from lipwright.evaluation.memory import labels

    asked: list[str | None] = []

    def phones(wave: np.ndarray, transcript: str | None) -> list[Phone]:
        asked.append(transcript)
        return [] if not wave.any() else [Phone("", 0.0, 0.04), Phone("B", 0.04, 0.12)]

    monkeypatch.setattr(labels, "phones_of", phones)
    (tmp_path / "x.align").write_text("0 2000 sil\n2000 4000 bin\n4000 6000 z\n")
    row = ClipRow("x-000", "grid_s1", "val", str(tmp_path / "x.mpg"), 0, 4, 0, 16)
    said = recognised_labels(row, np.ones(2560, np.float32), 0.0, tmp_path)
    assert said is not None
    assert said.phonemes == ("sil", "b", "b", "sil")
    assert said.words == ("sil", "sil", "bin", "bin")
    free = recognised_labels(row, np.ones(2560, np.float32), 0.0, tmp_path / "nothing")
    assert free is not None
    assert free.words == ("?",) * 4
    assert asked == ["bin", None]  # the letter lies behind the end of the clip
    assert recognised_labels(row, np.zeros(2560, np.float32), 0.0, tmp_path) is None


def test_people_are_chosen_by_pattern(checkpoint: Path, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(LipwrightError, match="no clips of 'nobody_"):
        inspect(checkpoint, corpus, tmp_path, "all", 4, identities="nobody_*")
    rows = PackedCorpus(corpus).rows
    name = rows[0].identity
    found = inspect(checkpoint, corpus, tmp_path, "all", 99, identities=f"nobody, {name}")
    assert found["clips"] == sum(r.identity == name for r in rows)
    assert found["identities"] == 1
