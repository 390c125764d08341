"""``python -m lipwright``: the same as the command ``lipwright``."""

from __future__ import annotations

from lipwright.cli import main

if __name__ == "__main__":
    main()
