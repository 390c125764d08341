from __future__ import annotations

import signal
import threading
import time

import pytest

from lipwright.dubbing.queues import ByteQueue, ThreadGroup


def test_order_and_bound() -> None:
    threads = ThreadGroup()
    queue = threads.queue(100)
    seen: list[object] = []
    most: list[int] = []

    def produce() -> None:
        for k in range(200):
            queue.put(k, 30)
            most.append(queue.held)
        queue.finish()

    threads.start("produce", produce)
    threads.start("consume", lambda: seen.extend(queue))
    threads.wait()
    assert seen == list(range(200))
    assert max(most) <= 90


def test_item_larger_than_the_bound_passes_alone() -> None:
    queue: ByteQueue[str] = ByteQueue(10)
    queue.put("huge", 1000)
    queue.finish()
    assert list(queue) == ["huge"]
    assert queue.held == 0


@pytest.mark.parametrize("failing", ["first", "middle", "last"])
def test_error_in_any_thread_ends_all(failing: str) -> None:
    threads = ThreadGroup()
    one, two = threads.queue(10), threads.queue(10)

    def first() -> None:
        k = 0
        while True:  # endless: only the stop ends it
            if failing == "first" and k == 5:
                raise ValueError("first")
            one.put(k, 5)
            k += 1

    def middle() -> None:
        for item in one:
            if failing == "middle" and item == 5:
                raise ValueError("middle")
            two.put(item, 5)

    def last() -> None:
        for item in two:
            if failing == "last" and item == 5:
                raise ValueError("last")

    for work in (first, middle, last):
        threads.start(work.__name__, work)
    with pytest.raises(ValueError, match=failing):
        threads.wait()
    assert not [t for t in threading.enumerate() if t.name.startswith("lipwright-")]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to a thread here")
def test_ctrl_c_while_waiting_leaves_no_thread_at_work() -> None:
    threads = ThreadGroup()
    done: list[str] = []
    main = threading.main_thread().ident
    assert main is not None

    def work() -> None:  # as a network does that computes: it sees no sign to stop
        time.sleep(0.3)
        signal.pthread_kill(main, signal.SIGINT)
        time.sleep(0.5)
        done.append("ended")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
    try:
        threads.start("work", work)
        with pytest.raises(KeyboardInterrupt):
            threads.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["ended"]


def test_interrupt_in_the_waiting_thread_ends_all() -> None:
    threads = ThreadGroup()
    queue = threads.queue(10)

    def produce() -> None:
        while True:
            queue.put(0, 20)

    threads.start("produce", produce)

    def tick() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        threads.wait(tick)
    assert not [t for t in threading.enumerate() if t.name.startswith("lipwright-")]
