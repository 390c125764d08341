"""The consent record and the two lines that explain it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipwright.errors import LipwrightError
from lipwright.provenance.record.consent import NOTICE, Consent, first_run_notice, parse_consent


def test_one_line() -> None:
    consent = parse_consent(" Ada Lovelace , Spanish dub, of the lecture,2026-11-21 ")
    assert consent == Consent("Ada Lovelace", "Spanish dub, of the lecture", "2026-11-21")


@pytest.mark.parametrize(
    "text", ["", "Ada", "Ada, lecture", ", purpose, 2026", "Ada, , 2026", "a,b,"]
)
def test_incomplete_lines(text: str) -> None:
    with pytest.raises(LipwrightError, match="who, purpose, date"):
        parse_consent(text)


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "consent.yaml"
    path.write_text("who: Ada\npurpose: dub\ndate: 2026-11-21\ncontract: 17\n")
    consent = parse_consent(str(path))
    assert consent == Consent("Ada", "dub", "2026-11-21", {"contract": "17"})
    assert consent.to_json()["more"] == {"contract": "17"}


@pytest.mark.parametrize(
    "content", ["", "- a\n", "who: Ada\n", "who: [\n", "who: ''\npurpose: p\ndate: d\n"]
)
def test_bad_files(tmp_path: Path, content: str) -> None:
    path = tmp_path / "consent.yml"
    path.write_text(content)
    with pytest.raises(LipwrightError, match=r"consent\.yml"):
        parse_consent(str(path))


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(LipwrightError, match="cannot be read"):
        parse_consent(str(tmp_path / "none.yaml"))
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LipwrightError, match="text file"):
        parse_consent(str(path))


def test_code_in_yaml_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "evil.yaml"
    path.write_text("who: !!python/object/apply:os.system ['true']\npurpose: p\ndate: d\n")
    with pytest.raises(LipwrightError, match="not valid YAML"):
        parse_consent(str(path))


def test_the_explanation_is_shown_once_and_has_two_lines() -> None:
    assert first_run_notice(Consent("a", "b", "c")) is None
    assert first_run_notice(None) == NOTICE
    assert len(NOTICE.splitlines()) == 2
    assert first_run_notice(None) is None


def test_a_file_that_stands_for_gigabytes(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join([*lines, "who: *a11", "purpose: p", "date: d"]))
    with pytest.raises(LipwrightError, match="repeats a part"):
        parse_consent(str(path))
