"""The one training loop: CPU, one GPU or many, resumable to the bit on one machine.

A stage says what is trained and what one step does; the trainer owns precision, processes,
schedule, averaging, logs, validation, samples and checkpoints.

Exact resume rests on one rule: the randomness of a step (which examples, which augmentation, which
dead code is revived) is a function of (seed, step, process) alone. A checkpoint therefore needs
weights, optimiser state and the step number, and no generator state.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from lipwright.errors import Interrupted, LipwrightError
from lipwright.files.whole import write_json, written_whole
from lipwright.lock import OutputLock
from lipwright.models.layers import channels_last
from lipwright.models.low_precision import computes_bfloat16
from lipwright.training.config import OptimiserConfig, RunConfig
from lipwright.training.devices import check_device
from lipwright.training.ema import AveragedWeights
from lipwright.training.run_folder import SETTINGS, STATE
from lipwright.training.stopping import StopRequest

if TYPE_CHECKING:
    from accelerate import Accelerator

log = logging.getLogger("lipwright.train")


FORMER_KEYS = {"discriminator": "critic"}
"""What parts of a resumable state were called in earlier versions."""


@dataclass
class Context:
    """What a stage may use in a step: the device, autocast and the number of its process."""

    device: torch.device
    autocast: Callable[[], Any]
    rank: int = 0

    def rng(self, seed: int, step: int) -> np.random.Generator:
        """The generator of one step of one process."""
        return np.random.default_rng([seed, step, self.rank])


class Stage(Protocol):
    """A small class that knows one training stage.

    ``step`` returns named scalar losses of which ``"loss"`` is minimised. Whoever derives from it
    need say nothing of a discriminator or of pictures where there are none.
    """

    name: str
    run: RunConfig
    optimiser: OptimiserConfig
    network: nn.Module
    discriminator: nn.Module | None = None

    def step(self, network: nn.Module, step: int, context: Context) -> dict[str, Tensor]:
        """Draw the batch of ``step`` and return its losses."""
        ...

    def discriminator_step(
        self, discriminator: nn.Module, step: int, context: Context
    ) -> Tensor | None:
        """Loss of the discriminator on the batch just drawn, or None when it rests."""
        return None

    def validate(self, network: nn.Module, context: Context) -> dict[str, float]:
        """Held-out measures of the averaged network; keys become columns of the log."""
        ...

    def samples(self, network: nn.Module, folder: Path, step: int, context: Context) -> None:
        """Write pictures that show how it goes, if numbers do not say more."""
        return

    def export(self, network: nn.Module, path: Path, history: dict[str, Any]) -> None:
        """Write the checkpoint that other stages and inference read."""
        ...


@dataclass
class Progress:
    """Counters that survive a resume."""

    step: int = 0
    seconds: float = 0.0
    measures: list[dict[str, float]] = field(default_factory=list)


def learning_rate(config: OptimiserConfig, step: int, steps: int) -> float:
    """Linear warm-up, then constant or cosine decay to ``final * lr``."""
    warm = min(1.0, (step + 1) / max(1, config.warmup))
    if config.schedule == "constant":
        return config.lr * warm
    done = min(1.0, step / max(1, steps))
    cosine = 0.5 * (1.0 + math.cos(math.pi * done))
    return config.lr * warm * (config.final + (1.0 - config.final) * cosine)


def build_optimiser(config: OptimiserConfig, network: nn.Module) -> torch.optim.Optimizer:
    """AdamW or Adam over the parameters that require a gradient."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    if config.name == "adamw":
        return torch.optim.AdamW(
            parameters, config.lr, betas=config.betas, weight_decay=config.weight_decay
        )
    if config.name == "adam":
        return torch.optim.Adam(parameters, config.lr, betas=config.betas)
    raise LipwrightError(f"there is no optimiser '{config.name}'; use adamw or adam.")


