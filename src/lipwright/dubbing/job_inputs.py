"""What the user gave a job: video, speech or cast, options; their checks, facts and marks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lipwright.dubbing.cast.request import CastSpeech
from lipwright.dubbing.checks import check_job, check_method
from lipwright.dubbing.marks import marks, model_of
from lipwright.dubbing.observed_job import ObservedJob
from lipwright.dubbing.observer import Observer
from lipwright.dubbing.options import DubOptions
from lipwright.dubbing.origin import Origin
from lipwright.dubbing.report import Report
from lipwright.files.temporary import shown
from lipwright.media.audio import SAMPLE_RATE, load_speech
from lipwright.media.encoding import Encoding
from lipwright.media.info import VideoInfo
from lipwright.media.names import Kind
from lipwright.media.tracks import stream_losses
from lipwright.methods.base import Method

if TYPE_CHECKING:
    from lipwright.dubbing.cast.job import CastJob
    from lipwright.provenance.session import Provenance


class JobInputs(ObservedJob):
    """Base of a job: all that is known before the video is searched for faces.

    Attributes:
        video: the video.
        origin: the picture that it was made from, if it was.
        given: what the user named, that picture or the video.
        speech: the file that is spoken; of a cast, once it is mixed, the mix.
        given_cast, cast: the cast as it was given, and checked; None where there is one speech.
        out: what is written.
        options: of the job.
    """

    def __init__(
        self,
        video: Path,
        speech: Path | CastSpeech,
        out: Path,
        options: DubOptions,
        observer: Observer | None,
        origin: Origin | None = None,
    ) -> None:
        self.given_cast = speech if isinstance(speech, CastSpeech) else None
        self.cast: CastJob | None = None
        self.video = video
        self.origin = origin
        self.given = video if origin is None else origin.path
        self.speech = speech.path if isinstance(speech, CastSpeech) else speech
        self.out = out.resolve() if out.is_symlink() else out  # write through a link, not over it
        self.options = options
        super().__init__(observer, Report(shown(self.given), shown(self.speech), shown(out)))

    def _check(self) -> None:
        is_cast = self.given_cast is not None
        check_job(self.video, self.speech, self.out, self.options, cast=is_cast)
        if self.given_cast is not None:
            from lipwright.dubbing.cast.job import CastJob

            self.cast = CastJob(self.given_cast, self.video, self.out, self.options)
        self.report.replaced = self.options.preview is None and self.out.exists()
        if self.report.replaced and self._explains:
            self._notice(f"{self.out} exists and will be replaced once the new one is complete.")

    @property
    def _speeches(self) -> list[Path]:
        """What is spoken, for the manifest."""
        return [self.speech] if self.cast is None else list(self.cast.waves)

    def _chosen(self, method: Method | None) -> Method:
        """The method, loaded unless it is given, as the options want it."""
        from lipwright.methods.registry import load_method

        options = self.options
        if method is None:
            how = options.method, options.device, options.backend, options.weights
            method = load_method(*how)
        if options.reference != "auto":
            method = method.with_reference(options.reference)
        check_method(method, options)
        return method

    def _marks(
        self, method: Method, identity: dict[str, Any], info: VideoInfo
    ) -> Provenance | None:
        """Watermark and manifest; a preview has none."""
        if self.options.preview is not None:
            return None
        facts, _ = self._described(info)
        inputs = facts, self.given, self._speeches
        made = marks(self.options, identity, model_of(method), *inputs, self._explains)
        self.report.notices = made.notices
        for line in made.notices:
            self._notice(line)
        return made

    def _described(self, info: VideoInfo) -> tuple[VideoInfo, tuple[str, ...]]:
        """The facts about what the user gave, and what of it the frames do not hold."""
        if self.origin is None:
            return info, ()
        return self.origin.described(info), self.origin.lost

    def _left_streams(self, kind: Kind, info: VideoInfo, encoding: Encoding) -> list[str]:
        """What else the video has that the output will not have."""
        if info.is_still or self.origin is not None or self.options.preview is not None:
            return []
        spoken = (self.speech, self.options.speech_stream) if self.cast is None else None
        return stream_losses(kind, info, spoken, self.options.keep_streams, encoding.captions)

    def _mixed(self, cast: CastJob, scratch: Path, kind: Kind) -> NDArray[np.float32]:
        """Write the sound of a cast; as long as it, silence, or for a preview itself, at 16 kHz."""
        self.speech = cast.mix(scratch, kind)
        self.report.sound = cast.sound
        if self.options.preview is not None:
            return load_speech(self.speech)
        return np.zeros(round(cast.film * SAMPLE_RATE), np.float32)
