"""Write docs/cli.md from the Typer application itself.

    python tools/make_cli_docs.py            # write
    python tools/make_cli_docs.py --check    # exit 1 if the file is not up to date

The page is made from the parsed commands and not from the text of ``--help``, so that it does not
depend on the width of a terminal or on the version of Typer.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from lipwright.cli import app
from lipwright.cli.plain_help import command_of

TARGET = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
HEAD = """<!-- Made by tools/make_cli_docs.py from the program itself; do not edit. -->

# The command line

Exit codes: 0 done; 1 could not (one sentence on standard error says what, where and what to do);
2 wrong usage; 130 interrupted with Ctrl-C; 143 asked to end (SIGTERM). `lipwright verify` has two
more, see there. `--debug`, before or after the command, shows the traceback of an error.
`python -m lipwright` is the same program.
"""


def make_page() -> str:
    """The whole page in Markdown."""
    root: Any = command_of(app)
    parts = [HEAD, _options_of(root)]
    for path, command in _commands(root, ["lipwright"]):
        parts.append(f"## `{' '.join(path)}`\n\n{_help_of(command)}\n\n{_usage(path, command)}\n")
        parts.append(_arguments_of(command) + _options_of(command))
    return "\n".join(part.rstrip("\n") + "\n" for part in parts if part.strip())


def _commands(group: Any, path: list[str]) -> list[tuple[list[str], Any]]:
    found = []
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found += _commands(command, [*path, name])
        else:
            found.append(([*path, name], command))
    return found


def _help_of(command: Any) -> str:
    return inspect.cleandoc(command.help or "").replace("\f", "")


def _hints(command: Any) -> dict[str, Any]:
    return get_type_hints(inspect.unwrap(command.callback)) if command.callback else {}


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _argument_name(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name).upper()
    return f"{name}..." if parameter.nargs == -1 else str(name)


def _usage(path: list[str], command: Any) -> str:
    words, hints = [*path], _hints(command)
    for parameter in command.params:
        if _is_argument(parameter):
            name = _argument_name(parameter)
            words.append(name if parameter.required else f"[{name}]")
        elif parameter.required:
            words.append(f"{parameter.opts[-1]} {_value(parameter, hints)}")
    words += ["[OPTIONS]"] if _options_of(command) else []
    return f"```\n{' '.join(words)}\n```"


def _arguments_of(command: Any) -> str:
    rows = [
        f"| `{_argument_name(parameter)}` | {_cell(parameter.help)} |"
        for parameter in command.params
        if _is_argument(parameter)
    ]
    return "\n".join(["| argument | |", "|---|---|", *rows]) + "\n\n" if rows else ""


def _options_of(command: Any) -> str:
    rows, hints = [], _hints(command)
    for parameter in command.params:
        if _is_argument(parameter) or parameter.name == "help" or parameter.hidden:
            continue
        names = ", ".join(f"`{name}`" for name in parameter.opts)
        if parameter.secondary_opts:
            names += " / " + ", ".join(f"`{name}`" for name in parameter.secondary_opts)
        if not parameter.is_flag:
            names += f" {_cell(_value(parameter, hints))}"
        rows.append(f"| {names} | {_default(parameter)} | {_cell(parameter.help)} |")
    return "\n".join(["| option | default | |", "|---|---|---|", *rows]) + "\n" if rows else ""


def _value(parameter: Any, hints: dict[str, Any]) -> str:
    """What stands for an option's value: its metavar, its choices, or the name of its type."""
    if parameter.metavar:
        return str(parameter.metavar)
    wanted = [kind for kind in get_args(hints[parameter.name]) if kind is not type(None)]
    if get_origin(hints[parameter.name]) is Literal:
        return "|".join(wanted)
    kind = wanted[0] if wanted else hints[parameter.name]
    return {"int": "INTEGER", "float": "NUMBER", "str": "TEXT"}.get(
        kind.__name__, kind.__name__.upper()
    )


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    value = parameter.default
    if value is None or value == "" or callable(value):
        return ""
    if parameter.is_flag:
        if not parameter.secondary_opts:
            return ""
        names = parameter.opts if value else parameter.secondary_opts
        return f"`{names[0]}`"
    return f"`{value}`"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def main() -> None:
    """Write the page, or compare it with the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 if different")
    page = make_page()
    if parser.parse_args().check:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != page:
            sys.exit("docs/cli.md is not up to date: run python tools/make_cli_docs.py")
        return
    TARGET.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
