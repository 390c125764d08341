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
    nearest_reference,
    pose_of,
)
from lipwright.methods.runtime import load_engines
from lipwright.weights.container import read_header
from lipwright.weights.header import Header


@dataclass(frozen=True)
class MemoryState:
    """What one face track needs: one reference frame (1, 3, S, S) in [-1, 1].

    Where it is moved, R of them with their (R, P, 2) lip points and (R, K) lip motions, and their
    (R, D) poses.
    """

    reference: Array
    lips: tuple[Array, ...] = ()
    poses: Array | None = None


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
            path, header, device, backend, modules, exact=speech, any_length=speech
        )
        audio = audio_of(fields)
        encoded = isinstance(audio, WhisperSpec)
        if set(engines) != {"draw", *((ENCODER, MEMBERS) if encoded else ())}:
            fields.fail(f"graphs are {', '.join(sorted(engines))}")
        self.engine = engines["draw"]
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
        takes their own mouths away, further ones serve other poses of the head.
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
        index = choose_references(poses, openings)
        shapes = np.asarray(lips.shapes, np.float64)[index]
        motion = space.encode(np.asarray(lips.openings)[index], shapes, lips.rest)
        return MemoryState(reference[index], (shapes.astype(np.float32), motion), poses[index])

    def render(self, faces: Array, audio: Array, state: MemoryState) -> Rendered:
        """Draw (B, 3, S, S) faces with (B, 80, steps) log-mel or (B, C_aud) audio features.

        The baseline is the source itself, which is what there is outside the ellipse.
        """

        def draw(pictures: Array, speech: Array) -> tuple[Array, ...]:
            nearest = np.zeros(len(pictures), np.int64)
            if state.poses is not None:
                nearest = nearest_reference(pictures, state.poses)
            reference, *moved = (known[nearest] for known in (state.reference, *state.lips))
            return self.engine(pictures, reference, speech, *moved)

        return Rendered(in_full_batches(draw, faces, audio, size=self.batch)[0], faces)


def load_memory(path: Path, device: str = "auto", backend: str = "auto") -> MemoryMethod:
    """Load a checkpoint of the stage ``memory``.

    Raises:
        LipwrightError: missing, damaged, or of another kind.
    """
    return MemoryMethod(path, device, backend)
