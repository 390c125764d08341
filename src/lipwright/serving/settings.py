"""What a server is allowed to do, in one place."""

from __future__ import annotations

import ipaddress
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from lipwright.errors import LipwrightError, reading_errors, system_errors
from lipwright.serving.ice import IceServer

TOKEN_VARIABLE = "LIPWRIGHT_TOKEN"
SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class Settings:
    """Settings of a server.

    Attributes:
        data: folder of the database, the uploads and the results.
        host, port: where it listens.
        token: asked of every client; None only on a loopback address.
        allowed_hosts: further names under which the server may be addressed.
        workers: processes that dub; one more answers short requests.
        max_upload: bytes of one upload.
        max_storage: bytes of all uploads and results together.
        max_seconds: length of an uploaded video or speech.
        max_body: bytes of a request that is no upload.
        max_queued: jobs of one client that wait or run.
        requests_per_minute: of one client, those that change something.
        max_streams: open progress streams of one client.
        keep_seconds: age after which uploads and ended jobs are deleted; None keeps them.
        job_seconds: longest time that a job may run.
        media: folder whose files a job may name by path; None allows uploads only.
        webhook_hosts: hosts to which webhooks may be sent.
        webhook_secret: key of their signatures.
        device, backend: of the workers, see ``DubOptions``.
        batch_size: of the workers.
        live_face: video of the person who speaks on the page of calls; None: there is no such page.
        ice_servers: STUN and TURN servers of these calls, for both sides.
        synthesiser: command that speaks texts, see ``media.synthesis``; None: espeak-ng.
        own_access: the application asks for secrets itself, as a study does with its links.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 7860
    token: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    workers: int = 1
    max_upload: int = 2 << 30
    max_storage: int = 50 << 30
    max_seconds: float = 600.0
    max_body: int = 64 << 10
    max_queued: int = 100
    requests_per_minute: int = 240
    max_streams: int = 8
    keep_seconds: float | None = 7 * 86_400.0
    job_seconds: float = 6 * 3600.0
    media: Path | None = None
    webhook_hosts: tuple[str, ...] = ()
    webhook_secret: str = field(default="", repr=False)
    device: str = "auto"
    backend: str = "auto"
    batch_size: int = 8
    live_face: Path | None = None
    ice_servers: tuple[IceServer, ...] = ()
    synthesiser: str | None = None
    own_access: bool = False

    def __post_init__(self) -> None:
        """Refuse what would be unsafe.

        Raises:
            LipwrightError: no token on an address that others can reach, or a guessable one.
        """
        if self.token is None and not is_loopback(self.host) and not self.own_access:
            raise LipwrightError(
                f"Others can reach {self.host}, so the server needs a token: set {TOKEN_VARIABLE} "
                f"or name a file with --token-file ('{secrets.token_urlsafe(18)}' would do)."
            )
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise LipwrightError(
                f"The token is too short to be safe; give {SHORTEST_TOKEN} characters or more."
            )
        if self.workers < 1:
            raise LipwrightError(f"{self.workers} workers are none; give 1 or more.")
        if self.media is not None and not self.media.is_dir():
            raise LipwrightError(f"There is no media folder {self.media}; create it first.")

    @property
    def uploads(self) -> Path:
        """Folder with one folder per upload."""
        return self.data / "uploads"

    @property
    def jobs(self) -> Path:
        """Folder with one folder per job."""
        return self.data / "jobs"

    @property
    def plans(self) -> Path:
        """Folder of the plans of videos, which hold pictures of faces."""
        return self.data / "plans"

    @property
    def database(self) -> Path:
        """The file of jobs and uploads."""
        return self.data / "jobs.sqlite"

    def prepare(self) -> None:
        """Make the folders, readable for their owner only.

        Raises:
            LipwrightError: they cannot be made.
        """
        with system_errors(
            f"The data folder {self.data} cannot be used", "choose another with --data"
        ):
            for folder in (self.data, self.uploads, self.jobs, self.plans):
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o700)


def is_loopback(host: str) -> bool:
    """Whether an address to listen at can be reached from this computer only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_token(file: Path | None) -> str | None:
    """The token from a file, else from the environment.

    Raises:
        LipwrightError: the file cannot be read or is empty.
    """
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    with reading_errors(f"The token file {file}"):
        text = file.read_text("utf-8").strip()
    if not text:
        raise LipwrightError(f"The token file {file} is empty; write a token into it.")
    return text
