"""``lipwright verify FILE``: where does this come from, and was it changed since?

Two independent sources are checked. The manifest says everything, but is lost when somebody encodes
the video again. The watermark says only an id, but survives. One of them is enough.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from lipwright.errors import LipwrightError
from lipwright.provenance.record.certificate import COMMON_NAME
from lipwright.provenance.record.manifest_reader import (
    ManifestReport,
    ParentManifest,
    read_manifest,
)
from lipwright.provenance.record.registry import Entry, HashedFile, read_registry
from lipwright.provenance.watermark.detect import Effort, Search, detect_file
from lipwright.provenance.watermark.detection_report import DetectionReport
from lipwright.provenance.watermark.grid import parse_id
from lipwright.provenance.watermark.in_place import Progress

Status = Literal["valid", "nothing", "broken"]
Verdict = Literal["intact", "manifest only", "mark only", "changed", "nothing"]
EXIT_CODES: dict[Status, int] = {"valid": 0, "nothing": 3, "broken": 4}


@dataclass(frozen=True)
class Verification:
    """What ``verify`` found.

    Attributes:
        path: the file.
        status: ``valid``: a manifest or a watermark was found and nothing contradicts it;
            ``nothing``: neither was found; ``broken``: the manifest does not hold.
        verdict: the result in a word or two.
        headline: the result in one line for people.
        sentences: the reasons, in plain words.
        manifest: None if there is none.
        watermark: None if the file is no picture or video.
        entry: the entry of this computer's registry for this file, or else for its watermark's id.
        unchanged: whether the file is, to the byte, the one that was registered; None if unknown.
    """

    path: str
    status: Status
    verdict: Verdict
    headline: str
    sentences: list[str]
    manifest: ManifestReport | None
    watermark: DetectionReport | None
    entry: Entry | None
    unchanged: bool | None

    @property
    def exit_code(self) -> int:
        """0 found and valid, 3 nothing found, 4 broken."""
        return EXIT_CODES[self.status]

    def to_json(self) -> dict[str, Any]:
        """Plain types for ``json.dumps``."""
        return {
            "path": self.path,
            "status": self.status,
            "exit_code": self.exit_code,
            "verdict": self.verdict,
            "headline": self.headline,
            "sentences": list(self.sentences),
            "manifest": asdict(self.manifest) if self.manifest else None,
            "watermark": self.watermark.to_json() if self.watermark else None,
            "registered": self.entry.to_json() if self.entry else None,
            "unchanged": self.unchanged,
        }


@dataclass
class _Findings:
    sentences: list[str] = field(default_factory=list)
    broken: bool = False


def verify(
    path: str | Path,
    *,
    trust_anchors: str | Path | None = None,
    faces: bool = True,
    mode: Search = "auto",
    effort: Effort = "quick",
    progress: Progress | None = None,
) -> Verification:
    """Read the manifest and the watermark of a file and say what they are worth.

    Args:
        path: video or picture.
        trust_anchors: PEM file of certificate authorities that are trusted; without it no signer
            is, and an intact manifest is ``valid`` but not ``trusted``.
        faces: see :func:`detect.detect_file`.
        mode: see there.
        effort: see there; where the manifest promises a watermark that a quick look does not find,
            the full effort is made anyway.
        progress: called with the number of frames that were read, and of how many.

    Raises:
        LipwrightError: the file does not exist or cannot be read at all.
    """
    path = Path(path)
    if not path.is_file():
        raise LipwrightError(f"There is no file {path}; check the name.")
    manifest = read_manifest(path, Path(trust_anchors) if trust_anchors else None)
    entries = read_registry()
    ids = [e.mark_id for e in entries]
    promised = _promised(manifest)
    if promised is not None:
        ids = [promised, *ids]
    found = _Findings()
    watermark = None
    try:
        sizes = [e.size for e in entries if e.size]
        for tried in dict.fromkeys([effort, "full"] if promised is not None else [effort]):
            watermark = detect_file(
                path, ids, sizes=sizes, faces=faces, mode=mode, effort=tried, progress=progress
            )
            if watermark.found:
                break
    except LipwrightError as error:
        found.sentences.append(f"The watermark could not be looked for: {error}")
    entry, unchanged = _entry(path, entries, watermark, promised)
    _describe_manifest(manifest, watermark, entry, found)
    _describe_watermark(manifest, watermark, found)
    _describe_entry(entry, unchanged, found)
    marked = watermark is not None and watermark.found
    status: Status = "nothing"
    if found.broken:
        status = "broken"
    elif manifest is not None or marked:
        status = "valid"
    verdict, headline = _verdict(found.broken, manifest, marked)
    if verdict == "nothing" and effort == "quick" and watermark is not None:
        found.sentences.append("A very faint mark may still be found with --thorough.")
    return Verification(
        str(path),
        status,
        verdict,
        headline,
        found.sentences,
        manifest,
        watermark,
        entry,
        unchanged,
    )


def _verdict(broken: bool, manifest: ManifestReport | None, marked: bool) -> tuple[Verdict, str]:
    """The result in a word and in one line."""
    if manifest is not None and broken:
        edited = "AI-edited and changed" if manifest.ai_edited or marked else "Changed"
        return "changed", f"{edited} since signed: the manifest does not hold for this file."
    if manifest is not None:
        made = "AI-edited" if manifest.ai_edited else "Signed, no AI declared"
        if marked:
            return "intact", f"{made}; marks intact: as it was when it was signed."
        return "manifest only", f"{made}; manifest intact, no watermark found."
    if marked:
        return "mark only", "AI-edited; mark only: the watermark is there, a manifest is not."
    return "nothing", "Nothing found: no manifest and no watermark. That proves nothing either way."


def _promised(manifest: ManifestReport | None) -> int | None:
    try:
        return parse_id(manifest.mark_id) if manifest and manifest.mark_id else None
    except LipwrightError:
        return None


def _entry(
    path: Path,
    entries: list[Entry],
    watermark: DetectionReport | None,
    promised: int | None,
) -> tuple[Entry | None, bool | None]:
    """What the registry knows, and whether the file is that output to the byte.

    Several outputs of one job share an id; the one with the same content goes first.
    """
    wanted = promised
    if watermark is not None and watermark.mark_id is not None:
        wanted = parse_id(watermark.mark_id)
    size = path.stat().st_size
    alike = [e for e in entries if e.output is not None and e.output.bytes == size]
    if alike:
        content = HashedFile.of(path).sha256
        for entry in sorted(alike, key=lambda e: e.mark_id != wanted):
            if entry.output is not None and entry.output.sha256 == content:
                return entry, True
    known = next((e for e in entries if e.mark_id == wanted), None)
    return known, False if known is not None and known.output is not None else None


def _describe_manifest(
    manifest: ManifestReport | None,
    watermark: DetectionReport | None,
    entry: Entry | None,
    found: _Findings,
) -> None:
    if manifest is None:
        found.sentences.append(_describe_lost_manifest(watermark, entry))
        return
    where = f"beside the file ({manifest.sidecar})" if manifest.sidecar else "inside the file"
    if manifest.state == "broken":
        found.broken = True
        reasons = "; ".join(manifest.problems) or "it does not pass the checks"
        found.sentences.append(f"The C2PA manifest {where} is broken: {reasons}.")
        return
    found.sentences.append(
        f"The C2PA manifest {where} is intact: the file is as it was when it was signed."
    )
    found.sentences.append(_signer(manifest))
    if manifest.ai_edited:
        model = f" The model was {manifest.model}." if manifest.model else ""
        what = " ".join(manifest.edits) or "AI made or changed parts of it."
        found.sentences.append(f"It says that AI took part: {what}{model}")
    for item in manifest.inputs:
        found.sentences.append(
            f"Made from {item.get('role', 'file')} {item.get('name', '?')} "
            f"(sha256 {item.get('sha256', '')[:16]}...)."
        )
    found.sentences += [_describe_parent(parent) for parent in manifest.parents]
    if manifest.consent:
        consent = manifest.consent
        found.sentences.append(
            f"Consent on record: {consent.get('who')}, {consent.get('purpose')}, "
            f"{consent.get('date')}."
        )
    elif manifest.generator.startswith("lipwright"):
        found.sentences.append("No consent is on record.")


def _describe_parent(parent: ParentManifest) -> str:
    signer = parent.signer or "an unnamed signer"
    signed = "with a self-made certificate" if parent.signer == COMMON_NAME else f"by {signer}"
    said = "says that AI took part" if parent.ai_edited else "says nothing of AI"
    reasons = f" ({'; '.join(parent.problems)})" if parent.problems else ""
    state = f"broken{reasons}" if parent.problems else "intact"
    return (
        f"{parent.name} had a C2PA manifest of its own, signed {signed}, which {said}; it was "
        f"{state} when the file was used."
    )


def _describe_lost_manifest(watermark: DetectionReport | None, entry: Entry | None) -> str:
    if watermark is None or not watermark.found:
        return "There is no C2PA manifest."
    if entry is not None and entry.signed:
        return (
            "The C2PA manifest is lost: the output had one when it was made. Encoding a video "
            "again, removing its metadata or leaving its .c2pa file behind does that."
        )
    return (
        "There is no C2PA manifest; if there was one, it is lost, as it is when a video is encoded "
        "again or its metadata removed."
    )


def _signer(manifest: ManifestReport) -> str:
    if manifest.state == "trusted":
        return f"It is signed by {manifest.signer}, whom your trust anchors vouch for."
    if manifest.signed_here:
        return "It is signed with this computer's own certificate, not by a public authority."
    if manifest.self_made:
        return "It is signed with a self-made certificate: nobody vouches for the signer's name."
    name = manifest.signer or "an unnamed signer"
    return f"It is signed by {name}; no authority that is known here vouches for that."


def _describe_watermark(
    manifest: ManifestReport | None, watermark: DetectionReport | None, found: _Findings
) -> None:
    if watermark is None:
        return
    found.sentences.append(watermark.sentence())
    found.sentences.extend(watermark.warnings)
    promised = manifest.mark_id if manifest is not None else None
    if promised and watermark.mark_id and watermark.mark_id != promised:
        found.broken = True
        found.sentences.append(
            f"But the manifest belongs to the watermark {promised}: it was put on another video."
        )
    elif promised and not watermark.found:
        found.sentences.append(
            f"The manifest promises the watermark {promised}, which is too faint to be found here."
        )


def _describe_entry(entry: Entry | None, unchanged: bool | None, found: _Findings) -> None:
    if entry is None:
        return
    sources = ", ".join(i.name for i in entry.inputs) or "unknown files"
    name = entry.output.name if entry.output else "an output"
    found.sentences.append(
        f"This computer's registry knows {'it' if unchanged else 'the id'}: {name}, made "
        f"{entry.time} from {sources}."
    )
    if unchanged is not None:
        found.sentences.append(
            "The file is that output to the byte."
            if unchanged
            else "The file is not that output to the byte: it was changed or encoded again."
        )
