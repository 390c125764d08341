"""What runs the networks of a method: graphs out of its checkpoint, or PyTorch.

On a CPU the graphs that a checkpoint holds are run by OpenVINO, and PyTorch is neither needed nor
imported. PyTorch (extras ``gpu`` and ``train``) runs what they cannot: a GPU, ``--backend torch``,
and checkpoints that hold no graphs, such as those of a training that goes on.
"""

from __future__ import annotations

import os
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lipwright.compiled_networks import compiled
from lipwright.errors import LipwrightError, missing_extra
from lipwright.files.whole import file_sha256
from lipwright.methods import eight_bits
from lipwright.methods.eight_bits import Ranges
from lipwright.openvino_core import core, has_bfloat16
from lipwright.weights.container import Graph, StoredGraph, read_graphs

Array = NDArray[np.float32]
Shapes = tuple[tuple[int, ...], ...]

ANY = -1
"""A length that is not fixed when a network is compiled, as OpenVINO writes it."""


class Engine(Protocol):
    """A network with arrays in and a tuple of arrays out."""

    name: str

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """Run it; everything is float32."""
        ...


KEPT_SHAPES = 6
"""Sets of input shapes for which an engine stays compiled; each takes up to 50 MB."""


def network_for(
    shapes: Shapes, kept: OrderedDict[Shapes, Any], compile_network: Callable[[], Any]
) -> Any:
    """The network for inputs of these shapes; of those kept, the ones used last stay kept."""
    network = kept.pop(shapes, None)
    kept[shapes] = network = compile_network() if network is None else network
    while len(kept) > KEPT_SHAPES:
        kept.popitem(last=False)
    return network


class GraphEngine:
    """Runs a graph of a checkpoint on the CPU, compiled once per set of input shapes.

    Args:
        graph: of the checkpoint.
        exact: float32 arithmetic, also where the processor has bfloat16.
        fused: element-wise operations that follow each other are compiled into one loop (OpenVINO's
            snippets). OpenVINO 2026.4 crashes while it does that to modulated group normalisations
            of few channels, so it is for networks that have none.
        ranges: of convolutions that are computed in 8 bits where that is faster
            (``methods/eight_bits.py``).
        any_length: compiled once for inputs of any length along their last axis. Recordings hardly
            ever have the same length twice.
    """

    def __init__(
        self,
        graph: Graph | StoredGraph,
        exact: bool = False,
        fused: bool = False,
        ranges: Ranges | None = None,
        any_length: bool = False,
    ) -> None:
        self._any_length = any_length
        self._core, self._graph, self._digest = core(), graph, graph.digest
        self._fused = fused
        self.precision = "bf16" if has_bfloat16() and not exact else "f32"
        self._ranges = ranges if ranges and not exact and eight_bits.wanted() else {}
        self.name = f"openvino ({'int8' if self._ranges else self.precision})"
        self._threads = _threads.get() or half_the_cores()
        self._compiled: OrderedDict[Shapes, Any] = OrderedDict()

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """Run it."""
        arrays = [np.ascontiguousarray(x, np.float32) for x in inputs]
        key = tuple((*a.shape[:-1], ANY) if self._any_length else a.shape for a in arrays)
        network = network_for(key, self._compiled, lambda: self._compile(key))
        # The arrays are not copied: they outlive the call, which waits for the result.
        result = network(arrays, share_inputs=True)
        return tuple(np.array(result[i], np.float32) for i in range(len(result)))

    def release(self) -> None:
        """Let go of what was compiled; the next call compiles again, or finds it in the cache."""
        self._compiled.clear()

    def _compile(self, shapes: Shapes) -> Any:
        config: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "INFERENCE_NUM_THREADS": self._threads,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # several processes would share the first cores
            "SNIPPETS_MODE": "ENABLE" if self._fused else "DISABLE",
        }
        if self._any_length:
            # What OpenVINO prepares for a length would be kept for thousands of them.
            config["CPU_RUNTIME_CACHE_CAPACITY"] = 0
        levels = f" {sorted(self._ranges.items())}" if self._ranges else ""
        return compiled(f"{self._digest} {shapes}{levels}", config, lambda: self._model(shapes))

    def _model(self, shapes: Shapes) -> Any:
        import openvino as ov

        try:
            weights = ov.Tensor(np.frombuffer(self._graph.weights, np.uint8))
            model = self._core.read_model(self._graph.xml, weights)
            model.reshape(
                {p: ov.PartialShape(list(s)) for p, s in zip(model.inputs, shapes, strict=True)}
            )
            eight_bits.quantise(model, self._ranges)
        except (RuntimeError, ValueError) as error:
            raise LipwrightError(
                f"the graph '{self._graph.name}' of the checkpoint cannot be used "
                f"({' '.join(str(error).split())[:200]}); the file is damaged or from another "
                "version."
            ) from error
        return model


