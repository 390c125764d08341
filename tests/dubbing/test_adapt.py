"""Learning a person's articulation from a video: what is learnt, from what, and when nothing is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lipwright.dubbing import adapt, adapt_plan
from lipwright.dubbing.job import DubOptions, dub
from lipwright.errors import LipwrightError
from lipwright.lip_motion import LipMotions
from lipwright.media.mel import AudioSpec
from lipwright.methods.articulation import stretched
from lipwright.methods.base import Method, MethodInfo, Rendered
from tests.conftest import MakeVideo
from tests.dubbing import clips
from tests.dubbing.clips import Actor, ScriptedTracker

SIZE = (192, 160)
SECONDS = 6
PLAIN = {"watermark": False, "manifest": False, "enhance": "none", "length": "video"}
RATE = 16000


def syllables(seed: int) -> np.ndarray:
    """(frames,) loudness in [0, 1] at 25 fps, with a pause."""
    noise = np.random.default_rng(seed).uniform(0, 1, 25 * SECONDS + 20)
    loud = np.convolve(noise, np.ones(4) / 4, "same")[: 25 * SECONDS]
    loud = np.clip((loud - 0.25) * 2, 0.02, 1)
    loud[60:75] = 0
    return loud


def sound(loud: np.ndarray) -> np.ndarray:
    """Band-limited noise of that loudness."""
    samples = np.random.default_rng(9).standard_normal(RATE * SECONDS)
    samples = np.convolve(samples, np.ones(4) / 4, "same")
    level = np.interp(np.arange(samples.size) / RATE * 25, np.arange(loud.size) + 0.5, loud)
    return (0.3 * level * samples).astype(np.float32)


class LipTalker(Method):
    """Says that lips open as loud as the sound is, half as far as the people of these tests."""

    articulation = np.array([1.25, 1.0, 1.0], np.float32)

    def __init__(self) -> None:
        self.info = MethodInfo("lips", "lips-1", 64, AudioSpec(), "none", whole_speech=True)
        self.motions = LipMotions(np.eye(80)[:, :2], np.array([0.02, 1.0, 1.0]))
        self.drawn: list[np.ndarray] = []
        self.heard = 0

    def speech_features(self, wave: np.ndarray) -> np.ndarray:
        self.heard += 1
        power = np.convolve(wave.astype(np.float64) ** 2, np.ones(640) / 640, "same")
        loud = 2.25 * np.sqrt(power[::160]) / 0.15
        return np.stack([loud, 0.3 * loud, np.zeros(loud.size)]).astype(np.float32)

    def start(self, reference: np.ndarray, lips: object = None) -> None:
        return None

    def render(self, faces: np.ndarray, audio: np.ndarray, state: Any) -> Rendered:
        assert self.articulation is not None
        self.drawn.extend(stretched(audio, self.articulation))
        return Rendered(faces, faces)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LIPWRIGHT_HOME", str(tmp_path / "home"))
    return


def talking(loud: np.ndarray, late: int = 0) -> clips.Script:
    """A face whose mouth follows a loudness, ``late`` frames after it."""
    opening = 0.01 + 0.09 * np.roll(loud, late)
    return lambda i: [Actor(0, 30, 20, 110, opening=float(opening[i % opening.size]))]


def video(make_video: MakeVideo, loud: np.ndarray, name: str = "v.mkv") -> Path:
    return make_video(name, size=SIZE, frames=25 * SECONDS, audio=sound(loud)[None])


def run(path: Path, script: clips.Script, **options: Any) -> tuple[dict[str, Any], LipTalker]:
    method = LipTalker()
    speech = path.with_name("speech.wav")
    if not speech.exists():
        clips.write_speech(speech, 2.0)
    given = DubOptions(**{**PLAIN, "length": "speech", **options})
    out = path.with_name("out.mp4")
    report = dub(path, speech, out, given, method=method, tracker=ScriptedTracker(script))
    return (report.adaptation or [{}])[0], method


def test_own_speech_in_step_is_learnt(make_video: MakeVideo) -> None:
    """These mouths open twice as far as is said, from their rest; 1.25 times is drawn."""
    loud = syllables(0)
    path = video(make_video, loud)
    facts, adapted = run(path, talking(loud))
    assert facts["used"], facts
    assert abs(facts["offset_frames"]) <= 1
    assert facts["seconds"] > 4
    assert facts["error_ratio"] < 0.5
    off, general = run(path, talking(loud), adapt="off")
    assert off == {}
    wide, usual = (np.stack(m.drawn)[:, 0] for m in (adapted, general))
    spoken = (usual > 1.0) & (usual < 3.0)
    rest = np.median(np.sort(loud)[: len(loud) // 5])
    expected = 2 / 1.25 * usual[spoken].mean() - 4.5 * rest
    assert 1.2 * usual[spoken].mean() < wide[spoken].mean() < 1.3 * expected
    assert np.corrcoef(wide, usual)[0, 1] > 0.9


def test_the_offset_of_the_sound_is_found(make_video: MakeVideo) -> None:
    loud = syllables(1)
    facts, _ = run(video(make_video, loud), talking(loud, late=-3))
    assert facts["used"], facts
    assert facts["offset_frames"] in (2, 3, 4)


def test_a_foreign_sound_teaches_nothing(make_video: MakeVideo) -> None:
    facts, _ = run(video(make_video, syllables(2)), talking(syllables(3)))
    assert not facts["used"]
    assert facts["reason"] == adapt.OUT_OF_STEP


def test_too_little_speech_teaches_nothing(make_video: MakeVideo) -> None:
    loud = syllables(4)
    loud[50:] = 0
    facts, _ = run(video(make_video, loud), talking(loud))
    assert not facts["used"]
    assert "3 s are needed" in facts["reason"]


def test_what_is_almost_enough_is_not_rounded_up() -> None:
    assert adapt._too_little(74).startswith("2.9 s of")  # 74 / 25 = 2.96


def test_no_sound_and_no_motion(make_video: MakeVideo) -> None:
    silent = make_video("silent.mkv", size=SIZE, frames=30)
    facts, _ = run(silent, talking(syllables(0)))
    assert facts["reason"] == adapt.NO_SOUND
    method = LipTalker()
    method.motions = None
    out = silent.with_name("o.mp4")
    given = DubOptions(**PLAIN, plan_cache=False)
    tracker = ScriptedTracker(talking(syllables(0)))
    report = dub(silent, silent.with_name("speech.wav"), out, given, method=method, tracker=tracker)
    assert report.adaptation[0]["reason"] == adapt.NO_MOTION


def test_another_video_of_the_person(make_video: MakeVideo) -> None:
    loud = syllables(5)
    teacher = video(make_video, loud, "teacher.mkv")
    silent = make_video("silent.mkv", size=SIZE, frames=30)

    def script(i: int) -> list[Actor]:  # the dubbed video first, then the one to learn from
        return list(talking(loud)(i - 30 if i >= 30 else 0))

    facts, method = run(silent, script, adapt=str(teacher))
    assert facts["used"], facts
    assert facts["from"] == str(teacher)
    assert np.stack(method.drawn)[:, 0].max() > 2.0


def test_another_video_that_teaches_nothing_is_told(make_video: MakeVideo) -> None:
    silent = make_video("silent.mkv", size=SIZE, frames=30)
    teacher = make_video("teacher.mkv", size=SIZE, frames=40)
    clips.write_speech(silent.with_name("speech.wav"), 1.0)
    given = DubOptions(**PLAIN, adapt=str(teacher))
    out = silent.with_name("o.mp4")
    tracker = ScriptedTracker(talking(syllables(0)))
    speech = silent.with_name("speech.wav")
    report = dub(silent, speech, out, given, method=LipTalker(), tracker=tracker)
    assert f"Nothing was learnt from {teacher}: {adapt.NO_SOUND}." in report.warnings
    with pytest.raises(LipwrightError, match="learn the person"):
        dub(silent, speech, out, DubOptions(adapt="nowhere.mp4"), method=LipTalker())


def test_what_was_learnt_is_kept_with_the_plan(make_video: MakeVideo) -> None:
    loud = syllables(6)
    path = video(make_video, loud)
    facts, first = run(path, talking(loud))
    again, second = run(path, talking(loud))
    assert (first.heard, second.heard) == (2, 1)  # the video's own sound, and the speech
    assert again == facts
    assert np.array_equal(np.stack(first.drawn), np.stack(second.drawn))
    _, third = run(path, talking(loud), plan_cache=False)
    assert third.heard == 2


def test_somebody_else_speaking_in_between_is_left_out() -> None:
    """10 s of a person, 5 s in which the lips do something else."""
    rng = np.random.default_rng(0)
    told = np.stack([np.convolve(c, np.ones(4) / 2, "same") for c in rng.normal(size=(3, 375))], 1)
    lips = 1.5 * told
    lips[250:] = np.random.default_rng(1).permutation(lips[250:])
    found = adapt.learn_person({7: (0, lips)}, told, np.ones(375, np.bool_))
    assert found.facts["used"]
    assert found.facts["seconds"] == pytest.approx(10.0)


def test_levels_of_shots() -> None:
    """One person in two shots, in the second with wider lips: by as much as the frames say."""
    rng = np.random.default_rng(0)
    told = np.stack([np.convolve(c, np.ones(4) / 2, "same") for c in rng.normal(size=(3, 400))], 1)
    lips = told.copy()
    lips[200:, 1] += 2.0
    seen = {0: (0, lips[:200]), 1: (200, lips[200:])}
    found = adapt.learn_person(seen, told, np.ones(400, np.bool_))
    assert found.adaptation is not None
    made = adapt.features_by_track([found], np.zeros((3, 40), np.float32), None)
    assert made[1][1].mean() - made[0][1].mean() == pytest.approx(2.0 * 200 / 225, abs=0.15)
    assert abs(made[1][0].mean() - made[0][0].mean()) < 0.1


def test_survives_json() -> None:
    rng = np.random.default_rng(0)
    told = np.stack([np.convolve(c, np.ones(4) / 2, "same") for c in rng.normal(size=(3, 200))], 1)
    found = adapt.learn_person({0: (0, 2 * told)}, told, np.ones(200, np.bool_))
    back = adapt_plan._from_json(json.loads(json.dumps(adapt_plan._to_json(found))))
    general = rng.normal(size=(3, 50)).astype(np.float32)
    ours, theirs = (adapt.features_by_track([p], general, None)[0] for p in (found, back))
    assert np.array_equal(ours, theirs)
    assert back.facts == found.facts


def test_options() -> None:
    assert DubOptions().adapt_from is None
    assert DubOptions(adapt="off").adapt_from is None
    assert DubOptions(adapt="me.mp4").adapt_from == Path("me.mp4")
    assert DubOptions(adapt="off").shaping() != DubOptions().shaping()


def test_expressiveness_multiplies_the_predicted_motions(make_video: MakeVideo) -> None:
    path, script = make_video("v.mkv", size=SIZE, frames=30), talking(syllables(0))
    usual, half, still = (
        np.stack(run(path, script, expressiveness=x)[1].drawn) for x in (1.0, 0.5, 0.0)
    )
    assert np.abs(usual).max() > 0.5
    np.testing.assert_allclose(half, 0.5 * usual, rtol=1e-5, atol=1e-6)
    assert not still.any()


def test_expressiveness_needs_predicted_motions(make_video: MakeVideo) -> None:
    path = make_video("v.mkv", size=SIZE, frames=5)
    clips.write_speech(path.with_name("s.wav"), 0.2)
    out = path.with_name("o.mp4")
    with pytest.raises(LipwrightError, match="predicts no lip motions"):
        dub(path, path.with_name("s.wav"), out, DubOptions(method="copy", expressiveness=0.5))
    for wrong in (-0.1, 1.6, float("nan")):
        with pytest.raises(LipwrightError, match=r"out of range; give 0 to 1\.5"):
            dub(path, path.with_name("s.wav"), out, DubOptions(expressiveness=wrong))
    assert not out.exists()
