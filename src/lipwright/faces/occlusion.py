"""Which places of a face something lies before: a hand, a microphone, a cup, letters.

The network (``lipwright train occlusion``) sees one aligned crop. It was trained on faces before
which things were painted, so what it says is cleaned: a thing is large, surely seen somewhere, and
reaches from there as far as it is seen at all.
"""

from __future__ import annotations

import threading
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.compiled_networks import compiled
from lipwright.errors import LipwrightError
from lipwright.openvino_core import core
from lipwright.weights.container import StoredGraph, read_graphs, read_header

FILE = "occlusion.safetensors"
SIDE = 128
"""Side of the crops that the network takes."""
MAP_SIDE = SIDE // 2
"""Side of the maps that it gives."""

Array = NDArray[np.float32]


class OcclusionFinder:
    """The network, on a CPU with OpenVINO; calls from several threads are made one by one.

    Args:
        path: a checkpoint of the stage ``occlusion``.
        threads: how many CPU threads one call uses.

    Attributes:
        name: which weights; equal for finders that find the same.

    Raises:
        LipwrightError: no such file, or one of something else.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        header = read_header(path)
        graph = read_graphs(path, header).get("occlusion")
        if header["method"] != "occlusion" or header.get("size") != SIDE or graph is None:
            raise LipwrightError(
                f"{path} is no checkpoint of the occlusion network for crops of {SIDE} pixels; "
                "give one that 'lipwright train occlusion' wrote."
            )
        self.name = f"occlusion {graph.digest[:16]}"
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # several processes would share the first core
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._run = compiled(graph.digest, settings, lambda: _model(graph))
        self._lock = threading.Lock()

    def __call__(self, crop: NDArray[np.uint8]) -> Array:
        """How likely it is that something lies before each place.

        Args:
            crop: (SIDE, SIDE, 3) RGB, an aligned crop.

        Returns:
            (MAP_SIDE, MAP_SIDE) in [0, 1].
        """
        pixels = np.ascontiguousarray(crop.transpose(2, 0, 1)[None], np.float32)
        with self._lock:
            found = np.asarray(self._run(pixels / np.float32(127.5) - np.float32(1))[0])[0, 0]
        return np.asarray(1 / (1 + np.exp(-np.clip(found, -30, 30))), np.float32)


@cache
def occlusion_finder() -> OcclusionFinder:
    """The network that comes with the package, loaded once.

    Raises:
        LipwrightError: this installation lacks it.
    """
    return OcclusionFinder(Path(str(resources.files("lipwright.weights") / "shipped" / FILE)))


def _model(graph: StoredGraph) -> Any:
    import openvino as ov

    model = core().read_model(graph.xml, ov.Tensor(np.frombuffer(graph.weights, np.uint8)))
    model.reshape([1, 3, SIDE, SIDE])
    return model


def things(likely: Array, where: NDArray[np.bool_], seed: float, least: float, area: int) -> Array:
    """What a map says of things before a face, cleaned.

    Args:
        likely: (S, S) in [0, 1], of :class:`OcclusionFinder`.
        where: (S, S) where the lower face is.
        seed: a thing is this likely somewhere ...
        least: ... and at least this likely everywhere.
        area: it takes at least so many places of ``where``.

    Returns:
        (S, S) in [0, 1]: ``likely`` at the places of things, 0 elsewhere.
    """
    count, labels = cv2.connectedComponents((likely >= least).astype(np.uint8), connectivity=8)
    kept = np.zeros(count, np.bool_)
    for number in range(1, count):
        inside = labels == number
        sure = inside & where
        kept[number] = sure.sum() >= area and float(likely[sure].max(initial=0.0)) >= seed
    return np.where(kept[labels], likely, np.float32(0))
