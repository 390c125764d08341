"""Choices that several commands share, and the options that are made from ``DubOptions``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import Field
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import typer

from lipwright.dubbing.option_info import GROUPS, OptionInfo, options_of
from lipwright.dubbing.option_text import FRACTIONS, frame_rate, is_file, time_of
from lipwright.dubbing.options import Backend, Detail, Device, DubOptions, Length, Region
from lipwright.errors import LipwrightError

__all__ = [
    "Backend",
    "Detail",
    "Device",
    "Length",
    "Region",
    "frame_rate",
    "takes_dub_options",
    "time_of",
]

_OFF = "no_"

Quiet = Annotated[
    bool,
    typer.Option("-q", "--quiet", help="No progress, no closing lines.", rich_help_panel="Job"),
]


def takes_dub_options(
    *, still: bool = False, without: Collection[str] = (), **defaults: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a command that takes every option of ``DubOptions`` beside its own.

    The decorated function has a parameter ``options`` and gets a ``DubOptions`` there.

    Args:
        still: only those that mean something for a still picture.
        without: options that the command has not.
        defaults: other defaults than those of ``DubOptions``.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        own = [
            parameter.replace(annotation=hints[parameter.name])
            for parameter in inspect.signature(command).parameters.values()
            if parameter.name != "options"
        ]
        declared = {
            name: option
            for name, option in options_of(DubOptions).items()
            if (option[1].still or not still) and name not in without
        }
        made = [
            parameter
            for name, (field, info, hint) in declared.items()
            for parameter in _parameters(field, info, hint, defaults.get(name, field.default))
        ]

        def run(**given: Any) -> None:
            values = dict(defaults)
            for name, (_, info, hint) in declared.items():
                value = given.pop(name)
                if info.off is not None and given.pop(_OFF + name):
                    value = False
                if hint is Fraction:
                    value = fraction_of(name, info.metavar or "", value)
                elif _is_list(hint):
                    value = tuple(value or ())
                values[name] = value
            command(**given, options=DubOptions(**values))

        parameters = sorted([*own, *made], key=_place)
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__module__ = command.__module__
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        )
        return run

    return decorate


def _parameters(
    field: Field[Any], info: OptionInfo, hint: Any, default: Any
) -> list[inspect.Parameter]:
    """The parameters of a command that stand for one field: one, or two where it can be off."""
    parts = [part for part in get_args(hint) if part is not type(None)]
    words = [field.name.replace("_", "-")]
    kind, names = hint, []
    if hint is bool:
        names = [f"--{words[0]}/--no-{words[0]}" if default else f"--{words[0]}"]
    elif hint is Fraction:
        kind, default = str, str(default)
    elif _is_list(hint):
        kind, default = list[str] | None, None
    elif Path in parts:
        kind = Path | None if is_file(hint) else str
    elif info.off is not None:
        kind = next(part for part in parts if part is not bool)
    elif type(None) in get_args(hint) and getattr(hint, "__origin__", None) is not Literal:
        kind = parts[0] | None
    number = hint in (int, float)
    option = typer.Option(
        *names,
        metavar=info.metavar,
        help=info.help,
        rich_help_panel=info.group,
        min=info.low if number else None,
        max=info.high if number else None,
    )
    found = [_parameter(field.name, Annotated[kind, option], default)]
    if info.off is not None:
        off = typer.Option(f"--no-{words[0]}", help=info.off, rich_help_panel=info.group)
        found.append(_parameter(_OFF + field.name, Annotated[bool, off], False))
    return found


def fraction_of(name: str, metavar: str, text: str) -> Fraction:
    """The value of an option, which is named where it is none.

    Args:
        name: of the option, as a parameter.
        metavar: ``RATE`` or ``TIME``.
        text: what was given.

    Raises:
        LipwrightError: it is no such value.
    """
    try:
        return FRACTIONS[metavar](text)
    except LipwrightError as error:
        raise LipwrightError(f"--{name.replace('_', '-')}: {error}") from None


def _is_list(hint: Any) -> bool:
    """Whether an option may be given several times."""
    return getattr(hint, "__origin__", None) is tuple


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _place(parameter: inspect.Parameter) -> int:
    """Options are shown by group; what has none comes first."""
    described = get_args(parameter.annotation)[1:]
    panel = getattr(described[0], "rich_help_panel", None) if described else None
    return GROUPS.index(panel) + 1 if panel in GROUPS else 0
