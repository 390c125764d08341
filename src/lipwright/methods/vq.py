"""VQ lip-sync: the default method.

Gupta et al., "Towards Generating Ultra-High Resolution Talking-Face Videos with Lip
Synchronization" (WACV 2023). See docs/methods/vq.md for what is theirs and what is ours.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.face_regions import DRAWN_BOX, pixel_box
from lipwright.files.whole import file_sha256
from lipwright.lip_motion import compensate_dead_zone
from lipwright.media.mel import HOP, SILENCE, STEPS_PER_FRAME
from lipwright.media.whisper_mel import whisper_log_power
from lipwright.methods.articulation import stretched
from lipwright.methods.base import (
    Array,
    Method,
    MethodInfo,
    ReferenceLips,
    Rendered,
    audio_of,
    in_full_batches,
    motions_of,
    resized,
)
from lipwright.methods.encoded_speech import ENCODER, MEMBERS, lip_motions_of
from lipwright.methods.encoded_stream import EncodedSpeechStream
from lipwright.methods.runtime import Engine, GraphEngine, load_engines
from lipwright.methods.speech_stream import SpeechStream
from lipwright.weights.container import read_header
from lipwright.weights.header import Header

REFERENCE_ROWS = 4
"""Reference frames per call of their encoder."""
NORM_ROWS = 4
"""Reference frames whose statistics the group normalisations take for all pictures of a face."""
PAPER_REFERENCES = ("same", "fixed", "gallery")
"""Choices for the paper's generator; the first is the paper's own."""
SHAPE_ARTICULATION = 1.0
"""Gain of the lip shape's components but the first, where the checkpoint's articulation is larger:
speech tells less of them than of the opening, and what is exaggerated is mostly error. The first
component is the jaw's and goes with the opening."""
WHOLE_PICTURES = 5
"""Tensors of a graph of references whose residual goes into the graph of frames."""
LEAST_WEIGHT = 2e-4
"""References that count less are left out of the residual: all together a fraction of a level."""
_BLOCK = 2048  # columns of a recording that are looked at in one go


@dataclass(frozen=True)
class VQState:
    """What one face track needs: the encoded references, R rows each."""

    references: tuple[Array, ...]
    rest: NDArray[np.float64] | None = None


