"""Text becomes a speech file, by a synthesiser that is installed: espeak-ng or any other program.

A synthesiser is a command, a template with names in braces::

    espeak-ng -b 1 -v {voice} -f {text_file} -w {out}
    piper -m model.onnx -f {out}

``{out}`` is the file that it has to write, ``{text_file}`` one with the text (UTF-8), ``{text}``
the text itself, ``{voice}`` the voice that was asked for. A command with neither text nor text file
gets the text in one line on standard input: programs that read lines take each for a recording of
its own. The template is cut into words first and filled afterwards, and no shell sees it, so that a
text can hold anything.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lipwright.errors import LipwrightError, system_errors
from lipwright.files.temporary import instead_of
from lipwright.files.whole import file_sha256
from lipwright.media import limits

ESPEAK = "espeak-ng -b 1 -f {text_file} -w {out}"
"""What is used if nothing else is asked for; ``-b 1``: the text is UTF-8."""
NAMES = ("text", "text_file", "out", "voice")
"""What a template may name."""
_BRACES = re.compile(r"\{(\w+)\}")
_LOOK = 0.05
"""Seconds between two looks at a running synthesiser."""
_STDERR_END = 4096
"""Bytes at the end of what a synthesiser said in which its last line is looked for."""
_STDERR_BYTES = 64 << 20
"""Size of what a synthesiser said from which it is stopped."""


def synthesise(
    text: str, out: str | Path, *, voice: str | None = None, command: str | None = None
) -> Path:
    """Let a synthesiser say a text.

    Args:
        text: what is to be said; control characters count as spaces.
        out: the sound file to write (WAV with most synthesisers); replaced if it exists.
        voice: fills ``{voice}``; for espeak-ng the name of a voice or language, such as "de".
        command: the template of a command, see above; default: espeak-ng.

    Returns:
        ``out``. Its time of change is made from its content: for whoever looks at size, time and
        content, two files with the same sound are the same.

    Raises:
        LipwrightError: no text or too much of it, a wrong template, no such program, or it failed,
            wrote nothing, too much, or took too long.
    """
    from lipwright.media.source import open_media

    words = _template(command, voice)
    text = _cleaned(text)
    path = Path(out).absolute()
    with system_errors(
        f"The sound of the text could not be written to {path}",
        "make room there, or correct its permissions",
    ):
        path.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(prefix="lipwright-text-") as folder:
            text_file, said = Path(folder) / "text.txt", Path(folder) / "stderr"
            text_file.write_text(text + "\n", encoding="utf-8")
            given = {"text": text, "text_file": str(text_file), "out": str(path)}
            used = {name for word in words for name in _BRACES.findall(word)}
            piped = None if used & {"text", "text_file"} else " ".join(text.split()) + "\n"
            filled = [_filled(word, {**given, "voice": voice or ""}) for word in words]
            _run(filled, piped, path, said)
        stamp = (int(file_sha256(path)[:8], 16) & 0x7FFF_FFFF) * 1_000_000_000
        os.utime(path, ns=(stamp, stamp))
    try:
        with open_media(path, "sound") as container:
            has_audio = bool(container.streams.audio)
    except LipwrightError as error:
        raise LipwrightError(
            f"What the synthesiser {words[0]} wrote is no sound file; let it write WAV."
        ) from error
    if not has_audio:
        raise LipwrightError(f"The synthesiser {words[0]} wrote a file without sound.")
    return path


def available(command: str | None = None) -> bool:
    """Whether the program of a command is here; without a command, whether espeak-ng is."""
    try:
        words = shlex.split(command or ESPEAK)
    except ValueError:
        return False
    return bool(words) and shutil.which(words[0]) is not None


@contextmanager
def spoken(text: str, voice: str | None = None, command: str | None = None) -> Iterator[Path]:
    """A text as a sound file that is gone at the end; arguments as for :func:`synthesise`."""
    with instead_of("synthesised-speech") as folder:
        yield synthesise(text, folder / "synthesised-speech.wav", voice=voice, command=command)


def read_text(data: bytes, what: str) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises:
        LipwrightError: it is longer than the limit ``spoken_characters``, or no UTF-8.
    """
    if len(data) > longest_file():
        raise _too_long()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LipwrightError(
            f"{what} is no text in UTF-8 (byte {error.start}); save it as UTF-8."
        ) from error


def longest_file() -> int:
    """Bytes that a text file may have: four for each character, and the byte order mark."""
    return 4 * limits.active().spoken_characters + 3


