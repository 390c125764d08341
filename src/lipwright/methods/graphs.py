"""Which networks of a checkpoint become graphs, by method; needs PyTorch."""

from __future__ import annotations

from pathlib import Path

from lipwright.methods.base import BATCH
from lipwright.methods.export import add_graphs
from lipwright.weights.container import read_header


def export_graphs(path: Path) -> bool:
    """Put the graphs into a joined checkpoint; False for a method that has none yet."""
    if read_header(path)["method"] == "vq":
        from lipwright.methods.vq import REFERENCE_ROWS
        from lipwright.methods.vq_networks import exports_of

        add_graphs(path, exports_of(path, BATCH, REFERENCE_ROWS))
        return True
    return False
