"""The queue: order, one taker per job, and what becomes of jobs when something dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lipwright.errors import LipwrightError
from lipwright.serving.records import Kind, StoredFile
from lipwright.serving.store import MOST_CRASHES, Store, TooManyError

ALL: tuple[Kind, ...] = ("people", "preview", "verify", "dub")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "jobs.sqlite")
    yield made
    made.close()


def test_short_jobs_go_first_and_then_the_oldest(store: Store) -> None:
    for kind in ("dub", "dub", "verify", "people"):
        store.add_job(kind, {})
    taken = [store.take("w", ALL) for _ in range(5)]
    assert [job and (job.number, job.kind) for job in taken] == [
        (3, "verify"),
        (4, "people"),
        (1, "dub"),
        (2, "dub"),
        None,
    ]


def test_a_worker_takes_only_its_kinds(store: Store) -> None:
    store.add_job("dub", {})
    assert store.take("w", ("people", "verify")) is None
    assert not store.waiting(("people",))
    assert store.waiting(("dub",))


def test_no_job_is_taken_twice(store: Store) -> None:
    for _ in range(40):
        store.add_job("dub", {})
    taken: list[int] = []

    def take(name: str) -> None:
        own = Store(store.database.path)
        while (job := own.take(name, ALL)) is not None:
            taken.append(job.number)
        own.close()

    threads = [threading.Thread(target=take, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 41))


def test_ahead_counts_what_goes_before(store: Store) -> None:
    first, _ = store.add_job("dub", {})
    second, _ = store.add_job("dub", {})
    store.add_job("verify", {})
    assert (store.ahead_of(first), store.ahead_of(second)) == (1, 2)


def test_the_same_key_gives_the_same_job(store: Store) -> None:
    first, new = store.add_job("dub", {"a": 1}, key=("k", "digest"))
    again, newer = store.add_job("dub", {"a": 1}, key=("k", "digest"))
    assert (new, newer, first.id) == (True, False, again.id)
    with pytest.raises(LipwrightError, match="another request"):
        store.add_job("dub", {"a": 2}, key=("k", "other"))
    assert len(store.jobs()) == 1


def test_a_client_may_have_so_many_jobs(store: Store) -> None:
    for _ in range(2):
        store.add_job("dub", {}, client="c", most=2)
    with pytest.raises(TooManyError, match="2 of your jobs"):
        store.add_job("dub", {}, client="c", most=2)
    store.add_job("dub", {}, client="another", most=2)


def test_progress_says_when_to_stop(store: Store) -> None:
    job, _ = store.add_job("dub", {})
    store.take("w", ALL)
    assert store.progress(job.id, "w", "render", 5, 10, 2.5)
    assert not store.progress(job.id, "other", "render", 9, 10, 2.5)
    found = store.job(job.id)
    assert found
    assert (found.stage, found.done, found.total, found.fps) == ("render", 5, 10, 2.5)
    store.cancel(job.id)
    assert not store.progress(job.id, "w", "render", 6, 10, 2.5)


def test_cancel_by_state(store: Store) -> None:
    waiting, _ = store.add_job("dub", {})
    found = store.cancel(waiting.id)
    assert found
    assert found.state == "cancelled"
    running, _ = store.add_job("dub", {})
    store.take("w", ALL)
    found = store.cancel(running.id)
    assert found
    assert (found.state, found.cancel is not None) == ("running", True)
    store.finish(running.id, "w", "done", result={"x": 1})
    found = store.cancel(running.id)
    assert found
    assert found.state == "done"
    assert found.result == {"x": 1}


def test_a_late_worker_changes_nothing(store: Store) -> None:
    job, _ = store.add_job("dub", {})
    store.take("dead", ALL)
    store.crashed("dead", "SIGKILL")
    store.take("alive", ALL)
    assert not store.finish(job.id, "dead", "done", result={})
    found = store.job(job.id)
    assert found
    assert (found.state, found.worker, found.crashes) == ("running", "alive", 1)


def test_a_job_that_kills_workers_is_given_up(store: Store) -> None:
    job, _ = store.add_job("dub", {})
    for _ in range(MOST_CRASHES):
        assert store.take("w", ALL)
        store.crashed("w", "SIGKILL")
    found = store.job(job.id)
    assert found
    assert found.state == "failed"
    assert "died 3 times" in found.error
    assert store.take("w", ALL) is None
    retried = store.retry(job.id)
    assert retried
    assert (retried.state, retried.crashes, retried.error) == ("queued", 0, "")


def test_a_job_that_is_cancelled_while_its_worker_dies(store: Store) -> None:
    job, _ = store.add_job("dub", {})
    store.take("w", ALL)
    store.cancel(job.id)
    store.crashed("w", "SIGKILL")
    found = store.job(job.id)
    assert found
    assert found.state == "cancelled"


def test_after_a_restart_running_jobs_wait_again_and_ended_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    first = Store(path)
    done, _ = first.add_job("dub", {})
    first.take("w", ALL)
    first.finish(done.id, "w", "done", result={"files": {}})
    _running, _ = first.add_job("dub", {})
    first.take("w", ALL)
    stopping, _ = first.add_job("dub", {})
    first.take("w", ALL)
    first.cancel(stopping.id)
    first.close()
    second = Store(path)
    assert second.recover() == 1
    states = {job.number: job.state for job in second.jobs()}
    assert states == {1: "done", 2: "queued", 3: "cancelled"}
    second.close()


def test_deleting_respects_what_is_needed(store: Store) -> None:
    store.add_file(StoredFile("f" * 20, "a.mp4", 1, time.time(), {"kind": "video"}))
    job, _ = store.add_job("dub", {"video": "f" * 20, "speech": "x"})
    with pytest.raises(LipwrightError, match="Job 1 still needs"):
        store.delete_file("f" * 20)
    with pytest.raises(LipwrightError, match="cancel it first"):
        store.delete_job(job.id)
    store.cancel(job.id)
    assert store.delete_file("f" * 20)
    assert store.delete_job(job.id)
    assert not store.delete_job(job.id)


def test_retry_only_what_has_no_result(store: Store) -> None:
    job, _ = store.add_job("dub", {})
    with pytest.raises(LipwrightError, match="is queued"):
        store.retry(job.id)


def test_the_end_is_announced_once(store: Store) -> None:
    job, _ = store.add_job("dub", {}, webhook="https://example.org/hook")
    store.take("w", ALL)
    store.finish(job.id, "w", "failed", error="No face.")
    store.finish(job.id, "w", "failed", error="No face.")
    rows = store.database.rows("SELECT * FROM deliveries")
    assert len(rows) == 1
    assert '"event": "job.failed"' in rows[0]["body"]


def test_a_database_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    made = Store(path)
    made.database.run("PRAGMA user_version=99")
    made.close()
    with pytest.raises(LipwrightError, match="format 99"):
        Store(path)
