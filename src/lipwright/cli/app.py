"""The Typer application and what becomes of errors.

Exit codes: 0 done; 1 could not (one sentence on standard error: what, where, what to do); 2 wrong
usage; 130 interrupted with Ctrl-C; 143 asked to end (SIGTERM). ``--debug``, accepted before and
after the command, shows the traceback.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, NoReturn

import typer

from lipwright import __version__
from lipwright.cli import (
    animate,
    batch,
    doctor,
    dub,
    evaluate,
    faces,
    lesson,
    live,
    memory,
    protocols,
    provenance,
    serve,
    study,
    training,
    weights,
)
from lipwright.cli.plain_help import command_of
from lipwright.errors import Interrupted, LipwrightError, Problems, missing_extra
from lipwright.printable import printable

INTERRUPTED, TERMINATED = 130, 143
_asked_to_end: list[int] = []

app = typer.Typer(
    name="lipwright",
    help="Lips that match speech, in any talking-face video.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"lipwright {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", help="Show the traceback of an error; also accepted after the command."
        ),
    ] = False,
) -> None:
    """Lips that match speech, in any talking-face video."""


dub.register(app)
animate.register(app)
live.register(app)
faces.register(app)
batch.register(app)
lesson.register(app)
weights.register(app)
training.register(app)
evaluate.register(app)
memory.register(app)
protocols.register(app)
provenance.register(app)
serve.register(app)
study.register(app)
doctor.register(app)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process with its exit code.

    Args:
        arguments: the words after the program's name; ``sys.argv[1:]`` by default.
    """
    # NumPy's products here are small, and threads that wait for each other in a busy loop made them
    # many times slower, and costlier, on a machine with other work.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    words = list(sys.argv[1:] if arguments is None else arguments)
    _asked_to_end.clear()
    debug = _take_flag(words, "--debug")
    if not debug:
        warnings.simplefilter("ignore")  # remarks of libraries to programmers
    # A polite request to end (a closed session, a batch system) is cleaned up like Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        completing = "_LIPWRIGHT_COMPLETE" in os.environ  # then the words come otherwise
        command_of(app, None if completing else words)(words, prog_name="lipwright")
        sys.exit(0)
    except Interrupted as error:
        _fail(error, error.sentence or "Interrupted.", _interrupted(), debug)
    except SystemExit as left:
        if left.code == INTERRUPTED:  # Typer turns Ctrl-C into an exit without a word
            _fail(left, "Interrupted.", _interrupted(), debug)
        raise
    except Problems as error:
        _fail(error, error.sentences, 1, debug)
    except LipwrightError as error:
        _fail(error, error.sentence, 1, debug)
    except MemoryError as error:
        _fail(error, "Not enough memory; close other programs or use a smaller video.", 1, debug)
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            name = _one_line(error.filename)
            _fail(error, f"The name {name} is too long for this file system; shorten it.", 1, debug)
        if isinstance(error, ModuleNotFoundError) and error.name == "torch":
            _fail(error, str(missing_extra("This command", "train")), 1, debug)
        sentence = (
            f"Internal error ({type(error).__name__}: {_one_line(error)}): this is a fault of "
            "lipwright; run again with --debug, and report what that prints to its maintainers."
        )
        _fail(error, sentence, 1, debug)


def _take_flag(words: list[str], flag: str) -> bool:
    """Remove ``flag`` wherever it stands before ``--``; True if it was there."""
    end = words.index("--") if "--" in words else len(words)
    found = flag in words[:end]
    words[:end] = [word for word in words[:end] if word != flag]
    return found


def _interrupt(number: int, _frame: FrameType | None) -> None:
    _asked_to_end.append(number)
    raise KeyboardInterrupt


def _interrupted() -> int:
    """The exit code of a run that was stopped: by SIGTERM, or by the user at the keyboard."""
    return TERMINATED if _asked_to_end else INTERRUPTED


def _one_line(said: object) -> str:
    text = " ".join(str(said).split())
    return text if len(text) <= 200 else text[:197] + "..."


def _fail(error: BaseException, said: str | tuple[str, ...], code: int, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    # Each by itself, so that a line end in a file's name cannot pass for one of ours.
    lines = [printable(said)] if isinstance(said, str) else [printable(each) for each in said]
    print("lipwright: " + "\n  ".join(lines), file=sys.stderr)
    sys.exit(code)
