"""What is to be known of an option beside its name, type and default.

The command line, the documents, the checks and the identity of a job are made from this; so an
option is declared in one place.
"""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from functools import cache
from typing import Any, Literal, get_args, get_type_hints

Group = Literal["Face", "Model", "Output", "Marks", "Job"]
GROUPS: tuple[Group, ...] = get_args(Group)
_KEY = "option"


@dataclass(frozen=True)
class OptionInfo:
    """Description of one field of an options class.

    Attributes:
        help: one or two sentences for users.
        group: heading under which it is shown.
        shapes: whether the encoded frames depend on the value itself. False also for what shapes
            them through something that a job's identity names anyway: method and weights by the
            hash of the model, device and backend by what they resolve to.
        metavar: stands for the value where it is not a number or a choice.
        low, high: the range of a number, both ends included; None for no limit.
        still: whether it means anything for a still picture (``lipwright animate``).
        off: help of ``--no-NAME``, for an option with values that False switches off.
    """

    help: str
    group: Group
    shapes: bool
    metavar: str | None = None
    low: float | None = None
    high: float | None = None
    still: bool = True
    off: str | None = None


def option(
    default: Any,
    help: str,
    group: Group,
    *,
    shapes: bool,
    metavar: str | None = None,
    low: float | None = None,
    high: float | None = None,
    still: bool = True,
    off: str | None = None,
) -> Any:
    """A dataclass field with a description, see :class:`OptionInfo`; ``shapes`` has no default."""
    info = OptionInfo(help, group, shapes, metavar, low, high, still, off)
    return field(default=default, metadata={_KEY: info})


def info_of(described: Field[Any]) -> OptionInfo:
    """The description of a field.

    Raises:
        KeyError: it has none.
    """
    found = described.metadata[_KEY]
    assert isinstance(found, OptionInfo)
    return found


def options_of(kind: type[Any]) -> dict[str, tuple[Field[Any], OptionInfo, Any]]:
    """Field, description and resolved type of every option of a dataclass, by name."""
    hints = _hints_of(kind)  # type: ignore[arg-type]
    return {f.name: (f, info_of(f), hints[f.name]) for f in fields(kind)}


@cache
def _hints_of(kind: type[Any]) -> dict[str, Any]:
    """Resolved once: several commands take the same options."""
    return get_type_hints(kind)


def choices_of(hint: Any) -> tuple[str, ...]:
    """The words of a ``Literal``, also inside a union; empty for any other type."""
    if getattr(hint, "__origin__", None) is Literal:
        return get_args(hint)
    return tuple(word for part in get_args(hint) for word in choices_of(part))
