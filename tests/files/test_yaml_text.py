"""YAML that is too much of a good thing."""

from __future__ import annotations

import pytest

from lipwright.errors import LipwrightError
from lipwright.files.yaml_text import LONGEST, parse_yaml


def test_plain_values() -> None:
    assert parse_yaml("a: [1, 2.5, x]\nb: {c: null}\n", "It") == {
        "a": [1, 2.5, "x"],
        "b": {"c": None},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [1]\nb: *x\n", "repeats"),
        ("[" * 60 + "]" * 60, "nested"),
        pytest.param("[" * 100_000, "nested", id="deep"),
        pytest.param("a: " + "x" * LONGEST, "longer", id="long"),
        ("a: [", "not valid"),
        ("a: 2026-13-45\n", "not valid"),
        ("a: !!int 0x\n", "not valid"),
        ("a: !!python/object/apply:os.system ['true']\n", "not valid"),
        ("? [a]\n: b\n", "not valid"),
        ("\x07", "not valid"),
    ],
)
def test_each_bound_has_its_sentence(text: str, message: str) -> None:
    with pytest.raises(LipwrightError, match=f"^It .*{message}"):
        parse_yaml(text, "It")


def test_repeated_parts_may_be_allowed() -> None:
    assert parse_yaml("a: &x [1]\nb: *x\n", "It", aliases=True) == {"a": [1], "b": [1]}
