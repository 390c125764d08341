"""Which networks of a checkpoint become graphs, by method; needs PyTorch."""

from __future__ import annotations

from pathlib import Path

from lipwright.methods.base import BATCH
from lipwright.methods.export import add_graphs
from lipwright.weights.container import read_header


def export_graphs(path: Path) -> bool:
    """Put the graphs into a joined checkpoint; False for a method that has none yet."""
    method = read_header(path)["method"]
    if method == "vq":
        from lipwright.methods import vq_networks
        from lipwright.methods.vq import REFERENCE_ROWS

        add_graphs(path, vq_networks.exports_of(path, BATCH, REFERENCE_ROWS))
    elif method == "memory":
        from lipwright.methods import memory_networks

        add_graphs(path, memory_networks.exports_of(path, BATCH))
    elif method == "landmark":
        from lipwright.methods import landmark_networks

        add_graphs(path, landmark_networks.exports_of(path))
    else:
        return False
    return True
