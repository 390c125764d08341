"""What is done of a batch, on disk, so that a killed one goes on where it was.

``.TABLE.lipwright-batch.jsonl`` beside the table: one line for every job that ended, written whole
and forced to the disk. A job is done if its line says so, nothing of it was changed since (files,
options, version), and its output still is what was written. What a kill left half-written is the
job's own matter: it resumes (see ``dubbing.segments``).
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lipwright import __version__
from lipwright.batch.table import BatchJob
from lipwright.dubbing.options import DubOptions
from lipwright.dubbing.plan import Source
from lipwright.errors import reading_errors, system_errors
from lipwright.files.whole import json_sha256


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        job: identity of the job, see :func:`identity_of`.
        out: its output.
        error: why it failed, one sentence; empty if it did not.
        frames: of the output.
        seconds: that the job took.
        bytes: size of the output.
        modified: its time of the last change, ns.
    """

    job: str
    out: str
    error: str = ""
    frames: int = 0
    seconds: float = 0.0
    bytes: int = 0
    modified: int = 0


def identity_of(job: BatchJob, options: DubOptions) -> str:
    """A digest of all that makes a job this job.

    Raises:
        LipwrightError: one of its files cannot be read.
    """
    plain = {name: str(value) for name, value in vars(options).items()}
    parts = [
        __version__,
        asdict(Source.of(job.video)),
        [job.speech.text, job.speech.voice, job.speech.synthesiser]
        if job.speech.path is None
        else asdict(Source.of(job.speech.path)),
        str(job.out.absolute()),
        plain,
    ]
    return json_sha256(parts)[:32]


class Record:
    """The file of outcomes of one table."""

    def __init__(self, table: Path) -> None:
        self.path = table.with_name(f".{table.name}.lipwright-batch.jsonl")
        self._latest: dict[str, Outcome] = {}
        with reading_errors(f"The record {self.path}"), contextlib.suppress(FileNotFoundError):
            for line in self.path.read_bytes().split(b"\n")[:-1]:  # a kill may cut off the last one
                self._keep(line)

    def _keep(self, line: bytes) -> None:
        try:
            data: dict[str, Any] = json.loads(line)
            outcome = Outcome(**data)
        except (ValueError, TypeError):
            return  # of another version, or damaged: the job is done again
        self._latest[outcome.job] = outcome

    def done(self, identity: str) -> Outcome | None:
        """The outcome of a job that needs not be done again."""
        found = self._latest.get(identity)
        if found is None or found.error:
            return None
        try:
            there = Path(found.out).stat()
        except OSError:
            return None
        same = (there.st_size, there.st_mtime_ns) == (found.bytes, found.modified)
        return found if same else None

    def add(self, outcome: Outcome) -> None:
        """Write an outcome down.

        Raises:
            LipwrightError: it cannot be written.
        """
        self._latest[outcome.job] = outcome
        told = system_errors(f"The record {self.path} cannot be written")
        with told, self.path.open("ab") as file:
            file.write(json.dumps(asdict(outcome)).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
