"""The contract between a lip-sync network and the pipeline that dubs a video with it.

A method sees aligned square face crops and windows of speech features; it knows nothing of files,
tracks, time stamps or pasting. Everything above this line (``lipwright.dubbing``) knows nothing of
networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lipwright.media.mel import AudioSpec
from lipwright.models.lip_space import NeutralMouth

__all__ = ["Method", "NeutralMouth", "ReferenceLips", "Rendered"]


@dataclass(frozen=True)
class Rendered:
    """What a method made of a batch of faces.

    Attributes:
        faces: (B, 3, S, S) in [-1, 1], the face speaking.
        baseline: (B, 3, S, S) in [-1, 1] or None: the *unedited* input faces as this method's
            own autoencoder draws them. The difference ``faces - baseline`` is then the edit alone,
            free of the autoencoder's blur and colour bias, and the compositor can keep the pores,
            beard and lip colour of the source wherever the edit is small.
        restored: (B, 3, k S, k S) in [-1, 1], k >= 1, or None: ``faces`` with what the autoencoder
            left out put back, as far as the method knows it; shown wherever it differs from the
            source, and no baseline is needed then.
        lips: (B, 40, 2) or None: where the drawn lip contours lie, in parts of S.
        step: (B, 40, 2) or None: how far they are from where speech wants them, which the method
            could not draw; the pipeline warps the face so far.
        weights: (B, R) or None: how much each of the looks given to ``start`` has to do with what
            was drawn; they sum to 1. Where most of them show no face, the source stays.
    """

    faces: Tensor
    baseline: Tensor | None = None
    restored: Tensor | None = None
    lips: NDArray[np.float64] | None = None
    step: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class ReferenceLips:
    """What the lips do in the R looks of a face, read off landmarks.

    Attributes:
        openings: (R,) gap of the inner lips in parts of the face's height.
        shapes: (R, 40, 2) lip contours in the aligned crop (``faces.measure.lip_shape``).
        rest: the same of this person's resting mouth.
    """

    openings: NDArray[np.floating]
    shapes: NDArray[np.floating]
    rest: NeutralMouth


@runtime_checkable
class Method(Protocol):
    """Audio-driven lip-sync on aligned crops.

    Attributes:
        name: registry name, for example ``"vq"``.
        size: side S of the square face crop in pixels.
        audio: which window of the mel spectrogram one frame sees.
        model_id: name and content hash of the checkpoint, for reports and manifests.

    A method whose attribute ``listens`` is there and true also has ``listen(features)``: the whole
    speech (80, T) once, to (K, T) numbers of which 0 is a mouth at rest. :meth:`render` then takes
    those of each frame, (B, K), in the place of its window; which is cheaper, for the windows of
    neighbouring frames overlap.
    """

    name: str
    size: int
    audio: AudioSpec
    model_id: str

    def start(self, reference: Tensor, lips: ReferenceLips | None = None) -> Any:
        """Prepare one face track.

        Args:
            reference: (R, 3, S', S') in [-1, 1], R >= 1 looks of this face from the source video;
                S' is the method's ``reference_size`` where it has one, S else.
            lips: what the lips do in them, where the caller knows it.

        Returns:
            A state object to be passed to :meth:`render`.
        """
        ...

    def render(self, faces: Tensor, audio: Tensor, state: Any) -> Rendered:
        """Draw the faces speaking.

        Frames of one track arrive in order, in batches; the state carries what a recurrent method
        needs, so that the result does not depend on the batch size.

        Args:
            faces: (B, 3, S, S) in [-1, 1], the aligned source frames (head pose, light, identity).
            audio: (B, 80, W) log-mel windows, W = ``audio.steps``; or see above.
            state: what :meth:`start` returned.
        """
        ...
