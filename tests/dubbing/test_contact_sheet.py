"""The sheet of pictures: which moments, where they stand, what is written."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lipwright.dubbing import contact_sheet
from lipwright.dubbing.contact_sheet import (
    GAP,
    LABELS,
    MARGIN,
    SIDE,
    Loudness,
    Moment,
    Strip,
    choose_moments,
    clock,
    draw_sheet,
    save_picture,
    text_width,
)
from lipwright.errors import LipwrightError

SILENT = Loudness(np.full(200, -90.0), 2.0)


def plain(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), colour, np.uint8)


def moment(frame: int = 3, status: str = "synced", seconds: float = 0.12) -> Moment:
    return Moment(frame, seconds, status, plain((200, 40, 40)), plain((40, 40, 200)))  # type: ignore[arg-type]


def test_moments_are_the_middles_of_equal_parts_of_speech_and_of_rest() -> None:
    statuses = ["synced"] * 60 + ["silent"] * 20
    assert choose_moments(statuses, 6, 2) == [5, 15, 25, 35, 45, 55, 65, 75]  # type: ignore[arg-type]


def test_where_one_kind_is_rare_the_other_takes_its_columns() -> None:
    talk, rest = ["synced"], ["silent"]
    assert len(choose_moments(talk * 50)) == 8  # type: ignore[arg-type]
    assert len(choose_moments(rest * 50)) == 8  # type: ignore[arg-type]
    few = choose_moments(talk * 2 + rest * 50)  # type: ignore[arg-type]
    assert few[:2] == [0, 1]
    assert len(few) == 8
    assert choose_moments(talk + rest) == [0, 1]  # type: ignore[arg-type]
    assert choose_moments(["held", "passed_through"]) == [0]
    assert choose_moments(["passed_through"]) == []
    assert choose_moments([]) == []


def test_pictures_stand_in_their_rows_with_gaps_between_them() -> None:
    sheet = draw_sheet([Strip("Face 0", [moment(), moment(9)])], SILENT, "a", "b")
    left, top = MARGIN + LABELS, MARGIN + 34
    assert sheet.shape[1] == left + 2 * SIDE + GAP + MARGIN
    for column in range(2):
        x = left + column * (SIDE + GAP)
        assert (sheet[top : top + SIDE, x : x + SIDE] == (200, 40, 40)).all()
        below = top + SIDE + GAP
        assert (sheet[below : below + SIDE, x : x + SIDE] == (40, 40, 200)).all()
    between = sheet[top : top + 2 * SIDE, left + SIDE : left + SIDE + GAP]
    assert (between == contact_sheet.PAPER).all()


def test_a_second_face_adds_a_strip_of_equal_height() -> None:
    one = draw_sheet([Strip("Face 0", [moment()])], SILENT, "")
    two = draw_sheet([Strip("Face 0", [moment()]), Strip("Face 1", [moment()])], SILENT, "")
    assert two.shape[0] - one.shape[0] == 2 * SIDE + GAP + contact_sheet.CAPTION + 26


def test_the_status_is_told_by_its_colour() -> None:
    def has(status: str) -> bool:
        sheet = draw_sheet([Strip("Face 0", [moment(status=status)])], SILENT, "")
        return bool((sheet == contact_sheet.STATUS["silent"][1]).all(axis=2).any())

    assert has("silent")
    assert not has("synced")


def test_the_curve_is_as_high_as_the_speech_is_loud() -> None:
    level = np.full(200, -70.0)
    level[100:] = -20.0  # the second half is loud
    sheet = draw_sheet([Strip("", [moment()])], Loudness(level, 2.0), "")
    drawn = (sheet == contact_sheet.WAVE).all(axis=2).sum(axis=0)
    left, middle = MARGIN + LABELS, MARGIN + LABELS + SIDE // 2
    assert drawn[left : middle - 2].max() == 0
    assert (
        drawn[middle + 2 : left + SIDE].min() == contact_sheet.CURVE - 9
    )  # the base line is drawn over one


def test_silence_or_no_speech_draws_an_empty_curve() -> None:
    none = draw_sheet([Strip("", [moment()])], Loudness(np.zeros(0), 1.0), "")
    assert not (none == contact_sheet.WAVE).all(axis=2).any()


def test_clock_and_long_titles() -> None:
    assert clock(64.204) == "1:04.20"
    assert clock(59.999) == "1:00.00"
    assert clock(3725.0, whole=True) == "1:02:05"
    short = contact_sheet._fitting("interview" * 30 + ".mp4", 300, 20, 600)
    assert short.endswith(".mp4")
    assert "…" in short
    assert text_width(short, 20, 600) <= 300


def test_a_picture_is_saved_as_its_suffix_says_or_not_at_all(tmp_path: Path) -> None:
    save_picture(plain((200, 40, 40)), tmp_path / "a.png")
    assert cv2.imread(str(tmp_path / "a.png"))[0, 0].tolist() == [40, 40, 200]
    with pytest.raises(LipwrightError, match=r"no/a\.png"):
        save_picture(plain((0, 0, 0)), tmp_path / "no" / "a.png")
