"""The command line: exit codes, messages, options that arrive, progress, doctor."""

from __future__ import annotations

import dataclasses
import errno
import io
import json
import re
import runpy
import shlex
import signal
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import typer.main
from rich.console import Console

from lipwright.animation import job as animation_job
from lipwright.cli import app, doctor, main
from lipwright.cli.closing import written_lines
from lipwright.cli.options import time_of
from lipwright.cli.progress import DubProgress, describe
from lipwright.cli.text import clock, duration, megabytes
from lipwright.dubbing import checks, job
from lipwright.dubbing.cast.request import CastSpeech
from lipwright.dubbing.options import DubOptions
from lipwright.dubbing.report import Report, Run
from lipwright.errors import Interrupted, LipwrightError, Problems
from lipwright.media import codecs
from lipwright.methods.copy import CopyMethod
from lipwright.weights import fetch
from lipwright.weights.registry import list_entries

Result = tuple[int, str, str]


@pytest.fixture(autouse=True)
def old_handler() -> Iterator[None]:
    """Put back what main() does to SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run the command line in this process; gives exit code, stdout, stderr."""

    def call(*words: object) -> Result:
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        captured = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, captured.out, captured.err

    return call


@pytest.fixture
def dubs(monkeypatch: pytest.MonkeyPatch, no_checks: None) -> list[tuple[Any, ...]]:
    """Replace the job by one that records its arguments."""
    calls: list[tuple[Any, ...]] = []

    def fake(*arguments: Any) -> Report:
        calls.append(arguments)
        return Report("v", "s", "o", runs=[Run(0, 9, "synced", "")], seconds=0.4)

    monkeypatch.setattr(job, "dub", fake)
    return calls


