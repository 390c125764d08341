"""What can be asked of a dub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lipwright.dubbing.option_info import choices_of, option, options_of
from lipwright.enhance import registry as enhancers
from lipwright.errors import LipwrightError
from lipwright.media import limits
from lipwright.media.names import Pixels
from lipwright.methods import registry as methods
from lipwright.methods.speaker_names import SpeakerNetworkName

Region = Literal["face", "frame", "both"]
Length = Literal["auto", "video", "speech", "bounce", "loop", "silence", "remap", "cut_off"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Backend = Literal["auto", "torch", "openvino"]
Reference = Literal["auto", "same", "fixed", "gallery"]
Detail = Literal["keep", "off"]
Codec = Literal["auto", "h264", "hevc", "av1", "vp9", "prores"]
if TYPE_CHECKING:
    Enhance = str
else:  # the registered enhancers, which a type checker cannot know
    Enhance = Literal[enhancers.CHOICES]

STILL_RATE = Fraction(25)
"""Frames per second of a video made from a still picture."""

ADAPT_WORDS = ("auto", "off")

_NUMBER = r"\d+(\.\d+)?"
_FACE = re.compile(
    rf"largest|all|speaking|\d+(,\d+)*|person:\d+(,\d+)*|{_NUMBER},{_NUMBER}@{_NUMBER}"
)


def is_face(text: str) -> bool:
    """Whether text is a choice of faces, as ``--face`` takes it."""
    return _FACE.fullmatch(text) is not None


@dataclass(frozen=True)
class DubOptions:
    """Options of ``dub`` and ``animate``.

    The command line has an option of the same name for each field, made from its description; so
    has docs/cli.md. ``watermark=True`` is ``"face"``, False leaves the mark out.
    """

    method: str | None = option(
        None,
        f"Method of lip-sync: {', '.join(methods.METHODS)}. By default that of the checkpoint, "
        f"or {methods.DEFAULT} (animate: landmark). "
        "copy draws nothing: it shows what the rest of the program does to a video.",
        "Model",
        shapes=False,
        metavar="NAME",
    )
    weights: str | Path | None = option(
        None,
        "Checkpoint to use instead of the shipped one; it says which method it is of.",
        "Model",
        shapes=False,
        metavar="PATH",
    )
    face: str = option(
        "largest",
        "Whose mouth moves: the largest face of every shot; all faces; speaking, whoever "
        "speaks in the video's own sound at that time; person:2, a person in all shots, as "
        "`lipwright faces` numbers them; face numbers as the report gives them, separated by "
        "commas; or x,y@time, whoever is at this point of the picture (pixels) at this time "
        "(seconds), in all shots.",
        "Face",
        shapes=True,
        metavar="largest|all|speaking|person:N|ID|X,Y@T",
    )
    speaker_network: SpeakerNetworkName = option(
        "lips",
        "What --face speaking judges by: lips, LR-ASD (a published file that you have), or both.",
        "Face",
        shapes=True,
        still=False,
    )
    adapt: str | Path = option(
        "auto",
        "Let the mouth move as this person's does: auto learns it from the video's own sound, "
        "where enough of it goes with the lips; off: as people do in general; or another "
        "video of the same person to learn it from.",
        "Face",
        shapes=True,
        metavar="auto|off|FILE",
    )
    expressiveness: float = option(
        1.0,
        "How far the mouth goes from rest: 0 keeps it there, 1 is usual for this person, 1.5 "
        "is half as much again. For methods whose speech network predicts lip motions (vq).",
        "Face",
        shapes=True,
        low=0,
        high=1.5,
    )
    length: Length = option(
        "auto",
        "How long the output lasts. auto, bounce: as long as the longer of the two, a short "
        "video continuing backward and forward; loop: it begins again; silence: it holds its "
        "last frame. cut_off: as long as the shorter. video, speech: as long as that one. "
        "remap: the whole video, slower or faster, in the time of the speech.",
        "Output",
        shapes=True,
        still=False,
    )
    start: Fraction = option(
        Fraction(0),
        "Use the video from this time on, in seconds or as 1:02.5; the speech begins there.",
        "Output",
        shapes=True,
        metavar="TIME",
        low=0,
        still=False,
    )
    end: Fraction = option(
        Fraction(0),
        "Use the video up to this time; 0: to its end. Not much more is searched for faces.",
        "Output",
        shapes=True,
        metavar="TIME",
        low=0,
        still=False,
    )
    speech_offset: Fraction = option(
        Fraction(0),
        "Let the speech begin so many seconds later, or, below 0, leave out its beginning.",
        "Output",
        shapes=True,
        metavar="TIME",
    )
    reference: Reference = option(
        "auto",
        "What a face is drawn from by a method with one reference frame (vq-paper). auto: as "
        "its checkpoint says. same: the frame itself, as published. fixed: the person's frame "
        "with the most closed mouth. gallery: the frame in which the head is held most alike.",
        "Face",
        shapes=True,
    )
    enhance: Enhance = option(
        "auto",
        "Stage 2, which sharpens the drawn mouth of a face that is larger in the video than "
        f"the method draws it. {enhancers.choices_in_words()}",
        "Face",
        shapes=True,
    )
    enhance_weights: str | Path | None = option(
        None,
        f"Checkpoint of the enhancer, for {enhancers.takers_in_words()}; that of restorer is what "
        "lipwright train restorer writes.",
        "Model",
        shapes=False,
        metavar="PATH",
    )
    crf: int = option(
        16,
        "Quality from 0 to 51; lower is better and larger.",
        "Output",
        shapes=True,
        low=0,
        high=51,
    )
    codec: Codec = option(
        "auto",
        "How the pictures are stored: h264, hevc, av1, vp9 or prores; auto: H.264, or AV1 in "
        "WebM. lipwright doctor lists what this machine can encode.",
        "Output",
        shapes=True,
    )
    lossless: bool = option(False, "FFV1 in an .mkv file.", "Output", shapes=True)
    watermark: Region | bool = option(
        "face",
        "What carries the invisible mark of synthetic video: the surroundings of the face, "
        "the whole frame, or both.",
        "Marks",
        shapes=True,
        off="No invisible mark.",
    )
    manifest: bool = option(
        True, "Sign a C2PA manifest that says what was changed.", "Marks", shapes=False
    )
    certificate: str | Path | None = option(
        None,
        "Sign with this certificate chain instead of a self-made one; needs --key.",
        "Marks",
        shapes=False,
        metavar="PEM",
    )
    key: str | Path | None = option(
        None, "The certificate's private key.", "Marks", shapes=False, metavar="PEM"
    )
    time_stamp: str | None = option(
        None,
        "Ask this time stamp authority when signing; otherwise nobody is asked.",
        "Marks",
        shapes=False,
        metavar="URL",
    )
    consent: str | None = option(
        None,
        'Who agreed, to what, when: "who, purpose, date".',
        "Marks",
        shapes=False,
        metavar="TEXT|FILE.yaml",
    )
    report: str | Path | None = option(
        None,
        "Write what was done to every frame, and why, as JSON.",
        "Output",
        shapes=False,
        metavar="FILE",
    )
    resume: bool = option(
        False,
        "Continue an interrupted job; keep what is done, in steps of about 4 s, if interrupted "
        "again.",
        "Job",
        shapes=False,
        still=False,
    )
    compare: str | Path | None = option(
        None,
        "Write source and result side by side, with sound, into this video too.",
        "Output",
        shapes=False,
        metavar="FILE.mp4",
    )
    overwrite: bool = option(
        True,
        "Replace an output that exists once the new one is complete; --no-overwrite stops "
        "before any work instead.",
        "Output",
        shapes=False,
    )
    preview: str | Path | None = option(
        None,
        "Draw a few moments of every face only, source above result, into this picture.",
        "Output",
        shapes=False,
        metavar="FILE.png",
    )
    device: Device = option("auto", "What computes: auto, cpu, cuda or mps.", "Model", shapes=False)
    backend: Backend = option(
        "auto", "Which runtime computes: auto, torch or openvino.", "Model", shapes=False
    )
    seed: int = option(0, "Seed of everything random.", "Model", shapes=True, low=0)
    batch_size: int = option(
        8, "Frames at once; does not change the result.", "Model", shapes=True, low=1, still=False
    )
    pixels: Pixels = option(
        "keep",
        "keep: bit depth and colour sampling of the source; 8: 8 bit 4:2:0, which every player "
        "shows.",
        "Output",
        shapes=True,
    )
    deinterlace: bool = option(
        False,
        "Make whole frames of interlaced ones; otherwise they stay interlaced.",
        "Output",
        shapes=True,
        still=False,
    )
    video_stream: int | None = option(
        None,
        "Number of the video stream to use, as ffprobe counts; otherwise the default one.",
        "Output",
        shapes=True,
        metavar="N",
        low=0,
        still=False,
    )
    speech_stream: int | None = option(
        None,
        "Number of the audio stream to speak, as ffprobe counts; otherwise the default one.",
        "Output",
        shapes=True,
        metavar="N",
        low=0,
    )
    limit: tuple[str, ...] = option(
        (),
        "Set a limit on what a file may ask for (docs/media.md lists them); may be given "
        "several times.",
        "Job",
        shapes=False,
        metavar="NAME=VALUE",
    )
    keep_streams: bool = option(
        False,
        "Keep the video's other sound and subtitle streams, its chapters, title, time code and "
        "closed captions.",
        "Output",
        shapes=True,
        still=False,
    )
    silence_gate: bool = option(
        True, "Bring the mouth to rest where nobody speaks.", "Face", shapes=True
    )
    detail: Detail = option(
        "keep",
        "keep: add the edit to the source, which keeps skin and beard; off: paste the drawn face.",
        "Face",
        shapes=True,
    )
    plan_cache: bool = option(
        True,
        "Keep what was found out about the video, small pictures of its faces among it, in "
        "your cache folder for its next dub.",
        "Job",
        shapes=False,
        still=False,
    )
    ray: str | None = option(
        None,
        "Draw on the machines of a Ray cluster, which must see the files under the same paths: "
        "the address of its head, auto, or local for processes of this machine.",
        "Job",
        shapes=False,
        metavar="ADDRESS",
        still=False,
    )
    fps: Fraction = option(
        STILL_RATE,
        "Frames per second of a still picture, whole or as a fraction (30000/1001); a video "
        "keeps its own.",
        "Output",
        shapes=True,
        metavar="RATE",
        low=1,
        high=1000,
    )

    @property
    def region(self) -> Region | None:
        """Where the mark goes, None for nowhere."""
        if isinstance(self.watermark, bool):
            return "face" if self.watermark else None
        return self.watermark

    @property
    def adapt_from(self) -> Path | None:
        """The other video that ``adapt`` names, None for a word."""
        return None if str(self.adapt) in ADAPT_WORDS else Path(self.adapt)

    def check(self) -> None:
        """Raise LipwrightError for a value that makes no sense."""
        for name, (_, info, hint) in options_of(DubOptions).items():
            value, title = getattr(self, name), name.replace("_", " ")
            choices = choices_of(hint)
            if choices and not isinstance(value, bool) and value not in choices:
                raise LipwrightError(
                    f"The {title} {value!r} is unknown; choose one of {', '.join(choices)}."
                )
            if value is None:
                continue
            above_low = info.low is None or value >= info.low  # never so for what is no number
            if not (above_low and (info.high is None or value <= info.high)):
                high = "or more" if info.high is None else f"to {info.high}"
                raise LipwrightError(
                    f"The {title} {value} is out of range; give {info.low} {high}."
                )
        if not is_face(self.face):
            raise LipwrightError(
                f"The face {self.face!r} is neither 'largest', 'all' nor 'speaking', nor a person "
                "(person:1), a face number or a point (320,180@2.5); 'lipwright faces' shows who "
                "is there."
            )
        if self.end and self.end <= self.start:
            raise LipwrightError(
                f"The passage ends at {float(self.end):g} s, before it starts at "
                f"{float(self.start):g} s; give a later --end."
            )
        limits.parse(self.limit)
        if (self.certificate is None) is not (self.key is None):
            raise LipwrightError("A certificate needs its key: give both --certificate and --key.")

    def shaping(self) -> dict[str, Any]:
        """The options on which the encoded frames depend, as plain JSON values.

        A resumed job must have the same, and the same model on the same runtime.
        """
        found: dict[str, Any] = {}
        for name, (_, info, _hint) in options_of(DubOptions).items():
            if info.shapes:
                value = getattr(self, name)
                found[name] = str(value) if isinstance(value, (Fraction, Path)) else value
        return {**found, "watermark": self.region}
