"""Reading a C2PA manifest, inside a file or beside it, into plain words and plain types."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from lipwright.errors import LipwrightError, reading_errors
from lipwright.files.user_folders import home
from lipwright.printable import printable_values
from lipwright.provenance.record.certificate import CERTIFICATE_FILE, COMMON_NAME
from lipwright.provenance.record.manifest import MIME_TYPES, PREFIX, SETTINGS, find_sidecar
from lipwright.provenance.watermark.grid import SCHEME

ManifestState = Literal["trusted", "valid", "broken"]

_UNTRUSTED = "signingCredential.untrusted"
_WORDS = {
    "assertion.bmffHash.mismatch": "the picture or sound was changed after signing",
    "assertion.dataHash.mismatch": "the file was changed after signing",
    "assertion.hashedURI.mismatch": "a statement of the manifest was changed after signing",
    "claimSignature.mismatch": "the signature does not belong to the manifest",
    "claimSignature.outsideValidity": "the certificate was not valid when the file was signed",
    "signingCredential.invalid": "the certificate is not one that may sign manifests",
    "signingCredential.expired": "the certificate has expired",
}
_BEGINNING = 2**22  # where manifests lie in files that can be streamed


_MOST_PARENTS = 16


@dataclass(frozen=True)
class ParentManifest:
    """The manifest that a file brought along which the present one was made from.

    Attributes:
        name: of that file.
        signer: name in its certificate.
        ai_edited: whether it says that AI made or changed the content.
        problems: what was broken when the file was used, in words; empty where it was intact.
    """

    name: str
    signer: str
    ai_edited: bool
    problems: list[str]


@dataclass(frozen=True)
class ManifestReport:
    """What a manifest says and whether that still holds.

    Attributes:
        state: ``trusted``: intact and signed by a trusted authority; ``valid``: intact, signer not
            vouched for; ``broken``: the file or the manifest was changed, or is damaged.
        problems: what is broken, in words.
        sidecar: name of the ``.c2pa`` file, None if the manifest is inside the file.
        signer: name in the certificate.
        signed_here: signed with this computer's self-made certificate.
        self_made: signed with some self-made certificate of Lipwright.
        generator: program that wrote the manifest.
        ai_edited: whether it says that AI made or changed the content.
        model: model that drew the mouth.
        edits: descriptions of what was done.
        inputs: files it was made from: role, name and sha256.
        consent: the consent record.
        mark_id: watermark id that belongs to the file, eight hexadecimal digits.
        parents: manifests of the files it was made from, and of those that these were made from.
    """

    state: ManifestState
    problems: list[str] = field(default_factory=list)
    sidecar: str | None = None
    signer: str = ""
    signed_here: bool = False
    self_made: bool = False
    generator: str = ""
    ai_edited: bool = False
    model: str = ""
    edits: list[str] = field(default_factory=list)
    inputs: list[dict[str, str]] = field(default_factory=list)
    consent: dict[str, Any] | None = None
    mark_id: str | None = None
    parents: list[ParentManifest] = field(default_factory=list)


def read_manifest(path: Path, trust_anchors: Path | None = None) -> ManifestReport | None:
    """Read and check the manifest of a file; None if there is none.

    Args:
        path: the file. Nothing is fetched from the network, whatever the manifest says.
        trust_anchors: PEM file with the certificates of authorities that are trusted.

    Raises:
        LipwrightError: a file cannot be read.
    """
    import c2pa

    settings: dict[str, Any] = {**SETTINGS}
    if trust_anchors is not None:
        settings["trust"] = {"trust_anchors": _text(trust_anchors)}
        settings["verify"] = {**SETTINGS["verify"], "verify_trust": True}
    kind = MIME_TYPES.get(path.suffix.lower())
    sidecar = _sidecar(path)
    try:
        with (
            reading_errors(path),
            path.open("rb") as stream,
            c2pa.Context.from_dict(settings) as context,
        ):
            try:
                with c2pa.Reader(kind, stream, context=context) as reader:
                    return _report(json.loads(reader.json()), reader.get_validation_state(), None)
            except c2pa.C2paError as error:
                if sidecar is None:
                    return _unreadable(error, path)
            stream.seek(0)
            name, content = sidecar
            try:
                with c2pa.Reader(
                    kind or "application/octet-stream", stream, content, context=context
                ) as reader:
                    return _report(json.loads(reader.json()), reader.get_validation_state(), name)
            except c2pa.C2paError as error:
                problem = f"the manifest {name} cannot be read ({_short(error)})"
                return ManifestReport("broken", [problem], name)
    except c2pa.C2paError as error:
        raise LipwrightError(f"{path} could not be checked ({_short(error)}).") from error


def _sidecar(path: Path) -> tuple[str, bytes] | None:
    candidate = find_sidecar(path)
    with contextlib.suppress(OSError):
        return (candidate.name, candidate.read_bytes()) if candidate is not None else None
    return None


def _unreadable(error: Exception, path: Path) -> ManifestReport | None:
    """No manifest at all, or one so damaged that it cannot be parsed?"""
    import c2pa

    if isinstance(error, (c2pa.C2paError.ManifestNotFound, c2pa.C2paError.NotSupported)):
        return None
    with path.open("rb") as stream:
        beginning = stream.read(_BEGINNING)
    if b"jumb" in beginning and b"c2pa" in beginning:
        return ManifestReport("broken", [f"the manifest is damaged ({_short(error)})"])
    return None


def _report(stored: dict[str, Any], state: str | None, sidecar: str | None) -> ManifestReport:
    # Whoever made the file wrote this; it goes to terminals and pages.
    store: dict[str, Any] = printable_values(stored)
    active = store.get("manifests", {}).get(store.get("active_manifest"), {})
    problems = _problems(store.get("validation_status"))
    signature, name = active.get("signature_info") or {}, _signer(active)
    assertions = {str(a.get("label")): a.get("data") for a in active.get("assertions") or []}
    facts = assertions.get(f"{PREFIX}.facts")
    facts = facts if isinstance(facts, dict) else {}
    consent = assertions.get(f"{PREFIX}.consent")
    generators = active.get("claim_generator_info") or [{}]
    generator = f"{generators[0].get('name', '')} {generators[0].get('version', '')}".strip()
    levels: dict[str | None, ManifestState] = {"Trusted": "trusted", "Valid": "valid"}
    return ManifestReport(
        state=levels.get(state, "broken"),
        problems=problems if state not in levels else [],
        sidecar=sidecar,
        signer=name,
        signed_here=_is_ours(str(signature.get("cert_serial_number") or "")),
        self_made=name == COMMON_NAME,
        generator=generator,
        ai_edited=_says_ai(active),
        model=str(facts.get("model") or ""),
        edits=[str(a["description"]) for a in _actions(active) if a.get("description")],
        inputs=[{str(k): str(v) for k, v in i.items()} for i in facts.get("inputs") or []],
        consent=consent if isinstance(consent, dict) else None,
        mark_id=_mark_id(assertions.get("c2pa.soft-binding")),
        parents=list(islice(_parents(active, store.get("manifests", {})), _MOST_PARENTS)),
    )


def _problems(statuses: object) -> list[str]:
    """Failed checks in words."""
    return [
        _WORDS.get(status.get("code", ""), status.get("explanation") or status.get("code", ""))
        for status in (statuses if isinstance(statuses, list) else [])
        if status.get("code") != _UNTRUSTED
    ]


def _signer(manifest: dict[str, Any]) -> str:
    signature = manifest.get("signature_info") or {}
    return str(signature.get("common_name") or signature.get("issuer") or "")


def _says_ai(manifest: dict[str, Any]) -> bool:
    kinds = (str(action.get("digitalSourceType")) for action in _actions(manifest))
    return any("lgorithmicMedia" in kind for kind in kinds)


def _parents(
    manifest: dict[str, Any], manifests: dict[str, Any], seen: frozenset[str] = frozenset()
) -> Iterator[ParentManifest]:
    """Manifests of the ingredients, each followed by those of its own."""
    for ingredient in manifest.get("ingredients") or []:
        label = str(ingredient.get("active_manifest"))
        own = manifests.get(label)
        if not isinstance(own, dict) or label in seen:
            continue
        checks = (ingredient.get("validation_results") or {}).get("activeManifest") or {}
        problems = _problems(checks.get("failure"))
        name = str(ingredient.get("title") or "a file without a name")
        yield ParentManifest(name, _signer(own), _says_ai(own), problems)
        yield from _parents(own, manifests, seen | {label})


def _actions(active: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for assertion in active.get("assertions") or []:
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            yield from (assertion.get("data") or {}).get("actions") or []


def _mark_id(binding: object) -> str | None:
    if not isinstance(binding, dict) or binding.get("alg") != SCHEME:
        return None
    blocks = binding.get("blocks") or [{}]
    return str(blocks[0].get("value")) if blocks[0].get("value") else None


def _is_ours(serial: str) -> bool:
    from cryptography import x509

    try:
        chain = (home() / CERTIFICATE_FILE).read_bytes()
        return str(x509.load_pem_x509_certificates(chain)[0].serial_number) == serial
    except (OSError, ValueError, LipwrightError):  # the last: a user without a home
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LipwrightError(f"The trust anchors {path} cannot be read: {error}.") from error


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
