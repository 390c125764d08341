"""Threads that hand each other frames, with a bound on the bytes under way.

A queue of 8 frames is 8 MiB at 480p and 200 MiB in 4K with 10 bits; so the queues count bytes.
In a group of threads, when one of them fails or the caller is interrupted, all the others stop at
their next hand-over, and the first error is raised in the caller's thread.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.1
"""How often a waiting thread looks whether the user pressed Ctrl-C (Windows needs it)."""


class Stopped(Exception):  # noqa: N818 - not an error: the way out of a thread
    """Another thread of the group failed or the job was given up; leave quietly."""


class ThreadGroup:
    """Threads that start together and fail together."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._ended: list[threading.Event] = []
        self._queues: list[ByteQueue[object]] = []
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self.stopped = threading.Event()

    def queue(self, limit: int) -> ByteQueue[object]:
        """A queue of at most ``limit`` bytes that wakes its waiters when the group stops."""
        made: ByteQueue[object] = ByteQueue(limit, self.stopped)
        self._queues.append(made)
        return made

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Run ``work`` in a thread."""
        ended = threading.Event()

        def run() -> None:
            try:
                work()
            except Stopped:
                pass
            except BaseException as error:  # carried over to the caller's thread
                with self._lock:
                    self._error = self._error or error
                self.stop()
            finally:
                ended.set()

        # Waited for by an event and not by Thread.join: before Python 3.13, a join that Ctrl-C
        # breaks off takes the thread for ended while it works on, and the exit may abort.
        self._ended.append(ended)
        self._threads.append(threading.Thread(target=run, name=f"lipwright-{name}", daemon=True))
        self._threads[-1].start()

    def stop(self) -> None:
        """Ask every thread to leave at its next hand-over."""
        self.stopped.set()
        for queue in self._queues:
            queue.wake()

    def wait(self, tick: Callable[[], None] = lambda: None) -> None:
        """Wait for all threads to end, calling ``tick`` now and then in this thread.

        Raises:
            BaseException: the first error of any thread, or what ``tick`` or Ctrl-C raised here; in
                both cases only after every thread has ended.
        """
        try:
            while running := [ended for ended in self._ended if not ended.is_set()]:
                running[0].wait(POLL_SECONDS)
                tick()
            for thread in self._threads:
                thread.join()  # their work is done
        except BaseException:
            self._leave()
            raise
        if self._error is not None:
            raise self._error

    def _leave(self) -> None:
        self.stop()
        for ended in self._ended:
            # A second Ctrl-C must not leave a thread writing into files that are being removed.
            while not ended.is_set():
                with contextlib.suppress(KeyboardInterrupt):
                    ended.wait(POLL_SECONDS)
        for thread in self._threads:
            with contextlib.suppress(KeyboardInterrupt):
                thread.join()


class ByteQueue(Generic[T]):
    """First in, first out, bounded by the sum of the sizes of the items that wait.

    One item always fits, however big it is; otherwise a single huge frame would block for ever.
    """

    def __init__(self, limit: int, stopped: threading.Event | None = None) -> None:
        self._limit = limit
        self._items: deque[tuple[T, int]] = deque()
        self._held = 0
        self._finished = False
        self._stopped = stopped or threading.Event()
        self._change = threading.Condition()

    @property
    def held(self) -> int:
        """Bytes that wait in the queue."""
        return self._held

    def put(self, item: T, size: int) -> None:
        """Append; blocks while the queue is full. Raises Stopped when the group stops."""
        with self._change:
            while self._items and self._held + size > self._limit and not self._stopped.is_set():
                self._change.wait(POLL_SECONDS)
            if self._stopped.is_set():
                raise Stopped
            self._items.append((item, size))
            self._held += size
            self._change.notify_all()

    def finish(self) -> None:
        """Say that nothing more will come."""
        with self._change:
            self._finished = True
            self._change.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Take items out until the end. Raises Stopped when the group stops."""
        while True:
            with self._change:
                while not self._items and not self._finished and not self._stopped.is_set():
                    self._change.wait(POLL_SECONDS)
                if self._stopped.is_set():
                    raise Stopped
                if not self._items:
                    return
                item, size = self._items.popleft()
                self._held -= size
                self._change.notify_all()
            yield item

    def wake(self) -> None:
        """Let the waiters look at the stop sign."""
        with self._change:
            self._change.notify_all()
