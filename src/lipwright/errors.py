"""The one exception that users see."""

from __future__ import annotations


class LipwrightError(Exception):
    """Something that the user can understand and mend.

    The message is one sentence that says what went wrong, where, and what to do. The command
    line prints it on standard error and exits with 1; it shows a traceback with ``--debug`` only.
    """


class Interrupted(LipwrightError):  # noqa: N818 - not an error: the user asked for it
    """The user pressed Ctrl-C; the command line exits with 130."""
