"""Stages of the landmark cascade, in their order, and their join to one checkpoint.

``landmarks`` reads points and MFCC of a corpus once, ``landmark-space`` fits the principal
components, ``landmark-audio`` and ``landmark-video`` train the networks, ``landmark`` joins them.
"""

from __future__ import annotations

from lipwright.errors import LipwrightError
from lipwright.training.config import Section
from lipwright.training.stages.run import StageRun
from lipwright.weights.checkpoint import RESEARCH_ONLY, load_checkpoint, save_checkpoint


class LandmarksConfig(Section):
    """Config of the stage ``landmarks``; ``max_minutes``: stop then, for another run to go on."""

    max_minutes: float | None = None


class JoinConfig(Section):
    """Config of the stage ``landmark``.

    Attributes:
        gain: factors of the coefficients instead of those of ``landmark-audio``.
    """

    gain: list[float] | None = None


def build_landmarks(run: StageRun[LandmarksConfig]) -> None:
    """Read the points and MFCC of the corpus, or go on with it."""
    from lipwright.data.landmarks import cache_landmarks

    cache_landmarks(run.corpus, run.folder, run.config.max_minutes)


def build_join(run: StageRun[JoinConfig]) -> None:
    """Write ``RUN/landmark.safetensors``: what ``lipwright animate --weights`` takes.

    Raises:
        LipwrightError: a stage is missing, or was trained with another landmark space.
    """
    from lipwright.methods.graphs import export_graphs
    from lipwright.models.landmark_audio import LandmarkAudio
    from lipwright.models.landmark_video import LandmarkVideo
    from lipwright.training.stages.landmark_audio import load_space

    stages = (f"landmark-{part}" for part in ("space", "audio", "video"))
    space, audio, video = (load_checkpoint(run.made(stage)) for stage in stages)
    for part in (audio, video):
        if part.header.get("parents", {}).get("space") != space.sha256:
            raise LipwrightError(
                f"{part.path} was trained with another landmark space than {space.path}; train it "
                "again."
            )
    networks = {
        "space": load_space(space),
        "audio": audio.build("audio", LandmarkAudio),
        "video": video.build("video", LandmarkVideo),
    }
    gain = run.config.gain or audio.header["gain"]
    if len(gain) != networks["space"].components:
        raise LipwrightError(
            f"landmark.gain needs {networks['space'].components} numbers, one per coefficient."
        )
    header = {
        "method": "landmark",
        "size": video.header["size"],
        "networks": {
            name: part.header["networks"][name]
            for name, part in (("space", space), ("audio", audio), ("video", video))
        },
        "audio": audio.header["audio"],
        "gain": gain,
        "spoken": audio.header["spoken"],
        "project": video.header["project"],
        "training": {p.header["method"]: p.header["training"] for p in (space, audio, video)},
        "parents": {p.header["method"]: p.sha256 for p in (space, audio, video)},
        "licence": RESEARCH_ONLY,
    }
    save_checkpoint(run.result, header, networks)
    export_graphs(run.result)
