"""The package as a whole: start-up, the lazy API, the direction of dependencies, the metadata."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lipwright

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "lipwright"
HEAVY = ("torch", "cv2", "av", "openvino", "numpy", "scipy", "pydantic", "c2pa")

LEAVES = {
    "errors",
    "geometry",
    "face_regions",
    "lazy_names",
    "lip_agreement",
    "lip_motion",
    "recording_windows",
    "runs",
    "versions",
}
"""Shared facts and the root of all exceptions: they import nothing, and every room may use them."""

_MEDIA = {*LEAVES, "files", "media"}
_INFERENCE = {*_MEDIA, "openvino_core", "compiled_networks", "weights", "models", "faces"}
_JOB = {
    *_INFERENCE,
    "ray_cluster",
    "lock",
    "printable",
    "methods",
    "enhance",
    "provenance",
    "dubbing",
}

MAY_USE: dict[str, set[str]] = {
    **{leaf: set() for leaf in LEAVES},
    "openvino_core": set(),
    "ray_cluster": {"errors"},
    "compiled_networks": {*LEAVES, "files", "openvino_core"},
    "printable": _MEDIA,
    "html_page": {*LEAVES, "files", "printable"},
    "lock": {*LEAVES, "files"},
    "files": {*LEAVES, "files"},
    "media": _MEDIA,
    "weights": {*LEAVES, "files", "weights"},
    "models": {*LEAVES, "models"},
    "faces": {*_MEDIA, "openvino_core", "compiled_networks", "weights", "faces"},
    "methods": {*_INFERENCE, "methods"},
    "enhance": {*_INFERENCE, "enhance"},
    "provenance": {*_MEDIA, "printable", "weights", "faces", "provenance"},
    "dubbing": _JOB - {"models"},
    "animation": {*_JOB, "animation"} - {"models", "provenance"},
    # The shipped method's speech network judges offsets.
    "data": {
        *_INFERENCE,
        "printable",
        "html_page",
        "lock",
        "methods",
        "provenance",
        "ray_cluster",
        "data",
    },
    "live": {*_JOB, "live"} - {"models"},
    # Joining a checkpoint exports the graphs of its method.
    "training": {*_INFERENCE, "lock", "methods", "data", "training"},
    # Training in evaluation is that of the ablation protocol, which trains its variants.
    "evaluation": {*_JOB, "html_page", "data", "training", "evaluation"},
    "metrics": {"evaluation", "lazy_names"},
    "demo": {*_JOB, "animation"},
    "batch": {*_JOB, "batch"},
    "lesson": {*_JOB, "html_page", "lesson"},
    "client": {*LEAVES},
    "serving": {*_JOB, "live", "animation", "client", "demo", "evaluation", "serving"},
}
"""What each room may import; ``lipwright`` itself (the version) is free. ``cli`` may use all."""


def modules_loaded_by(statement: str) -> set[str]:
    """Names in sys.modules of a fresh interpreter after a statement."""
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


def imports_of(path: Path) -> set[str]:
    """Subpackages and modules of lipwright that a file imports, at any depth of the code."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} uses a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module else []
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "lipwright" and len(parts) > 1:
                rooms.add(parts[1])
    return rooms


@pytest.mark.parametrize(
    "statement",
    [
        "import lipwright",
        "import lipwright.cli",
        "import lipwright.enhance.registry, lipwright.methods.registry",
    ],
)
def test_start_up_loads_nothing_heavy(statement: str) -> None:
    loaded = modules_loaded_by(statement)
    assert "lipwright" in loaded
    assert not loaded & set(HEAVY)


