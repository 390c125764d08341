"""The whole job: check, plan, render, join, mark, report.

    dub("interview.mp4", "speech.wav", "dubbed.mp4")

Nothing appears under the output's name before it is complete. Whatever ends a job early, nothing is
left behind, except what ``--resume`` needs when that was asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.adapt import features_by_track
from lipwright.dubbing.analysis import Tracker
from lipwright.dubbing.cast.request import CastSpeech
from lipwright.dubbing.compare import comparison_info, write_comparison
from lipwright.dubbing.disk_errors import disk_errors
from lipwright.dubbing.enhancing import FaceEnhancer
from lipwright.dubbing.frames import FrameStore
from lipwright.dubbing.identity import job_identity
from lipwright.dubbing.job_planning import JobPlanning
from lipwright.dubbing.job_speech import levelled, shifted_speech
from lipwright.dubbing.marks import marks
from lipwright.dubbing.observer import Observer
from lipwright.dubbing.options import DubOptions
from lipwright.dubbing.origin import Origin
from lipwright.dubbing.preview import write_preview
from lipwright.dubbing.render import render
from lipwright.dubbing.render_job import Beyond, Job, StartedFaces
from lipwright.dubbing.report import Report
from lipwright.dubbing.schedule import Schedule
from lipwright.dubbing.segments import Segments, segment_frames
from lipwright.enhance.base import Enhancer
from lipwright.enhance.registry import load_enhancer
from lipwright.errors import Interrupted
from lipwright.files.beside import folder_beside
from lipwright.lock import OutputLock
from lipwright.media import limits, voice_activity
from lipwright.media.audio import SAMPLE_RATE
from lipwright.media.encoding import choose_encoding, kind_of, losses
from lipwright.media.info import VideoInfo, probe
from lipwright.methods.base import Method

if TYPE_CHECKING:
    from lipwright.provenance.session import Provenance

__all__ = ["DubOptions", "Observer", "dub"]


def dub(
    video: str | Path,
    speech: str | Path | CastSpeech,
    out: str | Path,
    options: DubOptions | None = None,
    observer: Observer | None = None,
    *,
    method: Method | None = None,
    tracker: Tracker | None = None,
    started: StartedFaces | None = None,
    origin: Origin | None = None,
) -> Report:
    """Give a video's mouths to a speech.

    Args:
        video: a video, or a still picture.
        speech: any file with an audio stream; or a cast, which gives several people speeches.
        out: the video to write; replaced if it exists. Not written with ``options.preview``.
        options: see ``DubOptions``.
        observer: is told of the progress.
        method: one that is loaded already, instead of ``options.method``.
        tracker: another face tracker than the default.
        started: faces of earlier jobs with this method, see ``dubbing.dubber``.
        origin: the picture that ``video`` was made from, if it was.

    Returns:
        What was done to every frame.

    Raises:
        LipwrightError: whatever the user can understand and correct.
        Interrupted: Ctrl-C.
    """
    given = speech if isinstance(speech, CastSpeech) else Path(speech)
    with disk_errors(out):
        job = _Dub(Path(video), given, Path(out), options or DubOptions(), observer, origin)
        try:
            with limits.applied(limits.parse(job.options.limit)):
                return job.run(method, tracker, started)
        except KeyboardInterrupt:
            raise Interrupted(job.last_words()) from None


class _Dub(JobPlanning):
    _kept: Segments | None = None

    def run(
        self, method: Method | None, tracker: Tracker | None, started: StartedFaces | None
    ) -> Report:
        """Everything."""
        options, began = self.options, time.perf_counter()
        self._check()
        with (
            OutputLock(self.out),
            folder_beside(self.out, "lipwright-work") as scratch,
            ExitStack() as self._open,
        ):
            self._begin_stage("load")
            with self._timed("load"):
                info = probe(
                    self.video, stream=options.video_stream, deinterlace=options.deinterlace
                )
                kind = kind_of(self.out)
                encoding = choose_encoding(
                    *(kind, info, options.crf, options.lossless),
                    pixels=options.pixels,
                    codec=options.codec,
                    captions=options.keep_streams,
                )
                found: list[str] = []
                if self.cast is None:
                    stream, offset = options.speech_stream, Fraction(options.speech_offset)
                    wave = shifted_speech(self.speech, stream, offset, found)
                    wave = levelled(wave, self.speech, found)
                facts, lost = self._described(info)
                lost = (
                    *lost,
                    *losses(facts, kind, encoding),
                    *self._left_streams(kind, info, encoding),
                )
                self._say([*lost, *found])
                method = self._chosen(method)
                enhancer = load_enhancer(options.enhance, options.enhance_weights)
                identity = job_identity(
                    *(self.given, self.cast or self.speech, method, enhancer, options),
                    made_into_video=self.origin is not None,
                )
                provenance = self._marks(method, identity, info)
            planner = partial(self._plan, tracker, scratch)
            with self._timed("plan"):
                plan = planner(self.video, info)
            if options.face == "speaking":
                self._begin_stage("listen")
                plan = self._speaking(plan)
            whole = plan
            if self.cast is not None:
                plan = self.cast.assign(plan)
                wave = self._mixed(self.cast, scratch, kind)
            with plan:
                schedule = self._schedule(plan, info, wave, method)
                self.report.warnings += plan.warnings
                self._begin_stage("listen")
                audio_features: NDArray[np.float32] | None = None
                with self._timed("listen"):
                    people = self._articulation(whole, schedule, method, planner, info)
                    if self.cast is not None:
                        adapted = self.cast.features(method, people)
                    else:
                        audio_features = method.speech_features(wave)
                        adapted = features_by_track(people, audio_features, method.articulation)
                level = voice_activity.band_level(wave, SAMPLE_RATE)
                del wave
                job = Job(
                    info=info,
                    store=FrameStore(info, plan.pts, plan.source),
                    schedule=schedule,
                    method=method,
                    audio_features=audio_features,
                    enhancer=self._stage_2(enhancer, info, schedule, method),
                    marker=provenance,
                    batch_size=options.batch_size,
                    segment=segment_frames(info),
                    detail=options.detail,
                    started=started,
                    expressiveness=options.expressiveness,
                    adapted=adapted,
                )
                self._describe(schedule, method)
                if provenance is None:
                    assert options.preview is not None
                    with self._timed("render"):
                        self._preview(job, level, Path(options.preview))
                else:
                    self._render(job, scratch, identity, provenance)
                    self.report.provenance = provenance.to_json()
        self.report.timings["total"] = round(time.perf_counter() - began, 3)
        if options.report is not None:
            self.report.files["report"] = str(options.report)
            self.report.write(Path(options.report))
        return self.report

    def last_words(self) -> str:
        """What an interrupted job says."""
        kept = self._kept.start if self._kept is not None else 0
        of = f"{kept} of {self.report.frames} frames"
        if not kept:
            return "Interrupted; nothing was written."
        if self.options.resume:
            return f"Interrupted; {of} are kept: the same command with --resume goes on there."
        return f"Interrupted; nothing was written. With --resume, {of} would have been kept."

    def _preview(self, job: Job, level: NDArray[np.float64], path: Path) -> None:
        progress = self._progress("render")
        spoken = self.speech if self.given_cast is None else self.given_cast.path
        title = f"{self.given.name} with {spoken.name}"
        self.report.previewed = write_preview(job, level, title, path, progress)
        self.report.files["preview"] = str(path)

    def _stage_2(
        self, enhancer: Enhancer | None, info: VideoInfo, schedule: Schedule, method: Method
    ) -> FaceEnhancer | None:
        if enhancer is None:
            return None
        self.report.settings["enhancer"] = enhancer.info.model_id
        return FaceEnhancer(enhancer, info, schedule, method.info.reference_size)

    def _describe(self, schedule: Schedule, method: Method) -> None:
        report, line = self.report, schedule.timeline
        report.runs = schedule.runs()
        report.tracks = schedule.summaries()
        if self.cast is not None:
            report.stretches = self.cast.outcomes(schedule)
        report.seconds = round(float(line.end), 6)
        report.rate = round(float(len(line) / line.end), 6)
        report.model = {"name": method.name, "id": method.model_id}
        report.settings |= self.options.shaping() | {"backend": method.info.backend}

    def _render(
        self, job: Job, scratch: Path, identity: dict[str, Any], provenance: Provenance
    ) -> None:
        options = self.options
        segments = Segments(
            *(self.out, job.info, job.schedule.timeline),
            crf=options.crf,
            lossless=options.lossless,
            codec=options.codec,
            pixels=options.pixels,
            captions=options.keep_streams,
            length=job.segment,
            identity=identity,
            resume=options.resume,
        )
        self._kept = segments
        self.report.resumed_from = provenance.resumed_from = segments.start
        done = False
        try:
            with self._timed("render"):
                progress = self._progress("render", segments.start)
                beyond = self._drawn(job, segments, provenance, progress)
                if beyond.faces:
                    self.report.beyond_references = round(beyond.short / beyond.faces, 4)
            self._begin_stage("join")
            with self._timed("join"):
                made = scratch / self.out.name
                speech, streams = self.speech, self.video if options.keep_streams else None
                offset, start = Fraction(options.speech_offset), Fraction(options.start)
                late = segments.join(made, speech, streams, offset, start, options.speech_stream)
                self.report.warnings += [line for line in late if line not in self.report.warnings]
                again = [] if job.store is None else job.store.warnings
                self.report.warnings += segments.warnings + again
            with self._timed("sign"):
                provenance.finish(made, self.out)
                self.report.warnings += provenance.warnings
            if options.compare is not None:
                with self._timed("compare"):
                    self._compare(job, made, identity, Path(options.compare))
            made.replace(self.out)
            self.report.files = {"output": str(self.out), **self.report.files}
            if provenance.sidecar is not None:
                self.report.files["manifest"] = str(provenance.sidecar)
            done = True
        finally:
            segments.close(keep=options.resume and not done and segments.start > 0)

    def _drawn(
        self, job: Job, segments: Segments, provenance: Provenance, progress: Callable[..., None]
    ) -> Beyond:
        """Draw and encode all frames, here or on a cluster."""
        if self.options.ray is None:
            return render(job, segments, segments.start, progress)
        from lipwright.dubbing.ray_render import render_on

        marking, count = provenance.marking, provenance.count
        return render_on(self._cluster(), job, self.options, segments, marking, progress, count)

    def _compare(self, job: Job, made: Path, identity: dict[str, Any], path: Path) -> None:
        """The comparison, marked and signed like the output."""
        model = f"{job.method.name} {job.method.model_id}"
        info, own = comparison_info(job.info), {**identity, "comparison": True}
        facts, _ = self._described(info)
        marked = marks(self.options, own, model, facts, self.given, self._speeches, explain=False)
        with folder_beside(path, "lipwright-work") as folder:  # it may be on another file system
            target = folder / f"comparison{path.suffix}"
            write_comparison(job, made, target, marked, self._progress("compare"))
            marked.finish(target, path)
            target.replace(path)
        self.report.files["comparison"] = str(path)
