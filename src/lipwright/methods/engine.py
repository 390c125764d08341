"""Backends: one graph of tensors, run by PyTorch or by OpenVINO.

``auto`` takes PyTorch on CUDA and MPS, and OpenVINO on a CPU when it is installed: with bfloat16
arithmetic where the processor has it (AVX512-BF16 or AMX), else float32.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lipwright.errors import LipwrightError
from lipwright.methods.graph_cache import cached_graph
from lipwright.methods.runtime import Shapes, network_for
from lipwright.models.layers import channels_last, contiguous
from lipwright.openvino_core import core, has_bfloat16

BACKENDS = ("auto", "torch", "openvino")


class Engine(Protocol):
    """A graph with tensors in and a tuple of tensors out, on the CPU side of the caller."""

    name: str

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run the graph; outputs are float32 on the CPU unless the engine says otherwise."""
        ...


class TorchEngine:
    """Runs a module eagerly on a device.

    Args:
        module: the graph.
        device: where.
    """

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        self.name = f"torch ({device.type})"
        self.device = device
        self.module = channels_last(module, device)

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run under inference mode; inputs are moved to the device, outputs back."""
        with torch.inference_mode():
            out = self.module(*(x.to(self.device) for x in inputs))
        return tuple(x.float().cpu() for x in out)


class OpenVinoEngine:
    """Compiles a module for the CPU with OpenVINO, at the shapes of its first call.

    Args:
        module: the graph.
        precision: of the arithmetic: ``bf16``, ``f32``, or ``auto``.
        name: says which weights and which part of the method these are, for the cache of graphs;
            None to keep nothing.
    """

    def __init__(self, module: nn.Module, precision: str = "auto", name: str | None = None) -> None:
        self._core = core()
        usual = "bf16" if has_bfloat16() else "f32"
        self.precision = usual if precision == "auto" else precision
        self.name = f"openvino ({self.precision})"
        self._kept_as = name
        # Weights in another memory format crash the converter.
        self.module = contiguous(module)
        self._compiled: OrderedDict[Shapes, Any] = OrderedDict()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run; the graph is compiled once per set of input shapes."""
        arrays = [np.ascontiguousarray(x.detach().float().numpy()) for x in inputs]
        key = tuple(a.shape for a in arrays)
        network = network_for(key, self._compiled, lambda: self._compile(inputs, key))
        result = network(arrays)
        return tuple(torch.from_numpy(np.array(result[i])) for i in range(len(result)))

    def _compile(self, inputs: Sequence[Tensor], shapes: Shapes) -> Any:
        def convert() -> Any:
            return self._convert(inputs, shapes)

        name = self._kept_as
        model = convert() if name is None else cached_graph(name, shapes, convert, self._core)
        config = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # several processes would share the first cores
            # OpenVINO 2026.4 crashes while it fuses element-wise operations of some small shapes.
            "SNIPPETS_MODE": "DISABLE",
        }
        return self._core.compile_model(model, "CPU", config)

    def _convert(self, inputs: Sequence[Tensor], shapes: Shapes) -> Any:
        import openvino as ov

        example = tuple(x.float() for x in inputs)
        with torch.inference_mode(), warnings.catch_warnings():
            # Traced here: the converter would run the network twice more to check the trace. What
            # the tracer warns of is true of networks in general; the backends' tests compare these.
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(self.module, example, check_trace=False)  # type: ignore[no-untyped-call]
            model = ov.convert_model(traced, example_input=example)
        model.reshape(
            {port: ov.PartialShape(list(s)) for port, s in zip(model.inputs, shapes, strict=True)}
        )
        return model


def choose_device(device: str) -> torch.device:
    """Resolve ``auto``; check that the device is there.

    Raises:
        LipwrightError: unknown or absent device.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if device not in ("cpu", "cuda", "mps"):
        raise LipwrightError(f"there is no device '{device}'; use auto, cpu, cuda or mps.")
    present = {"cpu": True, "cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    check = present[device]
    if check is not True and not check():  # type: ignore[operator]
        raise LipwrightError(f"the device '{device}' is not available here; use --device cpu.")
    return torch.device(device)


def build_engine(
    module: nn.Module,
    device: str,
    backend: str,
    name: str | None = None,
    exact: bool = False,
) -> Engine:
    """The engine for a device and backend.

    Args:
        module: the graph.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        backend: one of :data:`BACKENDS`.
        name: see :class:`OpenVinoEngine`.
        exact: float32 arithmetic whatever the processor has.

    Raises:
        LipwrightError: unknown backend, or OpenVINO asked for on a GPU or not installed.
    """
    if backend not in BACKENDS:
        raise LipwrightError(f"there is no backend '{backend}'; use {', '.join(BACKENDS)}.")
    where = choose_device(device)
    if backend == "openvino" and where.type != "cpu":
        raise LipwrightError("the OpenVINO backend runs on the CPU; add --device cpu.")
    if backend == "torch" or where.type != "cpu":
        return TorchEngine(module, where)
    try:
        return OpenVinoEngine(module, "f32" if exact else "auto", name=name)
    except ImportError as error:
        if backend == "openvino":
            raise LipwrightError(
                "the package openvino is not installed; install it or use --backend torch."
            ) from error
        return TorchEngine(module, where)


class ArrayEngine:
    """An engine of tensors for callers that have arrays."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.name = engine.name

    def __call__(self, *inputs: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """Run it."""
        made = self.engine(*(torch.from_numpy(np.ascontiguousarray(x)) for x in inputs))
        return tuple(np.asarray(x.float().cpu().numpy(), np.float32) for x in made)
