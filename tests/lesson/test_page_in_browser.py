"""The page in a real browser, from the disk: captions, slow version, keyboard, axe-core."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("selenium", reason="needs the extra 'dev'")

from selenium.webdriver.common.keys import Keys

from lipwright.lesson.page import Clip, page
from lipwright.lesson.slow import slow_down
from lipwright.lesson.words import read_items
from tests.dubbing.clips import write_video
from tests.serving.browser import Browser, axe_source


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lesson")
    write_video(folder / "c1.mp4", 25, (96, 64))
    slow_down(folder / "c1.mp4", folder / "c1-slow.mp4", Fraction(1, 2))
    shutil.copy(folder / "c1.mp4", folder / "c2.mp4")
    for number in (1, 2):
        cv2.imwrite(str(folder / f"c{number}.jpg"), np.full((64, 96, 3), 128, np.uint8))
    items = read_items('say "ball"\nthe boat\n', "w")
    clips = [Clip(i, f"c{i.number}", 96, 64, 0.25, 0.75) for i in items]
    (folder / "index.html").write_text(page(clips, "Lesson", "en", 0.5), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    made = Browser(900, 1200, tmp_path_factory.mktemp("browser"))
    yield made
    made.close()


FIRST = "document.querySelector('#exercise-1 video')"


def test_a_lesson_by_keyboard_alone(browser: Browser, lesson: Path) -> None:
    browser.driver.get((lesson / "index.html").as_uri())
    assert browser.overflow() == 0
    play = browser.find("#exercise-1 button[data-do='play']")
    play.send_keys(Keys.ENTER)
    browser.wait(lambda _: browser.run(f"return {FIRST}.currentTime > 0"), "playing")
    assert browser.run(f"return {FIRST}.muted")
    captions = browser.find("#exercise-1 button[data-do='captions']")
    captions.send_keys(Keys.SPACE)
    assert captions.get_attribute("aria-pressed") == "true"
    state = browser.run(
        f"const t = {FIRST}.textTracks[0]; return [t.mode, t.cues[0].text, t.cues[0].startTime]"
    )
    assert state == ["showing", 'say "ball"', 0.25]
    slow = browser.find("#exercise-1 button[data-do='slow']")
    slow.send_keys(Keys.ENTER)
    browser.wait(lambda _: browser.run(f"return {FIRST}.duration > 1.5"), "slow version")
    assert browser.run(f"return {FIRST}.textTracks[0].cues[0].endTime") == 1.5
    sound = browser.find("#exercise-1 button[data-do='sound']")
    sound.send_keys(Keys.ENTER)
    browser.wait(lambda _: sound.get_attribute("aria-pressed") == "true", "sound")
    assert not browser.run(f"return {FIRST}.muted")
    check = browser.find("#exercise-1 button[type='submit']")
    check.send_keys(Keys.ENTER)
    browser.wait_for_text("#exercise-1 .feedback", "Choose")
    for value, said in (("the boat", "Not this one"), ('say "ball"', "Right")):
        answer = next(
            one for one in browser.all("#exercise-1 input") if one.get_attribute("value") == value
        )
        answer.send_keys(Keys.SPACE)
        check.send_keys(Keys.ENTER)
        browser.wait_for_text("#exercise-1 .feedback", said)
    browser.wait_for_text("#score", "1 of 2 answered, 0 of them right at the first try")
    assert browser.complaints() == []


def test_axe_finds_nothing(
    browser: Browser, lesson: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    axe = axe_source(tmp_path_factory.mktemp("axe"))
    if axe is None:
        pytest.skip("no npm to get axe-core with")
    browser.driver.get((lesson / "index.html").as_uri())
    assert browser.violations(axe) == []
