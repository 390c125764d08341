"""Backends: one graph of tensors, run by PyTorch or by OpenVINO.

``auto`` takes PyTorch on CUDA and MPS, and OpenVINO on a CPU when it is installed: with bfloat16
arithmetic where the processor has it (AVX512-BF16 or AMX), else float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from lipwright.errors import LipwrightError
from lipwright.models.blocks import channels_last, contiguous

BACKENDS = ("auto", "torch", "openvino")


class Engine(Protocol):
    """A graph with tensors in and a tuple of tensors out, on the CPU side of the caller."""

    name: str

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run the graph; outputs are float32 on the CPU unless the engine says otherwise."""
        ...


class TorchEngine:
    """Runs a module eagerly on a device, in float32."""

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
    """Compiles a module for the CPU with OpenVINO, at the shapes of its first call."""

    def __init__(self, module: nn.Module, precision: str = "auto") -> None:
        import openvino as ov

        self._core = ov.Core()
        has_bf16 = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision = ("bf16" if has_bf16 else "f32") if precision == "auto" else precision
        self.name = f"openvino ({self.precision})"
        # Weights in another memory format crash the converter.
        self.module = contiguous(module)
        self._compiled: dict[tuple[tuple[int, ...], ...], Any] = {}

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run; the graph is compiled once per set of input shapes."""
        arrays = [np.ascontiguousarray(x.detach().float().numpy()) for x in inputs]
        key = tuple(a.shape for a in arrays)
        if key not in self._compiled:
            self._compiled[key] = self._compile(inputs, key)
        result = self._compiled[key](arrays)
        return tuple(torch.from_numpy(np.array(result[i])) for i in range(len(result)))

    def _compile(self, inputs: Sequence[Tensor], shapes: tuple[tuple[int, ...], ...]) -> Any:
        import openvino as ov

        with torch.inference_mode():
            model = ov.convert_model(self.module, example_input=tuple(x.float() for x in inputs))
        model.reshape(
            {port: ov.PartialShape(list(s)) for port, s in zip(model.inputs, shapes, strict=True)}
        )
        config = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "PERFORMANCE_HINT": "LATENCY",
            # OpenVINO 2026.4 crashes while it fuses element-wise operations of some small shapes.
            "SNIPPETS_MODE": "DISABLE",
        }
        return self._core.compile_model(model, "CPU", config)


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


def build_engine(module: nn.Module, device: str, backend: str) -> Engine:
    """The engine for a device and backend.

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
        return OpenVinoEngine(module)
    except ImportError as error:
        if backend == "openvino":
            raise LipwrightError(
                "the package openvino is not installed; install it or use --backend torch."
            ) from error
        return TorchEngine(module, where)
