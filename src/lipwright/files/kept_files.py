"""Files that were kept for later runs, and are believed only if this user made them.

A cache may lie in a folder that others can write to (a shared ``LIPWRIGHT_CACHE``). A graph that
somebody else put there would run as this user, a plan would put somebody else's picture into a
face. So every kept file has a keyed digest beside it, ``NAME.mac``: BLAKE2b (RFC 7693) of its
content under a secret key that lies in the user's own folder, readable by the user alone. Besides,
the file must be an ordinary one that belongs to this user and that no one else may write to.
A file that fails any of this counts as not there. It is made again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import io
import os
import secrets
import stat
import sys
from functools import cache
from pathlib import Path
from typing import IO

from lipwright.errors import LipwrightError, system_errors
from lipwright.files.user_folders import home, private_folder
from lipwright.files.whole import temporary_beside

KEY_FILE = "cache-key"
_KEY_BYTES = 32
_CHUNK = 1 << 20


def open_kept(path: Path) -> IO[bytes] | None:
    """Open a kept file, checked, at its beginning; None where it is not to be believed.

    The handle is the very file that was checked, whatever happens to its name meanwhile.
    """
    handle: IO[bytes] | None = None
    try:
        expected = mac_path(path).read_bytes()
        handle = _open_own(path)
        if handle is not None and hmac.compare_digest(_digest(handle, path.name), expected):
            handle.seek(0)
            return handle
    except (OSError, LipwrightError):
        pass
    if handle is not None:
        handle.close()
    return None


def read_kept(path: Path) -> bytes | None:
    """The content of a kept file; None where it is not to be believed.

    What is checked is what is returned, even if somebody writes to the file meanwhile.
    """
    try:
        expected = mac_path(path).read_bytes()
        handle = _open_own(path)
        if handle is None:
            return None
        with handle:
            data = handle.read()
        good = hmac.compare_digest(_digest(io.BytesIO(data), path.name), expected)
    except (OSError, LipwrightError):
        return None
    return data if good else None


def mac_path(path: Path) -> Path:
    """Where the digest of a kept file lies."""
    return path.with_name(f"{path.name}.mac")


def write_digest(path: Path, name: str | None = None) -> None:
    """Write the digest of a file that this process has just made.

    Args:
        path: the finished file, whose rights are narrowed to the user.
        name: what it will be called, if that is not its name yet.

    Raises:
        OSError: the digest cannot be written.
        LipwrightError: there is no folder for the key.
    """
    file = _open_own(path)
    if file is None:
        raise PermissionError(errno.EPERM, "the file is not this user's own", str(path))
    with file:
        if hasattr(os, "fchmod"):
            os.fchmod(file.fileno(), 0o600)
        digest = _digest(file, name or path.name)
    target = mac_path(path.with_name(name or path.name))
    with temporary_beside(target) as temporary:
        temporary.write_bytes(digest)
        temporary.replace(target)


def put(new: Path, path: Path) -> None:
    """Vouch for a file that this process has just made and give it its name, in one step.

    Args:
        new: the finished file, in a folder of its own beside ``path``, under its last name.
        path: where it is kept.

    Raises:
        OSError: it cannot be put there.
        LipwrightError: there is no folder for the key.
    """
    write_digest(new)
    os.replace(mac_path(new), mac_path(path))
    os.replace(new, path)


MAKING = ".making-"
"""What the names of files begin with that are being made beside the kept ones."""


def keep_file(path: Path, data: bytes) -> None:
    """Keep content under a name, in one step, and vouch for it.

    Raises:
        OSError: it cannot be written.
        LipwrightError: there is no folder for the key.
    """
    with temporary_beside(path, MAKING) as temporary:
        temporary.write_bytes(data)
        write_digest(temporary, path.name)
        temporary.replace(path)


def forget(path: Path) -> None:
    """Remove a kept file and its digest; one that cannot be removed stays."""
    for part in (mac_path(path), path):
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def forget_old(folder: Path, suffix: str, most: int, *others: str) -> None:
    """Remove all but the kept files of a folder that were used last.

    Args:
        folder: where they lie.
        suffix: of the files, which count by the times of their last change.
        most: so many stay.
        others: suffixes of what goes with a file.
    """
    files = sorted(folder.glob(f"*{suffix}"), key=lambda p: p.stat().st_mtime, reverse=True)
    for old in files[most:]:
        for part in (suffix, *others):
            forget(old.with_suffix(part))


def is_own(status: os.stat_result) -> bool:
    """Whether an ordinary file belongs to this user and no other can write to it."""
    if sys.platform == "win32":
        return stat.S_ISREG(status.st_mode)
    mine = status.st_uid == os.geteuid()
    return stat.S_ISREG(status.st_mode) and mine and not status.st_mode & 0o022


def kept_name(identity: str, suffix: str) -> str:
    """Name of the file kept for something, for example "3f...a0.xml".

    Each user has other names, so that those who share a folder do not overwrite each other's files.

    Args:
        identity: everything that the content depends on.
        suffix: with its dot.
    """
    try:
        key = _key(home())
    except LipwrightError:  # then nothing is kept, and any name will do
        key = b""
    return hashlib.blake2b(identity.encode(), key=key, digest_size=16).hexdigest() + suffix


def _open_own(path: Path) -> IO[bytes] | None:
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    if is_own(os.fstat(number)):
        return os.fdopen(number, "rb")
    os.close(number)
    return None


def _digest(file: IO[bytes], name: str) -> bytes:
    keyed = hashlib.blake2b(name.encode() + b"\0", key=_key(home()))
    while chunk := file.read(_CHUNK):
        keyed.update(chunk)
    return keyed.digest()


@cache
def _key(folder: Path) -> bytes:
    """The user's secret, made at the first call."""
    path = folder / KEY_FILE
    for _ in range(2):
        try:
            handle = _open_own(path)
            if handle is not None:
                with handle:
                    key = handle.read(_KEY_BYTES + 1)
                if len(key) == _KEY_BYTES:
                    return key
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            raise LipwrightError(
                f"The key of the cache {path} cannot be read ({error.strerror or error}); correct "
                "its permissions or delete it."
            ) from error
        _make_key(private_folder() / KEY_FILE)
    raise LipwrightError(f"The key of the cache {path} is not this user's own file; delete it.")


def _make_key(path: Path) -> None:
    """Put a new key there, unless another process was faster; a damaged one gives way."""
    with (
        system_errors(
            f"The key of the cache {path} cannot be written",
            "free space or set LIPWRIGHT_HOME to another folder",
        ),
        temporary_beside(path) as temporary,
    ):
        temporary.write_bytes(secrets.token_bytes(_KEY_BYTES))
        try:
            if path.stat().st_size != _KEY_BYTES:
                temporary.replace(path)
        except FileNotFoundError:
            _link(temporary, path)


def _link(temporary: Path, path: Path) -> None:
    """Give a file its name unless that is taken: all processes agree on the first."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        os.replace(temporary, path)
