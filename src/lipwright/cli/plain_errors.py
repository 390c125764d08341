"""What is said of an option's value that cannot be: the value, and what may be given instead.

Typer checks values with pydantic and prints pydantic's words ("Value error, ...", "Input should be
less than or equal to 1.5"), which neither repeat the value nor say both ends of a range.
"""

from __future__ import annotations

from typing import Any

import typer

_KINDS: dict[Any, str] = {int: "a whole number", float: "a number"}


def plain_errors(parameter: Any) -> None:
    """Let an option or argument of Typer refuse values in this program's words."""
    made = parameter.process_value

    def process_value(context: Any, value: Any) -> Any:
        try:
            return made(context, value)
        except typer.BadParameter as error:
            wanted = wanted_value(parameter)
            if wanted is not None and hasattr(error.__cause__, "errors"):  # pydantic's words
                error.message = f"'{value}' cannot be used here; give {wanted}."
            raise

    parameter.process_value = process_value


def wanted_value(parameter: Any) -> str | None:
    """What may be given for an option or argument; None where it takes any text."""
    words = choices_of(parameter)
    if words:
        return f"one of {', '.join(words)}"
    described: Any = getattr(parameter, "type_descriptor", None)
    kind = _KINDS.get(getattr(described, "annotation", None))
    if kind is None:
        return None
    low, high = described.parameter_info.min, described.parameter_info.max
    if low is not None and high is not None:
        return f"{kind} from {low:g} to {high:g}"
    if low is not None:
        return f"{kind} of {low:g} or more"
    return kind if high is None else f"{kind} up to {high:g}"


def choices_of(parameter: Any) -> list[str]:
    """The words that an option or argument may be; empty where it is no choice."""
    described = getattr(parameter, "type_descriptor", None)
    return [str(choice) for choice in getattr(described, "choices", None) or ()]
