"""The marks of one dub: the id of its watermark, the inputs that its manifest names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipwright.dubbing.options import DubOptions
from lipwright.media.info import VideoInfo

if TYPE_CHECKING:
    from lipwright.methods.base import Method
    from lipwright.provenance.session import Provenance, ProvenanceOptions


def marks(
    options: DubOptions,
    identity: dict[str, Any],
    model: str,
    info: VideoInfo,
    video: Path,
    speeches: Sequence[Path],
    explain: bool = True,
) -> Provenance:
    """Prepare watermark and manifest of a job.

    The id is drawn from a hash of everything that shapes the output, rather than from chance: the
    same job gives the same frames, and a resumed job goes on with the id it began with.

    Args:
        options: what the user chose.
        identity: all that shapes the encoded frames, as plain JSON values.
        model: name and hash of the model.
        info: of the video.
        video: the edited video or picture.
        speeches: what it is dubbed to.
        explain: say why consent is asked for, if that was never said to this user.

    Raises:
        LipwrightError: unusable consent, certificate or key, unreadable inputs.
    """
    from lipwright.provenance.record.manifest import Input
    from lipwright.provenance.session import Provenance

    chosen = chosen_marks(options, mark_id_of(identity), explain)
    inputs = [
        Input.of("picture" if info.is_still else "video", video),
        *(Input.of("speech", speech) for speech in speeches),
    ]
    return Provenance(chosen, inputs, model=model, size=(info.width, info.height))


def chosen_marks(
    options: DubOptions, mark_id: int | None = None, explain: bool = True
) -> ProvenanceOptions:
    """The marks that the user chose."""
    from lipwright.provenance.session import ProvenanceOptions

    return ProvenanceOptions(
        watermark=options.region is not None,
        region=options.region or "face",
        mark_id=mark_id,
        manifest=options.manifest,
        consent=options.consent,
        certificate=options.certificate,
        key=options.key,
        time_stamp_url=options.time_stamp,
        explain=explain,
    )


def model_of(method: Method) -> str:
    """Name and hash of a model, as marks name it."""
    name, model = method.name, method.model_id
    return model if model.startswith(name) else f"{name} {model}"


def mark_id_of(identity: dict[str, Any]) -> int:
    """32 bits of the SHA-256 of a job's description."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).digest()
    return int.from_bytes(digest[:4], "big")
