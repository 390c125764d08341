"""The one exception that users see."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_LINE_ENDS = re.compile(r"\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
"""What ``str.splitlines`` takes for the end of a line."""
_PLAIN_WORD = re.compile(
    r"(the|there|this|that|these|those|a|an|it|its|no|not|only|with|without|in|of|on|at|to|cannot"
    r"|closures|features|landmarks|pictures|series|unpaired) "
)
"""What a sentence may begin with. Any other word may be the name of a file, a key or an option
(``corpus``, ``loss.sync``, ``--face``), which stays as it was given."""


def _one_line(text: object) -> str:
    return _LINE_ENDS.sub(" ", str(text))


class LipwrightError(Exception):
    """Something that the user can understand and correct.

    The message is one sentence that says what went wrong, where, and what to do. The command
    line prints it on standard error and exits with 1; it shows a traceback with ``--debug`` only.
    Line ends in it, those of a file's name above all, become spaces.
    """

    def __init__(self, sentence: object = "") -> None:
        super().__init__(_one_line(sentence))

    @property
    def sentence(self) -> str:
        """The message as people read it: a capital first letter, a full stop at the end."""
        text = str(self)
        if _PLAIN_WORD.match(text):
            text = text[0].upper() + text[1:]
        return text if not text or text[-1] in ".!?" else f"{text}."


class Problems(LipwrightError):  # noqa: N818 - the plural of LipwrightError
    """Several things that are wrong, told together; the command line gives each a line."""

    def __init__(self, sentences: Sequence[str], most: int = 10) -> None:
        """Args:
        sentences: what is wrong, at least one sentence.
        most: how many of them are told; of the rest only the number is.
        """
        rest = len(sentences) - most
        shown = [_one_line(sentence) for sentence in sentences[:most]]
        self.sentences = (*shown, *([f"({rest} more)"] if rest > 0 else []))
        Exception.__init__(self, "\n  ".join(self.sentences))


def missing_extra(what: str, extra: str) -> LipwrightError:
    """The one sentence about packages that only an extra brings.

    Args:
        what: begins the sentence, such as ``The plot``.
        extra: ``train``, ``gpu``, ``evaluate``, ``live``, ``ray`` or ``serve``.
    """
    return LipwrightError(
        f"{what} needs packages that are not installed; run: python -m pip install "
        f"'lipwright[{extra}]'."
    )


def reason_of(error: BaseException) -> str:
    """What the system or libav says of an error, without number and file name."""
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def system_errors(
    what: str, remedy: str = "", kinds: type[Exception] | tuple[type[Exception], ...] = OSError
) -> Iterator[None]:
    """Say errors of the system, and of libav, as one sentence: ``WHAT (REASON); REMEDY.``

    Args:
        what: that cannot be done, such as ``The report x.json cannot be written``.
        remedy: what to do about it.
        kinds: which errors.
    """
    try:
        yield
    except kinds as error:
        advice = f"; {remedy}" if remedy else ""
        raise LipwrightError(f"{what} ({reason_of(error)}){advice}.") from error


@contextmanager
def reading_errors(what: object) -> Iterator[None]:
    """Say why a file cannot be read: ``WHAT cannot be read: REASON.``"""
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        is_text = not isinstance(error, UnicodeDecodeError)
        reason = reason_of(error) if is_text else "it is not a text file"
        raise LipwrightError(f"{what} cannot be read: {reason}.") from error


class Interrupted(LipwrightError):  # noqa: N818 - not an error: the user asked for it
    """The user pressed Ctrl-C; the command line exits with 130."""
