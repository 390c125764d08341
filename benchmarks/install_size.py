"""How large an installation is: `pip install .` into a fresh virtual environment, and its folders.

    python benchmarks/install_size.py [--extra gpu] [--keep FOLDER]

Prints the size of site-packages (as `du` counts it, with the compiled files that Python adds at the
first run left out) and of its largest packages, and whether `import torch` works there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHOWN = 12


def size_of(entry: Path) -> int:
    """Bytes on disk of a file or of a folder with all that lies in it, without compiled files."""
    if entry.is_symlink() or entry.name == "__pycache__":
        return 0
    if entry.is_dir():
        return sum(size_of(inner) for inner in entry.iterdir())
    return entry.stat().st_blocks * 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--extra", default="", help="extras to install, such as train or gpu")
    parser.add_argument("--keep", type=Path, help="make the environment here and leave it")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch) / "venv"
        venv.create(folder, with_pip=True)
        python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        (packages,) = folder.rglob("site-packages")
        before = {entry.name for entry in packages.iterdir()}
        wanted = f"{ROOT}[{given.extra}]" if given.extra else str(ROOT)
        install = [str(python), "-m", "pip", "install", "-q", "--no-compile", wanted]
        subprocess.run(install, check=True)
        sizes = {
            entry.name: size_of(entry) for entry in packages.iterdir() if entry.name not in before
        }
        print(f"{sum(sizes.values()) / 1e6:.0f} MB in {packages.name}, without pip itself")
        for name, size in sorted(sizes.items(), key=lambda item: -item[1])[:SHOWN]:
            print(f"  {size / 1e6:6.0f} MB  {name}")
        torch = subprocess.run(
            [str(python), "-c", "import torch"], capture_output=True, check=False
        )
        print("torch is", "there" if torch.returncode == 0 else "not there")


if __name__ == "__main__":
    main()