def test_help_loads_nothing_heavy() -> None:
    loaded = modules_loaded_by(
        "from lipwright.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    )
    assert "lipwright.cli.dub" in loaded
    assert not loaded & set(HEAVY)


def test_the_command_line_keeps_numpy_to_one_thread_unless_told() -> None:
    code = (
        "import os\nfrom lipwright.cli import main\n"
        "try:\n    main(['--version'])\nexcept SystemExit:\n    pass\n"
        "print(os.environ['OPENBLAS_NUM_THREADS'])"
    )
    for given, expected in ((None, "1"), ("3", "3")):
        kept = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
        environment = kept if given is None else {**kept, "OPENBLAS_NUM_THREADS": given}
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        assert done.stdout.split()[-1] == expected


def test_dub_loads_neither_training_nor_evaluation() -> None:
    loaded = modules_loaded_by("import lipwright\nlipwright.dub\nlipwright.load_method")
    assert "lipwright.dubbing.job" in loaded
    forbidden = ("lipwright.training", "lipwright.evaluation", "lipwright.data")
    assert not {name for name in loaded if name.startswith(forbidden)}


def test_the_converter_of_openvino_reports_to_nobody() -> None:
    code = (
        "import lipwright\n"
        "import openvino\n"
        "from openvino.tools.ovc import convert_impl, telemetry_utils\n"
        "print(convert_impl.tm.__name__, telemetry_utils.tm.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["openvino.tools.ovc.telemetry_stub"] * 2


def test_openvino_loads_its_converter_when_it_is_asked_for() -> None:
    code = (
        "import sys\n"
        "from lipwright.openvino_core import core\n"
        "core()\n"
        "print('openvino.tools.ovc' in sys.modules)\n"
        "import openvino\n"
        "print(openvino.convert_model.__name__, hasattr(openvino, 'nothing'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "convert_model", "False"]


def test_every_room_has_its_place_in_the_layers() -> None:
    rooms = {
        entry.name.removesuffix(".py")
        for entry in SOURCE.iterdir()
        if entry.suffix == ".py" or (entry / "__init__.py").is_file()
    }
    assert rooms - set(MAY_USE) == {"__init__", "__main__", "cli"}


@pytest.mark.parametrize("room", sorted(MAY_USE))
def test_dependencies_point_one_way(room: str) -> None:
    single = SOURCE / f"{room}.py"
    files = [single] if single.is_file() else sorted((SOURCE / room).rglob("*.py"))
    rooms = {entry.name.removesuffix(".py") for entry in SOURCE.iterdir()}
    assert files
    for path in files:
        assert imports_of(path) & rooms <= MAY_USE[room], path


def test_public_names_come_from_where_they_are_written() -> None:
    assert set(lipwright.__all__) <= set(dir(lipwright))
    for name in lipwright.__all__:
        if name.startswith("__"):
            continue
        found = getattr(lipwright, name)
        assert getattr(importlib.import_module(found.__module__), name) is found


def test_public_api_has_exactly_these_names() -> None:
    assert sorted(lipwright.__all__) == [
        "CastSpeech",
        "DubOptions",
        "Dubber",
        "LipwrightError",
        "Report",
        "__version__",
        "animate",
        "dub",
        "load_method",
        "verify",
    ]


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="sing"):
        lipwright.sing  # noqa: B018


def test_one_version_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == lipwright.__version__


def test_metadata_names_files_that_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name in ["README.md", *project["license-files"]]:
        assert (ROOT / name).stat().st_size > 500
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    module, function = project["scripts"]["lipwright"].split(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_readme_of_a_package_index_has_no_link_that_leads_nowhere() -> None:
    hooks = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]
    rules = hooks["metadata"]["hooks"]["fancy-pypi-readme"]
    text = (ROOT / rules["fragments"][0]["path"]).read_text(encoding="utf-8")
    for rule in rules["substitutions"]:
        text, count = re.subn(rule["pattern"], rule["replacement"], text)
        assert count > 0
    assert re.findall(r"\]\((?!https://)[^)]*\)", text) == []
    assert "(https://" in text
    assert "!" + "[" not in text
    assert "contact sheet that `lipwright demo` writes" not in text  # the picture's caption


def test_no_dependency_brings_a_second_opencv_or_torchvision() -> None:
    """The other OpenCV wheels overwrite the files of the headless one; torchvision pins torch."""
    seen: set[str] = set()
    waiting = [("lipwright", frozenset({"dev"}))]
    while waiting:
        name, extras = waiting.pop()
        for line in metadata.requires(name) or []:
            wanted = Requirement(line)
            applies = wanted.marker is None or any(
                wanted.marker.evaluate({"extra": extra}) for extra in (extras or {""})
            )
            if applies and canonicalize_name(wanted.name) not in seen:
                seen.add(canonicalize_name(wanted.name))
                waiting.append((wanted.name, frozenset(wanted.extras)))
    assert {"torch", "opencv-python-headless", "openvino", "pytest"} <= seen
    assert not seen & {"opencv-python", "opencv-contrib-python", "torchvision"}
