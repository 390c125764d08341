"""A method as seen by tests that think in tensors."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from lipwright.methods.base import Method


class TensorMethod:
    """Forwards to a method, with tensors instead of arrays."""

    method: Any

    def __init__(self, method: Method) -> None:
        object.__setattr__(self, "method", method)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.method, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.method, name, value)

    def start(self, reference: Tensor, lips: Any = None) -> Any:
        return self.method.start(reference.numpy(), lips)

    def render(self, faces: Tensor, audio: Tensor, state: Any) -> Any:
        made = self.method.render(faces.numpy(), audio.numpy(), state)
        fields = {name: getattr(made, name) for name in ("faces", "baseline", "restored")}
        tensors = {n: None if x is None else torch.from_numpy(x) for n, x in fields.items()}
        return SimpleNamespace(**tensors, lips=made.lips, step=made.step, weights=made.weights)
