"""YAML from files that may be anything: bounded in length, depth and repetition."""

from __future__ import annotations

from typing import Any

import yaml

from lipwright.errors import LipwrightError

LONGEST = 1 << 20
"""Characters."""
DEEPEST = 50
"""Levels of nesting; the parser would run out of stack at some hundreds."""


def parse_yaml(text: str, where: str, *, aliases: bool = False) -> Any:
    """The value of a YAML document, of plain types only.

    Args:
        text: the document.
        where: what it is, for messages, for example "The consent file consent.yaml".
        aliases: whether parts may be repeated (``*name``). Ten lines of them can stand for
            gigabytes as soon as somebody writes the value out.

    Raises:
        LipwrightError: not YAML, or beyond the bounds.
    """
    if len(text) > LONGEST:
        raise LipwrightError(f"{where} is longer than {LONGEST:,} characters; shorten it.")
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent) and not aliases:
                raise LipwrightError(
                    f"{where} repeats a part of itself (*{event.anchor}); write it out."
                )
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise LipwrightError(f"{where} is nested more than {DEEPEST} deep; flatten it.")
        return yaml.safe_load(text)
    # PyYAML lets the exceptions of int(), chr() and datetime through for some damaged values.
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise LipwrightError(f"{where} is not valid YAML ({reason}); correct it.") from error
