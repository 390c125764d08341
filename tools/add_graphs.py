"""Put the graphs of its networks into a joined checkpoint, see src/lipwright/methods/export.py.

    python tools/add_graphs.py CHECKPOINT...

Joining does it too ('lipwright train vq'); this is for checkpoints of before.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lipwright.methods.graphs import export_graphs


def main() -> None:
    """Export each of the given checkpoints in place."""
    for name in sys.argv[1:]:
        before = Path(name).stat().st_size
        export_graphs(Path(name))
        print(f"{name}: {before / 1e6:.1f} MB -> {Path(name).stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