def _template(command: str | None, voice: str | None) -> list[str]:
    """The words of a command before they are filled."""
    if command is None:
        if shutil.which("espeak-ng") is None:
            raise LipwrightError(
                "There is no speech synthesiser here; install espeak-ng (with apt, dnf or brew, "
                "for example), or name another program with --synthesiser."
            )
        return shlex.split(ESPEAK) + ([] if voice is None else ["-v", "{voice}"])
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise LipwrightError(
            f"The synthesiser {command!r} cannot be cut into words ({error}); check its quotes."
        ) from error
    used = {name for word in words for name in _BRACES.findall(word)}
    if unknown := sorted(used - set(NAMES)):
        raise LipwrightError(
            f"The synthesiser {command!r} names {{{unknown[0]}}}, which is unknown; the names are "
            + ", ".join(f"{{{name}}}" for name in NAMES)
            + "."
        )
    if "out" not in used:
        raise LipwrightError(
            f"The synthesiser {command!r} does not say where the sound goes; put {{out}} in the "
            "place of its output file."
        )
    if ("voice" in used) is (voice is None):
        raise LipwrightError(
            f"The synthesiser {command!r} needs a voice; give one with --voice."
            if voice is None
            else f"The synthesiser {command!r} takes no voice; put {{voice}} in its place, or "
            "omit --voice."
        )
    return words


def _cleaned(text: str) -> str:
    """A text without control characters, if it can be spoken."""
    if len(text) > limits.active().spoken_characters:
        raise _too_long()
    text = "".join(c if c.isprintable() or c == "\n" else " " for c in text).strip()
    if not any(c.isalnum() for c in text):
        raise LipwrightError("The text has no word that can be spoken; give some words.")
    return text


def _too_long() -> LipwrightError:
    return LipwrightError(
        f"The text has more than {limits.active().spoken_characters} characters; cut it into "
        "parts, or raise the limit with --limit spoken_characters=N."
    )


def _filled(word: str, given: dict[str, str]) -> str:
    """A word of the template with the names replaced, once: a text may hold braces too."""
    made = _BRACES.sub(lambda found: given[found[1]], word)
    # A text is no option of the program, whatever it begins with.
    return " " + made if word.startswith("{text}") and made.startswith("-") else made


def _run(words: list[str], piped: str | None, out: Path, said: Path) -> None:
    """Run a synthesiser in bounded time and size; raise LipwrightError unless it wrote ``out``."""
    allowed = limits.active()
    end = time.monotonic() + allowed.synthesis_seconds
    with tempfile.TemporaryFile() as source, said.open("wb") as errors:
        source.write((piped or "").encode())
        source.seek(0)
        try:
            process = subprocess.Popen(
                words,
                stdin=source,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,  # so that what it started itself can be stopped with it
            )
        except OSError as error:
            raise LipwrightError(
                f"The synthesiser {words[0]} cannot be started ({error.strerror or error}); "
                + (
                    "the text is too long for a command line: use {text_file} instead of {text}."
                    if error.errno == errno.E2BIG
                    else "install it, or check its name."
                )
            ) from error
        try:
            while True:
                try:
                    code = process.wait(_LOOK)
                    break
                except subprocess.TimeoutExpired:
                    _check_size(words[0], out, said)
                if time.monotonic() > end:
                    raise LipwrightError(
                        f"The synthesiser {words[0]} took more than {allowed.synthesis_seconds} s "
                        "and was stopped; give less text, or raise the limit with --limit "
                        "synthesis_seconds=N."
                    )
        finally:
            _stop(process)
    _check_size(words[0], out, said)
    last = _last_line(said)
    if code != 0:
        why = f"exit code {code}" if code > 0 else f"signal {-code}"
        raise LipwrightError(
            f"The synthesiser {words[0]} failed ({why}): {last or 'it did not say why'}"
        )
    if not out.is_file() or out.stat().st_size == 0:
        raise LipwrightError(f"The synthesiser {words[0]} wrote no sound: {last or out}")


def _check_size(name: str, out: Path, said: Path) -> None:
    """Raise LipwrightError if a synthesiser wrote more than it may."""
    largest = limits.active().synthesis_bytes
    for path, most in ((out, largest), (said, _STDERR_BYTES)):
        if path.exists() and path.stat().st_size > most:
            raise LipwrightError(
                f"The synthesiser {name} wrote more than {most} bytes"
                + (
                    "; give less text, or raise the limit with --limit synthesis_bytes=N."
                    if path == out
                    else " of messages and was stopped; see what it says when it runs alone."
                )
            )


def _last_line(said: Path) -> str:
    """The last line of what a synthesiser said on standard error that is not empty."""
    with said.open("rb") as file:
        file.seek(max(0, said.stat().st_size - _STDERR_END))
        lines = file.read().decode("utf-8", "replace").split("\n")
    found = [line for line in (" ".join(line.split()) for line in lines) if line]
    return found[-1][:300] if found else ""


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a synthesiser that still runs, and what it started."""
    if process.poll() is not None:
        return
    if os.name == "posix":
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
