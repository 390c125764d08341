"""What the user gave, where the frames of a job are those of a video made from it on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from lipwright.media.info import VideoInfo


@dataclass(frozen=True)
class Origin:
    """A picture that was made into a video first, for its idle motion.

    The report, the manifest and what is said to the user are about the picture: the video is gone
    when the job is done.

    Attributes:
        path: the picture.
        lost: sentences about what of it the video does not hold.
    """

    path: Path
    lost: tuple[str, ...] = ()

    def described(self, made: VideoInfo) -> VideoInfo:
        """The facts about the video that was made, under the picture's name."""
        return replace(made, path=self.path, is_still=True)