class VQMethod(Method):
    """The contract of :class:`lipwright.methods.base.Method` for VQ lip-sync.

    Args:
        path: a joined checkpoint (training stage ``vq``).
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        backend: ``auto``, ``torch`` or ``openvino``.
        name: in the registry of methods.

    Attributes:
        reference: what a frame is drawn from by the paper's generator, which knows one reference
            (:meth:`with_reference`): the frame itself, as published (``same``), the reference
            frame with the most closed mouth (``fixed``), or of all reference frames the one in
            which the head is held most alike, by the cosine of the Pose-VQGAN's codes
            (``gallery``).
    """

    def __init__(
        self, path: Path, device: str = "auto", backend: str = "auto", name: str = "vq"
    ) -> None:
        header = read_header(path)
        fields = Header(header, path)
        fields.check_method(
            "vq", ", not of a dubbing method; join the stages with 'lipwright train vq' first"
        )
        self.gallery = fields.choice("arch", ("gallery", "paper")) == "gallery"
        fields.choice("snap", ("soft", "raw", "entry"))
        first = fields.choice("reference", PAPER_REFERENCES, PAPER_REFERENCES[0])
        self.reference = "gallery" if self.gallery else first
        for codes in ("face", "pose"):
            fields.section("sigma").number(codes, 1e-6, 1e6)
        size = fields.whole("size", 16, 1024)
        self._drawn_gain = np.float32(1.0)  # the renderer's own
        if self.gallery:
            opening = fields.number("articulation", 0.0, 20.0, 1.0)
            self.motions = motions_of(fields, path, "space")
            shape = min(opening, SHAPE_ARTICULATION)
            self.articulation = np.array(
                [opening] * 2 + [shape] * (self.motions.dim - 2), np.float32
            )
            self._drawn_gain = np.float32(opening or 1.0)

        def modules() -> dict[str, Any]:
            from lipwright.methods.vq_networks import modules_of

            return dict(modules_of(path))

        # With the kernel alone nothing modulates group normalisations.
        kernel = self.gallery and not fields.section("networks").section("generator").flag(
            "correct", default=True
        )
        fused = ("norms", "references", "frames") if kernel else ()
        # In bfloat16 the motions would tremble.
        engines = load_engines(path, header, device, backend, modules, _SPEECH, fused, _SPEECH)
        if not {"references", "frames"} <= set(engines):
            fields.fail(f"graphs are {', '.join(sorted(engines))}")
        self.references, self.frames = engines["references"], engines["frames"]
        self.norms = engines.get("norms")
        self.speech = [engines[part] for part in _SPEECH if part in engines]
        if self.gallery is not bool(self.speech):
            fields.fail("the speech network has no graph")
        self._context = (
            fields.section("networks").section("speech").whole("layers", 0, 64, 6)
            if self.gallery
            else 0
        )
        self.info = MethodInfo(
            name=name,
            model_id=f"{name}-{size}-{file_sha256(path)[:12]}",
            size=size,
            audio=audio_of(fields),
            backend=self.frames.name,
            reference_size=size * fields.whole("finer", 1, 8, 1),
            reference_choices=(
                ("gallery",)
                if self.gallery
                else (first, *(c for c in PAPER_REFERENCES if c != first))
            ),
            whole_speech=self.gallery,  # the paper's generator hears the mel itself
        )

    def start(self, reference: Array, lips: ReferenceLips | None = None) -> VQState:
        """Encode reference frames; without ``lips`` all are taken to rest."""
        dim = self.motions.dim if self.motions is not None else 8
        motions = np.zeros((len(reference), dim), np.float32)
        if lips is not None and self.motions is not None:
            motions = self.motions.encode(lips.openings, lips.shapes, lips.rest)
        pictures = resized(reference, self.info.reference_size)
        if not self.gallery:
            if self.reference == "same":  # every frame brings its own
                return VQState(())
            if self.reference == "fixed":  # references come from closed to open
                pictures, motions = pictures[:1], motions[:1]
        rest = None if lips is None else np.asarray(lips.rest.shape, np.float64)
        if self.norms is None:
            encoded = in_full_batches(self.references, pictures, motions, size=REFERENCE_ROWS)
        else:
            some = pictures[norm_rows(len(pictures))]
            (each,) = in_full_batches(self.norms, some, size=REFERENCE_ROWS)
            norms = each.mean(axis=0, keepdims=True)
            _let_go(self.norms)

            def encode(*rows: Array) -> tuple[Array, ...]:
                return self.references(*rows, norms)

            *known, residual = in_full_batches(encode, pictures, motions, size=REFERENCE_ROWS)
            encoded = (*known, norms, residual)
        _let_go(self.references)
        return VQState(encoded, rest)

    def speech_features(self, wave: Array) -> Array:
        """(n,) samples -> (K, T), what the lips do at every column; 0 is rest.

        A frame's window is four columns from the next frame's, so the four ways to begin are run
        one after another, in blocks that bound the memory.
        """
        if self.motions is not None and len(self.speech) == 2:
            encoder, members = self.speech
            total = 1 + len(wave) // HOP
            return lip_motions_of(
                encoder, members, total, lambda a, b: whisper_log_power(wave, (a, b)), self._context
            )
        mel = super().speech_features(wave)
        if self.motions is None:
            return mel
        (speech,) = self.speech
        spec, total = self.info.audio, mel.shape[1]
        padded = np.pad(mel, ((0, 0), (spec.before, spec.steps)), constant_values=SILENCE)
        out = np.zeros((self.motions.dim, total), np.float32)
        step = STEPS_PER_FRAME
        for start in range(0, total, _BLOCK):
            stop = min(start + _BLOCK, total)
            longest = len(range(start, stop, step))
            for first in range(start, min(start + step, stop)):
                # Blocks of equal length are one compiled graph.
                end = first + spec.steps + step * (longest - 1)
                part = padded[:, first:end]
                lacking = end - first - part.shape[1]
                part = np.pad(part, ((0, 0), (0, lacking)), constant_values=SILENCE)
                (rows,) = speech(part[None])
                count = len(range(first, stop, step))
                out[:, first:stop:step] = rows[:count].T
        return out

    def speech_stream(self) -> SpeechStream:
        """What the lips do while the speech goes on."""
        if len(self.speech) == 2:
            encoder, members = self.speech
            return EncodedSpeechStream(encoder, members, self._context)
        return super().speech_stream()

    def render(self, faces: Array, audio: Array, state: VQState) -> Rendered:
        """Draw (B, 3, S, S) faces by (B, K) motions, the paper's generator by (B, 80, steps)."""
        if not self.gallery:  # speaking faces, and the baseline
            references = self._reference_codes(faces, state)
            speaking, baseline = in_full_batches(
                self.frames, faces, audio, references, size=self.batch
            )
            return Rendered(speaking, baseline, redrawn=True)

        # Graphs of checkpoints that were joined earlier draw whole pictures.
        whole = len(state.references) == WHOLE_PICTURES
        known = state.references if whole else state.references[:-1]

        def draw(*inputs: Array) -> tuple[Array, ...]:
            return self.frames(*inputs, *known)

        conditions = stretched(audio, self.articulation) / self._drawn_gain
        made = in_full_batches(draw, faces, conditions, size=self.batch)
        if whole:
            restored = made[1]
        else:
            restored = put_back(made[0], made[-1], state.references[-1], self.info.reference_size)
        speaking = made[0] if whole else resized(restored, self.info.size)
        wanted, shown, weights = (m.astype(np.float64) for m in made[-3:])
        if state.rest is None or self.motions is None:
            return Rendered(speaking, restored=restored, weights=weights)
        lips = state.rest + self.motions.contours(shown)
        step = self.motions.contours(compensate_dead_zone(wanted - shown))
        return Rendered(speaking, None, restored, lips, step, weights)

    def _reference_codes(self, faces: Array, state: VQState) -> Array:
        """(B, D, h, w) face codes of the reference of every frame, for the paper's generator."""
        if self.reference == "fixed":
            return np.repeat(state.references[0], len(faces), axis=0)
        motions = np.zeros((len(faces), 8), np.float32)
        codes, poses = in_full_batches(self.references, faces, motions, size=REFERENCE_ROWS)
        if self.reference == "same":
            return codes
        seen, known = (p.reshape(len(p), -1) for p in (poses, state.references[1]))
        seen, known = (p / np.linalg.norm(p, axis=1, keepdims=True) for p in (seen, known))
        return np.asarray(state.references[0][(seen @ known.T).argmax(axis=1)])

    def with_reference(self, choice: str) -> VQMethod:
        """See :meth:`Method.with_reference`; both share networks."""
        super().with_reference(choice)
        made = copy(self)
        made.reference = choice
        return made


