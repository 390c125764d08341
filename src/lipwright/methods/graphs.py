"""The graphs of a joined checkpoint; needs PyTorch."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from lipwright.methods.export import add_graphs
from lipwright.methods.registry import METHODS
from lipwright.weights.container import read_header


def export_graphs(path: Path) -> bool:
    """Put the graphs into a joined checkpoint; False for a method that has none."""
    exports = METHODS[read_header(path)["method"]].exports
    if exports is None:
        return False
    module, function = exports.split(":")
    add_graphs(path, getattr(import_module(module), function)(path))
    return True
