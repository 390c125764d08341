"""Functions that run networks of PyTorch, in modules that are imported without it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Found = TypeVar("Found")


def without_gradients(function: Callable[Given, Found]) -> Callable[Given, Found]:
    """``torch.no_grad`` as a decorator; PyTorch is imported at the first call."""

    @wraps(function)
    def call(*args: Given.args, **named: Given.kwargs) -> Found:
        import torch

        with torch.no_grad():
            return function(*args, **named)

    return call
