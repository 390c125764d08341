"""The whole job: check, plan, render, join, mark, report.

    dub("interview.mp4", "speech.wav", "dubbed.mp4")

Nothing appears under the output's name before it is complete. Whatever ends a job early, nothing is
left behind, except what ``--resume`` needs when that was asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing import timeline
from lipwright.dubbing.adapt import PersonSpeech, features_by_track
from lipwright.dubbing.adapt_plan import people_speech
from lipwright.dubbing.analysis import Tracker
from lipwright.dubbing.cast.request import CastSpeech
from lipwright.dubbing.compare import comparison_info, write_comparison
from lipwright.dubbing.disk_errors import disk_errors
from lipwright.dubbing.enhancing import FaceEnhancer
from lipwright.dubbing.frames import FrameStore
from lipwright.dubbing.identity import job_identity
from lipwright.dubbing.job_inputs import JobInputs
from lipwright.dubbing.job_speech import levelled, shifted_speech
from lipwright.dubbing.marks import marks
from lipwright.dubbing.observer import Observer
from lipwright.dubbing.options import STILL_RATE, DubOptions
from lipwright.dubbing.origin import Origin
from lipwright.dubbing.plan import Plan
from lipwright.dubbing.plan_file import PlanWriter
from lipwright.dubbing.planning import plan_of
from lipwright.dubbing.preview import write_preview
from lipwright.dubbing.render import render
from lipwright.dubbing.render_job import Beyond, Job, StartedFaces
from lipwright.dubbing.report import Report
from lipwright.dubbing.schedule import Schedule, select
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
from lipwright.media.sound import possible_padding
from lipwright.methods.base import Method

if TYPE_CHECKING:
    from lipwright.provenance.session import Provenance
    from lipwright.ray_cluster import RayCluster

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


class _Dub(JobInputs):
    _kept: Segments | None = None
    _reached: RayCluster | None = None

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
                )
                found: list[str] = []
                if self.cast is None:
                    stream, offset = options.speech_stream, Fraction(options.speech_offset)
                    wave = shifted_speech(self.speech, stream, offset, found)
                    wave = levelled(wave, self.speech, found)
                facts, lost = self._described(info)
                lost = (*lost, *losses(facts, kind, encoding), *self._left_streams(kind, info))
                self._say([*lost, *found])
                method = self._chosen(method)
                weights = options.enhance_weights
                enhancer = load_enhancer(options.enhance, Path(weights) if weights else None)
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

    def _articulation(
        self,
        plan: Plan,
        schedule: Schedule,
        method: Method,
        planner: Callable[[Path, VideoInfo], Plan],
        info: VideoInfo,
    ) -> list[PersonSpeech]:
        """How the people articulate who speak, as far as it is known."""
        if self.cast is not None and self.options.adapt_from is None:
            people = self.cast.learnt(plan, method)
        else:
            people, sentences = people_speech(
                self.video,
                plan,
                schedule.speaking,
                method,
                self.options,
                lambda path: planner(path, probe(path)),
                info.is_still,
            )
            self._say(sentences)
        self.report.adaptation = [dict(person.facts) for person in people]
        return people

    def _plan(self, tracker: Tracker | None, scratch: Path, video: Path, info: VideoInfo) -> Plan:
        from lipwright.faces.tracker import FaceTracker

        tracker = tracker or FaceTracker()
        if video != self.video:  # to learn from
            tracker.reset()
            scratch = scratch / "other"
            scratch.mkdir(exist_ok=True)
        progress = self._progress("plan")

        def make(writer: PlanWriter, hands: bool) -> Plan:
            from lipwright.dubbing.ray_plan import analyse_on

            assert isinstance(tracker, FaceTracker)
            cluster, limit = self._cluster(), self.options.limit
            return analyse_on(cluster, info, writer, tracker, hands, limit, progress)

        distributed = self.options.ray is not None and type(tracker) is FaceTracker
        plan, cached = plan_of(
            video,
            info,
            tracker,
            progress,
            keep=self.options.plan_cache,
            scratch=scratch,
            make=make if distributed and not info.is_still else None,
        )
        if video == self.video:
            self.report.settings["plan_from_cache"] = cached
        return plan

    def _speaking(self, plan: Plan) -> Plan:
        """The plan with the mouths of those left alone who do not speak in the video's sound."""
        from lipwright.dubbing.speaking import limited, speaking_in

        if not plan.tracks:
            return plan
        network = self.options.speaker_network
        found = limited(plan, speaking_in(plan, self.video, network=network).rows)
        if not any(track.usable.any() for track in found.tracks):
            self.report.warnings.append(
                f"Nobody who is to be seen in {self.given} speaks in its sound: no mouth was moved."
            )
        return found

    def _schedule(
        self, plan: Plan, info: VideoInfo, wave: NDArray[np.float32], method: Method
    ) -> Schedule:
        """Timeline, speakers and activity."""
        options = self.options
        if self.cast is not None:
            speaking = self.cast.speaking
        else:
            speaking = select(plan, options.face, self.given)
        seconds = Fraction(wave.size, SAMPLE_RATE)
        length = "video" if self.cast is not None else options.length
        if info.is_still:
            line = timeline.still(seconds, options.fps)
        else:
            start, end = Fraction(options.start), Fraction(options.end) or None
            padding = Fraction(0)
            if self.cast is None:
                padding = possible_padding(self.speech, options.speech_stream)
            else:
                end = self.cast.end
            cut = timeline.passage(plan.pts, plan.last_duration, plan.time_base, start, end)
            laid = (cut.pts, cut.last_duration, plan.time_base, seconds, length)
            line = timeline.build(*laid, info.average_rate, padding)
            if (start or end) and length == "auto":
                self._say(timeline.longer_than_passage(line, len(cut.pts)))
            line = replace(line, source=line.source + cut.first)
            if options.fps != STILL_RATE:
                self.report.warnings.append(
                    "--fps is for still pictures; this video keeps its own frame rate."
                )
        self.report.warnings += line.notices
        times = line.seconds()
        if self.cast is not None:
            return Schedule(plan, line, speaking, *self.cast.activity(times))
        if self.options.silence_gate:
            lead = voice_activity.lead_of(method.info.whole_speech)
            activity = voice_activity.detect(wave, SAMPLE_RATE, lead).activity(times)
        else:
            activity = (times < float(seconds)).astype(np.float32)
        return Schedule(plan, line, speaking, activity)

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

    def _cluster(self) -> RayCluster:
        """The cluster that the options name, reached once, until the end of the job."""
        from lipwright.ray_cluster import RayCluster

        if self._reached is None:
            assert self.options.ray is not None
            self._reached = self._open.enter_context(RayCluster(self.options.ray))
        return self._reached

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