def norm_rows(count: int) -> NDArray[np.intp]:
    """Which of so many reference frames, from closed to open, make the statistics.

    Evenly spread, so that all kinds of mouths have a say in them.
    """
    return np.unique(np.linspace(0, count - 1, NORM_ROWS).round().astype(np.intp))


def _let_go(engine: Engine) -> None:
    """Of a network that is wanted once per face, and large."""
    if isinstance(engine, GraphEngine):
        engine.release()


def put_back(drawn: Array, weights: Array, residual: Array, side: int) -> Array:
    """Drawn faces with what the VQGAN lost of the reference frames that they were mixed from.

    Frame by frame, and of the references only those that matter: as one product of matrices, all
    residuals would have to be read for every frame.

    Args:
        drawn: (B, 3, h, w) in [-1, 1], the part of the face in ``face_regions.DRAWN_BOX``.
        weights: (B, R) of the references.
        residual: (R, 3 S S), see ``models.vq_pipeline.ReferenceEncoder``.
        side: S.

    Returns:
        (B, 3, S, S) in [-1, 1].
    """
    left, top, right, bottom = pixel_box(DRAWN_BOX, side)
    if drawn.shape[1:] != (3, bottom - top, right - left):
        raise LipwrightError(
            "The graphs of the checkpoint draw another part of the face than this version shows; "
            "join its stages again with 'lipwright train vq'."
        )
    out = np.zeros((len(drawn), residual.shape[1]), np.float32)
    for made, shares in zip(out, weights, strict=True):
        for number in np.flatnonzero(shares > LEAST_WEIGHT):
            cv2.scaleAdd(residual[number], float(shares[number]), made, dst=made)
    restored = out.reshape(len(drawn), 3, side, side)
    restored[:, :, top:bottom, left:right] += drawn
    return np.clip(restored, -1.0, 1.0, out=restored)


_SPEECH = ("speech", ENCODER, MEMBERS)
"""Names of the networks that predict lip motion: one, or an encoder and those on top of it."""


def load_vq(path: Path, device: str = "auto", backend: str = "auto") -> VQMethod:
    """Load a joined checkpoint.

    Raises:
        LipwrightError: missing, damaged, or of another kind.
    """
    return VQMethod(path, device, backend)


def load_vq_paper(path: Path, device: str = "auto", backend: str = "auto") -> VQMethod:
    """Load a joined checkpoint with the paper's generator.

    Raises:
        LipwrightError: missing, damaged, of another kind, or with another generator.
    """
    method = VQMethod(path, device, backend, name="vq-paper")
    if method.gallery:
        method.close()
        raise LipwrightError(
            f"{path} has the generator 'gallery', not the paper's; use it with --method vq."
        )
    return method
