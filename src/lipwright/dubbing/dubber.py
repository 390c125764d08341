"""Many jobs with one model: what takes seconds to load is loaded once.

    dubber = lipwright.Dubber()
    for name in ("one", "two", "three"):
        dubber.dub("interview.mp4", f"{name}.wav", f"{name}.mp4")

Speeches of the same video share its plan (see ``dubbing.cache``) and, with a method that has no
memory, what the method made of the reference frames.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipwright.dubbing.job import dub
from lipwright.dubbing.observer import Observer
from lipwright.dubbing.options import DubOptions
from lipwright.dubbing.render_job import StartedFaces

if TYPE_CHECKING:
    from lipwright.dubbing.report import Report
    from lipwright.faces.tracker import FaceTracker
    from lipwright.methods.base import Method


class Dubber:
    """Dubs one job after another; not for several threads at once.

    Attributes:
        options: what every job has in common.
    """

    def __init__(self, options: DubOptions | None = None, observer: Observer | None = None) -> None:
        """Load nothing yet: that happens with the first job.

        Args:
            options: what every job has in common, see ``DubOptions``.
            observer: is told of the progress of every job.
        """
        self.options = options or DubOptions()
        self._observer = observer
        self._method: tuple[tuple[str, ...], Method] | None = None
        self._tracker: FaceTracker | None = None
        self._started = StartedFaces()
        self._reference: str | None = None

    def dub(self, video: str | Path, speech: str | Path, out: str | Path, **changes: Any) -> Report:
        """Give a video's mouths to a speech.

        Args:
            video: as in :func:`lipwright.dub`.
            speech: as there.
            out: as there.
            changes: options of this job that differ from the common ones.

        Returns:
            What was done to every frame.

        Raises:
            LipwrightError: whatever the user can understand and correct.
            Interrupted: Ctrl-C.
        """
        options = replace(self.options, **changes)
        options.check()
        method, tracker = self.method(options), self._face_tracker()
        if options.reference != self._reference:  # another choice starts faces otherwise
            self._started.clear()
            self._reference = options.reference
        return dub(
            video,
            speech,
            out,
            options,
            self._observer,
            method=method,
            tracker=tracker,
            started=self._started,
        )

    def method(self, options: DubOptions | None = None) -> Method:
        """The method of these options, loaded if it is not the one of the job before."""
        from lipwright.methods.registry import load_method

        wanted = options or self.options
        weights = None if wanted.weights is None else Path(wanted.weights)
        key = tuple(map(str, (wanted.method, weights, wanted.device, wanted.backend)))
        if self._method is None or self._method[0] != key:
            self._method = None  # first out, then in: two models may not fit
            self._started.clear()
            made = load_method(wanted.method, wanted.device, wanted.backend, weights)
            self._method = key, made
        return self._method[1]

    def _face_tracker(self) -> FaceTracker:
        from lipwright.faces.tracker import FaceTracker

        if self._tracker is None:
            self._tracker = FaceTracker()
        self._tracker.reset()
        return self._tracker
