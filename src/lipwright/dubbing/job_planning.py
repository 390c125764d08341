"""Of a job what comes between its inputs and the drawing: who speaks when, on which frames."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing import timeline
from lipwright.dubbing.adapt import PersonSpeech
from lipwright.dubbing.adapt_plan import people_speech
from lipwright.dubbing.analysis import Tracker
from lipwright.dubbing.job_inputs import JobInputs
from lipwright.dubbing.options import STILL_RATE
from lipwright.dubbing.plan import Plan
from lipwright.dubbing.plan_file import PlanWriter
from lipwright.dubbing.planning import passage_until, plan_of
from lipwright.dubbing.schedule import Schedule, select
from lipwright.media import voice_activity
from lipwright.media.audio import SAMPLE_RATE
from lipwright.media.info import VideoInfo, probe
from lipwright.media.sound import possible_padding
from lipwright.methods.base import Method

if TYPE_CHECKING:
    from lipwright.ray_cluster import RayCluster


class JobPlanning(JobInputs):
    """Base of a job: pass 1, and what is decided with its plan.

    Attributes:
        _open: what is closed at the end of the job.
    """

    _open: ExitStack
    _reached: RayCluster | None = None

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
        own = video == self.video and self.cast is None and not distributed
        plan, cached = plan_of(
            video,
            info,
            tracker,
            progress,
            keep=self.options.plan_cache,
            scratch=scratch,
            make=make if distributed and not info.is_still else None,
            until=passage_until(Fraction(self.options.end), info) if own else None,
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

    def _cluster(self) -> RayCluster:
        """The cluster that the options name, reached once, until the end of the job."""
        from lipwright.ray_cluster import RayCluster

        if self._reached is None:
            assert self.options.ray is not None
            self._reached = self._open.enter_context(RayCluster(self.options.ray))
        return self._reached
