"""The API over real HTTP: from the upload to the result, and everything that is refused."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lipwright.client import ApiError, Client, JobFailed
from lipwright.errors import LipwrightError
from lipwright.faces import identity
from lipwright.faces import tracker as trackers
from lipwright.serving import retention
from tests.conftest import MakeSpeech, MakeVideo
from tests.dubbing.clips import Actor, ScriptedTracker

from .conftest import CONSENT, Running

MakeServer = Callable[..., Running]


@pytest.fixture
def clip(make_video: MakeVideo) -> Path:
    return make_video("clip.mp4", size=(192, 160), frames=12)


@pytest.fixture
def speech(make_speech: MakeSpeech) -> Path:
    return make_speech("speech.wav", seconds=0.4)


def test_from_upload_to_result(server: Running, clip: Path, speech: Path, tmp_path: Path) -> None:
    client = server.client
    video, sound = client.upload(clip), client.upload(speech)
    assert (video["kind"], video["width"], video["height"]) == ("video", 192, 160)
    assert (video["seconds"], video["fps"], video["sound"]) == (0.48, 25.0, False)
    assert (sound["kind"], sound["seconds"], sound["sound"]) == ("sound", 0.4, True)
    assert server.ask("GET", video["url"])[2] == clip.read_bytes()
    status, headers, poster = server.ask("GET", video["poster"])
    assert (status, headers["content-type"], poster[:2]) == (200, "image/jpeg", b"\xff\xd8")

    job = client.dub(video, sound, consent=CONSENT, options={"method": "copy", "crf": 20})
    assert (job["state"], job["ahead"], job["number"]) == ("queued", 0, 1)
    server.work()
    done = client.wait(job)
    assert done["result"]["counts"]["synced"] == 12
    assert set(done["files"]) == {"result", "report", "sheet"}
    out = client.download(job, tmp_path / "out.mp4")
    stored = server.app.settings.jobs / job["id"] / "clip-dubbed.mp4"
    assert out.read_bytes() == stored.read_bytes()
    report = json.loads(client.download(job, tmp_path / "r.json", "report").read_text())
    assert (report["video"], report["out"]) == ("clip.mp4", "clip-dubbed.mp4")
    assert str(tmp_path) not in json.dumps(report)  # nothing of the server's folders
    assert report["provenance"]["consent"]["who"] == CONSENT["who"]
    assert report["provenance"]["consent"]["purpose"] == CONSENT["purpose"]  # with its comma

    check = client.verify(job=job)
    server.work()
    verified = client.wait(check)["result"]
    assert verified["status"] == "valid"  # the manifest is intact: the bytes were not touched
    assert str(tmp_path) not in json.dumps(verified)
    assert "This server made it." in verified["sentences"] or verified["unchanged"] is None


def test_people_and_preview(server: Running, clip: Path, speech: Path, tmp_path: Path) -> None:
    client = server.client
    video, sound = client.upload(clip), client.upload(speech)
    looked = client.people(video)
    shown = client.preview(video, sound, {"method": "copy"})
    server.work()
    found = client.wait(looked)
    (face,) = found["result"]["faces"]
    assert (face["face"], face["from"], face["to"], face["frames"]) == (0, 0.0, 0.44, 12)
    assert (face["usable"], face["largest"]) == (True, True)
    assert found["result"]["people"] == []  # a single face: nobody to tell apart
    (box,) = found["result"]["boxes"]  # the scripted face's crop is 100 px at (50, 30) of 192x160
    assert box["x"] == pytest.approx(50 / 192, abs=0.02)
    assert box["y"] == pytest.approx(30 / 160, abs=0.02)
    assert box["width"] == pytest.approx(100 / 192, abs=0.02)
    assert client.download(looked, tmp_path / "f.jpg", "face-0").read_bytes()[:2] == b"\xff\xd8"
    client.wait(shown)
    assert client.download(shown, tmp_path / "p.png", "preview").read_bytes()[1:4] == b"PNG"


def test_two_people_are_told_apart_and_dubbed_by_their_numbers(
    server: Running, clip: Path, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = [Actor(0, 10, 30, 80), Actor(1, 100, 30, 82)]
    monkeypatch.setattr(trackers, "FaceTracker", lambda: ScriptedTracker(lambda index: two))

    def embed(crops: np.ndarray) -> np.ndarray:
        return np.zeros((len(crops), 2), np.float32)  # twins: they are two since both are there

    monkeypatch.setattr(identity, "identity_network", lambda: embed)
    client = server.client
    video, sound = client.upload(clip), client.upload(speech)
    looked = client.people(video)
    job = client.dub(video, sound, consent=CONSENT, options={"method": "copy", "face": "person:2"})
    server.work()
    result = client.wait(looked)["result"]
    assert [(one["face"], one["tracks"]) for one in result["people"]] == [
        ("person:1", [0]),
        ("person:2", [1]),
    ]
    assert len(result["faces"]) == 2
    assert result["note"] == ""
    assert client.download(looked, tmp_path / "s.png", "sheet").read_bytes()[1:4] == b"PNG"
    assert client.wait(job)["result"]["counts"]["synced"] > 0
    report = json.loads(client.download(job, tmp_path / "r.json", "report").read_text())
    assert [track["track"] for track in report["tracks"] if track["speaks"]] == [1]


def test_people_without_the_network_are_faces_still(
    server: Running, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = [Actor(0, 10, 30, 80), Actor(1, 100, 30, 82)]
    monkeypatch.setattr(trackers, "FaceTracker", lambda: ScriptedTracker(lambda index: two))

    def none() -> None:
        raise LipwrightError("The network cannot be fetched.")

    monkeypatch.setattr(identity, "identity_network", none)
    looked = server.client.people(server.client.upload(clip))
    server.work()
    result = server.client.wait(looked)["result"]
    assert (result["people"], len(result["faces"])) == ([], 2)
    assert result["note"] == "The network cannot be fetched."


SAY = r"""
import sys, wave
text = open(sys.argv[1], encoding="utf-8").read()
assert text == 'Grüß "dich"; $(no shell).\n', text
with wave.open(sys.argv[2], "wb") as file:
    file.setnchannels(1); file.setsampwidth(2); file.setframerate(16000)
    file.writeframes(bytes(2 * 16000))
