"""Find the ranges for 8-bit convolutions of a joined checkpoint and write them into its header.

    python tools/calibrate.py CHECKPOINT VIDEO...

The beginning of every video is dubbed with its own speech, in float32, and the least and largest
value that goes into each 3x3 convolution of the decoder is kept; see
src/lipwright/methods/eight_bits.py. To be done again when a graph or a network was replaced. The
videos should be of people whom the networks were trained on.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from lipwright.dubbing.job import DubOptions, dub
from lipwright.methods.eight_bits import HEADER
from lipwright.methods.runtime import GraphEngine
from lipwright.methods.vq import VQMethod
from lipwright.openvino_core import core
from lipwright.weights.container import read_header, rewrite

Array = NDArray[np.float32]


class WatchedEngine(GraphEngine):
    """An engine in float32 that keeps the ranges of what goes into convolutions."""

    def __init__(self, engine: GraphEngine, face: dict[str, Any]) -> None:
        super().__init__(engine._graph, exact=True)
        self._face = face
        self.found: dict[str, tuple[float, float]] = {}
        self._layers: dict[Any, list[str]] = {}

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """Run it; the outputs are those of the graph."""
        made = super().__call__(*inputs)
        names = self._layers[tuple(np.shape(x) for x in inputs)]
        outputs, seen = made[: len(made) - len(names)], made[len(made) - len(names) :]
        for name, values in zip(names, seen, strict=True):
            low, high = self.found.get(name, (0.0, 0.0))
            self.found[name] = (min(low, float(values.min())), max(high, float(values.max())))
        return outputs

    def release(self) -> None:
        """Keep what was compiled: it is in no cache."""

    def _compile(self, shapes: tuple[tuple[int, ...], ...]) -> Any:
        model = self._model(shapes)
        layers = decoding(model, self._face)
        self._layers[shapes] = [layer.get_friendly_name() for layer in layers]
        model.add_outputs([layer.input_value(0) for layer in layers])
        hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": self._threads}
        return core().compile_model(model, "CPU", hints)


def decoding(model: Any, face: dict[str, Any]) -> list[Any]:
    """The 3x3 convolutions of the decoder in a graph but the last, which costs little.

    Only they are quantised: what encoders say is compared with the entries of a codebook, and
    rounding could turn a code.

    Args:
        model: an ``openvino.Model``.
        face: arguments of the Face-VQGAN, whose 1x1 convolution from codes to maps is looked for.
    """
    shape = [face["z_channels"], face["dim"], 1, 1]
    layers = [n for n in model.get_ordered_ops() if n.get_type_name() == "Convolution"]
    first = [n for n in layers if list(n.input_value(1).shape) == shape][-1]
    behind = {first.get_friendly_name()}
    for node in model.get_ordered_ops():  # what is used comes before its user
        inputs = {port.get_node().get_friendly_name() for port in node.input_values()}
        if behind & inputs:
            behind.add(node.get_friendly_name())
    wide = [n for n in layers if list(n.input_value(1).shape)[2:] == [3, 3]]
    return [n for n in wide if n.get_friendly_name() in behind][:-1]


def main() -> None:
    """Dub, and write the header anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each video (default 4)")
    args = parser.parse_args()
    header = read_header(args.checkpoint)
    method = VQMethod(args.checkpoint, "cpu", "openvino")
    watched: dict[str, WatchedEngine] = {}
    for name in ("references", "frames"):
        engine = getattr(method, name)
        assert isinstance(engine, GraphEngine)
        watched[name] = WatchedEngine(engine, header["networks"]["face"])
        setattr(method, name, watched[name])
    options = DubOptions(end=args.seconds, enhance="none", watermark=False, manifest=False)
    with tempfile.TemporaryDirectory() as scratch:
        for video in args.videos:
            dub(video, video, Path(scratch) / "out.mp4", options, method=method)
            print(f"{video.name}: done", flush=True)
    header[HEADER] = {
        name: {layer: [round(v, 4) for v in ends] for layer, ends in engine.found.items()}
        for name, engine in watched.items()
    }
    with safe_open(str(args.checkpoint), framework="np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    rewrite(args.checkpoint, header, arrays)


if __name__ == "__main__":
    main()
