"""All training stages, declared once.

A stage is one :class:`StageSpec` here and one module: the command line, the checks before any work,
``lipwright train all``, docs/stages.md and the contract tests are driven by this table. The table
itself imports neither PyTorch nor a stage, so that ``lipwright train --help`` stays quick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lipwright.training.config import Section
    from lipwright.training.stages.run import StageRun
    from lipwright.training.trainer import Stage


@dataclass(frozen=True)
class StageSpec:
    """One training stage.

    Attributes:
        name: as on the command line, in a config and as the folder of its results.
        method: the method it belongs to, which is also the folder of its shipped configs.
        summary: what it makes, for help and docs; completes "Makes ...", no full stop.
        needs: earlier stages without which it never runs.
        config: ``module:Class`` of its config section, a pydantic model.
        needs_by_config: ``module:function`` from its config section to the names of further stages
            that it needs (an expert, for a sync loss).
        build: ``module:function`` that takes a :class:`~lipwright.training.stages.run.StageRun`
            and returns a :class:`~lipwright.training.trainer.Stage` for the trainer, or does all
            of its work and returns None.
        optional: ``all`` leaves it out when the config has no section for it.
        config_name: shipped configs of this stage are called ``<config_name>-<size>.yaml``; by
            default ``<size>.yaml``.
        result: what it writes, relative to the run folder; by default its checkpoint.
        final: its result is what ``lipwright dub --weights`` takes.
    """

    name: str
    method: str
    summary: str
    config: str
    build: str
    needs: tuple[str, ...] = ()
    needs_by_config: str = ""
    optional: bool = False
    config_name: str = ""
    result: str = ""
    final: bool = False

    @property
    def result_path(self) -> str:
        """The file or folder that it writes, relative to the run folder."""
        return self.result or f"{self.name}/{self.name}.safetensors"

    def load_config(self) -> type[Section]:
        """The class of its config section."""
        found: type[Section] = _load(self.config)
        return found

    def all_needs(self, config: Section) -> tuple[str, ...]:
        """The stages that it needs with this config."""
        more: tuple[str, ...] = _load(self.needs_by_config)(config) if self.needs_by_config else ()
        return (*self.needs, *more)

    def load_build(self) -> Callable[[StageRun[Any]], Stage | None]:
        """The function that builds it."""
        found: Callable[[StageRun[Any]], Stage | None] = _load(self.build)
        return found


def _load(where: str) -> Any:
    module, name = where.split(":")
    return getattr(import_module(f"lipwright.training.stages.{module}"), name)


def checked(specs: Iterable[StageSpec]) -> dict[str, StageSpec]:
    """Stages by their names.

    Raises:
        ValueError: two have one name, or one needs a stage that is not there before it.
    """
    stages: dict[str, StageSpec] = {}
    for spec in specs:
        if spec.name in stages:
            raise ValueError(f"there are two stages '{spec.name}'")
        for need in spec.needs:
            if need not in stages:
                raise ValueError(
                    f"stage '{spec.name}' needs '{need}', which is not there before it"
                )
        stages[spec.name] = spec
    return stages


def methods() -> dict[str, list[StageSpec]]:
    """The stages of each method, in order."""
    out: dict[str, list[StageSpec]] = {}
    for spec in STAGES.values():
        out.setdefault(spec.method, []).append(spec)
    return out


def summary_line() -> str:
    """All stages in one sentence, for ``--help``."""
    parts = [
        f"{', '.join(spec.name for spec in specs)} ({method})"
        for method, specs in methods().items()
    ]
    return "; ".join(parts)


STAGES = checked(
    (
        StageSpec(
            "vqgan",
            "vq",
            "the Face-VQGAN, from face crops",
            config="vqgan:VQGANConfig",
            build="vqgan:build",
        ),
        StageSpec(
            "pose-vqgan",
            "vq",
            "the Pose-VQGAN, from face crops whose lower half is blanked",
            config="vqgan:VQGANConfig",
            build="vqgan:build",
        ),
        StageSpec(
            "codes",
            "vq",
            "the code grids of every frame, 512 bytes a frame and network",
            config="codes:CodesConfig",
            build="codes:build",
            needs=("vqgan", "pose-vqgan"),
            optional=True,
            result="codes",
        ),
        StageSpec(
            "expert",
            "vq",
            "the lip-sync expert in code space, from code grids and speech",
            config="expert:ExpertConfig",
            build="expert:build",
            needs=("codes",),
            optional=True,
        ),
        StageSpec(
            "speech",
            "vq",
            "the network that predicts lip motion from speech",
            config="speech:SpeechConfig",
            build="speech:build",
            optional=True,
        ),
        StageSpec(
            "generator",
            "vq",
            "the lip-sync generator, from code grids; with the expert, if its loss is on",
            config="generator_config:GeneratorConfig",
            build="generator:build",
            needs=("vqgan",),
            needs_by_config="generator:needs",
        ),
        StageSpec(
            "decoder",
            "vq",
            "decoder and generator trained together on pixels",
            config="decoder:DecoderConfig",
            build="decoder:build",
            needs=("vqgan", "codes", "generator"),
            optional=True,
        ),
        StageSpec(
            "restorer",
            "vq",
            "the second stage, which sharpens drawn mouths, from large crops",
            config="restorer:RestorerConfig",
            build="restorer:build",
            needs=("vqgan",),
            optional=True,
            config_name="restorer",
        ),
        StageSpec(
            "vq",
            "vq",
            "one checkpoint with all networks, for 'lipwright dub --weights'",
            config="vq:JoinConfig",
            build="vq:build",
            needs=("vqgan", "pose-vqgan", "generator"),
            result="vq.safetensors",
            final=True,
        ),
        StageSpec(
            "memory-expert",
            "memory",
            "the lip-sync expert of the memory method, from crops of five frames and speech",
            config="pixel_expert:PixelExpertConfig",
            build="memory_expert:build",
            optional=True,
        ),
        StageSpec(
            "memory",
            "memory",
            "the Audio-Lip Memory with its generator, all at once",
            config="memory_config:MemoryConfig",
            build="memory:build",
            needs_by_config="memory:needs",
            final=True,
        ),
        StageSpec(
            "landmarks",
            "landmark",
            "68 points of every frame, and the sound features of every clip",
            config="landmark:LandmarksConfig",
            build="landmark:build_landmarks",
            result="landmarks",
        ),
        StageSpec(
            "landmark-space",
            "landmark",
            "mean shape and principal components of the points",
            config="landmark_space:LandmarkSpaceConfig",
            build="landmark_space:build",
            needs=("landmarks",),
        ),
        StageSpec(
            "landmark-audio",
            "landmark",
            "AT-net: speech to motion of the points",
            config="landmark_audio:LandmarkAudioConfig",
            build="landmark_audio:build",
            needs=("landmarks", "landmark-space"),
        ),
        StageSpec(
            "landmark-video",
            "landmark",
            "VG-net: a picture and moving points to frames",
            config="landmark_video:LandmarkVideoConfig",
            build="landmark_video:build",
            needs=("landmarks", "landmark-space"),
        ),
        StageSpec(
            "landmark",
            "landmark",
            "one checkpoint with all networks, for 'lipwright animate --weights'",
            config="landmark:JoinConfig",
            build="landmark:build_join",
            needs=("landmark-space", "landmark-audio", "landmark-video"),
            result="landmark.safetensors",
            final=True,
        ),
        StageSpec(
            "pixel-expert",
            "baselines",
            "Wav2Lip's lip-sync expert, from crops and speech",
            config="pixel_expert:PixelExpertConfig",
            build="pixel_expert:build",
            config_name="wav2lip",
        ),
        StageSpec(
            "wav2lip",
            "baselines",
            "Wav2Lip's generator; with the expert, if its loss is on",
            config="pixel:PixelConfig",
            build="pixel:build",
            needs_by_config="pixel:needs",
            config_name="wav2lip",
            final=True,
        ),
        StageSpec(
            "lipgan",
            "baselines",
            "LipGAN's generator",
            config="pixel:PixelConfig",
            build="pixel:build",
            needs_by_config="pixel:needs",
            config_name="lipgan",
            final=True,
        ),
        StageSpec(
            "speech2vid",
            "baselines",
            "Speech2Vid's generator",
            config="pixel:PixelConfig",
            build="pixel:build",
            needs_by_config="pixel:needs",
            config_name="speech2vid",
            final=True,
        ),
    )
)
"""Every stage by its name; those of one method stand in the order in which they run."""
