"""The landmark cascade: speech moves landmarks, landmarks move the picture.

Chen et al., "Hierarchical Cross-Modal Talking Face Generation with Dynamic Pixel-Wise Loss" (CVPR
2019). See docs/methods/landmark.md for what is theirs and what is ours.

The example of a still picture is the picture. In a video it is one look of the person, the mouth at
rest, brought into each frame's pose by the landmarks: were it the frame itself, the old mouth would
show through wherever VG-net moves it too little. Where VG-net does not draw, the frame stays as it
is. Both networks are recurrent: frames are computed one by one and the state goes along, so that
batches of any size give the same frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lipwright.errors import LipwrightError
from lipwright.geometry import smoothstep
from lipwright.media.features import MfccSpec
from lipwright.media.mel import SILENCE
from lipwright.methods.base import Array, Method, MethodInfo, ReferenceLips, Rendered, audio_of
from lipwright.methods.engine import Engine, build_engine
from lipwright.models.landmark_audio import LandmarkAudio
from lipwright.models.landmark_audio import State as AudioState
from lipwright.models.landmark_space import LandmarkSpace
from lipwright.models.landmark_video import LandmarkVideo
from lipwright.weights.checkpoint import Checkpoint, load_checkpoint

MOUTH_END = 1.6
"""So far from the middle, in half axes of the mouth, nothing forces the drawn picture any more."""
PointReader = Callable[[NDArray[np.uint8]], NDArray[np.float64]]
"""Takes a crop (S, S, 3), returns its (68, 2) points in parts of the side."""


@dataclass
class LandmarkState:
    """What one face track carries along.

    Attributes:
        neutral: (68, 2) aligned shape of this face at rest.
        example_frame: (3, S, S) the example; None: each frame is its own.
        example_points: (68, 2) its landmarks.
        audio: state of AT-net.
        video: state of VG-net.
        face: the last frame, and ``points``, its landmarks: equal frames are looked at once.
        alpha: (1, 1, S, S) where the last frame was drawn.
        driven: (68, 2) landmarks that drove it, in parts of the side.
    """

    neutral: Tensor
    video: Tensor
    example_frame: Tensor | None = None
    example_points: Tensor | None = None
    audio: AudioState | None = None
    face: Tensor | None = None
    points: Tensor | None = None
    alpha: Tensor | None = None
    driven: Tensor | None = None


class VideoStep(nn.Module):
    """One frame of VG-net as a graph of plain tensors."""

    def __init__(self, network: LandmarkVideo) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        picture: Tensor,
        landmarks: Tensor,
        example: Tensor,
        state: Tensor,
        *points: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw (1, 3, S, S) by landmarks (1, 136): what is drawn, alpha, and the next state.

        ``points`` are the picture's own (1, 68, 2) and where they are to lie, where needed.
        """
        here, there = points if points else (None, None)
        there = None if there is None else there[:, None]
        drawn = self.network(picture, landmarks[:, None], example, state, here, there)
        return drawn.colour[:, 0], drawn.alpha[:, 0], drawn.state


