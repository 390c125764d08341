"""The whole job: open everything, run the session, complete and report.

Files and addresses are named as on the command line; see :func:`live`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import IO

from lipwright.dubbing.analysis import Tracker
from lipwright.dubbing.checks import check_folder, same_place
from lipwright.dubbing.marks import chosen_marks, model_of
from lipwright.dubbing.options import DubOptions
from lipwright.errors import LipwrightError
from lipwright.live.camera import Camera
from lipwright.live.clock import Clock, SystemClock
from lipwright.live.devices import Loudspeaker, VirtualCamera
from lipwright.live.drawing import LoopDrawer
from lipwright.live.engine import Engine
from lipwright.live.fill_in import FillInDrawer
from lipwright.live.listener import Listener
from lipwright.live.loop import face_loop
from lipwright.live.report import LiveReport, LiveStatistics
from lipwright.live.session import Session
from lipwright.live.sinks import RecordingSink, Sink, Target, address_sink, scheme_of
from lipwright.live.sources import PcmFormat, Source, speech_source
from lipwright.media import limits
from lipwright.media.encoding import kind_of
from lipwright.media.source import check_file
from lipwright.methods.base import Method
from lipwright.provenance.record.manifest import Input
from lipwright.provenance.session import Provenance

HEADROOM = 0.2
"""Seconds of the agreed delay beyond the look-ahead, where none is asked for."""


@dataclass(frozen=True)
class LiveOptions:
    """What can be asked of a session.

    Attributes:
        dub: method, marks, device, as for a dub.
        delay: seconds after its sound came in by which a frame should be ready; None: the
            look-ahead and ``HEADROOM``.
        rate: frames per second; None: those of the video, at most 30.
        pcm: format of standard input.
        limit: seconds after which it ends by itself; 0: never.
        fill_in: the face is a camera's stream with sound; it is shown as it is, and generated
            where its frames stop.
    """

    dub: DubOptions = field(default_factory=DubOptions)
    delay: float | None = None
    rate: Fraction | None = None
    pcm: PcmFormat = field(default_factory=PcmFormat)
    limit: float = 0.0
    fill_in: bool = False


class LiveObserver:
    """Is told how far a session is; this one does nothing."""

    def notice(self, line: str) -> None:
        """A line that the user should read."""

    def progress(self, seconds: float, statistics: LiveStatistics) -> None:
        """So many seconds of speech so far."""


def live(
    face: str | Path,
    speech: str | None,
    to: Sequence[str],
    options: LiveOptions | None = None,
    observer: LiveObserver | None = None,
    *,
    method: Method | None = None,
    tracker: Tracker | None = None,
    clock: Clock | None = None,
    standard_input: IO[bytes] | None = None,
) -> tuple[LiveReport, LipwrightError | None]:
    """Let a recorded face speak what is being said.

    Args:
        face: video of the person.
        speech: see ``sources.speech_source``; None with ``fill_in``.
        to: files and addresses.
        options: see there.
        observer: is told of the progress.
        method: one that is loaded already.
        tracker: another face tracker than the default.
        clock: another clock than the machine's.
        standard_input: another pipe than standard input.

    Returns:
        What was done, and what ended it if that was an error; files are complete up to there.

    Raises:
        LipwrightError: it could not begin.
    """
    options, observer = options or LiveOptions(), observer or LiveObserver()
    place, face, clock = str(face), Path(face), clock or SystemClock()
    check(place, speech, to, options)
    with limits.applied(limits.parse(options.dub.limit)), ExitStack() as stack:
        pipe = standard_input or sys.stdin.buffer
        source: Source
        if options.fill_in:
            source = camera = Camera(place, clock)
        else:
            assert speech is not None
            source = speech_source(speech, clock, options.pcm, pipe, options.dub.speech_stream)
        if method is None:
            from lipwright.methods.registry import load_method
            from lipwright.methods.runtime import cores, network_threads

            chosen = options.dub
            with network_threads(cores()):
                method = load_method(chosen.method, chosen.device, chosen.backend, chosen.weights)
        listener = Listener(method, options.dub.silence_gate)
        statistics, provenance = LiveStatistics(), _marks(options.dub, method, face, source)
        for line in provenance.notices:
            observer.notice(line)
        detail, is_synthetic = options.dub.detail, _always
        drawer: LoopDrawer | FillInDrawer
        if options.fill_in:
            if not method.info.stateless:
                raise LipwrightError(
                    f"The method '{method.name}' cannot fill in, because it has to see a face from "
                    "its beginning; use another, such as vq."
                )
            if tracker is None:
                from lipwright.faces.tracker import FaceTracker

                tracker = FaceTracker()
            filler = FillInDrawer(camera, method, listener, tracker, statistics, provenance, detail)
            stack.callback(filler.end)
            drawer, info, rate = filler, camera.info, camera.rate
            is_synthetic = filler.is_synthetic
        else:
            loop = stack.enter_context(
                face_loop(
                    face,
                    options.dub.face,
                    tracker,
                    keep_plan=options.dub.plan_cache,
                    rate=options.rate,
                )
            )
            drawer = LoopDrawer(loop, method, listener, provenance, detail)
            drawer.warm_up()
            info, rate = loop.info, loop.rate
        delay = options.delay
        if delay is None:
            delay = float(listener.look_ahead) + HEADROOM
        report = LiveReport(
            place,
            source.name,
            list(to),
            rate=rate,
            look_ahead=float(listener.look_ahead),
            delay=delay,
            model={"name": method.name, "id": method.model_id},
            statistics=statistics,
        )
        target = Target(info, rate, report.statistics, provenance, is_synthetic, delay)
        engine = Engine(drawer, listener, rate, delay, clock, report.statistics)
        sinks = [sink_for(text, target) for text in to]
        session = Session(
            source,
            engine,
            sinks,
            lambda seconds: observer.progress(seconds, report.statistics),
            options.limit,
        )
        error = session.run()
        finish_report(report, session, engine, sinks, provenance, is_synthetic())
    if options.dub.report is not None:
        report.write(Path(options.dub.report))
    return report, error


def check(face: str, speech: str | None, to: Sequence[str], options: LiveOptions) -> None:
    """What is known to go wrong before anything is loaded.

    Raises:
        LipwrightError: unusable files, places or options.
    """
    options.dub.check()
    if not (options.fill_in and "://" in face):
        check_file(Path(face), "face video")
    if options.fill_in is (speech is not None):
        raise LipwrightError(
            "Give --speech SOURCE, or --fill-in for a camera's stream with its own sound."
        )
    if options.delay is not None and not 0.0 < options.delay <= 10.0:
        raise LipwrightError(f"The delay {options.delay:g} s is out of range; give up to 10 s.")
    if not to:
        raise LipwrightError("There is nowhere to send the face to; give --to FILE or --to URL.")
    if len(set(to)) < len(to):
        raise LipwrightError("One place is named twice as --to; name it once.")
    for text in to:
        if "://" in text:
            scheme_of(text)
            continue
        if _is_device(text):
            continue
        out = Path(text)
        kind_of(out)
        check_folder(out, "output")
        inputs = [Path(face)]
        if speech is not None and "://" not in speech and speech != "-":
            inputs.append(Path(speech))
        if any(same_place(out, given) for given in inputs):
            raise LipwrightError(
                f"The output {out} is an input too; choose another name, for the original is "
                "never overwritten."
            )
        if not options.dub.overwrite and out.exists():
            raise LipwrightError(
                f"The output {out} exists already; choose another name, or leave --no-overwrite "
                "away."
            )


def sink_for(text: str, target: Target) -> Sink:
    """The sink that a word stands for."""
    if "://" in text:
        return address_sink(text, target)
    if not _is_device(text):
        return RecordingSink(Path(text), target)
    kind, _, device = text.partition(":")
    if kind == "speaker":
        return Loudspeaker(device or None, target.delay)
    rate, statistics = float(target.rate), target.statistics
    return VirtualCamera(device or None, target.info, rate, target.delay, statistics)


def _is_device(text: str) -> bool:
    return text.partition(":")[0] in ("virtual-camera", "speaker")


def finish_report(
    report: LiveReport,
    session: Session,
    engine: Engine,
    sinks: Sequence[Sink],
    provenance: Provenance,
    is_synthetic: bool = True,
) -> None:
    """What is known once the session has ended."""
    report.seconds = float(engine.received)
    report.ended = session.ended
    recordings = [sink for sink in sinks if isinstance(sink, RecordingSink)]
    for sink in recordings:
        report.warnings += sink.warnings
    if is_synthetic and not any(sink.complete for sink in recordings):
        provenance.finish_stream()
    report.provenance = provenance.to_json()


def _always() -> bool:
    return True


def _marks(options: DubOptions, method: Method, face: Path, source: Source) -> Provenance:
    inputs = [Input.of("video", face)] if face.exists() else []
    if source.path is not None and source.path != face:
        inputs.append(Input.of("speech", source.path))
    return Provenance(chosen_marks(options), inputs, model=model_of(method))
