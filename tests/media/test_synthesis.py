"""Text as a speech file: a fake synthesiser of a few lines, and espeak-ng where there is one."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
import time
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from lipwright.dubbing.plan import Source
from lipwright.errors import LipwrightError
from lipwright.media import limits
from lipwright.media.audio import load_speech
from lipwright.media.synthesis import read_text, spoken, synthesise

FAKE = """
import sys, wave
out, text = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else sys.stdin.read()
with open({heard!r}, "w", encoding="utf-8") as file:
    file.write(repr([*sys.argv[3:], text]))
with wave.open(out, "wb") as file:
    file.setparams((1, 2, 16000, 0, "NONE", ""))
    file.writeframes(bytes([len(text) % 256, 0]) * 1600)
"""


@pytest.fixture
def heard(tmp_path: Path) -> Path:
    """Where the fake synthesiser notes what it was given."""
    return tmp_path / "heard"


@pytest.fixture
def command(tmp_path: Path, heard: Path) -> Callable[..., str]:
    """Make the template of a Python program that is given as text; default: the fake."""

    def make(rest: str, code: str = FAKE.format(heard=str(heard))) -> str:
        script = tmp_path / "a synthesiser.py"
        script.write_text(code, encoding="utf-8")
        return f"{shlex.quote(sys.executable)} {shlex.quote(str(script))} {rest}"

    return make


def test_a_text_is_one_word_whatever_it_holds(
    tmp_path: Path, heard: Path, command: Callable[..., str]
) -> None:
    text = 'it\'s "so"; rm -rf $HOME `x` {out} \u00fc'
    out = synthesise(text, tmp_path / "o.wav", voice="a b", command=command("{out} {text} {voice}"))
    assert heard.read_text("utf-8") == repr(["a b", text])
    with wave.open(str(out)) as file:
        assert (file.getframerate(), file.getnframes()) == (16_000, 1600)
    synthesise("--help me", out, command=command("{out} {text}"))
    assert heard.read_text("utf-8") == repr([" --help me"])


def test_without_a_place_the_text_comes_in_one_line(
    tmp_path: Path, heard: Path, command: Callable[..., str]
) -> None:
    synthesise("One.\n\nTwo\0 three.\n", tmp_path / "o.wav", command=command("{out}"))
    assert heard.read_text("utf-8") == repr(["One. Two three.\n"])


def test_a_text_file_keeps_its_lines(
    tmp_path: Path, heard: Path, command: Callable[..., str]
) -> None:
    code = "import sys\nsys.argv[2] = open(sys.argv[2], encoding='utf-8').read()\n"
    code += FAKE.format(heard=str(heard))
    synthesise(
        "Gr\u00fc\u00df\nGott", tmp_path / "o.wav", command=command("{out} {text_file}", code)
    )
    assert heard.read_text("utf-8") == repr(["Gr\u00fc\u00df\nGott\n"])


def test_the_sound_is_gone_afterwards_and_known_by_its_content(
    command: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    known = []
    for text in ("Hello.", "Hello.", "Hallo!!"):
        with spoken(text, command=command("{out} {text}")) as made:
            assert load_speech(made).size == 1600
            known.append((Source.of(made), made))
        assert not list(folder.iterdir())
    assert known[0][1] != known[1][1]
    assert known[0][0] == known[1][0] != known[2][0]
    assert known[0][0].modified != known[2][0].modified  # which tells even equal ends apart


@pytest.mark.parametrize(
    ("rest", "voice", "sentence"),
    [
        ("{text}", None, "does not say where the sound goes"),
        ("{out} {txt}", None, "names {txt}, which is unknown"),
        ("{out} {voice}", None, "needs a voice"),
        ("{out}", "anna", "takes no voice"),
        ("{out} 'open", None, "cannot be cut into words"),
    ],
)
def test_wrong_templates_are_one_sentence(
    tmp_path: Path, command: Callable[..., str], rest: str, voice: str | None, sentence: str
) -> None:
    with pytest.raises(LipwrightError, match=sentence.replace("{", r"\{")):
        synthesise("a", tmp_path / "o.wav", voice=voice, command=command(rest))
    assert not (tmp_path / "o.wav").exists()


@pytest.mark.parametrize("text", ["", " \n", "...", "\0"])
def test_a_text_without_words_is_one_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(LipwrightError, match="no word that can be spoken"):
        synthesise(text, tmp_path / "o.wav", command="x {out}")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            "import sys\nprint('noise\\nno such \\x07voice\\n', file=sys.stderr)\nsys.exit(3)",
            r"failed \(exit code 3\): no such",
        ),
        ("import os\nos.kill(os.getpid(), 9)", r"failed \(signal 9\): it did not say why"),
        ("import sys\nprint('no room', file=sys.stderr)", "wrote no sound: no room"),
        ("import sys\nopen(sys.argv[1], 'w').write('words')", "is no sound file"),
    ],
)
def test_a_failed_synthesiser_is_one_sentence(
    tmp_path: Path, command: Callable[..., str], code: str, sentence: str
) -> None:
    with pytest.raises(LipwrightError, match=sentence):
        synthesise("a", tmp_path / "o.wav", command=command("{out}", code))


def test_a_program_that_is_not_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LipwrightError, match="no-such-program cannot be started"):
        synthesise("a", tmp_path / "o.wav", command="no-such-program {out}")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LipwrightError, match="install espeak-ng"):
        synthesise("a", tmp_path / "o.wav")


def test_time_size_and_text_are_bounded(tmp_path: Path, command: Callable[..., str]) -> None:
    # The synthesiser starts a helper, which must not go on either.
    code = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)"
    )
    with (
        limits.applied(limits.parse(["synthesis_seconds=2"])),
        pytest.raises(LipwrightError, match="more than 2 s"),
    ):
        synthesise("a", tmp_path / "o.wav", command=command("{out}", code))
    pid = int((tmp_path / "child").read_text())
    for _ in range(200):
        if (
            not Path(f"/proc/{pid}").exists()
            or "Z" in Path(f"/proc/{pid}/stat").read_text().split()
        ):
            break
        time.sleep(0.01)
    else:
        pytest.fail("the helper goes on")
    code = "import sys\nwith open(sys.argv[1], 'wb') as f:\n    while True: f.write(bytes(9999))"
    with (
        limits.applied(limits.parse(["synthesis_bytes=100_000"])),
        pytest.raises(LipwrightError, match="more than 100000 bytes"),
    ):
        synthesise("a", tmp_path / "o.wav", command=command("{out}", code))
    with (
        limits.applied(limits.parse(["spoken_characters=5"])),
        pytest.raises(LipwrightError, match="more than 5 characters"),
    ):
        synthesise("a" * 6, tmp_path / "o.wav", command="x {out}")
    with (
        limits.applied(limits.parse(["spoken_characters=5"])),
        pytest.raises(LipwrightError, match="more than 5 characters"),
    ):
        read_text(b"a" * 24, "It")


@pytest.mark.skipif(os.name != "posix", reason="the limit of a command line is Linux's")
def test_a_text_too_long_for_a_command_line_is_one_sentence(
    tmp_path: Path, command: Callable[..., str]
) -> None:
    with pytest.raises(LipwrightError, match=r"use \{text_file\} instead"):
        synthesise("a " * 80_000, tmp_path / "o.wav", command=command("{out} {text}"))


def test_text_files_are_utf_8() -> None:
    assert read_text(b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe", "It") == "Gr\u00fc\u00dfe"
    with pytest.raises(LipwrightError, match=r"The file is no text in UTF-8 \(byte 2\)"):
        read_text(b"Gr\xfc\xdfe", "The file")


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
def test_espeak_says_the_same_every_time(tmp_path: Path) -> None:
    one = synthesise("Good morning, everybody.", tmp_path / "1.wav").read_bytes()
    assert synthesise("Good morning, everybody.", tmp_path / "2.wav").read_bytes() == one
    other = synthesise("Good morning, everybody.", tmp_path / "3.wav", voice="de").read_bytes()
    assert other != one
    assert load_speech(tmp_path / "1.wav").size > 16_000
    with pytest.raises(LipwrightError, match=r"failed \(exit code 1\): Error: The specified"):
        synthesise("Good morning.", tmp_path / "4.wav", voice="nosuch")
