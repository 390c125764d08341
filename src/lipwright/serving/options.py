"""The options of a dub as the API and the page offer them, made from ``DubOptions``.

What would let a client reach the server's files or network, spend its memory, or take the marks of
synthetic video away is not offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from lipwright.dubbing.option_info import GROUPS, choices_of, options_of
from lipwright.dubbing.option_text import FRACTIONS
from lipwright.dubbing.options import DubOptions
from lipwright.errors import LipwrightError

OMITTED = {
    "weights": "names a file of the server",
    "adapt": "may name a file of the server",
    "enhance_weights": "names a file of the server",
    "certificate": "names a file of the server",
    "key": "names a file of the server",
    "time_stamp": "makes the server call an address",
    "consent": "is a field of the job",
    "report": "is always written",
    "compare": "names a file of the server",
    "overwrite": "outputs of a server have names of their own",
    "preview": "is a request of its own",
    "resume": "is what the server does after a crash",
    "plan_cache": "is the server's, in its data folder",
    "device": "is a setting of the server",
    "backend": "is a setting of the server",
    "batch_size": "is a setting of the server",
    "ray": "is a matter of the server",
    "limit": "would let a client spend the server's memory",
    "manifest": "outputs of a server are always signed",
}
"""Options of the command line that a server does not offer, and why."""

LONGEST_WORD = 200
_TIME = r"-?\d{1,9}(\.\d{1,9})?(:\d{1,2}(\.\d{1,9})?){0,2}"
_FRACTION = rf"^({_TIME}|\d{{1,9}}/\d{{1,9}})$"
TITLES = {
    "crf": "Quality (CRF)",
    "fps": "Frames per second",
    "silence_gate": "Rest in silence",
    "keep_streams": "Keep other streams",
}


@dataclass(frozen=True)
class FormField:
    """An option as the page shows it.

    Attributes:
        name: of the option.
        title: for people.
        help: one or two sentences.
        group: heading.
        kind: ``choice``, ``number``, ``flag`` or ``text``.
        choices: of a choice.
        default: as text; of a flag "true" or "false".
        low, high: of a number.
        whole: whether a number has no fraction.
    """

    name: str
    title: str
    help: str
    group: str
    kind: Literal["choice", "number", "flag", "text"]
    choices: tuple[str, ...]
    default: str
    low: float | None
    high: float | None
    whole: bool = True


@cache
def methods() -> tuple[str, ...]:
    """Names of the methods that this installation has weights for, the default one first."""
    from lipwright.methods.registry import DEFAULT, METHODS, shipped

    found = []
    for name in METHODS:
        try:
            shipped(name)
        except LipwrightError:
            continue
        found.append(name)
    return tuple(sorted(found, key=lambda name: (name != DEFAULT, name)))


def _number_as_text(value: object) -> object:
    """Times and rates may be numbers as well: 1.5 is "1.5"."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


@cache
def settings_model() -> type[BaseModel]:
    """The model of a request's ``options``; every field may be left out."""
    from lipwright.methods.registry import METHODS

    weightless = tuple(name for name, entry in METHODS.items() if entry.weightless)
    made: dict[str, Any] = {}
    for name, (option, info, hint) in options_of(DubOptions).items():
        if name in OMITTED:
            continue
        limits: dict[str, Any] = {}
        kind: Any = hint
        if name == "method":
            kind = Literal[(*methods(), *weightless)]
        elif name == "watermark":
            kind = Literal[choices_of(hint)]
        elif hint is Fraction:
            kind, limits = Annotated[str, BeforeValidator(_number_as_text)], {"pattern": _FRACTION}
        elif hint is str:
            limits = {"max_length": LONGEST_WORD, "pattern": r"^[A-Za-z0-9,_.:@-]+$"}
        elif hint is float:
            limits = {"ge": info.low, "le": info.high, "allow_inf_nan": False}
        elif hint is int or int in get_args(hint):
            limits = {"ge": info.low, "le": info.high if info.high is not None else 2**31 - 1}
        default = str(option.default) if hint is Fraction else option.default
        if name == "method":
            default = methods()[0]
        made[name] = (kind, Field(default, description=info.help, **limits))
    return create_model(
        "Options",
        __config__=ConfigDict(extra="forbid", strict=True),
        __doc__="Options of a dub; each may be left out.",
        **made,
    )


def to_dub_options(wanted: dict[str, Any], **more: Any) -> DubOptions:
    """Options of a request, checked, together with what the server decides.

    Raises:
        LipwrightError: a value that makes no sense.
    """
    values = dict(wanted)
    for name, (_, info, hint) in options_of(DubOptions).items():
        if hint is Fraction and name in values:
            values[name] = FRACTIONS[info.metavar or ""](values[name])
    made = DubOptions(**values, **more)
    made.check()
    return made


@cache
def form_fields() -> tuple[FormField, ...]:
    """The options for the page, by group. ``face`` is not among them: people are clicked."""
    found = []
    for name, (option, info, hint) in options_of(DubOptions).items():
        if name in OMITTED or name == "face":
            continue
        choices = methods() if name == "method" else choices_of(hint)
        kind: Literal["choice", "number", "flag", "text"] = "text"
        if choices:
            kind = "choice"
        elif hint is bool:
            kind = "flag"
        elif hint in (int, float) or int in get_args(hint):
            kind = "number"
        default = "" if option.default is None else str(option.default)
        if name == "method":
            default = choices[0]
        elif kind == "flag":
            default = default.lower()
        title = TITLES.get(name, name.replace("_", " ").capitalize())
        found.append(
            FormField(
                name,
                title,
                info.help,
                info.group,
                kind,
                choices,
                default,
                info.low,
                info.high,
                whole=hint is not float,
            )
        )
    return tuple(sorted(found, key=lambda one: GROUPS.index(one.group)))