def train(
    stage: Stage, out: Path, device: str = "auto", settings: Mapping[str, Any] | None = None
) -> Progress:
    """Run a stage to its last step (or time limit), resuming from ``out`` where it left off.

    Writes ``out/last.pt`` (resumable), ``out/settings.json`` (``settings``, where given),
    ``out/log.jsonl``, TensorBoard events, ``out/samples/`` and, at the end and at every checkpoint,
    ``out/<stage>.safetensors``.

    Raises:
        LipwrightError: the folder belongs to another stage, another run is writing it, or the loss
            is not finite.
        Interrupted: Ctrl-C or SIGTERM; what was learned up to that step has been saved.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    run = stage.run
    AcceleratorState._reset_state()  # stages of one process may differ in precision
    kind = check_device(device)
    low = run.precision == "bf16" and computes_bfloat16(kind)
    if run.precision == "bf16" and not low:
        log.info("this %s has no bfloat16; it computes in float32 instead", kind)
    accelerator = Accelerator(mixed_precision="bf16" if low else "no", cpu=kind == "cpu")
    context = Context(accelerator.device, accelerator.autocast, accelerator.process_index)
    out.mkdir(parents=True, exist_ok=True)
    lock = OutputLock(out.resolve()) if accelerator.is_main_process else nullcontext()
    with lock, StopRequest() as request:
        if settings is not None and accelerator.is_main_process:
            write_json(out / SETTINGS, settings)
        progress = _train(stage, out, accelerator, context, request)
    if request.agreed_to_stop and progress.step < run.steps:
        raise Interrupted(
            f"stage {stage.name} was stopped after step {progress.step} of {run.steps}; the same "
            "command goes on from there"
        )
    return progress


def _train(
    stage: Stage, out: Path, accelerator: Accelerator, context: Context, request: StopRequest
) -> Progress:
    """The loop itself; arguments as of :func:`train`."""
    run, main = stage.run, accelerator.is_main_process
    torch.manual_seed(run.seed)
    network = channels_last(stage.network, context.device)
    average = AveragedWeights(network, run.ema) if run.ema > 0 else None
    optimiser = build_optimiser(stage.optimiser, network)
    discriminator = (
        stage.discriminator.to(context.device) if stage.discriminator is not None else None
    )
    second = build_optimiser(stage.optimiser, discriminator) if discriminator is not None else None
    progress = Progress()
    state = {
        "network": network,
        "average": average.module if average else None,
        "discriminator": discriminator,
        "optimiser": optimiser,
        "second": second,
    }
    last = out / STATE
    if last.exists():
        _load(last, stage.name, state, average, progress, context.device)
        if main:
            ended = progress.step >= run.steps
            so_far = f"finished before, {progress.step} steps"
            goes_on = f"goes on at step {progress.step} of {run.steps}"
            log.info("%s: %s", stage.name, so_far if ended else goes_on)
    wrapped: nn.Module = accelerator.prepare(network)
    wrapped_discriminator = (
        accelerator.prepare(discriminator) if discriminator is not None else None
    )
    compiled: Any = torch.compile(wrapped) if run.compile else wrapped
    writer = _Log(out, main, run.steps)
    started = saved = time.monotonic()
    base_seconds = progress.seconds
    stop = False
    while progress.step < run.steps and not stop:
        step = progress.step
        torch.manual_seed((run.seed * 1_000_003 + step) * 64 + context.rank)
        rate = learning_rate(stage.optimiser, step, run.steps)
        for o in (optimiser, second):
            for group in o.param_groups if o is not None else []:
                group["lr"] = rate
        network.train()
        losses = stage.step(compiled, step, context)
        if not math.isfinite(float(losses["loss"].detach())):
            raise LipwrightError(
                f"the loss of stage {stage.name} is not finite at step {step}; lower "
                "optimiser.lr or set run.precision=fp32, and resume from the last checkpoint."
            )
        optimiser.zero_grad(set_to_none=True)
        accelerator.backward(losses["loss"])
        if stage.optimiser.clip > 0:
            torch.nn.utils.clip_grad_norm_(network.parameters(), stage.optimiser.clip)
        optimiser.step()
        if wrapped_discriminator is not None and second is not None:
            discriminator_loss = stage.discriminator_step(wrapped_discriminator, step, context)
            if discriminator_loss is not None:
                second.zero_grad(set_to_none=True)
                accelerator.backward(discriminator_loss)
                second.step()
                losses["discriminator"] = discriminator_loss.detach()
        if average is not None:
            average.update(network)
        progress.step = step + 1
        now = time.monotonic()
        progress.seconds = base_seconds + now - started
        due = progress.step % run.log_every == 0 or progress.step == run.steps
        if due or progress.step == 1:  # the first step says how long the others will take
            writer.write("train", progress, {k: float(v.detach()) for k, v in losses.items()}, rate)
        judged = average.module if average else network
        if progress.step % run.validate_every == 0 or progress.step == run.steps:
            measures = _validate(stage, judged, context)
            progress.measures.append({"step": progress.step, **measures})
            writer.write("validation", progress, measures, rate)
            if main:
                stage.samples(judged, out / "samples", progress.step, context)
        stop = run.max_minutes is not None and now - started > 60 * run.max_minutes
        stop = request.agreed(accelerator) or stop
        if stop or progress.step == run.steps or now - saved > 60 * run.checkpoint_minutes:
            saved = now
            if main:
                _save(last, stage.name, state, average, progress)
                stage.export(judged, out / f"{stage.name}.safetensors", history(progress))
            accelerator.wait_for_everyone()
    writer.close()
    return progress


def history(progress: Progress) -> dict[str, Any]:
    """What a checkpoint's header says about its training."""
    return {
        "steps": progress.step,
        "minutes": round(progress.seconds / 60, 1),
        "validation": progress.measures[-1] if progress.measures else {},
    }


