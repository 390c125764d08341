"""What is tried with a mutant: everything that Lipwright does with a file of its kind.

The networks are left out, because they would take most of the time and see pixels only: the face
tracker answers the same for every frame, and the method darkens the mouth. Everything around them
is the product's own code.
"""

from __future__ import annotations

import dataclasses
import random
import shutil
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from lipwright.batch.table import read_table
from lipwright.batch.worker import options_of_job
from lipwright.dubbing.cast.reading import read_cast
from lipwright.dubbing.cast.request import CastSpeech
from lipwright.dubbing.job import dub
from lipwright.dubbing.options import DubOptions
from lipwright.errors import LipwrightError, Problems
from lipwright.faces.tracker import FaceObservation
from lipwright.media.audio import load_speech
from lipwright.media.info import probe
from lipwright.media.reader import VideoReader
from lipwright.methods.copy import CopyMethod
from lipwright.methods.registry import load_method
from lipwright.provenance.record.consent import parse_consent
from lipwright.provenance.verify import verify
from tests.dubbing.clips import Actor, mesh

MOST_FRAMES = 200
THUMBNAIL = 96


class FixedTracker:
    """One face in the middle of every picture."""

    name = "fixed"

    def update(self, image: np.ndarray, scale: float = 1.0, patch: object = None) -> list[Any]:
        """The face; arguments as for ``faces.tracker.FaceTracker``."""
        height, width = (side * scale for side in image.shape[:2])
        side = 0.9 * min(width, height)
        points = mesh(Actor(0, (width - side) / 2, (height - side) / 2, max(side, 1.0)))
        box = np.concatenate([points[:, :2].min(axis=0), points[:, :2].max(axis=0)])
        return [FaceObservation(0, box.astype(np.float64), points, 0.95)]

    def reset(self) -> None:
        """Nothing to forget."""


class DarkMouth(CopyMethod):
    """Darkens the mouth, so that frames are really changed."""

    def __init__(self) -> None:
        super().__init__(64)

    def render(self, faces: Any, audio: Any, state: None) -> Any:
        """As the contract of methods says."""
        rendered = super().render(faces, audio, state)
        drawn = faces.copy()
        drawn[:, :, 36:48, 24:40] -= 0.3
        return dataclasses.replace(rendered, faces=drawn)


def _dub(video: Path, speech: Path | CastSpeech, out: Path, rng: random.Random) -> None:
    """A short dub; the result has to be a readable file."""
    cast = isinstance(speech, CastSpeech)
    options = DubOptions(
        length="auto" if cast else rng.choice(("auto", "video", "speech")),
        manifest=rng.random() < 0.1,
        keep_streams=rng.random() < 0.3,
        resume=rng.random() < 0.1,
        plan_cache=False,
        seed=0,
    )
    try:
        dub(video, speech, out, options, method=DarkMouth(), tracker=FixedTracker())
    finally:
        if options.resume:  # what it is kept for
            shutil.rmtree(out.with_name(f".{out.name}.lipwright-parts"), ignore_errors=True)
    if not probe(out).width:
        raise AssertionError("the result has no picture")
    verify(out, faces=False, mode="quick")


def _each(*steps: Callable[[], object]) -> str:
    """Take every step; what a step refuses is no reason to leave out the next.

    Returns:
        ``worked`` if all worked, ``refused`` if any was refused in a sentence.
    """
    told: list[str] = []
    for step in steps:
        try:
            step()
        except LipwrightError as error:
            told.append(str(error))
            sentences = error.sentences if isinstance(error, Problems) else [str(error)]
            if not all(text.strip() and "\n" not in text.strip() for text in sentences):
                raise AssertionError(f"no sentence: {error!s:.200}") from error
    return f"refused: {told[0]}" if told else "worked"


def _frames(path: Path) -> None:
    with VideoReader(path) as reader:
        for frame in islice(reader, MOST_FRAMES):
            frame.thumbnail(THUMBNAIL)


