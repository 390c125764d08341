"""Everything that one output needs, in one object: mark frames, sign the file, note the id."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from lipwright.errors import LipwrightError
from lipwright.media.info import VideoInfo
from lipwright.provenance.record.certificate import Credentials, load_credentials, local_credentials
from lipwright.provenance.record.consent import Consent, first_run_notice, parse_consent
from lipwright.provenance.record.manifest import (
    Input,
    Statement,
    finish,
    foreign_sidecar,
    is_beside,
    sidecar_path,
)
from lipwright.provenance.record.registry import (
    Entry,
    HashedFile,
    check_registry,
    now,
    register,
    unused_id,
)
from lipwright.provenance.watermark.grid import SCHEME, format_id
from lipwright.provenance.watermark.marker import DEFAULT_REGION, FaceBox, Marker, Region

NO_WATERMARK = "No watermark: the output cannot be recognised once it is encoded again."
NO_MANIFEST = "No manifest: the output does not say that AI changed it."
UNMARKABLE = (
    "No frame carries the watermark, because none has a face, or the video has no colour; the "
    "output cannot be recognised once it is encoded again."
)
STALE = (
    "{} belongs to an earlier output of that name; delete it, or 'verify' will call this broken."
)

FOREIGN = "{} does not fit {} as it is now; the history in it is not taken over."


@dataclass(frozen=True)
class ProvenanceOptions:
    """What the user chose; text as the command line takes it.

    Attributes:
        watermark: mark the frames.
        region: where: ``face``, ``frame`` or ``both``.
        mark_id: a certain id rather than a random one, for example when a job is resumed.
        manifest: sign the file.
        consent: "who, purpose, date" or the path of a YAML file.
        certificate, key: PEM files to sign with rather than the self-made certificate.
        time_stamp_url: a time stamp authority, asked over the network; None asks nobody.
        explain: say once per user why consent is asked for.
    """

    watermark: bool = True
    region: Region = DEFAULT_REGION
    mark_id: int | None = None
    manifest: bool = True
    consent: str | None = None
    certificate: str | Path | None = None
    key: str | Path | None = None
    time_stamp_url: str | None = None
    explain: bool = True


@dataclass
class Provenance:
    """The provenance of one output, from the first frame to the complete file.

    Everything that the user may have got wrong is found out when it is made, before any work.

    Attributes:
        options: what the user chose.
        model: name and hash of the model.
        inputs: what the output is made from; the edited video or picture first.
        size: (width, height) of the stored picture.
        resumed_from: so many frames were marked by an earlier run of the same job.
        mark_id: the id, None without a watermark.
        notices: lines to be shown to the user before the work begins.
        warnings: sentences about what could not be done, after :meth:`finish`.
        sidecar: the manifest's file where it could not go inside, once written.
    """

    options: ProvenanceOptions
    inputs: list[Input]
    model: str = ""
    size: tuple[int, int] | None = None
    resumed_from: int = 0
    mark_id: int | None = field(init=False, default=None)
    notices: list[str] = field(init=False, default_factory=list)
    warnings: list[str] = field(init=False, default_factory=list)
    sidecar: Path | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            LipwrightError: unusable consent, certificate, key, region or id.
        """
        options = self.options
        self.consent: Consent | None = parse_consent(options.consent) if options.consent else None
        self._credentials: Credentials | None = None
        if options.manifest:
            self._credentials = _credentials(options)
            for item in self.inputs:
                foreign = foreign_sidecar(item.path)
                if foreign is not None:
                    self.warnings.append(FOREIGN.format(foreign, item.path))
        else:
            self.notices.append(NO_MANIFEST)
        self._marker: Marker | None = None
        if options.watermark:
            check_registry()
            self.mark_id = unused_id() if options.mark_id is None else options.mark_id
            self._marker = Marker(self.mark_id, options.region)
        else:
            self.notices.append(NO_WATERMARK)
        notice = first_run_notice(self.consent) if options.explain else None
        if notice:
            self.notices += notice.splitlines()

    def mark(
        self, frame: av.VideoFrame, info: VideoInfo, face_boxes_display: Iterable[FaceBox]
    ) -> None:
        """Mark a frame in place, as the last pixel step; does nothing with ``--no-watermark``."""
        self.size = (info.width, info.height)
        if self._marker is not None:
            self._marker.mark(frame, info, face_boxes_display)

    @property
    def marking(self) -> tuple[int, Region] | None:
        """The id and the region of the watermark, for frames that are marked elsewhere."""
        return None if self._marker is None else (self._marker.mark_id, self._marker.region)

    def count(self, marked: int, unmarked: int) -> None:
        """Count frames that another process has marked, and those that it could not."""
        if self._marker is not None:
            self._marker.marked += marked
            self._marker.unmarked += unmarked

    def finish(self, complete: Path, out: Path) -> None:
        """Sign the complete file and register its id, before it gets its final name.

        Args:
            complete: the file under its temporary name; may be rewritten.
            out: its final name.

        Raises:
            LipwrightError: it could not be signed or registered; ``complete`` is unchanged.
        """
        marker = self._marker
        marked = marker is not None and (marker.marked > 0 or self.resumed_from > 0)
        if marker is not None and not marked:
            self.warnings.append(UNMARKABLE)
        if self._credentials is not None:
            statement = Statement(
                self.inputs,
                self.model,
                self.mark_id if marked else None,
                marker.region if marker is not None and marked else "",
                self.consent,
            )
            self.sidecar = finish(
                complete,
                out,
                statement,
                self._credentials,
                time_stamp_url=self.options.time_stamp_url,
            )
        # Not Path.exists: it raises for a name that is too long.
        elif is_beside(out) and os.path.exists(sidecar_path(out)):  # noqa: PTH110
            self.warnings.append(STALE.format(sidecar_path(out)))
        if marker is not None and marked:
            hashed = HashedFile.of(complete)
            entry = Entry(
                mark_id=marker.mark_id,
                time=now(),
                output=HashedFile(out.name, hashed.sha256, hashed.bytes),
                inputs=[i.hashed for i in self.inputs],
                size=self.size,
                region=marker.region,
                model=self.model,
                signed=self._credentials is not None,
            )
            register(entry)

    def finish_stream(self) -> None:
        """Register the id of an output that went over a network and is no file.

        Raises:
            LipwrightError: it could not be registered.
        """
        marker = self._marker
        if marker is None:
            return
        if not marker.marked:
            self.warnings.append(UNMARKABLE)
            return
        register(
            Entry(
                mark_id=marker.mark_id,
                time=now(),
                inputs=[i.hashed for i in self.inputs],
                size=self.size,
                region=marker.region,
                model=self.model,
            )
        )

    def to_json(self) -> dict[str, Any]:
        """What the job's report says about provenance; plain types."""
        marker = self._marker
        return {
            "watermark": None
            if marker is None
            else {
                "id": format_id(marker.mark_id),
                "region": marker.region,
                "scheme": SCHEME,
                "frames_marked": marker.marked,
                "frames_unmarked": marker.unmarked,
                "frames_of_earlier_run": self.resumed_from,
            },
            "manifest": None
            if self._credentials is None
            else {
                "signer": "self-made" if self._credentials.self_made else "given certificate",
                "sidecar": self.sidecar.name if self.sidecar else None,
            },
            "consent": self.consent.to_json() if self.consent else None,
            "inputs": [each.to_json() for each in self.inputs],
        }


def _credentials(options: ProvenanceOptions) -> Credentials:
    if options.certificate is None and options.key is None:
        return local_credentials()
    if options.certificate is None or options.key is None:
        raise LipwrightError("A certificate needs its key: give both --certificate and --key.")
    return load_credentials(options.certificate, options.key)
