"""The description of options, and what is made from it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import typer.main

from lipwright.cli import app
from lipwright.dubbing.option_info import choices_of, info_of, options_of
from lipwright.dubbing.options import DubOptions
from lipwright.errors import LipwrightError

RESOLVED = {"method", "weights", "enhance_weights", "device", "backend"}
"""A job's identity names what these came to."""
BESIDE = {
    *("manifest", "certificate", "key", "time_stamp", "consent", "report", "resume", "preview"),
    *("plan_cache", "overwrite", "compare", "limit", "ray"),
}
"""These change the file, or nothing, but no encoded frame."""


def parameters(command: str) -> dict[str, Any]:
    root: Any = typer.main.get_command(app)
    return {parameter.name: parameter for parameter in root.commands[command].params}


def test_every_option_is_described_and_reaches_both_commands() -> None:
    dub, animate = parameters("dub"), parameters("animate")
    for name, (field, info, _) in options_of(DubOptions).items():
        assert info.help.endswith("."), name
        assert dub[name].help == info.help
        assert (name in animate) == info.still
        default = dub[name].default
        if name == "limit":  # given several times or not at all
            assert default is None
            continue
        text = isinstance(field.default, Fraction)
        assert default == (str(field.default) if text else field.default)


def test_the_frames_depend_on_all_options_but_these() -> None:
    names = {field.name for field in dataclasses.fields(DubOptions)}
    assert set(DubOptions().shaping()) == names - RESOLVED - BESIDE


CHANGED = {
    "face": "all",
    "length": "video",
    "start": Fraction(1, 2),
    "end": Fraction(3, 2),
    "speech_offset": Fraction(-1, 5),
    "codec": "hevc",
    "enhance": "none",
    "crf": 17,
    "lossless": True,
    "watermark": False,
    "seed": 1,
    "batch_size": 4,
    "keep_streams": True,
    "silence_gate": False,
    "detail": "off",
    "fps": Fraction(30000, 1001),
    "pixels": "8",
    "deinterlace": True,
    "video_stream": 1,
    "speech_stream": 1,
}


@pytest.mark.parametrize(("name", "value"), CHANGED.items())
def test_a_shaping_option_changes_the_identity(name: str, value: object) -> None:
    changed = dataclasses.replace(DubOptions(), **{name: value}).shaping()  # type: ignore[arg-type]
    assert changed != DubOptions().shaping()
    assert json.loads(json.dumps(changed)) == changed


def test_true_and_face_are_the_same_mark() -> None:
    assert DubOptions(watermark=True).shaping() == DubOptions(watermark="face").shaping()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"length": "long"}, "length 'long' is unknown; choose one of auto, video, speech, bounce"),
        ({"watermark": "nose"}, "choose one of face, frame, both"),
        ({"detail": "more"}, "choose one of keep, off"),
        ({"device": "abacus"}, "choose one of auto, cpu, cuda, mps"),
        ({"crf": 52}, "crf 52 is out of range; give 0 to 51"),
        ({"crf": -1}, "give 0 to 51"),
        ({"fps": Fraction(1, 2)}, "fps 1/2 is out of range; give 1 to 1000"),
        ({"batch_size": 0}, "batch size 0 is out of range; give 1 or more"),
        ({"start": Fraction(-1)}, "start -1 is out of range; give 0 or more"),
        ({"start": Fraction(2), "end": Fraction(1)}, "ends at 1 s, before it starts at 2 s"),
        ({"codec": "divx"}, "choose one of auto, h264"),
        ({"face": "left"}, "neither"),
        ({"key": "k.pem"}, "both"),
    ],
)
def test_values_without_sense_are_one_sentence(change: dict[str, Any], words: str) -> None:
    with pytest.raises(LipwrightError, match=words):
        DubOptions(**change).check()


def test_an_option_cannot_be_declared_without_saying_whether_it_shapes_the_frames() -> None:
    from lipwright.dubbing.option_info import option

    declare: Callable[..., Any] = option
    with pytest.raises(TypeError, match="shapes"):
        declare(0, "Help.", "Face")


def test_choices_are_found_inside_unions() -> None:
    options = options_of(DubOptions)
    assert choices_of(options["watermark"][2]) == ("face", "frame", "both")
    assert choices_of(options["crf"][2]) == ()
    with pytest.raises(KeyError):
        info_of(dataclasses.field())
