"""The contract between a lip-sync network and the pipeline that dubs a video with it.

A method sees aligned square face crops and speech features, as NumPy arrays; it knows nothing of
files, tracks, time stamps or pasting. Everything above this line (``lipwright.dubbing``) knows
nothing of networks and runtimes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.lip_motion import LipMotions, NeutralMouth
from lipwright.media.features import audio_spec, speech_features
from lipwright.media.mel import STEPS_PER_FRAME, AudioSpec, column_at, windows
from lipwright.methods.speech_stream import ColumnWindows, LastSeconds, SpeechStream
from lipwright.weights.container import read_arrays
from lipwright.weights.header import Header, read_audio

Array = NDArray[np.float32]

BATCH = 8
"""Frames per call of a network; smaller batches are filled up, so that every frame is computed by
the same kernels whatever batch it came in."""


@dataclass(frozen=True)
class MethodInfo:
    """What the pipeline has to know of a method; nothing of it changes while the method lives.

    Attributes:
        name: registry name, for example ``"vq"``.
        model_id: name and content hash of the checkpoint, for reports and manifests.
        size: side S of the square face crop in pixels.
        audio: which window of the speech features one frame sees.
        backend: runtime and arithmetic, for example ``"openvino (bf16)"``; equal backends give the
            same frames.
        reference_size: side S' of the reference frames that :meth:`Method.start` wants; 0 for S.
        stateless: whether a frame depends on nothing but itself, its speech and the references.
        reference_choices: what :meth:`Method.with_reference` can be asked for; the first is what
            the method does unasked.
        whole_speech: whether a frame takes one column of :meth:`Method.speech_features` instead of
            a window of them.
    """

    name: str
    model_id: str
    size: int
    audio: AudioSpec
    backend: str
    reference_size: int = 0
    stateless: bool = True
    whole_speech: bool = False
    reference_choices: tuple[str, ...] = ("gallery",)

    def __post_init__(self) -> None:
        if self.reference_size == 0:
            object.__setattr__(self, "reference_size", self.size)


@dataclass(frozen=True)
class Rendered:
    """What a method made of a batch of faces.

    Attributes:
        faces: (B, 3, S, S) RGB in [-1, 1], the face speaking. Without ``baseline`` and
            ``restored`` it is shown all over the mask of the lower face, in the source's colours.
        baseline: (B, 3, S, S) in [-1, 1] or None: the *unedited* input faces as this method's
            own autoencoder draws them. The difference ``faces - baseline`` is then the edit alone,
            free of the autoencoder's blur and colour bias, and the compositor can keep the pores,
            beard and lip colour of the source wherever the edit is small.
        redrawn: of a method with ``baseline``, whether the lower half of ``faces`` was drawn
            without the source's. Then there is no edit: where the drawn face resembles the source
            by chance, the source's old mouth would stay. The drawn face is shown all over the mask,
            and ``baseline`` corrects its colours only.
        restored: (B, 3, k S, k S) in [-1, 1], k >= 1, or None: ``faces`` with what the autoencoder
            left out put back, as far as the method knows it; shown wherever it differs from the
            source, and no baseline is needed then.
        lips: (B, 40, 2) or None: where the drawn lip contours lie, in parts of S.
        step: (B, 40, 2) or None: how far they are from where speech wants them, which the method
            could not draw; the pipeline warps the face so far.
        weights: (B, R) or None: how much each of the references given to ``start`` has to do with
            what was drawn; they sum to 1. Where most of them show no face, the source stays.
    """

    faces: Array
    baseline: Array | None = None
    restored: Array | None = None
    lips: NDArray[np.float64] | None = None
    step: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None
    redrawn: bool = False


@dataclass(frozen=True)
class ReferenceLips:
    """What the lips do in the R reference frames of a face, read off landmarks.

    Attributes:
        openings: (R,) gap of the inner lips in parts of the face's height.
        shapes: (R, 40, 2) lip contours in the aligned crop (``faces.measure.lip_shape``).
        rest: the same of this person's resting mouth.
    """

    openings: NDArray[np.floating]
    shapes: NDArray[np.floating]
    rest: NeutralMouth


class Method(ABC):
    """Audio-driven lip-sync on aligned crops.

    A method sets ``info`` when it is made and has :meth:`start` and :meth:`render`; the other hooks
    have defaults that suit most methods.

    Attributes:
        info: see :class:`MethodInfo`.
        batch: frames per call of its networks. Who draws one frame at a time and cannot wait (live)
            sets 1; frames then come from other kernels and differ by their rounding.
    """

    info: MethodInfo
    motions: LipMotions | None = None
    """The space of the lip motions that :meth:`speech_features` gives, for methods whose speech
    network says what lips do; None for all others."""
    articulation: NDArray[np.float32] | None = None
    """(K,) gains by which :meth:`render` stretches such motions (``methods.articulation``); None
    for 1."""
    batch: int = BATCH

    def speech_features(self, wave: Array) -> Array:
        """Features of a whole recording, 100 columns a second.

        By default the log-mel spectrogram in [-4, 4], of which -4 is silence, or the MFCC that
        ``info.audio`` names (``media.features``, ``media.mel``). A method with
        ``info.whole_speech`` gives (K, T) numbers of which 0 is a mouth at rest.

        Args:
            wave: (n,) float32 in [-1, 1] at 16 kHz.

        Returns:
            (C, 1 + n // 160) float32.
        """
        return speech_features(wave, self.info.audio)

    def speech_stream(self) -> SpeechStream:
        """The features of a recording that goes on, see :mod:`lipwright.methods.speech_stream`."""
        if self.info.whole_speech:
            return LastSeconds(self.speech_features)
        return ColumnWindows(self.speech_features, self.info.audio)

    @abstractmethod
    def start(self, reference: Array, lips: ReferenceLips | None = None) -> Any:
        """Prepare one face track.

        Args:
            reference: (R, 3, S', S') RGB float32 in [-1, 1], R >= 1 reference frames of this face
                from the source video, S' = ``info.reference_size``.
            lips: what the lips do in them, where the caller knows it.

        Returns:
            A state object to be passed to :meth:`render`.
        """

    @abstractmethod
    def render(self, faces: Array, audio: Array, state: Any) -> Rendered:
        """Draw the faces speaking.

        Frames of one track arrive in order, in batches; the state carries what a recurrent method
        needs, so that the result does not depend on the batch size.

        Args:
            faces: (B, 3, S, S) RGB float32 in [-1, 1], the aligned source frames (head pose,
                light, identity).
            audio: (B, C, W) windows of the speech features, C = 80 bands of log-mel by default,
                W = ``info.audio.steps``, of which column ``info.audio.before`` is the time of the
                frame; or (B, K) single columns of them for a method with ``info.whole_speech``.
                Where nobody speaks they are faded to silence (-4; 0 of single columns).
            state: what :meth:`start` returned.
        """

    def with_reference(self, choice: str) -> Method:
        """The same method with another choice of the reference frames that a frame is drawn from.

        Args:
            choice: ``same``, ``fixed`` or ``gallery``; see docs/methods/vq.md.

        Raises:
            LipwrightError: the method has no such choice.
        """
        choices = self.info.reference_choices
        if choice not in choices:
            raise LipwrightError(
                f"the method '{self.info.name}' cannot draw with reference={choice}; it knows "
                f"{', '.join(choices)}."
            )
        return self

    def close(self) -> None:
        """Let go of what the method holds; may be called twice. By default nothing is held."""
        return

    # Shorthands for what is asked most often.

    @property
    def name(self) -> str:
        """``info.name``."""
        return self.info.name

    @property
    def size(self) -> int:
        """``info.size``."""
        return self.info.size

    @property
    def audio(self) -> AudioSpec:
        """``info.audio``."""
        return self.info.audio

    @property
    def model_id(self) -> str:
        """``info.model_id``."""
        return self.info.model_id


def predicted_motion(method: Method, wave: Array) -> NDArray[np.float64]:
    """What a method with ``motions`` says that lips do, at 25 fps: (n,) samples -> (N, K)."""
    return np.asarray(method.speech_features(wave)[:, ::STEPS_PER_FRAME].T, np.float64)


def heard(method: Method, wave: Array, times: Sequence[Fraction]) -> Array:
    """What :meth:`Method.render` takes of a speech at these times.

    Args:
        method: which hears the whole speech or windows of it.
        wave: (n,) mono samples at 16 kHz, full scale is 1.
        times: B seconds from the start of the speech; beyond its end the last column is repeated.

    Returns:
        (B, K) columns or (B, C, W) windows.
    """
    features = method.speech_features(wave)
    if not method.info.whole_speech:
        return np.asarray(windows(features, times, method.audio), np.float32)
    columns = np.array([column_at(time) for time in times]).clip(max=features.shape[1] - 1)
    return np.ascontiguousarray(features[:, columns].T)


def audio_of(header: Header) -> AudioSpec:
    """The window of speech that a checkpoint's header describes."""
    return audio_spec(*read_audio(header.section("audio")))


def motions_of(header: Header, path: Path, space: str) -> LipMotions:
    """The space of lip motions that a checkpoint holds as ``SPACE.basis`` and ``SPACE.scale``."""
    names = [f"{space}.basis", f"{space}.scale"]
    basis, scale = (x.astype(np.float64) for x in read_arrays(path, names))
    if basis.ndim != 2 or scale.shape != (basis.shape[1] + 1,):
        header.fail("the space of lip motions does not fit itself")
    return LipMotions(basis, scale)


def in_full_batches(
    run: Callable[..., tuple[Array, ...]], *inputs: NDArray[Any], size: int = BATCH
) -> tuple[Array, ...]:
    """Call a network on batches of exactly ``size`` rows.

    Args:
        run: takes arrays of ``size`` rows, one for each of ``inputs``, gives arrays of as many.
        inputs: arrays of N >= 1 rows; the last batch is filled up with its last row.
        size: rows per call.

    Returns:
        What ``run`` gave, N rows each.
    """
    parts = []
    for first in range(0, len(inputs[0]), size):
        rows = [array[first : first + size] for array in inputs]
        count = len(rows[0])
        if count < size:
            rows = [np.concatenate([r, np.repeat(r[-1:], size - count, axis=0)]) for r in rows]
        parts.append([made[:count] for made in run(*rows)])
    return tuple(np.concatenate(made) for made in zip(*parts, strict=True))


def resized(pictures: Array, side: int) -> Array:
    """(N, 3, H, H) -> (N, 3, side, side), by areas when smaller and bilinear when larger."""
    if pictures.shape[-1] == side:
        return pictures
    how = cv2.INTER_AREA if side < pictures.shape[-1] else cv2.INTER_LINEAR
    planes = [
        cv2.resize(plane, (side, side), interpolation=how) for row in pictures for plane in row
    ]
    return np.asarray(np.stack(planes), np.float32).reshape(*pictures.shape[:2], side, side)
