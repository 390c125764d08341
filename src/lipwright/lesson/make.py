"""Make a lesson: a clip for every word and sentence, its slow version, captions, and the page.

``lesson.json`` in the folder says what is done; a lesson that was stopped, or whose word list has
changed, makes only the clips that are missing.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from lipwright import __version__
from lipwright.dubbing.contact_sheet import save_picture
from lipwright.dubbing.dubber import Dubber
from lipwright.dubbing.marks import marks
from lipwright.dubbing.observer import Observer
from lipwright.dubbing.options import DubOptions
from lipwright.dubbing.plan import Source
from lipwright.errors import Interrupted, LipwrightError, system_errors
from lipwright.files.whole import json_sha256, write_json, write_text, written_whole
from lipwright.lesson.captions import web_vtt
from lipwright.lesson.page import Clip, page
from lipwright.lesson.recording import REST, with_rests
from lipwright.lesson.slow import LEAST_SPEED, slow_down
from lipwright.lesson.words import Item
from lipwright.lock import OutputLock
from lipwright.media import limits
from lipwright.media.info import probe
from lipwright.media.reader import VideoReader
from lipwright.media.synthesis import synthesise

RECORD, PAGE, CLIPS = "lesson.json", "index.html", "clips"
POSTER = 480
"""Longer side of the picture that stands for a clip before it plays."""
USUAL_SPEED = Fraction(1, 2)

ProgressFunction = Callable[[Item, bool], None]
"""Is told of an item that begins, and whether its clip is there already."""


@dataclass(frozen=True)
class Voice:
    """Who speaks.

    Attributes:
        name: of the synthesiser's voice or language.
        command: template of another synthesiser, see :mod:`lipwright.media.synthesis`.
    """

    name: str | None = None
    command: str | None = None


def make_lesson(
    items: Sequence[Item],
    face: Path,
    folder: Path,
    options: DubOptions,
    *,
    title: str = "Lip-reading lesson",
    voice: Voice | None = None,
    speed: Fraction = USUAL_SPEED,
    dubber: Dubber | None = None,
    observer: Observer | None = None,
    progress: ProgressFunction = lambda item, done: None,
) -> list[Clip]:
    """Make what is missing of a lesson.

    Args:
        items: of :func:`lipwright.lesson.words.read_items`.
        face: video or picture of the person who speaks.
        folder: of the lesson; new, empty, or an earlier lesson's.
        options: of the dubs.
        title: of the page.
        voice: of the synthesiser.
        speed: of the slow versions, in parts of the usual one.
        dubber: one that is loaded already.
        observer: is told of the progress of every clip.
        progress: see ``ProgressFunction``.

    Raises:
        LipwrightError: whatever the user can correct; clips that are done stay.
        Interrupted: Ctrl-C; likewise.
    """
    if not LEAST_SPEED <= speed < 1:
        raise LipwrightError(
            f"The speed {float(speed):g} of the slow versions is out of range; give "
            f"{float(LEAST_SPEED)} or more, and less than 1."
        )
    _prepare(folder)
    with OutputLock(folder / RECORD), limits.applied(limits.parse(options.limit)):
        lesson = _Lesson(face, folder, options, voice or Voice(), speed)
        lesson.dubber = dubber or Dubber(options, observer)
        made: list[Clip] = []
        try:
            made.extend(lesson.clip(item, progress) for item in items)
        except (KeyboardInterrupt, Interrupted):
            raise Interrupted(
                f"Interrupted; {len(made)} of {len(items)} clips are kept: the same command goes "
                "on there."
            ) from None
        language = voice.name if voice is not None else None
        write_text(folder / PAGE, page(made, title, language, float(speed)))
    return made


def _prepare(folder: Path) -> None:
    """Make the folder; refuse one with other things in it."""
    with system_errors(
        f"The folder {folder} cannot be written",
        "choose another with -o, or correct its permissions",
    ):
        known = (folder / RECORD).is_file() or not folder.is_dir()
        if not known and any(not path.name.startswith(".") for path in folder.iterdir()):
            raise LipwrightError(
                f"The folder {folder} holds other things than a lesson; name a new one with -o."
            )
        (folder / CLIPS).mkdir(parents=True, exist_ok=True)
        if not (folder / RECORD).is_file():
            write_json(folder / RECORD, {"version": __version__, "clips": []})


class _Lesson:
    def __init__(
        self, face: Path, folder: Path, options: DubOptions, voice: Voice, speed: Fraction
    ) -> None:
        self.face, self.folder, self.options = face, folder, options
        self.voice, self.speed = voice, speed
        self.dubber = Dubber(options)
        self._source = asdict(Source.of(face))
        self._done: dict[str, dict[str, Any]] = _record(folder / RECORD)

    def clip(self, item: Item, progress: ProgressFunction) -> Clip:
        """Make the clip of an item unless it is there."""
        key = self._key(item)
        name = f"{CLIPS}/{key[:12]}"
        kept = self._done.get(key)
        there = kept is not None and all(
            (self.folder / path).is_file() and (self.folder / path).stat().st_size == size
            for path, size in kept["files"].items()
        )
        progress(item, there)
        if kept is None or not there:
            kept = self._made(item, name)
            self._done[key] = kept
            clips = [{"key": k, **v} for k, v in self._done.items()]
            write_json(self.folder / RECORD, {"version": __version__, "clips": clips})
        return Clip(item, name, kept["width"], kept["height"], kept["start"], kept["end"])

    def _key(self, item: Item) -> str:
        """A digest of all that makes a clip this clip."""
        parts = [
            __version__,
            self._source,
            item.text,
            self.voice.name,
            self.voice.command,
            str(self.speed),
            self.options.shaping(),
            [str(self.options.method), str(self.options.weights), self.options.manifest],
        ]
        return json_sha256(parts)[:32]

    def _made(self, item: Item, name: str) -> dict[str, Any]:
        clip, slow = self.folder / f"{name}.mp4", self.folder / f"{name}-slow.mp4"
        with tempfile.TemporaryDirectory(prefix="lipwright-lesson-") as scratch:
            said, speech = Path(scratch) / "said.wav", Path(scratch) / "synthesised-speech.wav"
            synthesise(item.text, said, voice=self.voice.name, command=self.voice.command)
            seconds = with_rests(said, speech)
            report = self.dubber.dub(self.face, speech, clip, length="speech")
        info = probe(clip)
        with written_whole(slow) as temporary:
            slow_down(clip, temporary, self.speed)
            self._sign(temporary, slow, clip, str(report.model["id"]))
        start, end = REST, REST + seconds
        for stem, pace in ((name, Fraction(1)), (f"{name}-slow", self.speed)):
            text = web_vtt(item.text, start / pace, end / pace)
            write_text(self.folder / f"{stem}.vtt", text)
        self._poster(clip, self.folder / f"{name}.jpg")
        paths = [f"{name}{end}" for end in (".mp4", "-slow.mp4", ".vtt", "-slow.vtt", ".jpg")]
        width, height = info.display_size
        return {
            "text": item.text,
            "width": width,
            "height": height,
            "start": float(start),
            "end": float(end),
            "files": {path: (self.folder / path).stat().st_size for path in paths},
        }

    def _sign(self, made: Path, out: Path, clip: Path, model: str) -> None:
        """A manifest of its own: the slow version is another file; its pictures carry the mark."""
        if self.options.manifest:
            plain = DubOptions(
                watermark=False,
                consent=self.options.consent,
                certificate=self.options.certificate,
                key=self.options.key,
                time_stamp=self.options.time_stamp,
            )
            marks(plain, {}, model, probe(clip), clip, [], explain=False).finish(made, out)

    def _poster(self, clip: Path, target: Path) -> None:
        with VideoReader(clip) as reader:
            picture, _ = next(iter(reader)).thumbnail(POSTER)
        with written_whole(target) as temporary:
            save_picture(picture, temporary)


def _record(path: Path) -> dict[str, dict[str, Any]]:
    """What is done, by key; nothing if the record is damaged or of another version."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["version"] != __version__:
            return {}
        fields = ("text", "width", "height", "start", "end", "files")
        return {
            str(clip["key"]): {name: clip[name] for name in fields}
            for clip in data["clips"]
            if isinstance(clip["files"], dict)
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}
