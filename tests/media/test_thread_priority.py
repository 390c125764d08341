"""An encoder does not leave the program in real-time scheduling."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lipwright.media.codecs import encodes
from lipwright.media.thread_priority import ordinary_priority
from tests.conftest import write_video

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="only root's threads can be moved",
)


def scheduled() -> set[int]:
    return {os.sched_getscheduler(int(t.name)) for t in Path("/proc/self/task").iterdir()}


def test_what_was_moved_inside_is_moved_back() -> None:
    with ordinary_priority():
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        except PermissionError:
            pytest.skip("this root may not use real-time scheduling")
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_av1_leaves_no_thread_in_real_time(tmp_path: Path) -> None:
    encodes.cache_clear()
    encodes("av1")
    assert os.SCHED_FIFO not in scheduled()
    write_video(tmp_path / "a.webm", codec="libsvtav1", options={"preset": "12"}, frames=3)
    assert os.SCHED_FIFO not in scheduled()
