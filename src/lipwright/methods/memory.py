"""Audio-Lip Memory: audio recalls lip features, a decoder draws them on this face.

Park et al., "SyncTalkFace" (AAAI 2022). See docs/methods/memory.md for what is theirs and what is
ours. Only audio and identity frames are needed; the lip encoder, with which the memory was filled,
is not loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipwright.files.whole import file_sha256
from lipwright.lip_motion import LipMotions
from lipwright.media.features import WhisperSpec
from lipwright.methods.base import (
    Array,
    MethodInfo,
    ReferenceLips,
    Rendered,
    audio_of,
    in_full_batches,
    motions_of,
)
from lipwright.methods.encoded_method import EncodedMethod
from lipwright.methods.encoded_speech import ENCODER, MEMBERS
from lipwright.methods.memory_references import (
    choose_references,
    median_reference,
    nearest_pose,
    pose_of,
)
from lipwright.methods.opening_levels import MIDDLE, shares
from lipwright.methods.runtime import load_engines
from lipwright.weights.container import read_header
from lipwright.weights.header import Header

DRAW, MOTION = "draw", "motion"
"""Graphs of a checkpoint: what draws, and what lip motion speech asks for."""


@dataclass(frozen=True)
class MemoryState:
    """What one face track needs: one reference frame (1, 3, S, S) in [-1, 1].

    Where it is moved, L of them for each of R poses, by rising opening, (R L, 3, S, S), with their
    (R L, P, 2) lip points and (R L, K) lip motions; and the (R, D) poses.
    """

    reference: Array
    lips: tuple[Array, ...] = ()
    poses: Array | None = None

    @property
    def openings(self) -> Array:
        """(R, L) of the mouths in the references, as lip motions have them."""
        assert self.poses is not None
        return self.lips[1][:, 0].reshape(len(self.poses), -1)


class MemoryMethod(EncodedMethod):
    """The contract of :class:`lipwright.methods.base.Method` for the Audio-Lip Memory.

    Args:
        path: a checkpoint of the training stage ``memory``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        backend: ``auto``, ``torch`` or ``openvino``.
    """

    def __init__(self, path: Path, device: str = "auto", backend: str = "auto") -> None:
        header = read_header(path)
        fields = Header(header, path)
        fields.check_method(
            "memory", ", not of the Audio-Lip Memory; give one of 'lipwright train memory'"
        )
        # Not ``motions``: it reads the reference frames' lips, and predicts none from speech.
        self._reference_space: LipMotions | None = None
        if fields.arguments("talker").get("move") is not None:
            self._reference_space = motions_of(fields, path, "talker.mover.space")

        def modules() -> dict[str, Any]:
            from lipwright.methods.memory_networks import modules_of

            return dict(modules_of(path))

        speech = (ENCODER, MEMBERS)
        engines = load_engines(
            *(path, header, device, backend, modules),
            exact=(*speech, MOTION),
            any_length=speech,
        )
        audio = audio_of(fields)
        encoded = isinstance(audio, WhisperSpec)
        moving = (MOTION,) if self._reference_space is not None else ()
        if set(engines) != {DRAW, *moving, *(speech if encoded else ())}:
            fields.fail(f"graphs are {', '.join(sorted(engines))}")
        self.engine, self._motion = engines[DRAW], engines.get(MOTION)
        self.speech = (engines[ENCODER], engines[MEMBERS]) if encoded else ()
        talker = fields.section("networks").section("talker")
        self.context = talker.section("audio").whole("layers", 0, 64, 6) if encoded else 0
        size = fields.whole("size", 16, 1024)
        self.info = MethodInfo(
            name="memory",
            model_id=f"memory-{size}-{file_sha256(path)[:12]}",
            size=size,
            audio=audio,
            backend=self.engine.name,
            whole_speech=encoded,
        )

    def start(self, reference: Array, lips: ReferenceLips | None = None) -> MemoryState:
        """Choose of (R, 3, S, S) reference frames, R >= 1, that with the median opening.

        One for the whole face: a reference whose mouth went along with the source's would tell the
        source's speech. Without ``lips`` it is the middle one. Where references are moved, which
        takes their own mouths away, further ones serve other poses of the head and other openings
        (``memory_references``, ``opening_levels``).
        """
        if lips is not None and len(lips.openings) != len(reference):
            lips = None
        openings = [float(v) for v in lips.openings] if lips is not None else []
        index = [median_reference(openings) if openings else len(reference) // 2]
        space = self._reference_space
        if space is None:
            return MemoryState(reference[index])
        if lips is None:  # a closed mouth in the middle
            where = np.full((1, len(space.basis) // 2, 2), 0.64, np.float32)
            return MemoryState(reference[index], (where, np.zeros((1, space.dim), np.float32)))
        poses = pose_of(reference)
        chosen = choose_references(poses, openings)
        flat = chosen.ravel()
        shapes = np.asarray(lips.shapes, np.float64)[flat]
        motion = space.encode(np.asarray(lips.openings)[flat], shapes, lips.rest)
        known = shapes.astype(np.float32), motion
        return MemoryState(reference[flat], known, poses[chosen[:, MIDDLE]])

    def render(self, faces: Array, audio: Array, state: MemoryState) -> Rendered:
        """Draw (B, 3, S, S) faces with (B, 80, steps) log-mel or (B, C_aud) audio features.

        The baseline is the source itself, which is what there is outside the ellipse.
        """
        pose, weights = self._serving(faces, audio, state)
        frame, level = np.nonzero(weights)
        which = pose[frame] * weights.shape[1] + level

        def draw(frame: Array, which: Array) -> tuple[Array, ...]:
            serving = (known[which] for known in (state.reference, *state.lips))
            reference, *moved = serving
            return self.engine(faces[frame], reference, audio[frame], *moved)

        made = in_full_batches(draw, frame, which, size=self.batch)[0]
        drawn = np.zeros_like(faces)
        for number in range(weights.shape[1]):
            rows = level == number
            drawn[frame[rows]] += weights[frame[rows], number, None, None, None] * made[rows]
        return Rendered(drawn, faces)

    def _serving(
        self, faces: Array, audio: Array, state: MemoryState
    ) -> tuple[NDArray[np.int64], Array]:
        """For every frame the number of its pose, and (B, L) how much each reference counts.

        What was drawn from one mouth and from another, both moved to what is said, is mixed.
        """
        pose = np.zeros(len(faces), np.int64)
        if state.poses is None or self._motion is None:
            return pose, np.ones((len(faces), 1), np.float32)
        pose = nearest_pose(faces, state.poses)
        said = in_full_batches(self._motion, audio, size=self.batch)[0]
        return pose, shares(said[:, 0], state.openings[pose])


def load_memory(path: Path, device: str = "auto", backend: str = "auto") -> MemoryMethod:
    """Load a checkpoint of the stage ``memory``.

    Raises:
        LipwrightError: missing, damaged, or of another kind.
    """
    return MemoryMethod(path, device, backend)
