"""Offsets: what curves over shifts say, and the fit of lips to sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipwright.data import sync_lips
from lipwright.data.predictor import (
    CONTEXT,
    envelope_curve,
    predicted_curve,
    shifted_correlation,
    with_context,
)
from lipwright.data.prepare import PrepareOptions, prepare
from lipwright.data.rows import PrepareSettings, Row, StepContext
from lipwright.data.sync import follow_identity, sync, verdict
from lipwright.errors import LipwrightError
from lipwright.lip_agreement import REACH, certainty
from lipwright.lip_motion import LipMotions
from tests.conftest import MakeVideo


def curve_at(offset: int, height: float = 0.8) -> np.ndarray:
    shifts = np.arange(-REACH, REACH + 1)
    return height * np.exp(-(((shifts - offset) / 2.0) ** 2))


def test_verdict_by_hand() -> None:
    assert verdict(curve_at(6), 400)["offset"] == 6
    assert verdict(curve_at(6), 400)["sure"]
    assert not verdict(curve_at(6), 10)["sure"]  # too short to tell
    assert certainty(curve_at(0), 400) == pytest.approx(0.8 * 10, rel=0.02)
    slope = np.linspace(0, 1, 2 * REACH + 1)
    assert not verdict(slope, 1000)["sure"]  # goes on beyond the shifts tried


def test_single_frames_are_corrected_only_when_very_clear() -> None:
    assert verdict(curve_at(1), 200)["offset"] == 1
    assert verdict(curve_at(1), 60)["offset"] == 0
    assert verdict(curve_at(1), 200, "envelope")["offset"] == 0


def test_shifted_correlation_finds_a_planted_shift() -> None:
    rng = np.random.default_rng(0)
    signal = rng.standard_normal(300 + 2 * REACH)
    lips = signal[REACH : REACH + 300]
    lips = ((lips - lips.mean()) / lips.std())[:, None]
    for late in (-7, 0, 4):
        heard = np.roll(signal, late)[:, None]
        curve = shifted_correlation(lips, heard, (1.0,))
        assert int(curve.argmax()) - REACH == late
        assert curve.max() > 0.9


def test_envelope_counts_its_own_lead_as_none() -> None:
    """Real mouths open a frame before the sound is loud: such sound is called in step."""
    rng = np.random.default_rng(1)
    loud = np.convolve(rng.uniform(0, 1, 400 + 2 * (REACH + CONTEXT)), np.ones(4) / 4, "same")
    bands = np.repeat(loud[:, None], 20, axis=1) - 3
    first = REACH + CONTEXT
    lips = loud[first + 1 : first + 1 + 400]  # opens one frame early
    lips = np.repeat(((lips - lips.mean()) / lips.std())[:, None], 3, axis=1)
    assert int(envelope_curve(lips, bands).argmax()) - REACH == 0


def test_predicted_curve_uses_the_weights() -> None:
    rng = np.random.default_rng(2)
    bands = rng.standard_normal((200 + 2 * (REACH + CONTEXT), 20))
    weights = rng.standard_normal((20 * (2 * CONTEXT + 1), 3))
    lips = (with_context(bands) @ weights)[REACH + 3 : REACH + 203]
    lips = (lips - lips.mean(axis=0)) / lips.std(axis=0)
    curve = predicted_curve(lips, bands, weights)
    assert int(curve.argmax()) - REACH == 3


def piece(clip: str, offset: int, sync: str = "unsure", frames: int = 30) -> Row:
    return {
        "clip": clip,
        "frames": frames,
        "first": 0,
        "face_height": 100.0,
        "reason": "",
        "sync": sync,
        "offset": 0,
        "curve": curve_at(offset, 0.5).tolist(),
    }


def test_short_clips_follow_their_person(tmp_path: Path) -> None:
    work = StepContext(str(tmp_path), PrepareSettings(), expert="run")
    late = [{"source": f"a{n}", "reason": "", "pieces": [piece(f"a{n}", 4)]} for n in range(30)]
    sure = {"source": "a-sure", "reason": "", "pieces": [piece("s", 0, "expert")]}
    alone = {"source": "b", "reason": "", "pieces": [piece("b", 4)]}
    rows = follow_identity([*late, sure, alone], lambda r: str(r["source"])[0], work)
    assert {p["offset"] for r in rows[:30] for p in r["pieces"]} == {4}
    assert {p["sync"] for r in rows[:30] for p in r["pieces"]} == {"identity"}
    assert rows[30]["pieces"][0]["offset"] == 0  # told for itself
    assert rows[31]["pieces"][0]["sync"] == "unsure"  # one clip speaks for nobody


def test_of_two_faces_at_a_time_the_one_that_speaks_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = StepContext(str(tmp_path), PrepareSettings())
    curves = {"speaks": curve_at(0), "listens": curve_at(0, 0.1), "later": curve_at(0)}
    monkeypatch.setattr("lipwright.data.sync._curve", lambda row, p, work: curves[p["clip"]])
    pieces = [piece("listens", 0, frames=200), piece("speaks", 0, frames=200)]
    pieces[0]["face_height"] = 300.0  # nearer to the camera, and still not the speaker
    pieces.append({**piece("later", 0, frames=200), "first": 500})
    row = sync({"source": "x", "name": "x", "reason": "", "pieces": pieces}, work)
    reasons = {p["clip"]: p["reason"] for p in row["pieces"]}
    assert reasons["speaks"] == reasons["later"] == ""
    assert reasons["listens"] == "somebody else may be speaking"


def test_what_cannot_be_corrected_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = StepContext(str(tmp_path), PrepareSettings(max_offset=10))
    far = curve_at(12)
    monkeypatch.setattr("lipwright.data.sync._curve", lambda row, p, work: far)
    row = {"source": "x", "name": "x", "reason": "", "pieces": [piece("a", 0, frames=400)]}
    assert sync(row, work)["pieces"][0]["reason"] == "sound out of step: by 12 frames"
    nothing = np.full(2 * REACH + 1, 0.03)
    monkeypatch.setattr("lipwright.data.sync._curve", lambda row, p, work: nothing)
    found = sync(row, work)["pieces"][0]["reason"]
    assert found.startswith("lips and sound do not go together")


def test_the_shipped_speech_network_judges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A predictor that says that lips open as the samples are; sound 4 frames late, silent ends."""
    rng = np.random.default_rng(3)
    opening = np.convolve(rng.uniform(0, 1, 200), np.ones(3) / 3, "same")

    class Predictor:
        motions = LipMotions(np.eye(80)[:, :2], np.array([0.1, 1.0, 1.0]))

        def speech_features(self, wave: np.ndarray) -> np.ndarray:
            return np.stack([wave[::160], 0 * wave[::160], 0 * wave[::160]])

    work = StepContext(str(tmp_path), PrepareSettings(), lips=True)
    work.scratch.mkdir()
    samples = np.repeat(np.roll(opening, 4)[:150], 640)
    np.save(work.scratch / "x.npy", np.rint(samples * 20_000).astype(np.int16))
    lips = np.random.default_rng(4).normal(0, 1e-3, (100, 80))
    np.savez(work.scratch / "c.npz", opening=opening[20:120], lips=lips)
    monkeypatch.setattr(sync_lips, "predictor", Predictor)
    sync_lips._predicted.cache_clear()
    given = {**piece("c", 0, frames=100), "first": 20}
    row = sync({"source": "x", "name": "x", "reason": "", "pieces": [given]}, work)
    (judged,) = row["pieces"]
    assert (judged["sync"], judged["offset"], judged["reason"]) == ("lips", 4, "")


def test_only_one_judge(tmp_path: Path, make_video: MakeVideo) -> None:
    options = PrepareOptions(lips=True, expert=tmp_path)
    with pytest.raises(LipwrightError, match="leave out one"):
        prepare([make_video()], tmp_path / "corpus", None, options)
