"""A MediaPipe ``.tflite`` network, run by OpenVINO: one float image in, its output tensors out."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright.compiled_networks import compiled
from lipwright.errors import LipwrightError
from lipwright.files.whole import file_sha256
from lipwright.openvino_core import core

Float32 = NDArray[np.float32]


class Network:
    """One compiled network with a fixed square RGB input.

    Instances may be shared by threads; calls are then made one after the other.

    Attributes:
        side: height and width of the input in pixels.
        output_names: names of the output tensors.
    """

    def __init__(
        self, path: Path, *, threads: int = 1, part: tuple[int, int] | None = None
    ) -> None:
        """Read and compile.

        Args:
            path: the ``.tflite`` file.
            threads: how many CPU threads one call uses.
            part: first byte and end of the network in a file that holds several.

        Raises:
            LipwrightError: OpenVINO cannot read the file.
        """
        try:
            network = compiled(
                f"{path.name} {file_sha256(path)}{part or ''}",
                {
                    "INFERENCE_NUM_THREADS": threads,
                    "ENABLE_CPU_PINNING": False,  # several processes would share the first core
                    "INFERENCE_PRECISION_HINT": "f32",  # reproducible, and bf16 moves the lips
                    "PERFORMANCE_HINT": "LATENCY",
                },
                lambda: _model(path, part),
            )
        except RuntimeError as error:
            raise LipwrightError(
                f"the network file {str(path)!r} cannot be loaded; fetch it anew"
            ) from error
        self.side = int(network.inputs[0].shape[1])
        self.output_names = [output.get_any_name() for output in network.outputs]
        self._request = network.create_infer_request()
        self._lock = threading.Lock()

    def __call__(self, image: Float32) -> dict[str, Float32]:
        """Run once.

        Args:
            image: (side, side, 3) float32 in the value range the network was trained with.

        Returns:
            Output tensors by name, copied out.
        """
        with self._lock:
            self._request.infer({0: np.ascontiguousarray(image)[None]}, share_inputs=True)
            return {
                name: np.array(self._request.get_output_tensor(index).data, np.float32)
                for index, name in enumerate(self.output_names)
            }


def _model(path: Path, part: tuple[int, int] | None) -> Any:
    """The network for one picture."""
    if part is None:
        model = core().read_model(str(path))
    else:  # this format is read from files only
        with tempfile.TemporaryDirectory(prefix="lipwright-") as folder:
            alone = Path(folder) / "network.tflite"
            alone.write_bytes(path.read_bytes()[slice(*part)])
            model = core().read_model(str(alone))
    batch, *rest = model.inputs[0].partial_shape
    if batch.is_dynamic:
        model.reshape([1, *(length.get_length() for length in rest)])
    return model
