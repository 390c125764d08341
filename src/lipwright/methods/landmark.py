"""The landmark cascade: speech moves landmarks, landmarks move the picture.

Chen et al., "Hierarchical Cross-Modal Talking Face Generation with Dynamic Pixel-Wise Loss" (CVPR
2019). See docs/methods/landmark.md for what is theirs and what is ours.

The example of a still picture is the picture. In a video examples are reference frames of the
person, with the mouth at rest, middling and open (``opening_levels``), brought into each frame's
pose by the landmarks: were it the frame itself, the old mouth would show through wherever VG-net
moves it too little. Where VG-net does not draw, the frame stays as it is. Both networks are
recurrent: frames are computed one by one and the state goes along, so that batches of any size give
the same frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.faces.mouth_inside import dark_of, newly_open
from lipwright.faces.points68 import OUTER_LIPS, opening_68
from lipwright.files.whole import file_sha256
from lipwright.geometry import smoothstep
from lipwright.media.audio import SAMPLE_RATE
from lipwright.media.features import MfccSpec, WhisperSpec
from lipwright.media.mel import SILENCE
from lipwright.methods.base import Array, Method, MethodInfo, ReferenceLips, Rendered, audio_of
from lipwright.methods.encoded_method import EncodedMethod
from lipwright.methods.encoded_speech import ENCODER, MEMBERS
from lipwright.methods.opening_levels import by_level, shares
from lipwright.methods.runtime import load_engines
from lipwright.models.landmark_coordinates import NUMBERS, POINTS, LandmarkArrays
from lipwright.weights.container import read_arrays, read_header
from lipwright.weights.header import Header

MOUTH_END = 1.6
"""So far from the middle, in half axes of the mouth, nothing forces the drawn picture any more."""
QUIET_FRAMES = 50
"""After so many AT-net has forgotten that there was anything but silence."""
OF_SEVERAL = 0.73
"""Share of the checkpoint's gain where examples of several openings are moved. A single picture is
moved less far than it is told, for which the gain makes up; those about the opening that is asked
for are not. Chosen by lip distance and spread on eight clips of training people."""
PointReader = Callable[[NDArray[np.uint8]], NDArray[np.float64]]
"""Takes a crop (S, S, 3), returns its (68, 2) points in parts of the side."""


@dataclass
class Example:
    """A picture that is moved.

    Attributes:
        picture: (3, S, S) of the person.
        points: (68, 2) its landmarks.
        matrix: (2, 3) what aligns them.
        motion: (68, 2) of the aligned shape, as VG-net is told of it.
        opening: of its inner lips, in the aligned shape.
        video: state of VG-net, which draws from it.
    """

    picture: Array
    points: Array
    matrix: Array
    motion: Array
    opening: float
    video: Array


@dataclass
class LandmarkState:
    """What one face track carries along.

    Attributes:
        neutral: (68, 2) aligned shape of this face at rest.
        video: state of VG-net where each frame is its own example.
        audio: state of AT-net.
        examples: by rising opening; none: each frame is its own.
        face: the last frame, and ``points``, its landmarks: equal frames are looked at once.
        alpha: (1, 1, S, S) where the last frame was drawn.
        driven: (68, 2) landmarks that drove it, in parts of the side.
    """

    neutral: Array
    video: Array
    audio: tuple[Array, Array]
    examples: list[Example] = field(default_factory=list)
    face: Array | None = None
    points: Array | None = None
    alpha: Array | None = None
    driven: Array | None = None


class LandmarkMethod(EncodedMethod):
    """The contract of :class:`lipwright.methods.base.Method` for the landmark cascade.

    Args:
        path: a joined checkpoint (training stage ``landmark``).
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        backend: ``auto``, ``torch`` or ``openvino``.
    """

    def __init__(
        self,
        path: Path,
        device: str = "auto",
        backend: str = "auto",
    ) -> None:
        header = read_header(path)
        fields = Header(header, path)
        fields.check_method(
            "landmark",
            ", not of the landmark cascade; join its stages with 'lipwright train landmark' first",
        )
        self.space = _space(path, fields)
        count = self.space.components
        self.gain = np.array(fields.numbers("gain", count, -100.0, 100.0), np.float32)
        self.spoken = np.array(fields.flags("spoken", count))
        self.project = fields.flag("project")
        networks = fields.section("networks")
        video, audio = networks.section("video"), networks.section("audio")
        self.moved = video.choice("colour", ("drawn", "moved"), "drawn") == "moved"
        self._start = _first_states(path, audio.whole("layers", 1, 64, 3))

        def modules() -> dict[str, Any]:
            from lipwright.methods.landmark_networks import modules_of

            return dict(modules_of(path))

        # The recurrence over a whole speech would add up what bfloat16 rounds.
        exact = ("listen", ENCODER, MEMBERS)
        engines = load_engines(
            path, header, device, backend, modules, exact=exact, any_length=(ENCODER, MEMBERS)
        )
        spec = audio_of(fields)
        encoded = isinstance(spec, WhisperSpec)
        if set(engines) != {"listen", "draw", *((ENCODER, MEMBERS) if encoded else ())}:
            fields.fail(f"graphs are {', '.join(sorted(engines))}")
        self.speech = (engines[ENCODER], engines[MEMBERS]) if encoded else ()
        self.context = audio.section("encoder").whole("layers", 0, 64, 6) if encoded else 0
        self.listen, self.step = engines["listen"], engines["draw"]
        size = fields.whole("size", 16, 1024)
        self.info = MethodInfo(
            name="landmark",
            model_id=f"landmark-{size}-{file_sha256(path)[:12]}",
            size=size,
            audio=spec,
            backend=self.step.name,
            stateless=False,
            whole_speech=encoded,
        )
        self._read_points: PointReader | None = None

    def start(self, reference: Array, lips: ReferenceLips | None = None) -> LandmarkState:
        """Find the shape at rest from (R, 3, S, S) reference frames, R >= 1, and the examples."""
        points = np.stack([self.points(picture) for picture in reference])
        shapes, matrices = self.space.align(points)
        video, hidden, cell = self._start
        state = LandmarkState(self.space.neutral(shapes), video, (hidden, cell))
        if len(reference) > 1:
            if lips is not None:
                openings = [float(opening) for opening in lips.openings]
                far = np.abs(np.asarray(openings) - lips.rest.opening)
            else:
                openings = [float(opening) for opening in opening_68(shapes)]
                far = np.square(shapes - state.neutral).sum((1, 2))
            _, *further = by_level(openings)
            chosen = {int(np.argmin(far)), *(level[len(level) // 2] for level in further if level)}
            for n in chosen:
                aligned = shapes[n], matrices[n]
                state.examples.append(self._example(reference[n].copy(), points[n], aligned, state))
            state.examples.sort(key=lambda example: example.opening)
        return state

    @cached_property
    def quiet(self) -> Array:
        """(K,) coefficients that AT-net comes to in silence."""
        features = self.speech_features(np.zeros(SAMPLE_RATE, np.float32))
        whole = self.info.whole_speech
        sound = features[:, features.shape[1] // 2] if whole else features[:, : self.audio.steps]
        video, hidden, cell = self._start
        state = LandmarkState(np.zeros((POINTS, 2), np.float32), video, (hidden, cell))
        return [self._predict(sound, state) for _ in range(QUIET_FRAMES)][-1]

    def _opening(self, coefficients: Array) -> float:
        """How far (K,) coefficients open the mouth, of which only those count that speech tells.

        The others come from the frame, and its own mouth with them.
        """
        return float(opening_68(self.space.decode(np.where(self.spoken, coefficients, 0.0))))

    def _example(
        self, picture: Array, points: Array, aligned: tuple[Array, Array], state: LandmarkState
    ) -> Example:
        """A picture (3, S, S) with its (68, 2) landmarks, and their aligned shape and transform."""
        shape, matrix = aligned
        motion = shape - state.neutral
        if self.project:
            motion = self.space.decode(self.space.encode(motion))
        return Example(picture, points, matrix, motion, float(opening_68(shape)), state.video)

    def points(self, face: Array) -> Array:
        """(68, 2) landmarks of a face (3, S, S), in parts of the side."""
        if self._read_points is None:
            self._read_points = mesh_reader()
        picture = np.rint((face + 1.0) * 127.5).clip(0, 255).astype(np.uint8)
        found = self._read_points(np.ascontiguousarray(picture.transpose(1, 2, 0)))
        return np.asarray(found, np.float32)

    def render(self, faces: Array, audio: Array, state: LandmarkState) -> Rendered:
        """Draw (B, 3, S, S) faces with (B, C, steps) speech, or (B, H) on top of an encoder.

        The baseline is the source itself: where alpha is 0, VG-net copies it exactly.
        """
        made = [self._frame(f, a, state) for f, a in zip(faces, audio, strict=True)]
        return Rendered(np.stack(made), faces)

    def _frame(self, face: Array, sound: Array, state: LandmarkState) -> Array:
        known, here = state.face, state.points
        if known is None or here is None or not np.array_equal(face, known):
            here = self.points(face)
            state.face, state.points = face.copy(), here
        shape, matrix = self.space.align(here)
        coefficients = self.space.encode(shape - state.neutral)
        predicted = self._predict(sound, state)
        examples, counts = state.examples, np.ones(1, np.float32)
        gain = OF_SEVERAL * self.gain if examples and self.moved else self.gain
        amplified = gain * predicted
        # What speech cannot tell (the head's turn) stays as it is in this frame.
        driving = self.space.decode(np.where(self.spoken, amplified, coefficients))
        driven = self.space.place(driving, state.neutral, matrix)
        if examples:
            openings = np.array([[example.opening for example in examples]])
            # Whatever silence asks for is rest.
            wider = self._opening(amplified) - self._opening(gain * self.quiet)
            counts = shares(openings[:, 0] + wider, openings)[0]
        else:
            examples = [self._example(face, here, (shape, matrix), state)]
        shown, alpha = np.zeros_like(face), np.zeros((1, 1, self.size, self.size), np.float32)
        for example, count in zip(examples, counts, strict=True):
            if count > 0:
                drawn, where = self._drawn(example, driving, driven, state)
                alpha += count * where
                shown += count * (where[0] * drawn[0] + (1.0 - where[0]) * face)
        if not state.examples:
            state.video = examples[0].video
        state.alpha, state.driven = alpha, driven
        return np.asarray(shown, np.float32)

    def _drawn(
        self, example: Example, driving: Array, driven: Array, state: LandmarkState
    ) -> tuple[Array, Array]:
        """An example moved, (1, 3, S, S), and (1, 1, S, S) where that counts.

        Args:
            example: whose state goes on.
            driving: (68, 2) motion of the aligned shape.
            driven: (68, 2) where that puts the landmarks in the frame.
            state: of the face.
        """
        points: list[Array] = []
        if self.moved:
            own = self.space.place(example.motion, state.neutral, example.matrix)
            there = example.points + driven - own
            points = [2.0 * p[None] - 1.0 for p in (example.points, there)]
        drawn, alpha, example.video = self.step(
            example.picture[None],
            self.space.normalised(driving)[None],
            self.space.normalised(example.motion)[None],
            example.video,
            *points,
        )
        if self.moved:
            # Where a smile shows teeth, alpha can be small on the very lips: copied teeth are
            # seldom far wrong, but they do not speak.
            alpha = np.maximum(alpha, around_mouth(driven, self.size))
            drawn = with_dark_inside(drawn, example.points, driven)
        return drawn, alpha

    def _predict(self, sound: Array, state: LandmarkState) -> Array:
        """Coefficients (K,) of one window (C, steps) or row (H,)."""
        if isinstance(self.audio, MfccSpec):
            sound = sound - SILENCE  # the pipeline's MFCC are shifted to mel's silence
        found, hidden, cell = self.listen(sound[None], *state.audio)
        state.audio = (hidden, cell)
        return np.asarray(found[0], np.float32)


def around_mouth(points: Array, size: int) -> Array:
    """(1, 1, S, S): 1 on the mouth of (68, 2) points, in parts of the side, and 0 far from it."""
    mouth = points[OUTER_LIPS]
    middle, width = mouth.mean(0), np.ptp(mouth[:, 0])
    height = np.ptp(mouth[:, 1])
    place = (np.arange(size, dtype=np.float32) + 0.5) / size
    across = (place - middle[0]) / max(0.5 * width, 1e-3)
    down = (place - middle[1]) / max(0.5 * height + 0.1 * width, 1e-3)
    distance = np.hypot(across[None, :], down[:, None])
    ramp = ((MOUTH_END - distance) / (MOUTH_END - 1.0)).clip(0.0, 1.0)
    return np.asarray(smoothstep(ramp)[None, None], np.float32)


def with_dark_inside(drawn: Array, here: Array, driven: Array) -> Array:
    """A moved picture (1, 3, S, S) in [-1, 1] with dark where its lips were moved apart.

    VG-net moves a picture and corrects its colours, but what it did not see between closed lips it
    fills with what lay on them (ours, as is all of ``colour: moved``).

    Args:
        drawn: the picture.
        here: (68, 2) landmarks of the example, in parts of the side.
        driven: those to which it was moved.
    """
    hole = newly_open(here, driven, drawn.shape[-1])
    if not hole.any():
        return drawn
    unit = np.asarray(drawn[0].transpose(1, 2, 0) * 0.5 + 0.5, np.float32)
    dark = 2.0 * dark_of(unit, driven[OUTER_LIPS]) - 1.0
    return np.asarray(drawn + hole * (dark[None, :, None, None] - drawn), np.float32)


def _space(path: Path, fields: Header) -> LandmarkArrays:
    """The landmark space of a joined checkpoint."""
    header = fields.section("networks").section("space")
    count, scale = header.whole("components", 1, 136, 6), header.number("scale", 1e-3, 1e3, 5.0)
    arrays = read_arrays(path, [f"space.{name}" for name in NUMBERS])
    numbers = {n: a.astype(np.float32) for n, a in zip(NUMBERS, arrays, strict=True)}
    shapes = {n: a.shape for n, a in numbers.items()}
    flat, wide = (2 * POINTS,), (2 * POINTS, count)
    wanted = {"mean": (POINTS, 2), "basis": wide, "centre": flat}
    if shapes != {**wanted, "regression": wide, "offset": (count,)}:
        fields.fail("the landmark space does not fit itself")
    return LandmarkArrays(count, scale, **numbers)


def _first_states(path: Path, layers: int) -> tuple[Array, Array, Array]:
    """Zeros as large as the weights say: state of VG-net, hidden and cell state of AT-net."""
    names = ["video.gru.from_state.weight", "video.landmark.0.weight", "audio.lstm.weight_hh_l0"]
    gru, landmark, lstm = read_arrays(path, names)
    side = isqrt(len(landmark))
    hidden = np.zeros((layers, 1, lstm.shape[1]), np.float32)
    return np.zeros((1, gru.shape[1], side, side), np.float32), hidden, hidden


def mesh_reader() -> PointReader:
    """Reads the 68 points of an aligned crop off the mesh network."""
    from lipwright.faces.crop_points import SingleCrop

    return SingleCrop()


def load_landmark(path: Path, device: str = "auto", backend: str = "auto") -> Method:
    """Load a joined checkpoint, or a folder of ATVGnet's published files.

    Raises:
        LipwrightError: missing, damaged, or of another kind.
    """
    if path.is_dir():
        from lipwright.methods.published_landmark import PublishedLandmarkMethod

        if backend not in ("auto", "torch"):
            raise LipwrightError("the published networks run on PyTorch only; leave out --backend.")
        return PublishedLandmarkMethod(path, device)
    return LandmarkMethod(path, device, backend)
