"""Lessons: all files of every clip, what is done is not done again, nothing foreign is touched."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

import lipwright
from lipwright.cli import main
from lipwright.dubbing.dubber import Dubber
from lipwright.dubbing.options import DubOptions
from lipwright.errors import Interrupted, LipwrightError
from lipwright.lesson.make import Voice, make_lesson
from lipwright.lesson.page import Clip
from lipwright.lesson.words import read_items
from lipwright.media.info import probe
from tests.dubbing import clips
from tests.dubbing.test_job import SIZE, Talker, face

PLAIN = DubOptions(manifest=False, watermark=False, pixels="8", enhance="none")
SPEAKER = """
import sys, wave
with wave.open(sys.argv[1], "wb") as file:
    file.setparams((1, 2, 16000, 0, "NONE", ""))
    file.writeframes(bytes([0, 32, 0, 224] * 2000 * len(sys.argv[2].split())))
"""


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LIPWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(Dubber, "_face_tracker", lambda self: clips.ScriptedTracker(face))
    monkeypatch.setattr(Dubber, "method", lambda self, options=None: Talker())


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return clips.write_video(tmp_path / "v.mp4", 20, SIZE)


@pytest.fixture
def voice(tmp_path: Path) -> Voice:
    script = tmp_path / "speak.py"
    script.write_text(SPEAKER, encoding="utf-8")
    words = shlex.quote(sys.executable), shlex.quote(str(script))
    return Voice(command=f"{words[0]} {words[1]} {{out}} {{text}}")


def lesson(
    text: str, video: Path, folder: Path, voice: Voice, options: DubOptions = PLAIN
) -> tuple[list[Clip], list[tuple[str, bool]]]:
    told: list[tuple[str, bool]] = []
    items = read_items(text, "words.txt")
    made = make_lesson(
        items,
        video,
        folder,
        options,
        voice=voice,
        progress=lambda item, done: told.append((item.text, done)),
    )
    return made, told


def test_a_clip_of_every_line(tmp_path: Path, video: Path, voice: Voice) -> None:
    out = tmp_path / "lesson"
    made, told = lesson("ball\ntwo words\n", video, out, voice)
    assert told == [("ball", False), ("two words", False)]
    for clip, speech in zip(made, (0.25, 0.5), strict=True):
        usual, slow = (probe(out / f"{clip.name}{end}.mp4") for end in ("", "-slow"))
        # half a second of rest on both sides; a frame more or less
        assert float(usual.duration or 0) == pytest.approx(speech + 1, abs=0.05)
        assert float(slow.duration or 0) == pytest.approx(2 * speech + 2, abs=0.1)
        picture = cv2.imread(str(out / f"{clip.name}.jpg"))
        assert picture is not None
        assert picture.shape[:2] == (clip.height, clip.width) == SIZE[::-1]
        assert clip.item.text in (out / f"{clip.name}.vtt").read_text("utf-8")
        assert (clip.start, clip.end) == (0.5, 0.5 + speech)
    slow_lines = (out / f"{made[1].name}-slow.vtt").read_text("utf-8").splitlines()
    assert slow_lines[2] == "00:00:01.000 --> 00:00:02.000"
    page = (out / "index.html").read_text("utf-8")
    assert all(f"{clip.name}.mp4" in page for clip in made)
    assert "ball" not in made[0].name


def test_what_is_done_is_not_done_again(tmp_path: Path, video: Path, voice: Voice) -> None:
    out = tmp_path / "lesson"
    first, _ = lesson("ball\nboat\n", video, out, voice)
    (out / f"{first[1].name}-slow.mp4").write_bytes(b"half")
    again, told = lesson("boat\nball\nbear\n", video, out, voice)
    assert told == [("boat", False), ("ball", True), ("bear", False)]
    assert again[1].name == first[0].name
    assert len(json.loads((out / "lesson.json").read_text("utf-8"))["clips"]) == 3
    _, told = lesson("ball\n", video, out, voice, replace(PLAIN, crf=30))
    assert told == [("ball", False)]


def test_an_interruption_keeps_what_is_done(
    tmp_path: Path, video: Path, voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Dubber.dub
    calls: list[int] = []

    def stopped(self: Dubber, *given: object, **changes: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return done(self, *given, **changes)  # type: ignore[arg-type]

    monkeypatch.setattr(Dubber, "dub", stopped)
    with pytest.raises(Interrupted, match="1 of 2 clips"):
        lesson("ball\nboat\n", video, tmp_path / "lesson", voice)
    assert not (tmp_path / "lesson" / "index.html").exists()
    _, told = lesson("ball\nboat\n", video, tmp_path / "lesson", voice)
    assert told == [("ball", True), ("boat", False)]


def test_slow_versions_are_signed_too(tmp_path: Path, video: Path, voice: Voice) -> None:
    out = tmp_path / "lesson"
    made, _ = lesson("ball\n", video, out, voice, DubOptions(pixels="8"))
    for end in ("", "-slow"):
        found = lipwright.verify(out / f"{made[0].name}{end}.mp4")
        assert found.manifest is not None
        assert (found.manifest.state, found.manifest.ai_edited) == ("valid", True)


def test_a_folder_with_other_things_is_left_alone(
    tmp_path: Path, video: Path, voice: Voice
) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    (out / "index.html").write_text("mine", encoding="utf-8")
    with pytest.raises(LipwrightError, match="other things"):
        lesson("ball\n", video, out, voice)
    assert [path.name for path in out.iterdir()] == ["index.html"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["no.txt", "--face", "v.mp4"], "no.txt"),
        (["w.txt", "--face", "no.mp4"], "no.mp4"),
        (["empty.txt", "--face", "v.mp4"], "holds no word"),
        (["w.txt", "--face", "v.mp4", "--synthesiser", "speak"], "{out}"),
    ],
)
def test_errors_are_one_sentence(
    given: list[str],
    sentence: str,
    video: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(video.parent)
    Path("w.txt").write_text("ball\n", encoding="utf-8")
    Path("empty.txt").write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(SystemExit) as left:
        main(["lesson", *given, "-o", "out", "-q"])
    assert left.value.code == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith("lipwright: ")
    assert sentence in said
    assert "\n" not in said
    assert not list(Path().glob("out/clips/*"))
