"""Checkpoints: one safetensors file with a JSON header; loading one never runs code from it.

Header (metadata key ``lipwright``): ``format``, ``method``, ``networks`` (constructor arguments of
each network by name), ``audio``, ``size``, ``training`` (what it was trained on and for how long),
``licence``, ``parents`` (hashes of checkpoints that this one was built from). Tensors are named
``<network>.<parameter>``.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lipwright.errors import LipwrightError
from lipwright.files.whole import file_sha256, written_whole
from lipwright.weights.container import FORMAT, GRAPH, read_header
from lipwright.weights.header import Header

__all__ = ["RESEARCH_ONLY", "Checkpoint", "load_checkpoint", "read_header", "save_checkpoint"]

RESEARCH_ONLY = "research use only (see LICENSE_weights)"
"""The licence of what was trained here."""
PARTS = {
    "centring": "running_mean",
    "look_stem": "reference_stem",
    "look_motion": "reference_motion",
}
"""Former names of layers in tensor names, and their names today."""

_DAMAGE = (
    *(ArithmeticError, AssertionError, AttributeError, IndexError, KeyError, MemoryError),
    *(RuntimeError, TypeError, ValueError),
)
"""What constructors of networks say to arguments without sense."""
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint.

    Attributes:
        path: where it came from.
        header: the JSON header.
        tensors: by full name, as stored (usually float16).
        sha256: of the file.
    """

    path: Path
    header: dict[str, Any]
    tensors: dict[str, Tensor] = field(repr=False)
    sha256: str = ""

    @property
    def model_id(self) -> str:
        """``method/size-hash``, short enough for a report and exact enough to find the file."""
        return f"{self.header['method']}-{self.header.get('size', '')}-{self.sha256[:12]}"

    @property
    def fields(self) -> Header:
        """The header for typed access."""
        return Header(self.header, self.path)

    def build(self, name: str, factory: Callable[..., Network]) -> Network:
        """The network ``name`` with the weights of the file, in eval mode and without gradients.

        It is first laid out without memory and compared with the tensors that are there, so that a
        header can ask for no more than the file holds.

        Args:
            name: of the network, in the header and in the names of its tensors.
            factory: takes the constructor arguments that the header gives.

        Raises:
            LipwrightError: header and weights do not fit each other, or not this version.
        """
        arguments = self.fields.arguments(name)
        try:
            with contextlib.suppress(NotImplementedError), torch.device("meta"):
                plan = factory(**arguments).state_dict()
                there = self.network(name)
                odd = [k for k, v in plan.items() if k not in there or there[k].shape != v.shape]
                if odd:
                    raise LipwrightError(
                        f"{self.path} does not fit the network '{name}' that its own header "
                        f"describes ({odd[0]}); the file is damaged or from another version."
                    )
            module = factory(**arguments)
        except _DAMAGE as error:
            self.fields.fail(f"networks.{name}: {' '.join(str(error).split())}")
        self.load_into(name, module)
        return module.eval().requires_grad_(False)

    def network(self, name: str) -> dict[str, Tensor]:
        """State dict of one network, in float32.

        Raises:
            LipwrightError: the checkpoint has no such network.
        """
        start = name + "."
        found = {
            _renamed(k[len(start) :]): (v.float() if v.is_floating_point() else v)
            for k, v in self.tensors.items()
            if k.startswith(start)
        }
        if not found:
            raise LipwrightError(
                f"{self.path} holds no network '{name}' but "
                f"{', '.join(sorted(self.header.get('networks', {}))) or 'none'}; "
                "give the checkpoint of another stage."
            )
        return found

    def load_into(self, name: str, module: nn.Module) -> None:
        """Load a network's weights, strictly.

        Raises:
            LipwrightError: names or shapes do not fit.
        """
        try:
            module.load_state_dict(self.network(name), strict=True)
        except RuntimeError as error:
            detail = " ".join(str(error).split())[:300]
            raise LipwrightError(
                f"{self.path} does not fit the network '{name}' that its own header describes "
                f"({detail}); the file is damaged or from another version."
            ) from error


def save_checkpoint(
    path: Path, header: dict[str, Any], modules: dict[str, nn.Module], half: bool = True
) -> None:
    """Write a checkpoint atomically; floating tensors in float16 when ``half``."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        for key, value in module.state_dict().items():
            value = value.detach().cpu()
            if value.is_floating_point():
                value = value.to(torch.float16 if half else torch.float32)
            tensors[f"{name}.{key}"] = value.contiguous().clone()
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"format": FORMAT, **header}
    with written_whole(path) as temporary:
        save_file(tensors, str(temporary), metadata={"lipwright": json.dumps(header)})
        temporary.chmod(0o644)  # the library writes owner-only files


def _renamed(key: str) -> str:
    return ".".join(PARTS.get(part, part) for part in key.split("."))


def load_checkpoint(path: Path, only: str | None = None) -> Checkpoint:
    """Read a checkpoint, or ``only`` one network of it (:func:`read_header` has the errors)."""
    header = read_header(path)
    with safe_open(str(path), framework="pt") as file:
        every = [n for n in file.keys() if not n.startswith(GRAPH)]  # noqa: SIM118
        names = [n for n in every if only is None or n.startswith(f"{only}.")]
        tensors = {name: file.get_tensor(name) for name in names}
    return Checkpoint(path, header, tensors, file_sha256(path))
