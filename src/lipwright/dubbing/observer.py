"""Who is told how far a dub is, and what its user should read."""

from __future__ import annotations

from typing import Literal, Protocol

Stage = Literal["load", "plan", "listen", "render", "join", "compare"]


class Observer(Protocol):
    """Is told how far the job is; called from the thread that called ``dub``.

    One that derives from :class:`QuietObserver` gets no explanations.
    """

    def progress(self, stage: Stage, done: int, total: int | None, fps: float) -> None:
        """``done`` of ``total`` frames of a stage; ``fps`` is the speed of the last seconds.

        The speed is 0.0 while it is not known. A stage that counts no frames (loading, listening)
        is told of once, as 0 of None.
        """
        ...

    def notice(self, line: str) -> None:
        """A line that the user should read before the work begins."""
        ...


class QuietObserver(Observer):
    """Base of observers whose ``notice`` gets only what has to be said, such as a missing mark.

    Warnings and explanations are in the report alone.
    """

    def progress(self, stage: Stage, done: int, total: int | None, fps: float) -> None:
        """Says nothing."""

    def notice(self, line: str) -> None:
        """Says nothing."""
