"""What makes two jobs the same: all that shapes the encoded frames."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipwright import __version__
from lipwright.dubbing.options import DubOptions
from lipwright.dubbing.plan import Source
from lipwright.enhance.base import Enhancer
from lipwright.methods.base import Method

if TYPE_CHECKING:
    from lipwright.dubbing.cast.job import CastJob


def job_identity(
    given: Path,
    speech: Path | CastJob,
    method: Method,
    enhancer: Enhancer | None,
    options: DubOptions,
    *,
    made_into_video: bool,
) -> dict[str, Any]:
    """Plain JSON values, equal for a job and its continuation.

    Args:
        given: the video or picture that the user named.
        speech: the file that is spoken, or the cast.
        method: with its model and the runtime that computes.
        enhancer: likewise.
        options: those that shape the frames are part of it.
        made_into_video: whether ``given`` is a picture of which a video was made.
    """
    other = options.adapt_from
    return {
        "version": __version__,
        "video": asdict(Source.of(given)),
        "made_into_video": made_into_video,
        "speech": asdict(Source.of(speech)) if isinstance(speech, Path) else speech.identity(),
        "method": [method.name, method.size, method.model_id],
        "backend": method.info.backend,
        "enhancer": [enhancer.info.model_id, enhancer.info.backend] if enhancer else [],
        "options": options.shaping(),
        "adapt": None if other is None else asdict(Source.of(other)),
    }
