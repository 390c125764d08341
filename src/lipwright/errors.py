"""The one exception that users see."""

from __future__ import annotations


class LipwrightError(Exception):
    """Something that the user can understand and mend.

    The message is one sentence that says what went wrong, where, and what to do. The command
    line prints it on standard error and exits with 1; it shows a traceback with ``--debug`` only.
    """


def missing_extra(what: str, extra: str) -> LipwrightError:
    """The one sentence about packages that only an extra brings.

    Args:
        what: begins the sentence, such as ``The plot``.
        extra: ``train``, ``evaluate``, ``ray`` or ``serve``.
    """
    return LipwrightError(
        f"{what} needs packages that are not installed; run: python -m pip install "
        f"'lipwright[{extra}]'."
    )


class Interrupted(LipwrightError):  # noqa: N818 - not an error: the user asked for it
    """The user pressed Ctrl-C; the command line exits with 130."""