@pytest.fixture
def no_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are only named need not be there."""
    monkeypatch.setattr(checks, "check_job", lambda *arguments: None)


@pytest.mark.usefixtures("no_checks")
def test_closing_lines_name_what_was_written(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(bytes(2_000_000))
    files = {"output": str(out), "manifest": "out.c2pa"}

    def fake(*arguments: Any) -> Report:
        done = [Run(0, 9, "synced", "")]
        return Report("v", "s", str(out), runs=done, seconds=0.4, files=files)

    monkeypatch.setattr(job, "dub", fake)
    lines = run("dub", "a.mp4", "b.wav", "-o", out)[1].splitlines()
    assert lines[-2] == f"Wrote {out} (2.0 MB)."
    assert lines[-1] == "Wrote out.c2pa, the signed manifest; keep it beside the video."
    shown = Report("v", "s", str(out), files={"output": str(out)}, replaced=True)
    assert written_lines(shown) == [f"Replaced {out} (2.0 MB)."]


def test_a_cast_takes_the_place_of_a_speech(
    run: Callable[..., Result], dubs: list[tuple[Any, ...]]
) -> None:
    run(
        "dub", "film.mkv", "--cast", "c.yaml", "--bed", "b.wav", "--original", "duck", "-o", "o.mkv"
    )
    video, given, out = dubs[0][:3]
    assert (video, out) == (Path("film.mkv"), Path("o.mkv"))
    assert given == CastSpeech(Path("c.yaml"), Path("b.wav"), False, "duck")
    for wrong in (
        ["dub", "film.mkv", "-o", "o.mkv"],
        ["dub", "film.mkv", "a.wav", "--cast", "c.yaml", "-o", "o.mkv"],
        ["dub", "film.mkv", "a.wav", "--bed", "b.wav", "-o", "o.mkv"],
    ):
        assert run(*wrong)[0] == 2
    assert len(dubs) == 1


@pytest.mark.usefixtures("no_checks")
@pytest.mark.parametrize("name", ["dub", "animate"])
@pytest.mark.parametrize("way", ["--text", "file", "pipe"])
def test_a_text_takes_the_place_of_a_speech(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, way: str
) -> None:
    given: list[Path] = []

    def fake(video: Path, speech: Path, out: Path, *_: Any, **__: Any) -> Report:
        given.append(speech)
        with wave.open(str(speech)) as file:
            assert file.readframes(99) == "Gr\u00fc\u00dfe".encode()
        return Report(str(video), str(speech), str(out))

    monkeypatch.setattr(job if name == "dub" else animation_job, name, fake)
    (tmp_path / "text.txt").write_text("Gr\u00fc\u00dfe\n", encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Gr\u00fc\u00dfe".encode())))
    ways: dict[str, list[object]] = {
        "--text": ["--text", "Gr\u00fc\u00dfe"],
        "file": ["--text-file", tmp_path / "text.txt"],
        "pipe": ["--text-file", "-"],
    }
    words = ways[way]
    script = tmp_path / "say.py"
    script.write_text(
        "import sys, wave\nwith wave.open(sys.argv[1], 'wb') as file:\n"
        "    file.setparams((1, 1, 8000, 0, 'NONE', ''))\n"
        "    file.writeframes(sys.argv[2].encode())\n"
    )
    say = f"{shlex.quote(sys.executable)} {shlex.quote(str(script))} {{out}} {{text}}"
    code, _, error = run(name, "a.png", *words, "--synthesiser", say, "-o", "o.mp4", "-q")
    assert (code, error) == (0, "")
    assert len(given) == 1
    assert not given[0].exists()
    code, _, error = run(
        name, "a.png", *words, "--synthesiser", "nothing-here {out}", "-o", "o.mp4"
    )
    assert code == 1
    assert len(error.splitlines()) == 1
    assert len(given) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["b.wav", "--text", "a"],
        ["b.wav", "--text-file", "a.txt"],
        ["--text", "a", "--text-file", "a.txt"],
        ["b.wav", "--voice", "de"],
        ["b.wav", "--synthesiser", "x {out}"],
        [],
    ],
)
def test_a_text_and_a_speech_exclude_each_other(
    run: Callable[..., Result], dubs: list[tuple[Any, ...]], words: list[str]
) -> None:
    for name in ("dub", "animate"):
        assert run(name, "a.png", *words, "-o", "o.mp4")[0] == 2
    assert run("dub", "a.mp4", "--text", "a", "--cast", "c.yaml", "-o", "o.mp4")[0] == 2
    assert run("dub", "-", "--text-file", "-", "-o", "o.mp4")[0] == 2
    assert not dubs


@pytest.mark.usefixtures("no_checks")
def test_pipes_stand_for_files(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    given: list[Path] = []

    def fake(video: Path, speech: Path, out: Path, *_: Any) -> Report:
        given.extend([video, speech, out])
        assert video.read_bytes() == b"a video"
        out.write_bytes(b"a dub")
        return Report(str(video), str(speech), str(out), files={"output": str(out)})

    monkeypatch.setattr(job, "dub", fake)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a video")))
    with pytest.raises(SystemExit) as left:
        main(["dub", "-", "b.wav", "-o", "-"])
    shown = capfdbinary.readouterr()
    assert left.value.code == 0
    assert shown.out == b"a dub"
    assert b"Wrote" in shown.err
    assert given[1] == Path("b.wav")
    assert given[2].suffix == ".mp4"
    assert not given[0].exists()
    assert not given[2].exists()


@pytest.mark.parametrize("words", [("-", "-"), ("-", "b.wav")])
def test_pipes_that_bring_nothing_are_one_sentence(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, words: tuple[str, str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    code, _, err = run("dub", *words, "-o", "o.mp4")
    assert code == 1
    assert "pipe" in err


def failing(error: BaseException) -> Callable[..., Report]:
    def fake(*arguments: Any) -> Report:
        raise error

    return fake


def commands() -> list[list[str]]:
    found = []
    waiting: list[tuple[list[str], Any]] = [([], typer.main.get_command(app))]
    while waiting:
        path, command = waiting.pop()
        found.append(path)
        for name, inner in getattr(command, "commands", {}).items():
            waiting.append(([*path, name], inner))
    return found


def test_help_shows_no_types_after_switches_and_names_in_capitals(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    for path in commands():
        shown = run(*path, "--help")[1]
        assert "<bool>" not in shown
        assert "<path>" not in shown
        assert "range>" not in shown
        assert "{" not in shown.splitlines()[1]
    assert "Usage: lipwright dub [OPTIONS] VIDEO [SPEECH]" in run("dub", "-h")[1]


def test_help_leaves_room_for_its_words_at_80_columns(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, dubs: list[Any], tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for path in commands():
        shown = run(*path, "--help")[1]
        assert "…" not in shown, path  # no name of an option is cut off
        assert "|ID|" not in shown
    shown = run("dub", "--help")[1]
    assert len(shown.splitlines()) < 250
    assert re.search(r"--\[no-\]silence-gate .*\(default: on\)", " ".join(shown.split()))
    for switch in ("--silence-gate", "--no-silence-gate"):
        code, _, _ = run("dub", "a.mp4", "b.wav", "-o", tmp_path / "out.mp4", switch)
        assert code == 0
    assert [made[3].silence_gate for made in dubs] == [True, False]


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_has_help(run: Callable[..., Result], path: list[str]) -> None:
    for flag in ("--help", "-h"):
        code, out, err = run(*path, flag)
        assert code == 0
        assert "Usage:" in out
        assert err == ""


def test_version(run: Callable[..., Result]) -> None:
    code, out, _ = run("--version")
    assert code == 0
    assert re.fullmatch(r"lipwright \d+\.\d+\.\d+\n", out)


def test_python_m_is_the_same_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lipwright", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("lipwright ")


@pytest.mark.parametrize(
    "words",
    [
        ["sing"],
        ["dub"],
        ["dub", "a.mp4"],
        ["dub", "a.mp4", "b.wav"],
        ["dub", "a.mp4", "b.wav", "-o", "c.mp4", "--sing"],
        ["dub", "a.mp4", "b.wav", "-o", "c.mp4", "--length", "long"],
        ["dub", "a.mp4", "b.wav", "-o", "c.mp4", "--watermark", "nose"],
        ["dub", "a.mp4", "b.wav", "-o", "c.mp4", "--crf", "52"],
        ["dub", "a.mp4", "b.wav", "-o", "c.mp4", "--crf", "good"],
        ["dub", "a.mp4", "b.wav", "-o", "c.mp4", "--batch-size", "0"],
        ["dub", "a.mp4", "b.wav", "c.wav", "-o", "c.mp4"],
        ["weights", "sing"],
        ["train", "vqgan"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(
    run: Callable[..., Result], dubs: list[Any], words: list[str]
) -> None:
    code, _, err = run(*words)
    assert code == 2
    assert "Traceback" not in err
    assert dubs == []


def test_dub_passes_the_files_and_the_default_options(
    run: Callable[..., Result], dubs: list[Any]
) -> None:
    code, out, _ = run("dub", "a.mp4", "b.wav", "-o", "c.mp4")
    assert code == 0
    assert dubs[0][:4] == (Path("a.mp4"), Path("b.wav"), Path("c.mp4"), DubOptions())
    assert out.count("\n") == 2  # two lines for people
    assert "10 synced" in out


GIVEN = {
    "method": "copy",
    "weights": Path("w.safetensors"),
    "face": "2,3",
    "adapt": "other.mp4",
    "reference": "fixed",
    "expressiveness": 1.25,
    "length": "speech",
    "speaker_network": "lr-asd",
    "start": Fraction(3, 2),
    "end": Fraction(125, 2),
    "speech_offset": Fraction(-1, 5),
    "codec": "hevc",
    "enhance": "self",
    "enhance_weights": Path("e.safetensors"),
    "crf": 23,
    "lossless": True,
    "watermark": False,
    "manifest": False,
    "certificate": Path("c.pem"),
    "key": Path("k.pem"),
    "time_stamp": "http://tsa.test",
    "consent": "me, a test, today",
    "report": Path("r.json"),
    "resume": True,
    "compare": Path("side.mp4"),
    "ray": "local",
    "overwrite": False,
    "preview": Path("p.png"),
    "device": "cpu",
    "backend": "torch",
    "seed": 7,
    "batch_size": 3,
    "keep_streams": True,
    "silence_gate": False,
    "detail": "off",
    "plan_cache": False,
    "fps": Fraction(30),
    "pixels": "8",
    "deinterlace": True,
    "video_stream": 1,
    "speech_stream": 2,
    "limit": ("pixels=1000", "frames=10"),
}


def test_every_option_of_the_api_can_be_given(run: Callable[..., Result], dubs: list[Any]) -> None:
    assert {field.name for field in dataclasses.fields(DubOptions)} == set(GIVEN)
    words = []
    for name, value in GIVEN.items():
        option = name.replace("_", "-")
        if value is True:
            words.append(f"--{option}")
        elif value is False:
            words.append(f"--no-{option}")
        else:
            values = value if isinstance(value, tuple) else (value,)
            words += [word for one in values for word in (f"--{option}", str(one))]
    code, _, _ = run("dub", "a.mp4", "b.wav", "-o", "c.mp4", *words)
    assert code == 0
    assert dataclasses.asdict(dubs[0][3]) == GIVEN
    assert all(GIVEN[name] != default for name, default in dataclasses.asdict(DubOptions()).items())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("12.5", Fraction(25, 2)), ("1:02.5", Fraction(125, 2)), ("1:00:00", 3600), ("-0.2", "-1/5")],
)
def test_times_are_read_exactly(text: str, seconds: Any) -> None:
    assert time_of(text) == Fraction(seconds)


@pytest.mark.parametrize("text", ["soon", "", "1:2:3:4", "1:-2", "1/0"])
def test_what_is_no_time_is_one_sentence(text: str) -> None:
    with pytest.raises(LipwrightError, match="is no time"):
        time_of(text)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--length", "foo"], "'foo' cannot be used here; give one of auto, video, speech"),
        (["--expressiveness", "9"], "'9' cannot be used here; give a number from 0 to 1.5."),
        (["--crf", "x"], "'x' cannot be used here; give a whole number from 0 to 51."),
        (["--seed", "-1"], "'-1' cannot be used here; give a whole number of 0 or more."),
        (["--start", "soon"], "--start: 'soon' is no time"),
        (["--fps", "x"], "--fps: 'x' is no frame rate"),
    ],
)
def test_a_value_that_cannot_be_is_said_with_what_can_be(
    run: Callable[..., Result], words: list[str], wanted: str
) -> None:
    code, _, said = run("dub", "a.mp4", "b.wav", "-o", "c.mp4", *words)
    assert code in (1, 2)
    assert wanted in " ".join(said.replace("│", " ").split())
    assert "error," not in said


@pytest.mark.parametrize("region", ["face", "frame", "both"])
def test_the_marked_region_can_be_chosen(
    run: Callable[..., Result], dubs: list[Any], region: str
) -> None:
    code, _, _ = run("dub", "a.mp4", "b.wav", "-o", "c.mp4", "--watermark", region)
    assert code == 0
    assert dubs[0][3].watermark == region


def test_quiet_says_nothing(run: Callable[..., Result], dubs: list[Any]) -> None:
    assert run("dub", "a.mp4", "b.wav", "-o", "c.mp4", "--quiet") == (0, "", "")


@pytest.mark.usefixtures("no_checks")
@pytest.mark.parametrize("words", [[], ["--quiet"]])
def test_notices_of_the_job_are_shown_even_when_quiet(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    def fake(video: Path, speech: Path, out: Path, options: DubOptions, observer: Any) -> Report:
        observer.notice("No watermark: [so it goes].")
        observer.progress("render", 1, 100, 1.0)
        return Report("v", "s", "o")

    monkeypatch.setattr(job, "dub", fake)
    said = run("dub", "a.mp4", "b.wav", "-o", "c.mp4", *words)[2]
    assert said.removeprefix("Loading ...\n") == "No watermark: [so it goes].\n"


DUB = ("dub", "a.mp4", "b.wav", "-o", "c.mp4")


@pytest.mark.usefixtures("no_checks")
@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (LipwrightError("The video a.mp4 does not exist; check the path."), 1, "does not exist"),
        (Interrupted("Interrupted; nothing was written."), 130, "nothing was written"),
        (KeyboardInterrupt(), 130, "Interrupted"),
        (ZeroDivisionError("division by\nzero"), 1, "Internal error (ZeroDivisionError: division"),
        (MemoryError(), 1, "Not enough memory"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "c.mp4"), 1, "name c.mp4 is too long"),
    ],
    ids=["user", "interrupted", "ctrl-c", "bug", "memory", "name"],
)
def test_errors_are_one_line_on_standard_error(
    run: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    said: str,
) -> None:
    monkeypatch.setattr(job, "dub", failing(error))
    left, out, err = run(*DUB, "-q")
    assert (left, out) == (code, "")
    assert err.count("\n") == 1
    assert said in err
    assert "Traceback" not in err


@pytest.mark.usefixtures("no_checks")
def test_several_faults_have_a_line_each(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ["The file a\nb.wav is not there.", "Ben starts too late.", "Cid is silent."]
    monkeypatch.setattr(job, "dub", failing(Problems(told, 2)))
    code, out, err = run(*DUB, "-q")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "lipwright: The file a b.wav is not there.",
        "  Ben starts too late.",
        "  (1 more)",
    ]


@pytest.mark.usefixtures("no_checks")
@pytest.mark.parametrize(
    "words", [("--debug", *DUB), (*DUB, "--debug"), (*DUB[:2], "--debug", *DUB[2:])]
)
def test_debug_shows_the_traceback_wherever_it_stands(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(job, "dub", failing(LipwrightError("Cannot.")))
    code, _, err = run(*words)
    assert code == 1
    assert "Traceback" in err
    assert err.rstrip().endswith("Cannot.")


@pytest.mark.parametrize("debug", [False, True])
def test_remarks_of_libraries_are_for_debugging_only(tmp_path: Path, debug: bool) -> None:
    code = (
        "import sys, types, warnings\n"
        "from lipwright.cli import main\n"
        "def warn(*arguments):\n"
        "    warnings.warn('a remark')\n"
        "    raise KeyboardInterrupt\n"
        "sys.modules['lipwright.dubbing.checks'] = types.SimpleNamespace(check_job=lambda *_: 0)\n"
        "sys.modules['lipwright.dubbing.job'] = types.SimpleNamespace(dub=warn)\n"
        f"main({[*DUB, *['--debug'][:debug]]!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 130
    assert ("a remark" in done.stderr) == debug


def test_debug_after_two_dashes_is_a_file_name(run: Callable[..., Result], dubs: list[Any]) -> None:
    code, _, _ = run("dub", "-o", "c.mp4", "--", "--debug", "b.wav")
    assert code == 0
    assert dubs[0][0] == Path("--debug")


def test_a_termination_request_ends_like_ctrl_c_with_its_own_code(tmp_path: Path) -> None:
    code = (
        "import sys, time, types\n"
        "from lipwright.cli import main\n"
        "def wait(*arguments):\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(600)\n"
        "sys.modules['lipwright.dubbing.checks'] = types.SimpleNamespace(check_job=lambda *_: 0)\n"
        "sys.modules['lipwright.dubbing.job'] = types.SimpleNamespace(dub=wait)\n"
        f"main({list(DUB)!r})\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.terminate()
    _, err = child.communicate()
    assert child.returncode == 143
    assert err == "Loading ...\nlipwright: Interrupted.\n"


def test_a_missing_video_is_one_sentence_and_leaves_nothing(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    code, out, err = run("dub", tmp_path / "no.mp4", tmp_path / "no.wav", "-o", tmp_path / "o.mp4")
    assert (code, out) == (1, "")
    assert str(tmp_path / "no.mp4") in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_address_is_told_to_be_one(run: Callable[..., Result], tmp_path: Path) -> None:
    words = ("dub", "https://example.org/a.mp4", tmp_path / "no.wav", "-o", tmp_path / "o.mp4")
    code, _, err = run(*words)
    assert code == 1
    assert "The video https://example.org/a.mp4 is an address on the network; download it" in err


def test_text_as_video_is_one_sentence_and_leaves_nothing(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    video, speech = tmp_path / "video.mp4", tmp_path / "speech.wav"
    video.write_text("this is no video\n" * 1000)
    speech.write_text("this is no speech\n" * 1000)
    code, _, err = run("dub", video, speech, "-o", tmp_path / "out.mp4")
    assert code == 1
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["speech.wav", "video.mp4"]


# Weights -------------------------------------------------------------------------------------


@pytest.fixture
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LIPWRIGHT_MODELS", raising=False)
    return tmp_path / "cache"


def test_weights_list_names_every_file_with_its_licence(
    run: Callable[..., Result], empty_cache: Path
) -> None:
    code, out, _ = run("weights", "list")
    assert code == 0
    rows = {line.split("\t")[0]: line.split("\t") for line in out.splitlines()}
    for entry in list_entries():
        assert rows[entry.name][2:5] == ["not here", entry.licence, entry.purpose]


def test_weights_list_names_the_shipped_checkpoints_with_their_licence(
    run: Callable[..., Result], empty_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from lipwright.methods import registry
    from lipwright.weights import container

    path = tmp_path / "vq-tiny.safetensors"
    path.write_bytes(bytes(1_500_000))
    monkeypatch.setattr(registry, "shipped", lambda name: path)
    monkeypatch.setattr(container, "read_header", lambda given: {"licence": "research use only"})
    first = run("weights", "list")[1].splitlines()[1].split("\t")
    assert first[1:4] == ["1.5 MB", "shipped", "research use only"]


def test_weights_check_fails_while_files_are_missing(
    run: Callable[..., Result], empty_cache: Path
) -> None:
    code, out, err = run("weights", "check")
    assert code == 1
    for entry in list_entries():
        state = "not here; only training needs it" if entry.training_only else "not here yet"
        assert f"{entry.name}: {state}" in out
    assert "weights fetch" in err
    assert "speech-embedding" not in err


def test_weights_check_is_content_without_what_only_training_needs(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(damaged: bool) -> list[fetch.Status]:
        there = [fetch.Status(e, Path("x"), None) for e in list_entries() if not e.training_only]
        rest = [e for e in list_entries() if e.training_only]
        assert rest
        return [*there, *(fetch.Status(e, None, "a problem", missing=not damaged) for e in rest)]

    monkeypatch.setattr(fetch, "check", lambda: found(damaged=False))
    code, out, _ = run("weights", "check")
    assert code == 0
    assert "landmark-tiny.safetensors: ok, shipped" in out
    assert out.endswith("All right.\n")
    monkeypatch.setattr(fetch, "check", lambda: found(damaged=True))
    assert run("weights", "check")[0] == 1


def test_weights_fetch_prints_the_paths(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fake(name: str) -> list[Path]:
        asked.append(name)
        return [Path("a"), Path("b")]

    monkeypatch.setattr(fetch, "fetch", fake)
    assert run("weights", "fetch")[:2] == (0, "a\nb\n")
    assert run("weights", "fetch", "detector-short")[0] == 0
    assert asked == ["all", "detector-short"]


def test_weights_fetch_of_an_unknown_name_lists_the_known_ones(run: Callable[..., Result]) -> None:
    code, _, err = run("weights", "fetch", "nose")
    assert code == 1
    assert list_entries()[0].name in err


# Doctor --------------------------------------------------------------------------------------


def test_doctor_says_what_to_do_about_a_library_that_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(name: str) -> None:
        if name == "soxr":
            raise ImportError("libsoxr is missing")

    monkeypatch.setattr(doctor.importlib, "import_module", broken)
    found = {finding.subject: finding for finding in doctor._libraries()}
    assert found["soxr"].state == "problem"
    assert "libsoxr is missing" in found["soxr"].detail
    assert "pip install" in found["soxr"].advice
    assert found["openvino"].state == "ok"


def test_doctor_survives_a_check_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_openvino", failing(RuntimeError("no such device")))
    found = {finding.subject: finding for finding in doctor.examine()}
    assert found["openvino"].state == "problem"
    assert "no such device" in found["openvino"].detail
    assert "disk here" in found


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("note", 0), ("problem", 1)])
def test_doctor_exits_with_1_only_for_a_problem(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, state: Any, code: int
) -> None:
    finding = doctor.Finding("model", state, "cannot be found", "run this")
    monkeypatch.setattr(doctor, "examine", lambda: iter([finding]))
    left, out, err = run("doctor")
    assert left == code
    assert "cannot be found" in out
    assert "-> run this" in out
    assert ("model" in err) == (code == 1)


def test_doctor_sees_missing_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.SOUND_AND_LOSSLESS, "libsing", "sung video")
    video, other = doctor._codecs()
    assert (video.state, other.state) == ("ok", "note")
    assert "h264" in video.detail
    assert "libsing (sung video)" in other.detail
    monkeypatch.setattr(codecs, "encodes", lambda name: name not in ("hevc", "h264"))
    assert next(iter(doctor._codecs())).state == "problem"
    monkeypatch.setattr(codecs, "encodes", lambda name: name != "hevc")
    video, _ = doctor._codecs()
    assert video.state == "note"
    assert video.detail.endswith("; not hevc")


def test_doctor_loads_every_shipped_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    from lipwright.methods import registry

    shipped = resources.files("lipwright.weights") / "shipped"
    names = {path.name for path in shipped.iterdir() if path.name.endswith(".safetensors")}
    assert names == {registry.shipped(name).name for name in doctor.SHIPPED}
    asked = []

    def load(name: str, **_: str) -> CopyMethod:
        asked.append(name)
        if name == "memory":
            raise LipwrightError("It is damaged.")
        return CopyMethod()

    monkeypatch.setattr(registry, "load_method", load)
    states = {finding.subject: finding.state for finding in doctor._shipped_models()}
    assert asked == list(doctor.SHIPPED)
    assert states.pop("method memory") == "problem"
    assert set(states) == {f"method {name}" for name in doctor.SHIPPED if name != "memory"}
    assert set(states.values()) == {"ok"}


def test_doctor_shows_the_environment_variables_that_are_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in doctor.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert list(doctor._environment()) == []
    monkeypatch.setenv("LIPWRIGHT_CACHE", "somewhere")
    (found,) = doctor._environment()
    assert found.detail == "LIPWRIGHT_CACHE=somewhere"


# Progress ------------------------------------------------------------------------------------


def test_describe() -> None:
    assert describe(120, 500, 19.0) == "120 of 500 frames, 19.0 frames/s, 0:20 left"
    assert describe(500, 500, 19.0) == "500 of 500 frames, 19.0 frames/s"
    assert describe(7, None, 0.0) == "7 frames"


def test_without_a_terminal_progress_is_a_few_lines() -> None:
    text = io.StringIO()
    with DubProgress(Console(file=text, width=120)) as observer:
        observer.progress("load", 0, None, 0.0)
        observer.progress("load", 0, None, 0.0)
        for done in range(0, 41):
            observer.progress("plan", done, 40, 100.0)
        for done in range(0, 2001, 100):
            observer.progress("render", done, 2000, 10.0)
    lines = text.getvalue().splitlines()
    assert len(lines) == 1 + 4 + 10  # a quarter of a short stage, a tenth of a long one
    assert lines[0] == "Loading ..."
    assert lines[1] == "Looking for faces: 25 %, 10 of 40 frames, 100.0 frames/s, 0:00 left"
    assert lines[-6] == "Drawing mouths: 50 %, 1000 of 2000 frames, 10.0 frames/s, 1:40 left"
    assert "\x1b" not in text.getvalue()


def test_an_unknown_total_prints_no_lines_without_a_terminal() -> None:
    text = io.StringIO()
    with DubProgress(Console(file=text)) as observer:
        observer.progress("plan", 50, None, 100.0)
    assert text.getvalue() == ""


def test_on_a_terminal_progress_is_a_bar() -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=120)
    with DubProgress(console) as observer:
        observer.progress("plan", 50, None, 100.0)
        observer.progress("render", 20, 40, 10.0)
    shown = text.getvalue()
    assert "Drawing mouths" in shown
    assert "20 of 40 frames, 10.0 frames/s, 0:02 left" in shown
    assert "0:00 elapsed" in shown


def test_on_a_terminal_of_80_columns_progress_stays_on_one_line() -> None:
    text = io.StringIO()
    with DubProgress(Console(file=text, force_terminal=True, width=80)) as observer:
        observer.progress("plan", 13, 90, 17.6)
    lines = re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.getvalue()))
    shown = [line for line in lines if "frames/s" in line]
    assert shown
    assert all("elapsed" in line for line in shown)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.24, "3.2 s"), (59.94, "59.9 s"), (75.2, "1:15"), (119.7, "2:00"), (3725, "1:02:05")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_clock() -> None:
    shown = [clock(seconds) for seconds in (0.4, 9.2, 71, 3725)]
    assert shown == ["0:00", "0:09", "1:11", "1:02:05"]


def test_megabytes() -> None:
    assert megabytes(1_234_567) == "1.2 MB"
    assert megabytes(12_345) == "12.3 kB"


# Training ------------------------------------------------------------------------------------


def test_train_passes_everything_on(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = pytest.importorskip("lipwright.training.stages.run", reason="needs the extra 'train'")
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        stages, "run_stage", lambda *arguments: calls.append(arguments) or Path("run/vqgan.st")
    )
    words = ("run.steps=10", "--data", "corpus", "--config", "tiny", "-o", "run", "run.seed=3")
    code, _, err = run("train", "vqgan", *words, "--device", "cpu")
    assert (code, err) == (0, "")
    overrides = ["run.steps=10", "run.seed=3"]
    assert calls == [("vqgan", Path("corpus"), "tiny", Path("run"), overrides, "cpu")]


def test_train_of_an_unknown_stage_names_the_known_ones(run: Callable[..., Result]) -> None:
    pytest.importorskip("accelerate", reason="needs the extra 'train'")
    code, _, err = run("train", "singing", "--data", "c", "--config", "f.yaml", "-o", "r")
    assert code == 1
    assert "vqgan" in err


def test_prepare_of_a_missing_source_is_one_sentence(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    code, _, err = run("prepare", tmp_path / "none", "-o", tmp_path / "corpus")
    assert code == 1
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", ["dub_speed", "memory", "help_time"])
def test_benchmarks_have_help(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(__file__).resolve().parents[1] / "benchmarks"
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(folder / f"{name}.py"), run_name="__main__")
    assert left.value.code == 0
    assert "usage:" in capsys.readouterr().out


# Provenance ----------------------------------------------------------------------------------


def test_verify_prints_the_sentences_and_exits_with_the_status(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from lipwright.provenance import verify as room

    for status, code in room.EXIT_CODES.items():
        verdicts: dict[str, room.Verdict] = {"valid": "intact", "broken": "changed"}
        found = room.Verification(
            "f.mp4",
            status,
            verdicts.get(status, "nothing"),
            "Verdict.",
            ["One.", "Two."],
            None,
            None,
            None,
            None,
        )
        monkeypatch.setattr(room, "verify", lambda *_, found=found, **__: found)
        report = tmp_path / "report.json"
        printed = run("verify", "f.mp4", "--report", report)
        assert printed == (code, "Verdict.\nOne.\nTwo.\n", "")
        assert json.loads(report.read_text(encoding="utf-8"))["status"] == status
        left, out, _ = run("verify", "f.mp4", "--report", "-")
        assert left == code
        assert json.loads(out)["sentences"] == ["One.", "Two."]


def test_verify_of_a_missing_file_is_one_sentence(run: Callable[..., Result]) -> None:
    code, out, err = run("verify", "no-such-file.mp4")
    assert (code, out) == (1, "")
    assert "no-such-file.mp4" in err
    assert err.count("\n") == 1


def test_verify_with_a_report_that_cannot_be_written_is_one_sentence(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from lipwright.provenance import verify as room

    found = room.Verification(
        "f.mp4", "valid", "intact", "Verdict.", ["One."], None, None, None, None
    )
    monkeypatch.setattr(room, "verify", lambda *_, **__: found)
    code, _, err = run("verify", "f.mp4", "--report", tmp_path / "none" / "report.json")
    assert code == 1
    assert "report.json" in err


def test_watermark_survives_the_command_line(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIPWRIGHT_HOME", str(tmp_path / "home"))
    picture = tmp_path / "picture.png"
    noise = np.random.default_rng(0).normal(128, 12, (288, 384, 3)).clip(0, 255)
    cv2.imwrite(str(picture), cv2.GaussianBlur(noise.astype(np.uint8), (5, 5), 2))
    marked = tmp_path / "marked.png"
    words = ("--region", "frame", "--id", "c0ffee01")
    assert run("watermark", "embed", picture, "-o", marked, *words)[0] == 0
    code, out, _ = run("watermark", "detect", marked, "--no-faces", "--report", "-")
    assert code == 0
    assert json.loads(out)["mark_id"] == "c0ffee01"
    code, out, _ = run("watermark", "detect", picture, "--no-faces", "--search", "off")
    assert code == 3
    assert "No Lipwright watermark" in out


def test_watermark_with_an_id_that_is_none_is_one_sentence(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    words = ("--id", "coffee", "-o", tmp_path / "b.png")
    code, _, err = run("watermark", "embed", tmp_path / "a.png", *words)
    assert code == 1
    assert "coffee" in err


def test_weights_list_on_a_terminal_keeps_addresses_whole() -> None:
    from lipwright.cli.weights import _block, _Row

    row = _Row("syncnet", "", "not here", "none", "LSE", "https://example.org/" + "a" * 90)
    assert f"    {row.source}" in _block(row)


def test_weights_fetch_of_a_published_network_says_where_it_is(run: Callable[..., Result]) -> None:
    code, _, err = run("weights", "fetch", "syncnet")
    assert code == 1
    assert "syncnet_v2.model" in err
    assert "http" in err
