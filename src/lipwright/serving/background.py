"""What a server does beside answering: threads that look after something now and then."""

from __future__ import annotations

import logging
import threading

log = logging.getLogger(__name__)


class Background:
    """A thread that calls :meth:`once` again and again; an error there is logged, not its end.

    Attributes:
        doing: words for the log.
        pause: seconds between two calls.
        patience: seconds in which the last call has to end; None: however long it takes.
    """

    doing: str
    pause: float
    patience: float | None = None

    def __init__(self) -> None:
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.doing, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self.ended.set()
        self._thread.join(self.patience)

    def once(self) -> None:
        """What there is to do."""
        raise NotImplementedError

    def _run(self) -> None:
        while not self.ended.is_set():
            try:
                self.once()
            except Exception:
                log.exception("while %s", self.doing)
            self.ended.wait(self.pause)
