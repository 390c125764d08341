"""A video's plan: from the cache where it is there, or made and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from lipwright.dubbing.analysis import Tracker, analyse, settings
from lipwright.dubbing.cache import plan_for
from lipwright.dubbing.plan import Plan
from lipwright.dubbing.plan_file import PlanWriter
from lipwright.media.info import VideoInfo, probe

Progress = Callable[[int, int | None], None]


def plan_of(
    video: Path,
    info: VideoInfo,
    tracker: Tracker,
    progress: Progress,
    *,
    keep: bool,
    scratch: Path,
    make: Callable[[PlanWriter], Plan] | None = None,
) -> tuple[Plan, bool]:
    """The plan, and whether it came from the cache.

    Args:
        video: the file.
        info: of the stream that is wanted, deinterlaced or not.
        tracker: finds and follows faces.
        progress: see :func:`~lipwright.dubbing.analysis.analyse`.
        keep: use the cache.
        scratch: an existing folder of the job.
        make: makes the plan in another way, with the same result.

    Raises:
        LipwrightError: nothing of the video can be decoded.
    """

    def here(writer: PlanWriter) -> Plan:
        return analyse(
            video,
            writer,
            tracker,
            progress,
            stream=info.stream_index,
            deinterlace=info.deinterlaced,
        )

    return plan_for(
        video,
        settings(tracker) | {"stream": info.stream_index, "whole": info.deinterlaced},
        make or here,
        keep=keep,
        scratch=scratch,
    )


@contextmanager
def planned(
    video: Path,
    progress: Progress = lambda done, total: None,
    tracker: Tracker | None = None,
    *,
    keep: bool = True,
) -> Iterator[Plan]:
    """The plan of a video as a dub of it with the usual options finds it, open for reading.

    Args:
        video: the file.
        progress: called with the frames done and an estimate of all.
        tracker: another than the default.
        keep: use the cache.

    Raises:
        LipwrightError: nothing of the video can be decoded.
    """
    if tracker is None:
        from lipwright.faces.tracker import FaceTracker

        tracker = FaceTracker()
    with TemporaryDirectory(prefix="lipwright-") as scratch:
        plan, _ = plan_of(video, probe(video), tracker, progress, keep=keep, scratch=Path(scratch))
        with plan:
            yield plan