class LandmarkMethod(Method):
    """The contract of :class:`lipwright.methods.base.Method` for the landmark cascade.

    Args:
        checkpoint: a joined checkpoint (training stage ``landmark``).
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        backend: ``auto``, ``torch`` or ``openvino``.
        read_points: another source of landmarks than the network of ``lipwright.faces``.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: str = "auto",
        backend: str = "auto",
        read_points: PointReader | None = None,
    ) -> None:
        header = checkpoint.header
        if header["method"] != "landmark":
            raise LipwrightError(
                f"{checkpoint.path} is a checkpoint of '{header['method']}', not of the landmark "
                "cascade; join its stages with 'lipwright train landmark' first."
            )
        self.space, self.speech, video = build_networks(checkpoint)
        fields, count = checkpoint.fields, self.space.components
        self.gain = torch.tensor(fields.numbers("gain", count, -100.0, 100.0))
        self.spoken = torch.tensor(fields.flags("spoken", count))
        self.project = fields.flag("project")
        self.moved = video.moved
        self._start = torch.zeros(1, video.gru.hidden, video.side, video.side)
        self.step: Engine = build_engine(
            VideoStep(video).eval(), device, backend, f"{checkpoint.model_id} step"
        )
        self.info = MethodInfo(
            name="landmark",
            model_id=checkpoint.model_id,
            size=checkpoint.fields.whole("size", 16, 1024),
            audio=audio_of(checkpoint.fields),
            backend=self.step.name,
            stateless=False,
        )
        self._read_points = read_points

    def start(self, reference: Array, lips: ReferenceLips | None = None) -> LandmarkState:
        """Find the shape at rest from (R, 3, S, S) reference frames, R >= 1, and the example."""
        pictures = torch.from_numpy(np.ascontiguousarray(reference))
        points = torch.stack([self.points(picture) for picture in pictures])
        shapes, _ = self.space.align(points)
        state = LandmarkState(self.space.neutral(shapes), self._start)
        if len(reference) > 1:
            if lips is not None:
                far = np.abs(np.asarray(lips.openings) - lips.rest.opening)
            else:
                far = (shapes - state.neutral).square().sum((1, 2)).numpy()
            best = int(np.argmin(far))
            state.example_frame, state.example_points = pictures[best].clone(), points[best]
        return state

    def points(self, face: Tensor) -> Tensor:
        """(68, 2) landmarks of a face (3, S, S), in parts of the side."""
        if self._read_points is None:
            self._read_points = mesh_reader()
        picture = ((face + 1.0) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0)
        found = self._read_points(np.ascontiguousarray(picture.cpu().numpy()))
        return torch.from_numpy(np.asarray(found, np.float32))

    @torch.inference_mode()
    def render(self, faces: Array, audio: Array, state: LandmarkState) -> Rendered:
        """Draw (B, 3, S, S) faces with (B, C, steps) speech.

        The baseline is the source itself: where alpha is 0, VG-net copies it exactly.
        """
        pictures, sounds = (torch.from_numpy(np.ascontiguousarray(x)) for x in (faces, audio))
        made = [self._frame(f, a, state) for f, a in zip(pictures, sounds, strict=True)]
        return Rendered(torch.stack(made).numpy(), faces)

    def _frame(self, face: Tensor, sound: Tensor, state: LandmarkState) -> Tensor:
        if state.face is None or state.points is None or not torch.equal(face, state.face):
            state.face, state.points = face.clone(), self.points(face)
        shape, matrix = self.space.align(state.points)
        coefficients = self.space.encode(shape - state.neutral)
        predicted, state.audio = self._listen(sound, state.audio)
        # What speech cannot tell (the head's turn) stays as it is in this frame.
        driving = self.space.decode(torch.where(self.spoken, predicted * self.gain, coefficients))
        picture, here = state.example_frame, state.example_points
        if picture is None or here is None:
            picture, here = face, state.points
        example_shape, example_matrix = self.space.align(here)
        example = example_shape - state.neutral
        if self.project:
            example = self.space.decode(self.space.encode(example))
        state.driven = self.space.place(driving, state.neutral, matrix)
        points: list[Tensor] = []
        if self.moved:
            there = here + state.driven - self.space.place(example, state.neutral, example_matrix)
            points = [2.0 * p[None] - 1.0 for p in (here, there)]
        drawn, state.alpha, state.video = self.step(
            picture[None],
            self.space.normalised(driving)[None],
            self.space.normalised(example)[None],
            state.video,
            *points,
        )
        if self.moved:
            # Where a smile shows teeth, alpha can be small on the very lips: copied teeth are
            # seldom far wrong, but they do not speak.
            state.alpha = torch.maximum(state.alpha, around_mouth(state.driven, self.size))
        frame = state.alpha[0] * drawn[0] + (1.0 - state.alpha[0]) * face.float().cpu()
        return frame.to(face)

    def _listen(self, sound: Tensor, state: AudioState | None) -> tuple[Tensor, AudioState]:
        """Coefficients (K,) of one window (C, steps)."""
        if isinstance(self.audio, MfccSpec):
            sound = sound - SILENCE  # the pipeline's MFCC are shifted to mel's silence
        example = torch.zeros(1, self.space.components)
        found, state = self.speech(example, sound.float().cpu()[None, None], state)
        return found[0, 0], state


def around_mouth(points: Tensor, size: int) -> Tensor:
    """(1, 1, S, S): 1 on the mouth of (68, 2) points, in parts of the side, and 0 far from it."""
    mouth = points[48:60]
    middle, width = mouth.mean(0), mouth[:, 0].max() - mouth[:, 0].min()
    height = mouth[:, 1].max() - mouth[:, 1].min()
    place = (torch.arange(size) + 0.5) / size
    across = (place - middle[0]) / (0.5 * width).clamp_min(1e-3)
    down = (place - middle[1]) / (0.5 * height + 0.1 * width).clamp_min(1e-3)
    distance = torch.hypot(across[None, :], down[:, None])
    ramp = ((MOUTH_END - distance) / (MOUTH_END - 1.0)).clamp(0.0, 1.0)
    return smoothstep(ramp)[None, None]


def build_networks(checkpoint: Checkpoint) -> tuple[LandmarkSpace, LandmarkAudio, LandmarkVideo]:
    """Space, AT-net and VG-net of a joined checkpoint, with its weights, in eval mode.

    Raises:
        LipwrightError: header or weights are damaged.
    """
    return (
        checkpoint.build("space", LandmarkSpace),
        checkpoint.build("audio", LandmarkAudio),
        checkpoint.build("video", LandmarkVideo),
    )


def mesh_reader() -> PointReader:
    """Reads the 68 points of an aligned crop off the mesh network."""
    from lipwright.faces.crop_points import SingleCrop

    return SingleCrop()


def load_landmark(path: Path, device: str = "auto", backend: str = "auto") -> LandmarkMethod:
    """Load a joined checkpoint.

    Raises:
        LipwrightError: missing, damaged, or of another kind.
    """
    return LandmarkMethod(load_checkpoint(path), device, backend)
