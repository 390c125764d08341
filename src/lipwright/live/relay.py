"""Addresses that PyAV's own libav does not know (SRT in its wheels), by the command ``ffmpeg``.

The command only passes packets on: MPEG-TS through a pipe on our side, the address on the other.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from functools import lru_cache
from typing import IO

import av
import av.error

from lipwright.errors import LipwrightError

END_SECONDS = 5.0
_QUIET = ("-hide_banner", "-nostdin", "-loglevel", "error")


@lru_cache(maxsize=1)
def libav_knows_srt() -> bool:
    """Whether PyAV's libav has SRT."""
    try:
        av.open("srt://", "r").close()
    except av.error.ProtocolNotFoundError:
        return False
    except (av.error.FFmpegError, OSError, ValueError):
        return True  # it is there, and misses a host
    return True


def needs_relay(address: str) -> bool:
    """Whether an address can be reached by the command only."""
    return address.lower().startswith("srt://") and not libav_knows_srt()


class Relay:
    """A running ``ffmpeg`` that passes an MPEG-TS on.

    Args:
        address: the far end.
        sends: to the address, rather than from it.

    Attributes:
        pipe: our end.

    Raises:
        LipwrightError: the command is not installed.
    """

    def __init__(self, address: str, sends: bool) -> None:
        command = shutil.which("ffmpeg")
        if command is None:
            scheme = address.partition("://")[0]
            raise LipwrightError(
                f"The address {address} needs the command ffmpeg, because PyAV comes without "
                f"{scheme}; install ffmpeg."
            )
        copied = ["-map", "0", "-c", "copy", "-f", "mpegts", "-flush_packets", "1"]
        low = ["-analyzeduration", "1000000", "-probesize", "200000"]
        if sends:
            words = [*low, "-f", "mpegts", "-i", "pipe:0", *copied, address]
        else:
            words = [*low, "-i", address, *copied, "pipe:1"]
        self._process = subprocess.Popen(
            [command, *_QUIET, *words],
            stdin=subprocess.PIPE if sends else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if sends else subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        pipe = self._process.stdin if sends else self._process.stdout
        assert pipe is not None
        self.pipe: IO[bytes] = pipe

    def close(self) -> str:
        """Let it send what it has, and end it; gives what it complained of, or nothing."""
        with contextlib.suppress(OSError):
            self.pipe.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stderr is not None
        said = self._process.stderr.read().decode("utf-8", "replace")
        self._process.stderr.close()
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        return lines[-1][:200] if lines and self._process.returncode else ""
