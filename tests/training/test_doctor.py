"""The doctor on corpora with planted faults: it names the fault, and not on sound ones."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from lipwright.data.packed import ClipRow, PackedCorpus, write_rows
from lipwright.errors import LipwrightError
from lipwright.training.doctor.facts import Facts, clear_offset, duplicates, examine
from lipwright.training.doctor.report import bars, diagnose, trial_settings
from lipwright.training.doctor.trial import MouthGrids, Pairs, Trial, TrialSettings, run_trial
from lipwright.training.doctor.verdict import LN2, causes
from tests.training.tiny import make_corpus

QUICK = TrialSettings(window=6, batch=12, overfit_steps=60, steps=60, minutes=1000.0, pairs=64)


def lips_corpus(root: Path, late: int = 0, frames: int = 200, clips: int = 16) -> PackedCorpus:
    """Mouths that open with the sound, the sound ``late`` frames after them; no real pictures."""
    rng = np.random.default_rng(0)
    mels, openings, rows = [], [], []
    for c in range(clips):
        slow = np.convolve(rng.uniform(0, 1, frames + 60), np.ones(5) / 5, mode="same")
        opening = (slow[30 : 30 + frames] - 0.3).clip(0) * 0.3
        audio_embedding = (slow[30 - late : 30 - late + frames] - 0.3).clip(0) * 0.3
        loud = np.repeat(audio_embedding, 4)
        mel = np.outer(loud, np.linspace(20, 5, 80)) - 3 + rng.normal(0, 0.05, (4 * frames, 80))
        mels.append(mel)
        openings.append(opening)
        split = "val" if c >= clips - 4 else "train"
        rows.append(
            ClipRow(
                f"c{c}", f"id{c // 2}", split, "s", c * frames, frames, c * frames * 4, frames * 4
            )
        )
    folder = root / "packed"
    folder.mkdir(parents=True)
    pictures = rng.integers(0, 255, (clips * frames, 8, 8, 3), dtype=np.uint8)
    np.save(folder / "frames.npy", pictures)
    np.save(folder / "mel.npy", np.concatenate(mels).astype(np.float16))
    o = np.concatenate(openings).astype(np.float32)
    np.savez(folder / "features.npz", opening=o, lips=np.repeat(o[:, None], 4, axis=1))
    write_rows(folder, rows, 8, 0)
    return PackedCorpus(root)


def test_facts_count(tmp_path: Path) -> None:
    facts = examine(PackedCorpus(make_corpus(tmp_path)))
    assert facts.clips == {"train": 4, "val": 2}
    assert facts.speakers == {"train": 2, "val": 1}
    assert facts.minutes["train"] == pytest.approx(4 * 40 / 25 / 60, abs=0.01)
    assert facts.longest_share == pytest.approx(0.5)
    assert facts.shared == []
    assert facts.still == 0.0
    assert facts.duplicates == []


def test_late_sound_of_some_is_found(tmp_path: Path) -> None:
    """Two of twenty people get sound that is 6 frames late: they, and only they, are named."""
    good = lips_corpus(tmp_path / "a", frames=120, clips=40)
    shifted = good.mel.copy()
    for row in good.rows:
        if row.identity in ("id1", "id5"):
            part = slice(row.column, row.column + row.columns)
            shifted[part] = np.roll(good.mel[part], 4 * 6, axis=0)
    facts = examine(good)
    assert set(facts.offsets) == {0}
    assert facts.agreement > 0.6
    assert facts.off_share() == 0.0
    good.mel = shifted
    late = examine(good)
    assert {i for i, by in late.by_identity.items() if abs(by) >= 2} == {"id1", "id5"}
    assert late.by_identity["id1"] == pytest.approx(6, abs=1)
    assert late.off_share() == pytest.approx(0.1)
    words = " ".join(c.words for c in causes(late, Trial(overfit=[0.05], train=[0.7]), QUICK))
    assert "id1 by" in words


def test_duplicates_and_still_mouths_are_found(tmp_path: Path) -> None:
    packed = PackedCorpus(make_corpus(tmp_path))
    first, second = packed.rows[0], packed.rows[3]
    part = slice(second.column, second.column + second.columns)
    packed.mel[part] = packed.mel[first.column : first.column + first.columns]
    packed.opening[:] = 0.05
    assert duplicates(packed) == [["c0", "c3"]]
    facts = examine(packed)
    assert facts.still == 1.0
    words = " ".join(c.words for c in causes(facts, Trial(overfit=[0.05], train=[0.7]), QUICK))
    assert "copies" in words
    assert "does not move" in words


def test_a_peak_is_told_from_noise() -> None:
    curve = np.full(21, 0.05)
    curve[14] = 0.6
    assert clear_offset(curve, 200) == (4, True)
    assert clear_offset(curve, 8)[1] is False
    edge = np.linspace(0, 1, 21)
    assert clear_offset(edge, 500)[1] is False


def test_pairs_are_half_and_half_and_as_far_apart_as_asked(tmp_path: Path) -> None:
    packed = PackedCorpus(make_corpus(tmp_path, size=48))
    pairs = Pairs(packed, MouthGrids(packed), "train", QUICK, QUICK.window)
    faces, mel, labels = pairs.draw(np.random.default_rng(0), 10)
    assert faces.shape == (10, 6, 16, 16, 16)
    assert mel.shape == (10, 80, 24)
    assert labels.tolist() == [1.0, 0.0] * 5


def test_a_batch_is_overfitted_and_chance_is_named(tmp_path: Path) -> None:
    trial = run_trial(PackedCorpus(make_corpus(tmp_path, size=48)), QUICK)
    assert trial.overfit[-1] < 0.3
    assert trial.overfit[0] > trial.overfit[-1]
    assert trial.steps == 60
    assert 0 in trial.curve
    assert all(0 <= v <= 1 for v in trial.choice.values())
    flat = Trial(overfit=[0.7, 0.05], train=[LN2] * 50, steps=50)
    words = " ".join(c.words for c in causes(Facts(), flat, QUICK))
    assert "still at chance (0.693; ln 2 is 0.693)" in words
    stuck = Trial(overfit=[0.69] * 200)
    found = causes(Facts(frames=[100]), stuck, QUICK)
    assert found[0].weight == 3
    assert "one batch cannot be overfitted" in found[0].words
    early = Trial(overfit=[0.05], train=[0.3] * 50, curve={-4: 0.9, 0: 0.1, 4: 0.1}, val_loss=0.3)
    assert any("4 frames earlier" in c.words for c in causes(Facts(), early, QUICK))


def test_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_corpus(tmp_path / "corpus", size=48)
    settings = ["window=6", "batch=6", "overfit_steps=2", "steps=2", "pairs=8"]
    found = diagnose(data, tmp_path / "run", settings)
    shown = capsys.readouterr().out
    assert "2 speakers" in shown
    assert "ln 2 is 0.693" in shown
    assert found
    content = json.loads((tmp_path / "run" / "doctor.json").read_text())
    assert content["facts"]["speakers"]["train"] == 2
    assert len(content["causes"]) == len(found)
    assert math.isfinite(content["trial"]["val_loss"])
    with pytest.raises(LipwrightError, match="no setting 'stepz'"):
        diagnose(data, None, ["stepz=1"])
    with pytest.raises(LipwrightError, match="must be a number"):
        trial_settings(["steps=many"])


def test_bars() -> None:
    lines = bars({-1: 1.0, 0: 2.0}, "{:.0f}").splitlines()
    assert [line.count("#") for line in lines] == [20, 40]
    assert bars({}, "{}") == "  (none)"
