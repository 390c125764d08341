"""The options of the API are those of ``dub``."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from lipwright.dubbing.option_info import options_of
from lipwright.dubbing.options import DubOptions
from lipwright.errors import LipwrightError
from lipwright.methods.registry import DEFAULT
from lipwright.serving.options import OMITTED, form_fields, settings_model, to_dub_options


def test_every_option_is_offered_or_left_out_for_a_reason() -> None:
    names = {field.name for field in dataclasses.fields(DubOptions)}
    offered = set(settings_model().model_fields)
    assert offered | set(OMITTED) == names
    assert not offered & set(OMITTED)


def test_what_reaches_files_or_marks_is_not_offered() -> None:
    dangerous = {"weights", "certificate", "key", "report", "preview", "time_stamp", "manifest"}
    assert dangerous <= set(OMITTED)
    files = {
        name for name, (_, _, hint) in options_of(DubOptions).items() if Path in get_args(hint)
    }
    assert files <= set(OMITTED)


def test_defaults_are_those_of_dub() -> None:
    assert to_dub_options(settings_model()().model_dump()) == DubOptions(method=DEFAULT)


@pytest.mark.parametrize(
    "wanted",
    [
        {"crf": 52},
        {"expressiveness": 1.6},
        {"expressiveness": float("nan")},
        {"crf": "16"},
        {"crf": True},
        {"length": "long"},
        {"watermark": False},
        {"method": "/etc/passwd"},
        {"method": "../x.safetensors"},
        {"face": "x" * 300},
        {"face": "a b"},
        {"fps": "nan"},
        {"end": float("nan")},
        {"end": 1e300},
        {"end": True},
        {"seed": -1},
        {"seed": 2**80},
        {"weights": "x"},
        {"sing": 1},
    ],
)
def test_wrong_values_are_refused(wanted: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings_model()(**wanted)


@pytest.mark.parametrize("end", [1.5, "1.5", "0:01.5"])
def test_times_may_be_numbers(end: object) -> None:
    wanted = settings_model()(end=end).model_dump(exclude_unset=True)
    assert to_dub_options(wanted).end == Fraction(3, 2)


def test_what_the_model_cannot_know_is_checked_after_it() -> None:
    with pytest.raises(LipwrightError, match="no frame rate"):
        to_dub_options({"fps": "1/0"})
    with pytest.raises(LipwrightError):
        to_dub_options({"face": "nose"})
    assert to_dub_options({"start": "1:02.5"}).start == Fraction(125, 2)
    assert to_dub_options({"speech_offset": "-0.25"}).speech_offset == Fraction(-1, 4)
    assert to_dub_options({"fps": "30000/1001"}).fps == Fraction(30000, 1001)


def test_the_form_has_them_all_but_the_face() -> None:
    assert {f.name for f in form_fields()} | {"face"} == set(settings_model().model_fields)
    assert all(f.help and f.title for f in form_fields())
    assert next(f for f in form_fields() if f.name == "method").choices[0] == DEFAULT