"""


def test_a_text_is_spoken(
    make_server: MakeServer, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say = tmp_path / "say.py"
    say.write_text(SAY, "utf-8")
    command = shlex.join([sys.executable, str(say), "{text_file}", "{out}"])
    server = make_server(synthesiser=command)
    client = server.client
    sound = client.speak('Grüß "dich"; $(no shell).')
    assert (sound["kind"], sound["seconds"], sound["sound"]) == ("sound", 1.0, True)
    assert sound["name"] == "Grüß _dich__ _(no shell).wav"
    job = client.dub(client.upload(clip), sound, consent=CONSENT, options={"method": "copy"})
    server.work()
    assert client.wait(job)["state"] == "done"
    with pytest.raises(ApiError, match="takes no voice"):
        client.speak("One two.", "de")
    with pytest.raises(ApiError, match="failed"):
        client.speak("Something else.")
    with pytest.raises(ApiError, match="no word"):
        client.speak("...")
    for body in ({"text": ""}, {"text": "a" * 5001}, {"text": "a", "voice": "-v x"}, {}):
        status, _, answer = server.ask("POST", "/api/v1/speeches", body)
        assert status == 422
        assert json.loads(answer)["detail"].endswith(".")
    kept = list(server.app.settings.uploads.iterdir())
    assert len(kept) == 2  # nothing is left of what was refused


def test_no_synthesiser_is_one_sentence(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ApiError, match="no speech synthesiser"):
        server.client.speak("One two.")
    assert b'id="write"' not in server.ask("GET", "/")[2]
    monkeypatch.undo()
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    assert b'id="write"' in server.ask("GET", "/")[2]


def test_ranges(server: Running, clip: Path) -> None:
    video = server.client.upload(clip)
    whole = clip.read_bytes()
    status, headers, body = server.ask("GET", video["url"], headers={"Range": "bytes=10-19"})
    assert (status, body) == (206, whole[10:20])
    assert headers["content-range"] == f"bytes 10-19/{len(whole)}"
    assert server.ask("GET", video["url"], headers={"Range": "bytes=-5"})[2] == whole[-5:]
    beyond = {"Range": f"bytes={len(whole) + 1}-"}
    assert server.ask("GET", video["url"], headers=beyond)[0] == 416


def test_a_form_as_curl_sends_it(server: Running, clip: Path) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="x y.mp4"\r\n\r\n'
        + clip.read_bytes()
        + b"\r\n--b--\r\n"
    )
    given = {"Content-Type": "multipart/form-data; boundary=b"}
    status, _, answer = server.ask("POST", "/api/v1/files", body, given)
    assert status == 201
    assert json.loads(answer)["name"] == "x y.mp4"
    assert json.loads(answer)["bytes"] == clip.stat().st_size


def test_events_follow_a_job(server: Running, clip: Path, speech: Path) -> None:
    client = server.client
    job = client.dub(
        client.upload(clip), client.upload(speech), consent=CONSENT, options={"method": "copy"}
    )
    seen: list[str] = []
    follower = threading.Thread(target=lambda: seen.extend(j["state"] for j in client.events(job)))
    follower.start()
    time.sleep(0.5)
    server.work()
    follower.join(30)
    assert seen[0] == "queued"
    assert seen[-1] == "done"


def test_a_job_that_fails_says_why(server: Running, clip: Path, speech: Path) -> None:
    client = server.client
    video, sound = client.upload(clip), client.upload(speech)
    job = client.dub(video, sound, consent=CONSENT, options={"method": "copy", "face": "7"})
    server.work()
    with pytest.raises(JobFailed, match="7") as caught:
        client.wait(job)
    assert str(server.app.settings.data) not in str(caught.value)
    assert not (server.app.settings.jobs / job["id"]).exists()
    assert client.retry(job)["state"] == "queued"
    assert client.cancel(job)["state"] == "cancelled"
    client.delete(job)
    with pytest.raises(ApiError, match="no such job"):
        client.job(job)


def test_consent_is_asked_for(server: Running, clip: Path, speech: Path) -> None:
    client = server.client
    video, sound = client.upload(clip)["id"], client.upload(speech)["id"]
    body = {"video": video, "speech": sound}
    status, _, answer = server.ask("POST", "/api/v1/jobs", body)
    assert status == 422
    assert "consent" in json.loads(answer)["detail"]
    for wrong in ({"who": " "}, {"date": "yesterday"}, {"purpose": "a\nb"}, {"more": 1}):
        status, _, _ = server.ask("POST", "/api/v1/jobs", {**body, "consent": {**CONSENT, **wrong}})
        assert status == 422


def test_the_same_key_makes_one_job(server: Running, clip: Path, speech: Path) -> None:
    client = server.client
    video, sound = client.upload(clip), client.upload(speech)
    jobs = [client.dub(video, sound, consent=CONSENT, key="same") for _ in range(3)]
    assert len({job["id"] for job in jobs}) == 1
    with pytest.raises(ApiError, match="another request"):
        client.dub(video, sound, consent=CONSENT, options={"crf": 3}, key="same")
    assert len(client.jobs()) == 1


def test_too_many_jobs(make_server: MakeServer, clip: Path, speech: Path) -> None:
    client = make_server(max_queued=1).client
    video, sound = client.upload(clip), client.upload(speech)
    client.dub(video, sound, consent=CONSENT)
    with pytest.raises(ApiError, match="wait until one has ended") as caught:
        client.dub(video, sound, consent=CONSENT)
    assert caught.value.status == 429


@pytest.mark.parametrize("cut", [1, 10, 30, 60, 90])
def test_broken_files_leave_nothing(server: Running, clip: Path, tmp_path: Path, cut: int) -> None:
    whole = clip.read_bytes()
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(whole[: len(whole) * cut // 100])
    with pytest.raises(ApiError) as caught:
        server.client.upload(broken)
    assert caught.value.status == 422
    assert str(tmp_path) not in caught.value.detail
    assert list(server.app.settings.uploads.iterdir()) == []


def test_a_long_file_is_refused(make_server: MakeServer, speech: Path) -> None:
    with pytest.raises(ApiError, match="lasts"):
        make_server(max_seconds=0.2).client.upload(speech)


def test_files_in_the_media_folder(
    make_server: MakeServer, clip: Path, speech: Path, tmp_path: Path
) -> None:
    server = make_server(media=tmp_path)
    client = server.client
    job = client.dub(
        "path:clip.mp4", "path:speech.wav", consent=CONSENT, options={"method": "copy"}
    )
    server.work()
    assert client.wait(job)["state"] == "done"
    with pytest.raises(ApiError, match="no such file in the server's media folder"):
        client.people("path:../outside.mp4")
    assert clip.exists()


def test_speech_without_sound_and_video_without_pictures(
    server: Running, clip: Path, speech: Path
) -> None:
    client = server.client
    video, sound = client.upload(clip), client.upload(speech)
    with pytest.raises(ApiError, match="has no sound"):
        client.dub(video, video, consent=CONSENT)
    with pytest.raises(ApiError, match="sound only"):
        client.dub(sound, sound, consent=CONSENT)
    with pytest.raises(ApiError, match="no file with the id"):
        client.dub("f" * 20, sound, consent=CONSENT)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/jobs/none", 404),
        ("GET", "/api/v1/jobs/" + "f" * 20, 404),
        ("GET", "/api/v1/jobs/%2e%2e%2f%2e%2e/files/result", 404),
        ("GET", "/api/v1/files/..%2f..%2fetc%2fpasswd/content", 404),
        ("GET", "/api/v1/files/../../../etc/passwd", 404),
        ("GET", "/static/../settings.py", 404),
        ("GET", "/static/%2e%2e/settings.py", 404),
        ("GET", "/api/v1/jobs?limit=0", 422),
        ("GET", "/api/v1/jobs?state=odd", 422),
        ("DELETE", "/api/v1/jobs", 405),
        ("POST", "/api/v1/jobs", 422),
        ("GET", "/docs", 404),
    ],
)
def test_wrong_addresses(server: Running, method: str, path: str, status: int) -> None:
    found, headers, body = server.ask(method, path)
    assert found == status
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["detail"].endswith(".")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"v": 1}', b"9" * 999])
def test_wrong_bodies(server: Running, body: bytes) -> None:
    given = {"Content-Type": "application/json"}
    for path in ("jobs", "previews", "people", "verifications", "speeches"):
        status, _, answer = server.ask("POST", f"/api/v1/{path}", body, given)
        assert status == 422
        assert json.loads(answer)["detail"].endswith(".")


def test_retention(server: Running, clip: Path, speech: Path) -> None:
    app, client = server.app, server.client
    video, sound = client.upload(clip), client.upload(speech)
    old = client.dub(video, sound, consent=CONSENT, options={"method": "copy"})
    server.work()
    needed = client.upload(clip)
    waiting = client.dub(needed, sound, consent=CONSENT)
    orphan = app.settings.jobs / ("0" * 20)
    orphan.mkdir()
    keep = app.settings.keep_seconds
    assert keep is not None
    retention.tidy(app.settings, app.store, time.time() + keep - 60)
    assert len(client.jobs()) == 2
    retention.tidy(app.settings, app.store, time.time() + keep + 60)
    assert [job["id"] for job in client.jobs()] == [waiting["id"]]
    assert not (app.settings.jobs / old["id"]).exists()
    assert not orphan.exists()
    left = {folder.name for folder in app.settings.uploads.iterdir()}
    assert left == {needed["id"], sound["id"]}  # a job still needs these
    assert list(app.settings.plans.glob("*.jsonl")) == []


def test_health_and_metrics(server: Running, clip: Path) -> None:
    status, _, body = server.ask("GET", "/healthz")
    assert (status, json.loads(body)["database"]) == (200, True)
    server.client.people(server.client.upload(clip))
    status, headers, body = server.ask("GET", "/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = body.decode().splitlines()
    assert 'lipwright_jobs{kind="people",state="queued"} 1' in lines
    assert 'lipwright_requests_total{status="201"} 1' in lines
    for line in lines:
        assert line.startswith("# ") or float(line.rsplit(" ", 1)[1]) >= 0


def test_the_openapi_document_is_complete(server: Running) -> None:
    document = json.loads(server.ask("GET", "/openapi.json")[2])
    options = document["components"]["schemas"]["Options"]["properties"]
    assert options["crf"]["maximum"] == 51
    assert "vq" in options["method"]["enum"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), f"{method} {path} has no description"


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(LipwrightError, match="is it running"):
        Client("http://127.0.0.1:9", timeout=2).jobs()
    with pytest.raises(LipwrightError, match="no address"):
        Client("ftp://x")