def video(path: Path, partners: Path, rng: random.Random) -> str:
    """A video: probed, read, listened to, dubbed, verified."""
    out = path.with_name(f"out{rng.choice(('.mp4', '.mkv', '.webm', path.suffix))}")
    if out.suffix in (".ts", ".avi"):
        out = out.with_suffix(".mov")
    return _each(
        lambda: probe(path),
        lambda: _frames(path),
        lambda: load_speech(path),
        lambda: _dub(path, partners / "speech.wav", out, rng),
        lambda: verify(path, faces=False, mode="quick"),
    )


def sound(path: Path, partners: Path, rng: random.Random) -> str:
    """Speech: loaded, and a video dubbed to it."""
    out = path.with_name(f"out{rng.choice(('.mp4', '.mkv', '.webm'))}")
    return _each(lambda: load_speech(path), lambda: _dub(partners / "clip.mp4", path, out, rng))


def picture(path: Path, partners: Path, rng: random.Random) -> str:
    """A still picture: probed, read, made to speak, verified."""
    return _each(
        lambda: probe(path),
        lambda: _frames(path),
        lambda: _dub(path, partners / "speech.wav", path.with_name("out.mp4"), rng),
        lambda: verify(path, faces=False, mode="quick"),
    )


def checkpoint(path: Path, partners: Path, rng: random.Random) -> str:
    """A checkpoint: loaded by what its header says, and by the name of a method."""
    steps: list[Callable[[], object]] = [lambda: load_method(path, "cpu", "torch")]
    if rng.random() < 0.3:
        steps.append(lambda: load_method(path.stem, "cpu", "torch", path))
    return _each(*steps)


def document(path: Path, partners: Path, rng: random.Random) -> str:
    """A consent record, a training configuration, a cast or a table of jobs."""
    from lipwright.training.config import read_yaml

    if path.name.startswith("consent"):
        return _each(lambda: parse_consent(str(path)))
    if path.name.startswith("cast"):
        return _each(lambda: _dub_cast(path, partners, rng))
    if path.name.startswith("jobs"):
        return _each(lambda: _jobs(path, rng))
    return _each(lambda: read_yaml(path))


def lines(path: Path, partners: Path, rng: random.Random) -> str:
    """Subtitles or an edit list: read for a cast, and the cast dubbed."""
    return _each(lambda: _dub_cast(partners / f"{path.suffix[1:]}-cast.yaml", partners, rng))


def _dub_cast(path: Path, partners: Path, rng: random.Random) -> None:
    cast = read_cast(path, Fraction(25))
    # People are told apart by a network; here faces are named by track and place only.
    if not any(face and face.startswith("person") for face in cast.faces.values()):
        speech = CastSpeech(path, original=rng.choice(("auto", "keep", "duck", "drop")))
        _dub(partners / "clip.mp4", speech, partners.parent / "work" / "out.mp4", rng)


def _jobs(path: Path, rng: random.Random) -> None:
    """Read a table; dub one of its jobs that writes beside it and asks for no network."""
    jobs = [
        job
        for job in read_table(path)
        if job.out.parent == path.parent
        and job.out.name.startswith("out.")
        and set(job.options) <= SEEDED_OPTIONS
        and job.speech.path is not None  # else a synthesiser
    ]
    if jobs and rng.random() < 0.3:
        job = rng.choice(jobs)
        options = options_of_job(job, DubOptions(plan_cache=False, seed=0))
        speech = job.speech.path
        assert speech is not None
        dub(job.video, speech, job.out, options, method=DarkMouth(), tracker=FixedTracker())


SEEDED_OPTIONS = {"crf", "length", "manifest", "watermark", "keep_streams"}


TARGETS: dict[str, Callable[[Path, Path, random.Random], str]] = {
    **dict.fromkeys(("mp4", "mkv", "webm", "ts", "avi"), video),
    **dict.fromkeys(("wav", "mp3", "ogg", "flac"), sound),
    **dict.fromkeys(("png", "jpg"), picture),
    "safetensors": checkpoint,
    **dict.fromkeys(("yaml", "csv"), document),
    "lines": lines,
}
"""Takes the mutant, the folder of valid partners and the source of choices; says what came out."""
