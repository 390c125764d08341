"""Content credentials: a signed C2PA manifest that says that AI changed the mouth, and of what.

MP4, MOV and pictures carry the manifest inside. For other containers it goes into a file with the
suffix ``.c2pa`` beside the video, where C2PA readers look for it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipwright import __version__
from lipwright.errors import LipwrightError
from lipwright.files.whole import written_whole
from lipwright.provenance.record.certificate import Credentials
from lipwright.provenance.record.consent import Consent
from lipwright.provenance.record.registry import HashedFile
from lipwright.provenance.watermark.grid import SCHEME, format_id

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
EDIT = "The mouth region of a face was synthesised to match speech, and pasted into the video."
PREFIX = "org.lipwright"
SIDECAR = ".c2pa"

MIME_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/x-m4v",
    ".mov": "video/quicktime",
    ".avi": "video/x-msvideo",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".flac": "audio/flac",
}
"""What c2pa can read; of these it embeds into ``EMBEDDABLE``."""
EMBEDDABLE = (".mp4", ".m4v", ".mov", ".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
_MANIFEST_TYPE = "application/c2pa"
_OTHER_TYPES = {".mkv": "video/x-matroska", ".webm": "video/webm"}

# Nothing is fetched from the network, and no thumbnails are made.
SETTINGS: dict[str, dict[str, Any]] = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}


@dataclass(frozen=True)
class Input:
    """A file that an output was made from.

    Attributes:
        role: ``video``, ``picture`` or ``speech``.
        path: the file.
        hashed: its name and content hash.
    """

    role: str
    path: Path
    hashed: HashedFile

    @classmethod
    def of(cls, role: str, path: str | Path) -> Input:
        """Hash a file; LipwrightError if it cannot be read."""
        return cls(role, Path(path), HashedFile.of(path))

    def to_json(self) -> dict[str, str]:
        """As manifests and reports name it."""
        return {"role": self.role, "name": self.hashed.name, "sha256": self.hashed.sha256}


@dataclass(frozen=True)
class Statement:
    """What a manifest says.

    Attributes:
        inputs: what the output was made from; the first is what was edited.
        model: name and hash of the model that drew the mouth; empty if the file was only marked.
        mark_id: id of the watermark, None without one.
        region: ``face`` or ``frame``.
        consent: the consent record.
    """

    inputs: Sequence[Input]
    model: str = ""
    mark_id: int | None = None
    region: str = ""
    consent: Consent | None = None


def finish(
    complete: Path,
    out: Path,
    statement: Statement,
    credentials: Credentials,
    *,
    time_stamp_url: str | None = None,
) -> Path | None:
    """Sign a complete file, which does not have its final name yet.

    Args:
        complete: the file; containers that can hold a manifest are rewritten in place.
        out: the name it will get.
        statement: what is to be said.
        credentials: whose signature it gets.
        time_stamp_url: a time stamp authority to be asked over the network; None asks nobody.

    Returns:
        The sidecar file that was written beside ``out``, or None if the manifest is inside.

    Raises:
        LipwrightError: signing failed. ``complete`` is unchanged then.
    """
    import c2pa

    suffix = out.suffix.lower()
    inside = not is_beside(out)
    kind = MIME_TYPES.get(suffix) or _OTHER_TYPES.get(suffix, "application/octet-stream")
    target = complete if inside else sidecar_path(out)
    url = time_stamp_url.encode() if time_stamp_url else None
    try:
        with written_whole(target) as temporary, contextlib.ExitStack() as stack:
            info = c2pa.C2paSignerInfo(
                credentials.algorithm, credentials.chain, credentials.key, url
            )
            signer = stack.enter_context(c2pa.Signer.from_info(info))
            context = stack.enter_context(c2pa.Context.from_dict(SETTINGS))
            builder = stack.enter_context(_builder(statement, out, context))
            source = stack.enter_context(complete.open("rb"))
            if inside:
                builder.sign(signer, kind, source, stack.enter_context(temporary.open("w+b")))
            else:
                builder.set_no_embed()
                with Path(os.devnull).open("w+b") as nowhere:
                    temporary.write_bytes(builder.sign(signer, kind, source, nowhere))
    except (c2pa.C2paError, OSError) as error:
        raise LipwrightError(
            f"The manifest of {out} could not be signed ({_short(error)}); check the certificate, "
            "or write none with --no-manifest."
        ) from error
    return None if inside else target


def is_beside(out: Path) -> bool:
    """Whether the manifest of a file goes beside it rather than inside."""
    return out.suffix.lower() not in EMBEDDABLE


def sidecar_path(out: Path) -> Path:
    """Where the manifest of a file lies that cannot hold it."""
    return out.with_suffix(SIDECAR)


def definition(statement: Statement, out: Path) -> dict[str, Any]:
    """The manifest as c2pa's builder takes it, ingredients aside."""
    agent = {"name": "lipwright", "version": __version__}
    roles = [_label(number, item) for number, item in enumerate(statement.inputs)]
    actions: list[dict[str, Any]] = []
    if roles:
        actions.append({"action": "c2pa.opened", "parameters": {"ingredientIds": roles[:1]}})
    else:
        actions.append({"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE})
    if statement.model:
        parameters: dict[str, Any] = {
            f"{PREFIX}.region": "mouth",
            f"{PREFIX}.model": statement.model,
        }
        if roles[1:]:
            parameters["ingredientIds"] = roles[1:]
        actions.append(
            {
                "action": "c2pa.edited",
                "digitalSourceType": SOURCE_TYPE,
                "softwareAgent": agent,
                "description": EDIT,
                "parameters": parameters,
            }
        )
    assertions: list[dict[str, Any]] = []
    if statement.mark_id is not None:
        actions.append({"action": "c2pa.watermarked.bound", "softwareAgent": agent})
        binding = {
            "alg": SCHEME,
            "blocks": [{"scope": {}, "value": format_id(statement.mark_id)}],
        }
        assertions.append({"label": "c2pa.soft-binding", "data": binding})
    facts = {
        "model": statement.model,
        "watermark_region": statement.region,
        "inputs": [each.to_json() for each in statement.inputs],
    }
    assertions.append({"label": f"{PREFIX}.facts", "data": facts})
    if statement.consent is not None:
        assertions.append({"label": f"{PREFIX}.consent", "data": statement.consent.to_json()})
    assertions.insert(0, {"label": "c2pa.actions.v2", "data": {"actions": actions}})
    return {"claim_generator_info": [agent], "title": out.name, "assertions": assertions}


def _builder(statement: Statement, out: Path, context: Any) -> Any:
    """A builder with all ingredients; those that c2pa can read keep their own manifests.

    A Matroska file keeps the one that lies beside it, as long as that vouches for the file.
    """
    import c2pa

    described = definition(statement, out)
    unreadable: set[int] = set()
    while True:
        plain, readable = [], []
        stored: dict[str, bytes] = {}
        for number, item in enumerate(statement.inputs):
            suffix = item.path.suffix.lower()
            kind = MIME_TYPES.get(suffix)
            ingredient: dict[str, Any] = {
                "title": item.hashed.name,
                "relationship": "inputTo" if number else "parentOf",
                "label": _label(number, item),
                "instance_id": f"sha256:{item.hashed.sha256}",
            }
            if kind is None or number in unreadable:
                other = kind or _other_type(suffix)
                history = None if kind else _history(item.path, suffix, context)
                if history is not None:
                    # Builder.add_ingredient takes a manifest as a file, but drops what is in it.
                    name = f"{_label(number, item)}{SIDECAR}"
                    stored[name] = history.content
                    ingredient["manifest_data"] = {"format": _MANIFEST_TYPE, "identifier": name}
                    ingredient["active_manifest"] = history.active
                    ingredient["validation_results"] = history.results
                plain.append({**ingredient, "format": other})
            else:
                readable.append((number, ingredient, kind, item.path))
        builder = c2pa.Builder({**described, "ingredients": plain}, context=context)
        for name, content in stored.items():
            builder.add_resource(name, io.BytesIO(content))
        for number, ingredient, kind, path in readable:
            try:
                with path.open("rb") as stream:
                    builder.add_ingredient(ingredient, kind, stream)
            except (c2pa.C2paError, OSError):
                # The attempt may have left traces in the builder, so a new one is begun.
                builder.close()
                unreadable.add(number)
                break
        else:
            return builder


def find_sidecar(path: Path) -> Path | None:
    """The ``.c2pa`` file beside a file that cannot hold its manifest; None where there is none."""
    for candidate in (sidecar_path(path), path.with_name(path.name + SIDECAR)):
        with contextlib.suppress(OSError):  # such as a name that is too long
            if candidate != path and candidate.is_file():
                return candidate
    return None


def foreign_sidecar(path: Path) -> Path | None:
    """A manifest beside an input that does not fit it as it is, so that no history is taken over.

    None where there is none, or where it fits.
    """
    import c2pa

    suffix = path.suffix.lower()
    beside = None if suffix in MIME_TYPES else find_sidecar(path)
    if beside is None:
        return None
    with c2pa.Context.from_dict(SETTINGS) as context:
        return beside if _history(path, suffix, context) is None else None


@dataclass(frozen=True)
class _History:
    """A manifest store, the label of its newest manifest, and what checking it gave."""

    content: bytes
    active: str
    results: dict[str, Any]


def _history(path: Path, suffix: str, context: Any) -> _History | None:
    """The manifest beside a file, if it vouches for the file as it is now."""
    import c2pa

    beside = find_sidecar(path)
    if beside is None:
        return None
    try:
        with path.open("rb") as stream:
            content = beside.read_bytes()
            with c2pa.Reader(_other_type(suffix), stream, content, context=context) as reader:
                store = json.loads(reader.json())
                if reader.get_validation_state() not in ("Valid", "Trusted"):
                    return None
                return _History(content, store["active_manifest"], store["validation_results"])
    except (c2pa.C2paError, OSError, KeyError):
        return None


def _other_type(suffix: str) -> str:
    return _OTHER_TYPES.get(suffix, "application/octet-stream")


def _label(number: int, item: Input) -> str:
    return f"{item.role}-{number}"


def _short(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:200]
