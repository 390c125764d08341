"""What stands for a value in ``--help``: nothing after a switch, plain words after the rest.

Typer prints the type that the program works with, ``<bool>`` after every switch and ``<int range>
[0<=x<=51]`` after a number.
"""

from __future__ import annotations

from typing import Any

import typer.main

from lipwright.cli.plain_errors import plain_errors

_WORDS = {"int": "INTEGER", "float": "NUMBER", "str": "TEXT", "Path": "PATH"}


def command_of(app: typer.Typer) -> Any:
    """The command line of an application, its help and its refusals made plain."""
    command = typer.main.get_command(app)
    waiting: list[Any] = [command]
    while waiting:
        found = waiting.pop()
        waiting += getattr(found, "commands", {}).values()
        if callable(getattr(found, "get_help_option", None)):
            _plain_help_option(found)
        for parameter in found.params:
            plain_errors(parameter)
            parameter.metavar = value_name(parameter)
            if parameter.param_type_name == "argument":
                _plain_argument(parameter)
    return command


def _plain_argument(parameter: Any) -> None:
    name = parameter.metavar + ("..." if parameter.nargs == -1 else "")
    piece = name if parameter.required else f"[{name}]"
    parameter.get_usage_pieces = lambda context: [piece]
    parameter.display_type_rich = lambda ctx: None  # the name says it already


def _plain_help_option(command: Any) -> None:
    made = command.get_help_option

    def plain(context: Any) -> Any:
        option = made(context)
        if option is not None:
            option.metavar = ""
        return option

    command.get_help_option = plain


def value_name(parameter: Any) -> str | None:
    """What help shows for the value of an option or argument."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name).upper().rstrip(".")
    if parameter.is_flag:
        return ""
    if parameter.metavar is not None:
        return str(parameter.metavar)
    low, high = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if low is not None and high is not None:
        return f"{low}-{high}"
    kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    return _WORDS.get(getattr(kind, "__name__", ""))
