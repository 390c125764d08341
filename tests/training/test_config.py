"""Configurations from files that may be anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lipwright.errors import LipwrightError
from lipwright.training.config import apply_overrides, parse, read_yaml
from lipwright.training.stages.configs import find_config
from lipwright.training.stages.registry import STAGES
from lipwright.training.stages.vqgan import VQGANConfig


def test_a_base_is_merged(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("run: {steps: 1, batch: 2}\n")
    (tmp_path / "mine.yaml").write_text("base: base.yaml\nrun: {steps: 3}\n")
    assert read_yaml(tmp_path / "mine.yaml") == {"run": {"steps": 3, "batch": 2}}


@pytest.mark.parametrize("base", ["a.yaml", "b.yaml"])
def test_a_chain_of_bases_that_has_no_end(base: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"base: {base}\n")
    (tmp_path / "b.yaml").write_text("base: a.yaml\n")
    with pytest.raises(LipwrightError, match="itself as its base"):
        read_yaml(tmp_path / "a.yaml")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a: [", b"- a", b"[" * 5000, b"a: \x00"])
def test_what_is_no_config_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(LipwrightError, match=r"c\.yaml") as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


def test_a_wrong_override_is_one_sentence() -> None:
    with pytest.raises(LipwrightError, match=r"run\.steps"):
        apply_overrides({}, ["run.steps=[1"])


def test_an_override_of_nothing_is_the_empty_string() -> None:
    """As a shell passes on ``vqgan.taken_from=''``, which trains a VQGAN anew."""
    config = apply_overrides({"vqgan": {"taken_from": "vq"}}, ["vqgan.taken_from=", "a=null"])
    assert config == {"vqgan": {"taken_from": ""}, "a": None}
    values = apply_overrides({"taken_from": "vq"}, ["taken_from="])
    assert parse(VQGANConfig, values, "test").taken_from == ""


def test_a_config_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(
        LipwrightError, match=r"no config 'huge' for the stage vqgan.*one of .*tiny"
    ):
        find_config("huge", STAGES["vqgan"])
    new = replace(STAGES["vqgan"], name="toy", method="toy")
    with pytest.raises(LipwrightError, match="stage toy; give a YAML file: none comes with"):
        find_config("tiny", new)
