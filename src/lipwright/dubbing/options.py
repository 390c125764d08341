"""What can be asked of a dub, and who is told how far it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Protocol

from lipwright.dubbing.timeline import LENGTHS, STILL_RATE, Length
from lipwright.errors import LipwrightError

Stage = Literal["plan", "render"]
Region = Literal["face", "frame", "both"]
REGIONS: tuple[Region, ...] = ("face", "frame", "both")
_FACE = re.compile(r"largest|all|\d+(,\d+)*")


@dataclass(frozen=True)
class DubOptions:
    """Options of ``dub``; the command line has one of the same name for each.

    Attributes:
        method: name of the method.
        weights: a checkpoint instead of the method's default.
        face: ``largest``, ``all``, or track numbers separated by commas.
        length: ``auto``, ``video`` or ``speech``.
        enhance: name of the post-processing of the drawn face, ``none`` for none.
        crf: quality of the encode, 0 to 51, lower is better.
        lossless: FFV1 in MKV.
        watermark: where the invisible mark goes: ``face``, ``frame`` or ``both``; True is
            ``face``, False leaves it out.
        manifest: sign a C2PA manifest.
        certificate, key: PEM files to sign it with, instead of the self-made certificate.
        time_stamp: URL of a time stamp authority, asked over the network; None asks nobody.
        consent: who agreed to what, "who, purpose, date" or a YAML file; goes into the manifest.
        report: where to write the JSON report.
        resume: continue an interrupted job, and keep the finished part when interrupted.
        preview: write a sheet of a few frames, source above result, here, and nothing else.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        backend: ``auto``, ``torch`` or ``openvino``.
        seed: of everything random.
        batch_size: frames per call of the method.
        keep_streams: keep the other sound and subtitle streams of the video.
        silence_gate: rest the mouth where nobody speaks.
        detail: ``keep`` the source's texture where the method changed little, or ``off``.
        plan_cache: keep the plan of the video, which holds small pictures of its faces, in the
            user's cache folder for the next dub of the same video.
        fps: frames per second at which a still picture is shown.
    """

    method: str = "vq"
    weights: str | Path | None = None
    face: str = "largest"
    length: Length = "auto"
    enhance: str = "none"
    crf: int = 16
    lossless: bool = False
    watermark: Region | bool = "face"
    manifest: bool = True
    certificate: str | Path | None = None
    key: str | Path | None = None
    time_stamp: str | None = None
    consent: str | None = None
    report: str | Path | None = None
    resume: bool = False
    preview: str | Path | None = None
    device: str = "auto"
    backend: str = "auto"
    seed: int = 0
    batch_size: int = 8
    keep_streams: bool = False
    silence_gate: bool = True
    detail: Literal["keep", "off"] = "keep"
    plan_cache: bool = True
    fps: Fraction = STILL_RATE

    @property
    def region(self) -> Region | None:
        """Where the mark goes, None for nowhere."""
        if isinstance(self.watermark, bool):
            return "face" if self.watermark else None
        return self.watermark

    def check(self) -> None:
        """Raise LipwrightError for a value that makes no sense."""
        if not _FACE.fullmatch(self.face):
            raise LipwrightError(
                f"The face {self.face!r} is neither 'largest' nor 'all' nor a face number; the "
                "report of a first run lists the numbers."
            )
        if self.length not in LENGTHS:
            raise LipwrightError(
                f"The length {self.length!r} is unknown; choose one of {', '.join(LENGTHS)}."
            )
        if self.region not in (None, *REGIONS):
            raise LipwrightError(
                f"The watermark {self.watermark!r} is unknown; choose {', '.join(REGIONS)}."
            )
        if (self.certificate is None) is not (self.key is None):
            raise LipwrightError("A certificate needs its key: give both --certificate and --key.")
        if self.detail not in ("keep", "off"):
            raise LipwrightError(f"The detail {self.detail!r} is unknown; choose keep or off.")
        if not 0 <= self.crf <= 51:
            raise LipwrightError(f"The quality {self.crf} is out of range; give a CRF of 0 to 51.")
        if not 1 <= self.fps <= 1000:
            raise LipwrightError(f"A frame rate of {self.fps} is out of range; give 1 to 1000.")
        if self.batch_size < 1:
            raise LipwrightError(f"A batch of {self.batch_size} frames is none; give 1 or more.")

    def shaping(self) -> dict[str, Any]:
        """The options on which the encoded frames depend; a resumed job must have the same."""
        names = (
            *("face", "length", "enhance", "crf", "lossless", "device", "backend"),
            *("seed", "batch_size", "silence_gate", "detail"),
        )
        plain = {name: getattr(self, name) for name in names}
        return {"watermark": self.region, "fps": str(self.fps), **plain}


class Observer(Protocol):
    """Is told how far the job is; called from the thread that called ``dub``."""

    def progress(self, stage: Stage, done: int, total: int | None, fps: float) -> None:
        """``done`` of ``total`` frames of a stage; ``fps`` is the mean speed of this run."""
        ...

    def notice(self, line: str) -> None:
        """A line that the user should read before the work begins. May be left out."""
        ...
