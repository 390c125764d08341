"""Training stages, and the entry points of ``lipwright train``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lipwright.errors import LipwrightError
from lipwright.training.config import apply_overrides, parse, read_yaml
from lipwright.training.parents import needed_expert
from lipwright.weights.checkpoint import load_checkpoint

log = logging.getLogger("lipwright.train")

LANDMARK = ("landmarks", "landmark-space", "landmark-audio", "landmark-video", "landmark")
BASELINES = ("pixel-expert", "wav2lip", "lipgan", "speech2vid")
VQ = ("vqgan", "pose-vqgan", "codes", "expert", "speech", "generator", "decoder", "vq", "all")
MEMORY = ("memory-expert", "memory")
STAGES = (*VQ, *LANDMARK, *BASELINES, *MEMORY)
"""``codes`` caches code grids, ``vq`` joins the networks to one checkpoint, ``all`` runs these;
the landmark cascade has its own: ``landmarks`` caches points, ``landmark`` joins; the baselines
and the Audio-Lip Memory work on pixels."""


OPTIONAL = ("codes", "expert", "speech", "decoder")
"""Stages that ``all`` leaves out when the config has no section for them."""


def find_config(name: str, family: str = "vq") -> Path:
    """A config file by path, or a shipped one by its size: ``tiny``, ``base`` or ``paper``.

    Args:
        name: path or size.
        family: folder of the shipped ones, the name of a method.

    Raises:
        LipwrightError: there is none.
    """
    path = Path(name)
    if path.exists():
        return path
    here = Path(__file__).resolve()
    # In an installed package the configs lie inside it, in a source tree at the root.
    for root in (here.parents[2], here.parents[4]):
        candidate = root / "configs" / family / f"{name}.yaml"
        if candidate.is_file():
            return candidate
    raise LipwrightError(
        f"there is no config '{name}'; give a YAML file, or one of tiny, base and paper."
    )


def run_stage(
    stage: str,
    data: Path,
    config: Path | str,
    out: Path,
    overrides: list[str],
    device: str = "auto",
) -> None:
    """Run one training stage, or ``all`` of them in order.

    Every stage keeps its files in ``out/<stage>/`` and finds those of earlier stages there. A stage
    that has finished is not run again; an interrupted one is resumed.

    Args:
        stage: one of :data:`STAGES`.
        data: a prepared corpus (``lipwright prepare``).
        config: a YAML file with one section per stage, or the name of a shipped one.
        out: the run folder.
        overrides: ``key=value``; inside one stage ``run.steps=100``, with ``all`` the stage comes
            first: ``generator.run.steps=100``.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        LipwrightError: unknown stage, wrong config, missing earlier stage, training failure.
    """
    if stage not in STAGES:
        raise LipwrightError(
            f"there is no training stage '{stage}'; choose from {', '.join(STAGES)}."
        )
    families = {"landmark": LANDMARK, "baselines": BASELINES, "memory": MEMORY}
    family = next((name for name, stages in families.items() if stage in stages), "vq")
    path = find_config(str(config), family)
    values = read_yaml(path)
    if stage == "all":
        values = apply_overrides(values, overrides)
        if ((values.get("speech") or {}).get("model") or {}).get("embedding"):
            from lipwright.weights.fetch import resolve

            resolve("speech-embedding")  # a missing file is to be known now, not after an hour
        for name in VQ[:-1]:
            if name in OPTIONAL and not values.get(name):
                continue
            log.info("stage %s", name)
            _RUNNERS[name](data, values.get(name) or {}, out, device, str(path))
        return
    section = apply_overrides(values.get(stage) or {}, overrides)
    _RUNNERS[stage](data, section, out, device, str(path))


def _vqgan(pose: bool) -> Callable[[Path, dict[str, Any], Path, str, str], None]:
    def runner(data: Path, values: dict[str, Any], out: Path, device: str, where: str) -> None:
        from lipwright.data.packed import PackedCorpus
        from lipwright.training.stages.vqgan import VQGANConfig, VQGANStage
        from lipwright.training.trainer import train

        config = parse(VQGANConfig, values, where)
        stage = VQGANStage(config, PackedCorpus(data), pose)
        train(stage, out / stage.name, device)

    return runner


def _codes(data: Path, values: dict[str, Any], out: Path, device: str, where: str) -> None:
    from lipwright.data.codes import cache_codes
    from lipwright.data.packed import PackedCorpus

    unknown = set(values) - {"flip", "batch"}
    if unknown:
        raise LipwrightError(f"the config {where} is wrong at 'codes.{sorted(unknown)[0]}'.")
    chosen = "cpu" if device == "cpu" or not torch.cuda.is_available() else "cuda"
    cache_codes(
        PackedCorpus(data),
        _made(out, "vqgan"),
        _made(out, "pose-vqgan"),
        out / "codes",
        torch.device(chosen),
        bool(values.get("flip", False)),
        int(values.get("batch", 64)),
    )


def _expert(data: Path, values: dict[str, Any], out: Path, device: str, where: str) -> None:
    from lipwright.data.codes import CodeCorpus
    from lipwright.data.packed import PackedCorpus
    from lipwright.training.stages.expert import ExpertConfig, ExpertStage
    from lipwright.training.trainer import train

    config = parse(ExpertConfig, values, where)
    stage = ExpertStage(config, CodeCorpus(PackedCorpus(data), out / "codes"))
    train(stage, out / stage.name, device)


def _speech(data: Path, values: dict[str, Any], out: Path, device: str, where: str) -> None:
    from lipwright.data.packed import PackedCorpus
    from lipwright.training.stages.speech import SpeechConfig, SpeechStage
    from lipwright.training.trainer import train

    stage = SpeechStage(parse(SpeechConfig, values, where), PackedCorpus(data))
    train(stage, out / stage.name, device)


def _generator(data: Path, values: dict[str, Any], out: Path, device: str, where: str) -> None:
    from lipwright.data.codes import CodeCorpus
    from lipwright.data.packed import PackedCorpus
    from lipwright.training.stages.generator import GeneratorConfig, GeneratorStage
    from lipwright.training.stages.kernel import is_kernel, write_kernel
    from lipwright.training.trainer import train

    config = parse(GeneratorConfig, values, where)
    if is_kernel(config):
        parents = _made(out, "vqgan"), _made(out, "pose-vqgan")
        target = out / "generator" / "generator.safetensors"
        write_kernel(config, PackedCorpus(data), *parents, target)
        return
    codes = CodeCorpus(PackedCorpus(data), out / "codes", config.lip_dim)
    expert = needed_expert(out, "expert", config.loss.sync)
    stage = GeneratorStage(config, codes, _made(out, "vqgan"), expert)
    train(stage, out / stage.name, device)


def _decoder(data: Path, values: dict[str, Any], out: Path, device: str, where: str) -> None:
    from lipwright.data.codes import CodeCorpus
    from lipwright.data.packed import PackedCorpus
    from lipwright.training.stages.decoder import DecoderConfig, DecoderStage
    from lipwright.training.trainer import train

    config = parse(DecoderConfig, values, where)
    generator = _made(out, "generator")
    lip_dim = load_checkpoint(generator).header["networks"]["generator"].get("lip_dim", 8)
    codes = CodeCorpus(PackedCorpus(data), out / "codes", lip_dim)
    train(DecoderStage(config, codes, _made(out, "vqgan"), generator), out / "decoder", device)


def _vq(data: Path, values: dict[str, Any], out: Path, device: str, where: str) -> None:
    from lipwright.training.join import join_vq

    speech, decoder = (out / s / f"{s}.safetensors" for s in ("speech", "decoder"))
    join_vq(
        _made(out, "vqgan"),
        _made(out, "pose-vqgan"),
        _made(out, "generator"),
        out / "vq.safetensors",
        values,
        speech if speech.is_file() else None,
        decoder if decoder.is_file() else None,
    )


def _made(out: Path, stage: str) -> Path:
    path = out / stage / f"{stage}.safetensors"
    if not path.is_file():
        raise LipwrightError(f"{path} is missing; run the stage '{stage}' first.")
    return path


def _landmark(stage: str) -> Callable[[Path, dict[str, Any], Path, str, str], None]:
    def runner(data: Path, values: dict[str, Any], out: Path, device: str, where: str) -> None:
        from lipwright.training.stages.landmark import run_landmark_stage

        run_landmark_stage(stage, data, values, out, device, where)

    return runner


def _baseline(stage: str) -> Callable[[Path, dict[str, Any], Path, str, str], None]:
    def runner(data: Path, values: dict[str, Any], out: Path, device: str, where: str) -> None:
        from lipwright.training.stages.baselines import run_pixel_stage

        run_pixel_stage(stage, data, values, out, device, where)

    return runner


def _memory(stage: str) -> Callable[[Path, dict[str, Any], Path, str, str], None]:
    def runner(data: Path, values: dict[str, Any], out: Path, device: str, where: str) -> None:
        from lipwright.training.stages.memory_expert import run_memory_stage

        run_memory_stage(stage, data, values, out, device, where)

    return runner


_RUNNERS: dict[str, Callable[[Path, dict[str, Any], Path, str, str], None]] = {
    "vqgan": _vqgan(pose=False),
    "pose-vqgan": _vqgan(pose=True),
    "codes": _codes,
    "expert": _expert,
    "speech": _speech,
    "generator": _generator,
    "decoder": _decoder,
    "vq": _vq,
    **{name: _landmark(name) for name in LANDMARK},
    **{name: _baseline(name) for name in BASELINES},
    **{name: _memory(name) for name in MEMORY},
}
