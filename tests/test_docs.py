"""The documents agree with the program and with each other."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

import lipwright
from lipwright.cli import app

ROOT = Path(__file__).resolve().parents[1]
SKIPPED = re.compile(r"\.venv.*|\.git|node_modules|\.pytest_cache|runs")
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(SKIPPED.fullmatch(part) for part in path.relative_to(ROOT).parts)
)
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
TEST = re.compile(r"`(tests/[\w/]+(?:\.py)?)(?:::(\w+))?`")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def anchors_of(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    found = set()
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            title = re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower())
            found.add(title.replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors_of(there), f"{page.name} links to {target}"


def commands_in(page: Path) -> list[str]:
    """Every line of a shell block that calls the program, continued lines joined."""
    lines = []
    for language, body in FENCE.findall(page.read_text(encoding="utf-8")):
        if language in ("sh", "bash", "console", "shell"):
            joined = body.replace("\\\n", " ")
            lines += [line.strip().removeprefix("$ ") for line in joined.splitlines()]
    return [line for line in lines if line.startswith("lipwright ")]


COMMANDS = [
    (name, line) for name, page in zip(NAMES, PAGES, strict=True) for line in commands_in(page)
]


def parse(words: list[str]) -> Any:
    """Parse as the program would, without running; raises a usage error as it would."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    return command.make_context("lipwright", words)


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_every_command_shown_can_be_parsed(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    assert words, f"{page} shows a bare program"
    parse([word for word in words if word != "--debug"])


def test_parsing_notices_an_option_that_does_not_exist() -> None:
    with pytest.raises(Exception, match="--sing"):
        parse(["demo", "--sing"])


def test_readme_shows_the_main_job() -> None:
    shown = {line.split()[1] for page, line in COMMANDS if page == "README.md"}
    assert {"dub", "doctor", "verify"} <= shown


def test_readme_names_public_functions_that_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    used = set(re.findall(r"lipwright\.(\w+)\(", text))
    assert used
    assert used <= set(lipwright.__all__)


def test_stage_page_is_up_to_date() -> None:
    pytest.importorskip("accelerate", reason="needs the extra 'train'")
    made = runpy.run_path(str(ROOT / "tools" / "make_stage_docs.py"))["make_page"]()
    assert (ROOT / "docs" / "stages.md").read_text(encoding="utf-8") == made, (
        "run python tools/make_stage_docs.py"
    )


def test_cli_page_is_up_to_date() -> None:
    made = runpy.run_path(str(ROOT / "tools" / "make_cli_docs.py"))["make_page"]()
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == made, (
        "run python tools/make_cli_docs.py"
    )


def test_cli_page_names_every_option() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    root: Any = typer.main.get_command(app)
    waiting = [root]
    while waiting:
        command = waiting.pop()
        waiting += getattr(command, "commands", {}).values()
        for parameter in command.params:
            for option in parameter.opts if parameter.param_type_name == "option" else ():
                assert option == "--help" or option == "-h" or f"`{option}`" in page


def test_targets_of_the_makefile_that_documents_name_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test", "lint"} <= targets
    for page in PAGES:
        for _, body in FENCE.findall(page.read_text(encoding="utf-8")):
            for target in re.findall(r"^make (\w+)", body, re.MULTILINE):
                assert target in targets, f"{page} says make {target}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_tests_that_a_page_names_exist(page: Path) -> None:
    for name, function in TEST.findall(page.read_text(encoding="utf-8")):
        there = ROOT / name
        assert there.exists(), f"{page.name} names {name}"
        if function:
            assert f"def {function}(" in there.read_text(encoding="utf-8"), (
                f"{page.name}: {function}"
            )


MODULE = re.compile(r"`([a-z_/][\w/]*\.py)`")
MODULES = [
    f"/{path.relative_to(ROOT)}"
    for folder in ("src", "tests", "benchmarks", "tools")
    for path in (ROOT / folder).rglob("*.py")
]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_files_that_a_page_names_exist(page: Path) -> None:
    for name in MODULE.findall(page.read_text(encoding="utf-8")):
        there = any(module.endswith(f"/{name}") for module in MODULES)
        assert there or "NAME" in name, name


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_no_page_names_a_place_on_somebodys_machine(page: Path) -> None:
    assert not re.search(r"/(work|home|root|Users)/\w", page.read_text(encoding="utf-8"))


def test_performance_page_is_filled() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    for title in ("Speed", "Memory", "Start-up"):
        section = page.split(f"\n## {title}\n")[1].split("\n## ")[0]
        assert re.search(r"\d", section), f"no figure under {title}"
