"""What stands for a value in ``--help``: nothing after a switch, plain words after the rest.

Typer prints the type that the program works with, ``<bool>`` after every switch and ``<int range>
[0<=x<=51]`` after a number. It gives ``--no-name`` a column of its own and long lists of choices
their whole width, which leaves the words of the help a quarter of a terminal of 80 columns.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

import typer.main

from lipwright.cli.plain_errors import choices_of, plain_errors

_WORDS = {"int": "INTEGER", "float": "NUMBER", "str": "TEXT", "Path": "PATH"}
_SHOWN = ("opts", "secondary_opts", "show_default", "help")
WIDEST = 14
"""Letters of a list of choices that ``--help`` shows; a longer one is left to the help's words."""


def command_of(app: typer.Typer, words: Sequence[str] | None = None) -> Any:
    """The command line of an application, its help and its refusals made plain.

    Args:
        app: the application.
        words: the words of the command line, if only they have to be understood: reading the
            parameters of all commands takes as long as the rest of the start.
    """
    command = typer.main.get_command(app if words is None else _for_words(app, words))
    waiting: list[Any] = [command]
    while waiting:
        found = waiting.pop()
        waiting += getattr(found, "commands", {}).values()
        if callable(getattr(found, "get_help_option", None)):
            _plain_help_option(found)
            _plain_switches(found)
        for parameter in found.params:
            plain_errors(parameter)
            parameter.metavar = value_name(parameter)
            if parameter.param_type_name == "argument":
                _plain_argument(parameter)
            else:
                _plain_option(parameter)
    return command


def _for_words(app: typer.Typer, words: Sequence[str]) -> typer.Typer:
    """The application, in which commands that these words do not name have no parameters."""
    named = next((word for word in words if not word.startswith("-")), "")
    made = copy.copy(app)
    made.registered_commands = [
        each if _name(each) == named else _bare(each) for each in app.registered_commands
    ]
    made.registered_groups = [
        each if each.name == named else _bare_group(each) for each in app.registered_groups
    ]
    return made


def _name(command: Any) -> str:
    return str(command.name or typer.main.get_command_name(command.callback.__name__))


def _bare(command: Any) -> Any:
    def nothing() -> None:
        """Stands for the command in lists of commands."""

    nothing.__name__, nothing.__doc__ = command.callback.__name__, command.callback.__doc__
    made = copy.copy(command)
    made.callback = nothing
    return made


def _bare_group(group: Any) -> Any:
    made = copy.copy(group)
    made.typer_instance = copy.copy(group.typer_instance)
    inner = group.typer_instance.registered_commands
    made.typer_instance.registered_commands = [_bare(command) for command in inner]
    return made


def _plain_argument(parameter: Any) -> None:
    name = parameter.metavar + ("..." if parameter.nargs == -1 else "")
    piece = name if parameter.required else f"[{name}]"
    parameter.get_usage_pieces = lambda context: [piece]
    parameter.display_type_rich = lambda ctx: None  # the name says it already


def _plain_option(parameter: Any) -> None:
    """Leave the room for the words of the help: no list of choices longer than ``WIDEST``."""
    made = parameter.display_type_rich

    def shown(ctx: Any) -> str | None:
        text: str | None = made(ctx=ctx)
        if not text or "|" not in text or len(text) <= WIDEST or unsaid_choices(parameter):
            return text
        return "WORD"

    parameter.display_type_rich = shown
    if parameter.metavar and re.fullmatch(r"[\d.]+-[\d.]+", parameter.metavar):
        parameter._get_number_range_help_str = lambda: None  # the name says it already


def unsaid_choices(parameter: Any) -> list[str]:
    """The choices of an option that its help does not mention by name."""
    words = set(re.findall(r"[\w-]+", parameter.help or ""))
    return [choice for choice in choices_of(parameter) if choice not in words]


def _plain_switches(command: Any) -> None:
    """Show ``--[no-]name`` in help instead of two names in two columns."""
    made = command.format_help

    def plain(context: Any, formatter: Any) -> None:
        pairs = [p for p in command.params if getattr(p, "secondary_opts", None)]
        kept = [(p, {name: getattr(p, name) for name in _SHOWN}) for p in pairs]
        for parameter in pairs:
            if parameter.default is not None:
                parameter.help += f" (default: {'on' if parameter.default else 'off'})"
            parameter.opts = [f"--[no-]{parameter.opts[0].lstrip('-')}"]
            parameter.secondary_opts, parameter.show_default = [], False
        try:
            made(context, formatter)
        finally:
            for parameter, values in kept:
                for name, value in values.items():
                    setattr(parameter, name, value)

    command.format_help = plain


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
