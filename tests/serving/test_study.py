"""The human study: design, order, answers, numbers, and the pages over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import math
import re
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import uvicorn

from lipwright.errors import LipwrightError
from lipwright.serving.study.answers import COLUMNS, Answers
from lipwright.serving.study.design import Design, build, load
from lipwright.serving.study.report import evaluate, krippendorff, markdown, two_way_mean
from lipwright.serving.study.schedule import Item, items_for, williams
from lipwright.serving.study.web import application

from .conftest import free_port


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two methods with three common clips, and one that only one of them has."""
    for method in ("old", "new"):
        (tmp_path / method).mkdir()
        for clip in ("a", "b", "c"):
            (tmp_path / method / f"{clip}.mp4").write_bytes(f"{method} {clip}".encode())
    (tmp_path / "old" / "only.mp4").write_bytes(b"x")
    (tmp_path / "old" / "notes.txt").write_bytes(b"x")
    return [tmp_path / "old", tmp_path / "new"]


@pytest.fixture
def design(folders: list[Path], tmp_path: Path) -> Design:
    return build(folders, tmp_path / "study")


def test_build_takes_what_all_folders_have_under_blind_names(
    design: Design, tmp_path: Path
) -> None:
    assert (design.methods, design.clips) == (("old", "new"), ("a", "b", "c"))
    names = sorted(path.name for path in (tmp_path / "study" / "media").iterdir())
    assert names == sorted(one.media for one in design.shown)
    assert len(names) == 6
    for name in names:
        assert not re.search("old|new|_a|_b", name)
    media = tmp_path / "study" / "media" / design.media_of("new", "b")
    assert media.read_bytes() == b"new b"
    assert load(tmp_path / "study") == design


def test_build_refuses(folders: list[Path], tmp_path: Path) -> None:
    with pytest.raises(LipwrightError, match="two folders"):
        build(folders[:1], tmp_path / "s", mode="pairs")
    with pytest.raises(LipwrightError, match="same name"):
        build([folders[0], folders[0]], tmp_path / "s")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LipwrightError, match="in common"):
        build([folders[0], tmp_path / "empty"], tmp_path / "s")
    with pytest.raises(LipwrightError, match="not empty"):
        build(folders, tmp_path)
    with pytest.raises(LipwrightError, match="study build"):
        load(tmp_path / "s")


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_williams_squares_are_balanced(count: int) -> None:
    square = williams(count)
    for place in range(count):
        at_place = Counter(row[place] for row in square)
        assert set(at_place.values()) == {len(square) // count}
    follows = Counter((a, b) for row in square for a, b in itertools.pairwise(row))
    assert len(follows) == count * (count - 1)
    assert len(set(follows.values())) <= 1


def test_a_rater_sees_everything_once(design: Design) -> None:
    for rater in range(6):
        items = items_for(design, rater)
        real = [(i.methods[0], i.clip) for i in items if i.kind == "scale"]
        assert sorted(real) == sorted((m, c) for m in design.methods for c in design.clips)
        assert sum(i.kind == "check" for i in items) == 2
        assert items[0].kind == "scale"
        clips = [i.clip for i in items if i.kind == "scale"]
        assert all(a != b for a, b in itertools.pairwise(clips))
        assert items == items_for(design, rater)
    assert items_for(design, 0) != items_for(design, 2)


def test_the_order_is_balanced_over_raters(design: Design) -> None:
    first: Counter[tuple[str, str]] = Counter()
    for rater in range(8):
        seen = set()
        for item in items_for(design, rater):
            if item.kind == "scale" and item.clip not in seen:
                seen.add(item.clip)
                first[item.methods[0], item.clip] += 1
    assert set(first.values()) == {4}  # each method comes first in half of the cases


def test_pairs_change_sides(folders: list[Path], tmp_path: Path) -> None:
    design = build(folders, tmp_path / "pairs", mode="pairs", checks=0)
    sides: Counter[tuple[str, ...]] = Counter()
    for rater in range(4):
        items = items_for(design, rater)
        assert len(items) == 3
        sides.update(item.methods for item in items)
    assert sides == {("old", "new"): 6, ("new", "old"): 6}


def test_krippendorff_by_hand() -> None:
    # Krippendorff (2011), example C of "Computing Krippendorff's Alpha-Reliability": 0.849.
    n = math.nan
    table = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, n, n, n],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, n, 3],
            [n, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, n],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, n],
        ]
    )
    assert krippendorff(table) == pytest.approx(0.849, abs=5e-4)
    assert krippendorff(np.array([[1.0, 5], [1, 5]])) == pytest.approx(1.0)
    assert math.isnan(krippendorff(np.array([[3.0, 3], [3, 3]])))
    assert math.isnan(krippendorff(np.array([[3.0, n]])))


def test_mean_over_raters_and_clips() -> None:
    table = np.array([[1.0, 2, math.nan], [3, 4, 5]])
    found = two_way_mean(table)
    assert (found.value, found.n) == (3.0, 5)
    assert 1.0 <= found.low < 3.0 < found.high <= 5.0
    alone = two_way_mean(np.array([[2.0, 4.0]]))
    assert alone.value == 3.0
    assert math.isnan(alone.low)
    same = two_way_mean(np.full((3, 3), 4.0))
    assert (same.low, same.high) == (4.0, 4.0)


