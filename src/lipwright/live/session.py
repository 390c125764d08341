"""A session: a source, an engine and sinks, each in a thread of its own, and how it ends.

    source thread ── sound ──► sinks            (at once; the sound waits for nothing)
          └───────── sound ──► engine ── frames ──► sinks

The source's thread feeds the engine itself, so that the speech network hears what has come while
the frame before is still being drawn.

However it ends (the speech does, Ctrl-C, a lost source, a lost receiver), all sinks are closed,
so that files are complete up to there.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence

from lipwright.errors import LipwrightError
from lipwright.live.engine import Engine
from lipwright.live.sinks import Sink
from lipwright.live.sources import Source

POLL_SECONDS = 0.1
"""How often a session that waits looks for Ctrl-C and for broken sinks."""


class Session:
    """Runs until the source ends or somebody stops it.

    Args:
        source: of the speech.
        engine: makes the frames.
        sinks: take sound and frames.
        progress: called now and then with the seconds of sound so far.
        limit: seconds after which it ends by itself; 0: never.
    """

    def __init__(
        self,
        source: Source,
        engine: Engine,
        sinks: Sequence[Sink],
        progress: Callable[[float], None] = lambda seconds: None,
        limit: float = 0.0,
    ) -> None:
        self._source, self._engine, self._sinks = source, engine, list(sinks)
        self._progress, self._limit = progress, limit
        self._came: queue.Queue[bool] = queue.Queue()
        """True for every piece that the engine was fed, False at the end."""
        self._stop = threading.Event()
        self._source_error: BaseException | None = None
        self._format: tuple[int, int] | None = None
        self.ended = ""
        """Why it ended, as a sentence."""

    def stop(self, reason: str) -> None:
        """End it soon; from any thread."""
        self.ended = self.ended or reason
        self._stop.set()

    def run(self) -> LipwrightError | None:
        """Run; gives what went wrong, or None. All sinks are closed when it returns.

        Ctrl-C ends it like the end of the speech.
        """
        thread = threading.Thread(target=self._listen, name="live-source", daemon=True)
        try:
            self._engine.statistics.start()
            thread.start()
            self._draw()
        except KeyboardInterrupt:
            self.stop("Ended by Ctrl-C.")
        finally:
            self._stop.set()
            error = self._close()
            self._engine.close()
            self._engine.statistics.stop()
        if self._source_error is not None and not isinstance(self._source_error, LipwrightError):
            raise self._source_error
        return self._source_error or error

    def _listen(self) -> None:
        """The source's thread: sound goes to the sinks first."""
        try:
            for piece in self._source.pieces():
                if self._stop.is_set():
                    return
                sound, _ = piece
                kind = (sound.rate, sound.samples.shape[0])
                self._format = self._format or kind
                if kind != self._format:
                    raise LipwrightError(
                        f"The sound of {self._source.name} changes its rate or its channels; "
                        "start again."
                    )
                for sink in self._sinks:
                    sink.sound(sound)
                self._engine.feed(*piece)
                self._came.put(True)
            self.ended = self.ended or f"The speech from {self._source.name} has ended."
        except BaseException as error:  # carried over to the session's thread
            self._source_error = error
            self.ended = self.ended or str(error)
        finally:
            self._came.put(False)

    def _draw(self) -> None:
        ended = False
        while not self._stop.is_set():
            broken = next((s.error for s in self._sinks if s.error is not None), None)
            if broken is not None:
                self.stop(str(broken))
                return
            if not ended:
                ended = self._take()
            drawn = self._engine.next_frame()
            if drawn is not None:
                for sink in self._sinks:
                    sink.picture(drawn)
            elif ended:
                return
            self._progress(float(self._engine.received))
            if self._limit and float(self._engine.received) >= self._limit and not ended:
                self.stop(f"Ended after {self._limit:g} s, as asked for.")

    def _take(self) -> bool:
        """Wait for sound if there is nothing to draw; True at the end."""
        waits = not self._engine.is_due()
        try:
            more = self._came.get(timeout=POLL_SECONDS) if waits else self._came.get_nowait()
            while more:
                more = self._came.get_nowait()
        except queue.Empty:
            return False
        self._engine.end()
        return True

    def _close(self) -> LipwrightError | None:
        """Close all sinks; the first error of any."""
        threads = [threading.Thread(target=sink.close, daemon=True) for sink in self._sinks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return next((s.error for s in self._sinks if s.error is not None), None)