def cores() -> int:
    """Processor cores that this process may use."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, found or 1)


def half_the_cores() -> int:
    """Threads of a network: decoder, compositing and encoder want the others.

    With all of them a dub takes more processor time and is no faster.
    """
    return max(1, cores() // 2)


_threads: ContextVar[int | None] = ContextVar("network_threads", default=None)


@contextmanager
def network_threads(count: int) -> Iterator[None]:
    """Networks that are loaded within run with so many threads.

    For a frame that is waited for: all cores draw it sooner, although they do more work.
    """
    token = _threads.set(count)
    try:
        yield
    finally:
        _threads.reset(token)


def has_torch() -> bool:
    """Whether PyTorch is installed; it is not imported."""
    try:
        return find_spec("torch") is not None
    except ValueError:  # somebody forbade its import
        return False


def has_gpu() -> bool:
    """Whether ``--device auto`` has to ask PyTorch for a GPU; looks at the machine only."""
    if not has_torch():
        return False
    return sys.platform == "darwin" or Path("/dev/nvidiactl").exists()


def load_engines(
    path: Path,
    header: dict[str, Any],
    device: str,
    backend: str,
    build: Callable[[], Mapping[str, Any]],
    exact: tuple[str, ...] = (),
    fused: tuple[str, ...] = (),
    any_length: tuple[str, ...] = (),
) -> dict[str, Engine]:
    """The engines of a checkpoint by name.

    Args:
        path: of the checkpoint.
        header: of it.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        backend: ``auto``, ``torch`` or ``openvino``.
        build: makes the modules of PyTorch by the same names, where they are needed.
        exact: names of those that are computed in float32.
        fused: names of those of which ``GraphEngine`` may fuse operations.
        any_length: names of those whose inputs have no fixed length along their last axis.

    Raises:
        LipwrightError: unknown or absent device or backend, PyTorch is needed and not there.
    """
    on_cpu = device == "cpu" or (device == "auto" and not has_gpu())
    if on_cpu and backend in ("auto", "openvino"):
        graphs = read_graphs(path, header)
        if graphs:
            ranges = eight_bits.ranges_of(header, path)
            return {
                name: GraphEngine(
                    graph, name in exact, name in fused, ranges.get(name), name in any_length
                )
                for name, graph in graphs.items()
            }
    if device not in ("auto", "cpu"):
        need_torch(f"--device {device}")
    elif backend == "torch":
        need_torch("--backend torch")
    need_torch(f"{path}, which holds no graphs,")
    from lipwright.methods.engine import ArrayEngine, build_engine, choose_device

    if on_cpu is False and choose_device(device).type == "cpu" and backend != "torch":
        return load_engines(path, header, "cpu", backend, build, exact, fused, any_length)
    digest = file_sha256(path)
    return {
        name: ArrayEngine(
            build_engine(module, device, backend, f"{digest} {name}", exact=name in exact)
        )
        for name, module in build().items()
    }


def need_torch(what: str) -> None:
    """One sentence where PyTorch is not installed.

    Raises:
        LipwrightError: it is not.
    """
    if not has_torch():
        raise missing_extra(what, "gpu")
