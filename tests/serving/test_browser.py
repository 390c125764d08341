"""The pages in a real browser: a dub from the upload to the verified result, a phone, a study."""

from __future__ import annotations

import hashlib
import shlex
import sys
import threading
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn

from lipwright.demo import make_video, speech_samples
from lipwright.faces import identity
from lipwright.faces import tracker as trackers
from lipwright.serving.settings import Settings
from lipwright.serving.study.answers import Answers
from lipwright.serving.study.design import build
from lipwright.serving.study.report import evaluate, markdown
from lipwright.serving.study.schedule import items_for
from lipwright.serving.study.web import application
from tests.conftest import write_video
from tests.dubbing.clips import Actor, ScriptedTracker

from .browser import Browser, axe_source
from .conftest import CONSENT, Running, free_port, running

pytestmark = pytest.mark.slow
TWO = [Actor(0, 10, 30, 80), Actor(1, 100, 30, 82)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def axe(folder: Path) -> str | None:
    return axe_source(folder / "npm")


@pytest.fixture(scope="module")
def desk(folder: Path) -> Iterator[Browser]:
    made = Browser(1280, 900, folder / "desk")
    yield made
    made.close()


@pytest.fixture(scope="module")
def phone(folder: Path) -> Iterator[Browser]:
    made = Browser(390, 844, folder / "phone")
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    """A server with real workers, which use the shipped networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIPWRIGHT_HOME", str(folder / "home"))
        patch.delenv("LIPWRIGHT_TOKEN", raising=False)
        with running(Settings(data=folder / "data", port=free_port()), workers=True) as made:
            yield made


def write_voice(path: Path) -> None:
    """A second of the demo's voice: noise for a voice does not open the default method's mouth."""
    samples, rate = speech_samples()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples[rate // 5 : 6 * rate // 5] * 32_000).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def job(server: Running, desk: Browser, folder: Path) -> str:
    """The address of a job that was made in the browser, done."""
    make_video(folder / "talk.mp4", 1.0, (360, 240))
    write_voice(folder / "speech.wav")
    desk.driver.get(server.url)
    desk.find("button[type=submit]").click()
    assert "Choose a video and a speech" in desk.find("#message").text
    desk.file_input("[data-role=video] input[type=file]").send_keys(str(folder / "talk.mp4"))
    desk.file_input("[data-role=speech] input[type=file]").send_keys(str(folder / "speech.wav"))
    desk.find("[data-role=speech] audio")
    box = desk.find(".stage button")
    box.click()
    assert box.get_attribute("aria-pressed") == "true"
    desk.find("button[type=submit]").click()
    assert "Write down who agreed" in desk.find("#message").text
    desk.find("input[name=who]").send_keys(CONSENT["who"])
    desk.find("input[name=purpose]").send_keys(CONSENT["purpose"])
    desk.find("button[type=submit]").click()
    desk.wait(lambda driver: "/jobs/" in driver.current_url)
    desk.find("#download, #retry")
    assert desk.all("#download"), desk.find(".problem").text
    return str(desk.driver.current_url)


def test_a_dub_from_upload_to_verification(server: Running, desk: Browser, job: str) -> None:
    desk.driver.get(job)
    desk.wait(lambda _: desk.run("return document.querySelector('#result').readyState >= 3"))
    desk.wait(lambda _: desk.run("return document.querySelector('#source').readyState >= 3"))
    desk.find("#play").click()
    desk.wait(lambda _: desk.run("return document.querySelector('#result').currentTime > 0.3"))
    desk.find("#play").click()
    desk.wait(lambda _: desk.run("return !document.querySelector('#source').seeking"))
    times = desk.run(
        "return ['#source', '#result'].map(s => document.querySelector(s).currentTime)"
    )
    assert abs(times[0] - times[1]) < 0.05  # paused at the same frame
    desk.run("document.querySelectorAll('#source, #result').forEach(v => v.currentTime = 0.7)")
    desk.wait(lambda _: desk.run("return !document.querySelector('#source').seeking"))
    desk.wait(lambda _: desk.run("return !document.querySelector('#result').seeking"))
    difference = desk.run(
        "const pictures = ['#source', '#result'].map(s => {"
        " const video = document.querySelector(s), canvas = document.createElement('canvas');"
        " canvas.width = video.videoWidth; canvas.height = video.videoHeight;"
        " const c = canvas.getContext('2d'); c.drawImage(video, 0, 0);"
        " return c.getImageData(0, 0, canvas.width, canvas.height).data; });"
        "let most = 0;"
        "for (let i = 0; i < pictures[0].length; i++)"
        " most = Math.max(most, Math.abs(pictures[0][i] - pictures[1][i]));"
        "return [pictures[0].length, most];"
    )
    assert difference[0] == 360 * 240 * 4
    assert difference[1] > 80  # the mouth is another one

    name = job.rsplit("/", 1)[1]
    (stored,) = (server.app.settings.jobs / name).glob("*-dubbed.mp4")
    loaded = desk.fetch(f"/api/v1/jobs/{name}/files/result?download=1")
    assert hashlib.sha256(loaded).digest() == hashlib.sha256(stored.read_bytes()).digest()

    desk.find("#verify").click()
    sentences = desk.find("#verified").text
    assert "manifest inside the file is intact" in sentences
    assert CONSENT["who"] in sentences
    assert desk.foreign_requests() == []
    assert desk.complaints() == []


SAY = """
import sys, wave
with wave.open(sys.argv[2], "wb") as file:
    file.setnchannels(1); file.setsampwidth(2); file.setframerate(16000)
    file.writeframes(bytes(2 * 16000 * len(open(sys.argv[1]).read().split())))
"""


def test_a_written_text_for_one_of_two_people(
    make_server: Callable[..., Running],
    desk: Browser,
    axe: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two people, a text in the place of a file, and what the server is asked for."""
    (tmp_path / "say.py").write_text(SAY)
    command = shlex.join([sys.executable, str(tmp_path / "say.py"), "{text_file}", "{out}"])
    server = make_server(synthesiser=command)
    monkeypatch.setattr(trackers, "FaceTracker", lambda: ScriptedTracker(lambda index: TWO))
    monkeypatch.setattr(identity, "identity_network", lambda: lambda crops: crops[:, 0, 0] * 0.0)
    clip = write_video(tmp_path / "two.mp4", size=(192, 160), frames=12, audio="sine")
    desk.driver.get(server.url)
    desk.find("#write summary").click()
    desk.find("#speak").click()
    desk.wait_for_text("[data-role=speech] .status", "Write what is to be said")
    desk.find("#text").send_keys("three short words")
    desk.find("#speak").click()
    desk.find("[data-role=speech] audio")
    assert "3.0 s" in desk.find("[data-role=speech] .facts").text
    assert not desk.driver.find_element("css selector", "#write").is_displayed()
    desk.file_input("[data-role=video] input[type=file]").send_keys(str(clip))
    desk.wait(lambda _: server.app.store.jobs(kinds=("people",)))
    server.work()
    desk.wait_for_text("#people-hint", "2 people were found")
    values = desk.run("return [...document.querySelectorAll('input[name=face]')].map(i => i.value)")
    assert values == ["largest", "all", "speaking", "person:1", "person:2", "0", "1"]
    second = desk.all(".stage button")[1]
    assert second.get_attribute("aria-label") == "Person 2 speaks"
    second.click()
    assert desk.run("return document.querySelector('#dub').elements.face.value") == "person:2"
    assert second.get_attribute("aria-pressed") == "true"
    sheet = desk.find("#people-sheet a").get_attribute("href")
    assert desk.fetch(sheet)[1:4] == b"PNG"
    assert desk.overflow() <= 0
    if axe is not None:
        desk.find("#single-faces summary").click()
        assert desk.violations(axe) == []
    desk.find("input[name=who]").send_keys(CONSENT["who"])
    desk.find("input[name=purpose]").send_keys(CONSENT["purpose"])
    desk.find("button[type=submit]").click()
    desk.wait(lambda driver: "/jobs/" in driver.current_url)
    (job,) = server.app.store.jobs(kinds=("dub",))
    assert job.request["options"] == {"face": "person:2"}
    spoken = server.app.store.file(job.request["speech"])
    assert spoken is not None
    assert spoken.name == "three short words.wav"
    assert desk.complaints() == []


@pytest.mark.parametrize("window", ["desk", "phone"])
def test_pages_are_accessible_and_fit(
    server: Running, job: str, axe: str | None, window: str, request: pytest.FixtureRequest
) -> None:
    browser: Browser = request.getfixturevalue(window)
    if axe is None:
        pytest.skip("axe-core cannot be had from npm")
    found = {}
    for path in ("/", "/jobs", job.removeprefix(server.url), "/verify", "/api", "/nothing"):
        browser.driver.get(server.url + path)
        if path == "/":
            browser.find("summary").click()  # with all options open
        assert browser.overflow() <= 0, path
        found[path] = browser.violations(axe)
        assert browser.foreign_requests() == []
    assert found == {key: [] for key in found}


def test_the_keyboard_is_enough(desk: Browser, job: str) -> None:
    desk.driver.get(job)
    names = []
    for _ in range(25):
        desk.driver.switch_to.active_element.send_keys("\ue004")  # tab
        names.append(
            desk.run("const e = document.activeElement; return e.id || e.textContent.trim();")
        )
    for wanted in ("Skip to the content", "New dub", "play", "seek", "mute", "download", "verify"):
        assert wanted in names
    assert names.index("play") < names.index("download")


def test_a_phone_sees_the_result(phone: Browser, job: str) -> None:
    phone.driver.get(job)
    phone.find("#play").click()
    phone.wait(lambda _: phone.run("return document.querySelector('#result').currentTime > 0.2"))
    start, name = job.rsplit("/jobs/", 1)
    phone.driver.get(f"{start}/jobs")
    phone.find(f".job[data-job='{name}'] a").click()
    phone.find("#download")


GRADES = {"old": (2, 3, 2), "new": (4, 5, 4)}


def test_a_study_with_three_raters(desk: Browser, folder: Path, axe: str | None) -> None:
    for method in GRADES:
        (folder / method).mkdir()
        for clip in range(6):
            write_video(folder / method / f"clip{clip}.mp4", frames=5, audio="sine")
    design = build([folder / "old", folder / "new"], folder / "study")
    port = free_port()
    web = uvicorn.Server(
        uvicorn.Config(
            application(folder / "study", port=port),
            host="127.0.0.1",
            port=port,
            log_level="warning",
        )
    )
    thread = threading.Thread(target=web.run)
    thread.start()
    try:
        while not web.started:
            time.sleep(0.05)
        for rater in range(3):
            desk.driver.get(f"http://127.0.0.1:{port}/join/{design.join}")
            desk.find("button").click()
            if rater == 0:
                assert axe is None or desk.violations(axe) == []
                assert desk.overflow() <= 0
            for page, item in enumerate(items_for(design, rater)):
                if rater == 1 and page == 5:  # closed and opened again by the link
                    link = desk.driver.current_url
                    desk.driver.get("about:blank")
                    desk.driver.get(link)
                desk.wait_for_text(".hint", f"Page {page + 1} of 14")
                given = GRADES[item.methods[0]]
                if item.kind == "check":
                    given = (item.expected or 0,) * 3
                for question, grade in zip(
                    ("lip_sync", "sharpness", "overall"), given, strict=True
                ):
                    desk.find(f"input[name={question}][value='{grade}']").click()
                desk.find("button").click()
            desk.wait_for_text("h1", "Thank you")
    finally:
        web.should_exit = True
        thread.join(20)
    answers = Answers(folder / "study")
    report = evaluate(design, answers.all())
    answers.close()
    assert (len(report.raters), report.excluded) == (3, [])
    for method, grades in GRADES.items():
        row = [report.scores[method, q] for q in ("lip_sync", "sharpness", "overall")]
        assert [cell.value for cell in row] == list(grades)
        assert [cell.n for cell in row] == [18, 18, 18]
    assert "| new | 4.00 [4.00, 4.00] | 5.00 [5.00, 5.00] | 4.00 [4.00, 4.00] |" in markdown(report)