def _validate(stage: Stage, network: nn.Module, context: Context) -> dict[str, float]:
    network.eval()
    with torch.no_grad():
        return stage.validate(network, context)


def _save(
    path: Path,
    name: str,
    state: dict[str, Any],
    average: AveragedWeights | None,
    progress: Progress,
) -> None:
    """Write the resumable state atomically."""
    content: dict[str, Any] = {
        "stage": name,
        "step": progress.step,
        "seconds": progress.seconds,
        "measures": progress.measures,
        "updates": average.updates if average else 0,
    }
    content |= {k: v.state_dict() for k, v in state.items() if v is not None}
    with written_whole(path) as temporary:
        torch.save(content, temporary)


def _load(
    path: Path,
    name: str,
    state: dict[str, Any],
    average: AveragedWeights | None,
    progress: Progress,
    device: torch.device,
) -> None:
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        owner = content["stage"]
    except Exception as error:  # a damaged archive fails in many ways
        raise LipwrightError(
            f"{path} is damaged ({type(error).__name__}); delete it, and the stage '{name}' begins "
            "again."
        ) from error
    if owner != name:
        raise LipwrightError(f"{path} belongs to stage {owner}, not {name}; choose another folder.")
    try:
        for key, target in state.items():
            if target is not None:
                target.load_state_dict(content[key if key in content else FORMER_KEYS[key]])
        if average is not None:
            average.updates = int(content["updates"])
        progress.step = int(content["step"])
        progress.seconds = float(content["seconds"])
        progress.measures = list(content["measures"])
    except (KeyError, ValueError, RuntimeError) as error:
        raise LipwrightError(
            f"{path} holds another network than the config describes; use the config that the run "
            "was begun with, or another folder."
        ) from error


class TimeLeft:
    """How long a training will take, from the steps of this run alone.

    Args:
        steps: of the whole training.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._first: tuple[int, float] | None = None

    def __call__(self, step: int, now: float) -> str:
        """``, about 12 min left``; empty at the first call, when nothing is known, and at the end.

        Args:
            step: steps done.
            now: seconds of a clock that runs evenly.
        """
        if self._first is None:
            self._first = step, now
        before, since = self._first
        if step <= before or step >= self.steps:
            return ""
        seconds = (now - since) / (step - before) * (self.steps - step)
        if seconds < 90:
            return f", about {seconds:.0f} s left"
        minutes = round(seconds / 60)
        if minutes < 90:
            return f", about {minutes} min left"
        return f", about {minutes // 60} h {minutes % 60:02d} min left"


class _Log:
    """JSON lines, TensorBoard where it is installed, and one line of text per row."""

    def __init__(self, out: Path, active: bool, steps: int) -> None:
        self.active = active
        self.left = TimeLeft(steps)
        self.file = (out / "log.jsonl").open("a", encoding="utf-8") if active else None
        self.board: Any = None
        if active:
            try:
                from torch.utils.tensorboard import SummaryWriter

                self.board = SummaryWriter(str(out / "tensorboard"))
            except ImportError:
                log.info("tensorboard is not installed; logging to log.jsonl only")

    def write(self, kind: str, progress: Progress, values: dict[str, float], rate: float) -> None:
        if self.file is None:
            return
        row = {"kind": kind, "step": progress.step, "seconds": round(progress.seconds, 1)}
        row |= {k: round(v, 6) for k, v in values.items()} | {"lr": rate}
        self.file.write(json.dumps(row) + "\n")
        self.file.flush()
        text = " ".join(f"{k} {v:.4f}" for k, v in values.items())
        left = self.left(progress.step, time.monotonic())
        log.info("%s, step %d of %d%s: %s", kind, progress.step, self.left.steps, left, text)
        if self.board is not None:
            for k, v in values.items():
                self.board.add_scalar(f"{kind}/{k}", v, progress.step)

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
        if self.board is not None:
            self.board.close()