def fill(answers: Answers, design: Design, grades: dict[str, int], honest: bool = True) -> str:
    link = answers.join()
    number = answers.number_of(link)
    assert number is not None
    for page, item in enumerate(items_for(design, number)):
        given = grades[item.methods[0]]
        if item.kind == "check" and honest:
            assert item.expected is not None
            given = item.expected
        elif item.kind == "check":
            given = 3
        answers.add(link, page, item, dict.fromkeys(("lip_sync", "sharpness", "overall"), given), 9)
    return link


def test_report(design: Design, tmp_path: Path) -> None:
    answers = Answers(tmp_path / "study")
    fill(answers, design, {"old": 2, "new": 5})
    fill(answers, design, {"old": 3, "new": 4})
    careless = fill(answers, design, {"old": 5, "new": 1}, honest=False)
    found = evaluate(design, answers.all())
    assert found.excluded == [careless]
    assert found.scores["old", "lip_sync"].value == 2.5
    assert found.scores["new", "overall"].value == 4.5
    assert found.scores["new", "overall"].n == 6
    assert found.by_clip["new", "b", "sharpness"] == 4.5
    text = markdown(found)
    assert "2 raters, 1 left out" in text
    row = next(line for line in text.splitlines() if line.startswith("| old |"))
    assert row.count("2.50 [2.00, 3.00]") == 3
    answers.close()


def test_preferences_whichever_side(folders: list[Path], tmp_path: Path) -> None:
    design = build(folders, tmp_path / "p", mode="pairs", checks=0)
    answers = Answers(tmp_path / "p")
    link = answers.join()
    item = Item("pairs", "a", ("new", "old"))
    answers.add(link, 0, item, {"lip_sync": 1, "sharpness": 2, "overall": 3}, 1)
    answers.add(link, 1, Item("pairs", "b", ("old", "new")), {"lip_sync": 3}, 1)
    found = evaluate(design, answers.all()).preferences
    assert found["old", "new", "lip_sync"] == (0.0, 0.0, 1.0, 2)  # twice for 'new'
    assert found["old", "new", "sharpness"] == (0.0, 1.0, 0.0, 1)
    assert found["old", "new", "overall"] == (1.0, 0.0, 0.0, 1)
    answers.close()


def test_csv_there_and_back(design: Design, tmp_path: Path) -> None:
    answers = Answers(tmp_path / "study")
    fill(answers, design, {"old": 2, "new": 5})
    text = answers.to_csv()
    assert text.splitlines()[0] == ",".join(COLUMNS)
    assert answers.from_csv(text, design) == 0
    (tmp_path / "copy").mkdir()
    copy = Answers(tmp_path / "copy")
    assert copy.from_csv(text, design) == 24
    assert copy.to_csv() == text
    with pytest.raises(LipwrightError, match="first line"):
        copy.from_csv("a,b\n1,2\n", design)
    with pytest.raises(LipwrightError, match=r"Line 2 .* not of this study"):
        copy.from_csv(text.replace(",new,", ",other,").replace(",old,", ",other,"), design)
    with pytest.raises(LipwrightError, match=r"Line 2 .* damaged"):
        copy.from_csv(f"{','.join(COLUMNS)}\nx,y,,,,,,,,,\n", design)
    answers.close()
    copy.close()


@pytest.fixture
def port(design: Design, tmp_path: Path) -> Iterator[int]:
    number = free_port()
    config = uvicorn.Config(
        application(tmp_path / "study", port=number),
        host="127.0.0.1",
        port=number,
        log_level="warning",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield number
    server.should_exit = True
    thread.join(20)


def ask(
    port: int, method: str, path: str, form: dict[str, str] | None = None
) -> tuple[int, str, str]:
    """Status, where to go next, page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = urllib.parse.urlencode(form) if form is not None else None
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return (
            answer.status,
            answer.getheader("Location", ""),
            answer.read().decode("utf-8", "replace"),
        )


def test_pages(design: Design, port: int, tmp_path: Path) -> None:
    assert ask(port, "GET", "/join/wrong")[0] == 404
    assert ask(port, "GET", "/rater/wrong")[0] == 404
    status, _, page = ask(port, "GET", f"/join/{design.join}")
    assert status == 200
    assert "8 pages" in page  # six clips, two checks
    status, address, _ = ask(port, "POST", f"/join/{design.join}", {})
    assert status == 303
    page = ask(port, "GET", address)[2]
    assert "Page 1 of 8" in page
    assert not re.search(r"\bold\b|\bnew\b", page)  # blind
    media = re.search(r'src="(/media/[^"]+)"', page)
    assert media
    assert ask(port, "GET", media[1])[2] in {f"{m} {c}" for m in ("old", "new") for c in "abc"}
    assert ask(port, "GET", "/media/../study.json")[0] == 404
    assert ask(port, "GET", "/media/study.json")[0] == 404

    grades = {"lip_sync": "4", "sharpness": "3"}
    assert ask(port, "POST", address, {"page": "0", **grades})[1].endswith("problem=1")
    assert ask(port, "POST", address, {"page": "0", "overall": "9", **grades})[1].endswith("=1")
    assert ask(port, "POST", address, {"page": "x"})[0] == 422
    for _ in range(2):  # the second is a double click
        ask(port, "POST", address, {"page": "0", "overall": "5", **grades})
    assert "Page 2 of 8" in ask(port, "GET", address)[2]
    stored = Answers(tmp_path / "study")
    assert {a.question: a.answer for a in stored.all()} == {
        "lip_sync": 4,
        "sharpness": 3,
        "overall": 5,
    }
    stored.close()
    for page_number in range(1, 8):
        ask(port, "POST", address, {"page": str(page_number), "overall": "5", **grades})
    assert "Thank you" in ask(port, "GET", address)[2]
