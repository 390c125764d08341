"""What can be known to go wrong before any work is done."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from lipwright.dubbing.options import DubOptions
from lipwright.errors import LipwrightError, system_errors
from lipwright.files.beside import LONGEST
from lipwright.media import limits
from lipwright.media.encoding import kind_of
from lipwright.media.source import check_file, open_media
from lipwright.methods.base import Method

OUTPUTS = ("report", "preview", "compare")
"""Options that name a further file to write."""


def check_job(
    video: Path, speech: Path, out: Path, options: DubOptions, *, cast: bool = False
) -> None:
    """Everything of a dub that is known to go wrong before anything is loaded.

    Args:
        video: an input.
        speech: an input.
        out: the video to write.
        options: of the job.
        cast: ``speech`` is the file of a cast, whose speeches are checked elsewhere.

    Raises:
        LipwrightError: unusable files, places or options.
    """
    options.check()
    given = {name: getattr(options, name) for name in OUTPUTS}
    others = {name: Path(path) for name, path in given.items() if path is not None}
    check_paths(video, speech, out, others, spoken="cast" if cast else "speech file")
    kind_of(out)
    if options.compare is not None:
        kind_of(Path(options.compare))
    from lipwright.provenance.record.manifest import is_beside, sidecar_path

    if options.manifest and is_beside(out):
        sidecar = sidecar_path(out)
        if len(os.fsencode(sidecar.name)) > LONGEST:
            raise LipwrightError(
                f"The name of {out} is too long for the manifest beside it, {sidecar.name}; "
                "shorten it by a few letters, or use --no-manifest."
            )
    with limits.applied(limits.parse(options.limit)):
        media = [(video, "video"), *([] if cast else [(speech, "speech file")])]
        for path, what in media:
            with open_media(path, what):
                pass
        if (teacher := options.adapt_from) is not None:
            if not teacher.exists():
                raise LipwrightError(
                    f"There is no video {teacher} to learn the person's articulation from; give "
                    "--adapt a file, auto or off."
                )
            with open_media(teacher, "video to learn from"):
                pass
            if same_file(teacher, out):
                raise LipwrightError(
                    f"The output {out} is the video to learn from itself; choose another name, for "
                    "the original is never overwritten."
                )
    if options.preview is None and not options.overwrite and out.exists():
        raise LipwrightError(
            f"The output {out} exists already; choose another name, or omit --no-overwrite."
        )


def check_paths(
    video: Path, speech: Path, out: Path, others: dict[str, Path], *, spoken: str = "speech file"
) -> None:
    """Raise LipwrightError unless the inputs can be read and the outputs be written.

    Args:
        video: an input.
        speech: an input.
        out: the video to write; not touched.
        others: further files to write, by what they are called in messages.
        spoken: what ``speech`` is called in messages.
    """
    check_file(video, "video")
    check_file(speech, spoken)
    inputs = {"video": video, spoken: speech}
    for what, path in {"output": out, **others}.items():
        if path.is_dir():
            raise LipwrightError(f"The {what} {path} is a folder; give the name of a file in it.")
        for name, given in inputs.items():
            if same_file(path, given):
                raise LipwrightError(
                    f"The {what} {path} is the {name} itself; choose another name, for the "
                    "original is never overwritten."
                )
        if what != "output" and same_place(path, out):
            raise LipwrightError(f"The {what} {path} is the output too; choose another name.")
        check_folder(path, what)


def same_file(path: Path, other: Path) -> bool:
    """Whether two names lead to one file, through links of either kind too."""
    try:
        return path.samefile(other)
    except (OSError, ValueError):  # a null character in a name out of a table or a cast
        return False


def same_place(path: Path, other: Path) -> bool:
    """Whether two names, of files that need not exist, mean one place."""
    try:
        return same_file(path, other) or path.resolve() == other.resolve()
    except ValueError:
        return False


def check_folder(path: Path, what: str) -> None:
    """Raise LipwrightError unless a file can be made beside ``path``."""
    folder = path.parent
    if "\0" in str(path):
        name = str(path).replace("\0", "?")
        raise LipwrightError(f"The name of the {what} {name} holds a null character; correct it.")
    if not folder.is_dir():
        raise LipwrightError(f"The folder {folder} of the {what} does not exist; create it first.")
    with system_errors(
        f"The {what} {path} cannot be written", "choose another place or correct its permissions"
    ):
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".lipwright-"):
            pass
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(13, "the file is write-protected")


def check_method(method: Method, options: DubOptions) -> None:
    """Whether a method can do what the options ask of it.

    Raises:
        LipwrightError: it cannot.
    """
    if options.expressiveness != 1 and method.motions is None:
        raise LipwrightError(
            f"The method '{method.info.name}' predicts no lip motions, so --expressiveness means "
            "nothing to it; use --method vq."
        )
