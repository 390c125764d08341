"""ATVGnet's published networks behind the contract (Chen et al., CVPR 2019).

A folder with the files of that release takes the place of a checkpoint:

* ``atnet*.pth`` and ``generator*.pth``, the two networks;
* ``U_lrw1.npy`` and ``mean_lrw1.npy``, components and centre of their landmark space;
* ``mean_shape_norm.npy`` and ``S.npy``, from which the landmarks of the example come;
* ``base_68.npy`` or ``base_68_close.npy``, where a face lies in their crop.

What their demo does to a picture is done here: a similarity transform takes the points 27 to 44
(nose and eyes) of the 68 to the template, of which the square from 1 to 128 px is the network's
picture. A single picture has no motion, so their example landmarks are one constant (the demo takes
the face's own shape off, with the same result). Coefficients two to six are multiplied by the hand
gain of the demo. The drawn square goes back to where it came from, with soft edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.files.whole import file_sha256
from lipwright.geometry import inverse_similarity, similarity, smoothstep
from lipwright.media.features import MfccSpec
from lipwright.media.mel import SILENCE
from lipwright.methods.base import Array, Method, MethodInfo, ReferenceLips, Rendered
from lipwright.methods.engine import choose_device
from lipwright.methods.landmark import PointReader, mesh_reader
from lipwright.models.landmark_audio import LandmarkAudio
from lipwright.models.landmark_audio import State as AudioState
from lipwright.models.landmark_coordinates import POINTS
from lipwright.models.landmark_video import LandmarkVideo
from lipwright.models.published.atvgnet import (
    AUDIO_ARGUMENTS,
    VIDEO_ARGUMENTS,
    audio_state,
    video_state,
)
from lipwright.weights.published import load_into, load_state

COMPONENTS = 6
SCALE = 5.0
SIZE = 128
"""Side of the published picture."""
GAIN = (1.0, 2.2, 2.4, 2.6, 2.8, 3.0)
"""Of the coefficients, as in the published demo."""
OPEN_PARAMETER, OPEN_VALUE = 1, -0.06
"""The component of ``S`` by which the demo opens the mouth of the mean shape, and how far."""
FITTED = slice(27, 45)
SOFT = 0.08
"""Share of the side over which the drawn square fades in."""
OUR_SIZE = 160
"""Side of the aligned crops that this method is given; theirs lies inside."""


@dataclass
class PublishedState:
    """What one face track carries along.

    Attributes:
        example: (1, 3, 128, 128) the picture that is set in motion.
        audio, video: states of the two networks.
    """

    example: torch.Tensor
    audio: AudioState | None = None
    video: torch.Tensor | None = None


class PublishedLandmarkMethod(Method):
    """The contract of :class:`lipwright.methods.base.Method` for the published networks.

    Args:
        folder: of the published files.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        LipwrightError: a file is missing, or is not the published one.
    """

    def __init__(self, folder: Path, device: str = "auto") -> None:
        audio_file, video_file = _one(folder, "atnet*.pth"), _one(folder, "generator*.pth")
        self.device = choose_device(device)
        self.at_net, self.vg_net = (
            LandmarkAudio(**AUDIO_ARGUMENTS),
            LandmarkVideo(**VIDEO_ARGUMENTS),
        )
        for network, file, convert, what in (
            (self.at_net, audio_file, audio_state, "AT-net"),
            (self.vg_net, video_file, video_state, "VG-net"),
        ):
            load_into(network, convert(load_state(file), network), file, what)
            network.eval().requires_grad_(False).to(self.device)
        basis = _numbers(folder, "U_lrw1.npy", (2 * POINTS, None))
        self.basis = self._tensor(basis[:, :COMPONENTS])
        centre = _numbers(folder, "mean_lrw1.npy", None).reshape(-1)
        mean = _numbers(folder, "mean_shape_norm.npy", None).reshape(-1)
        if len(centre) != 2 * POINTS or len(mean) != 2 * POINTS:
            raise LipwrightError(f"mean_lrw1.npy and mean_shape_norm.npy in {folder} do not fit.")
        self.centre = self._tensor(centre)
        example = example_landmarks(mean, _numbers(folder, "S.npy", (None, 2 * POINTS)))
        coefficients = (SCALE * self._tensor(example) - self.centre) @ self.basis
        self.coefficients = coefficients[None]
        self.example_points = (coefficients @ self.basis.T + self.centre)[None]
        names = [n for n in ("base_68.npy", "base_68_close.npy") if (folder / n).is_file()]
        if not names:
            raise _missing(folder, "base_68_close.npy")
        self.template = _numbers(folder, names[0], (POINTS, 2))
        digest = file_sha256(video_file)[:12]
        self.info = MethodInfo(
            name="landmark",
            model_id=f"landmark-published-{digest}",
            size=OUR_SIZE,
            audio=MfccSpec(),
            backend=f"torch ({self.device.type})",
            stateless=False,
        )
        self._read: PointReader | None = None
        self._mask = _edges()

    def _tensor(self, values: NDArray[np.float64]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(self.device)

    def start(self, reference: Array, lips: ReferenceLips | None = None) -> PublishedState:
        """Set the reference with the most closed mouth in motion, of (R, 3, S, S), R >= 1."""
        best = 0 if lips is None else int(np.argmin(lips.openings))
        picture = self._cut(reference[best], self._place(reference[best]))
        return PublishedState(torch.from_numpy(picture[None]).to(self.device))

    @torch.inference_mode()
    def render(self, faces: Array, audio: Array, state: PublishedState) -> Rendered:
        """Draw (B, 3, S, S) faces with (B, 12, 28) MFCC; the baseline is the source."""
        made = []
        gain = torch.tensor(GAIN, device=self.device)
        for face, sound in zip(faces, audio, strict=True):
            mfcc = torch.from_numpy(sound - np.float32(SILENCE))[None, None].to(self.device)
            predicted, state.audio = self.at_net(self.coefficients, mfcc, state.audio)
            points = (predicted[:, 0] * gain) @ self.basis.T + self.centre
            drawn = self.vg_net(state.example, points[:, None], self.example_points, state.video)
            state.video = drawn.state
            alpha = drawn.alpha[:, 0]
            picture = alpha * drawn.colour[:, 0] + (1.0 - alpha) * state.example
            made.append(self._paste(picture[0].float().cpu().numpy(), face))
        return Rendered(np.stack(made), faces)

    def _place(self, face: Array) -> NDArray[np.float64]:
        """(2, 3) from pixels of our crop to pixels of theirs."""
        if self._read is None:
            self._read = mesh_reader()
        picture = np.rint((face + 1.0) * 127.5).clip(0, 255).astype(np.uint8)
        found = self._read(np.ascontiguousarray(picture.transpose(1, 2, 0)))
        points = np.asarray(found, np.float64) * face.shape[-1] - 0.5
        return np.asarray(similarity(points[FITTED], self.template[FITTED] - 1.0))

    def _cut(self, face: Array, place: NDArray[np.float64]) -> Array:
        size = (SIZE, SIZE)
        rows = np.ascontiguousarray(face.transpose(1, 2, 0))
        cut = cv2.warpAffine(
            rows, place, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.ascontiguousarray(cut.transpose(2, 0, 1))

    def _paste(self, picture: Array, face: Array) -> Array:
        side = (face.shape[-1], face.shape[-1])
        back = inverse_similarity(self._place(face))
        rows = np.ascontiguousarray(np.concatenate([picture, self._mask[None]]).transpose(1, 2, 0))
        there = cv2.warpAffine(rows, back, side, flags=cv2.INTER_LINEAR)
        drawn, mask = there[..., :3].transpose(2, 0, 1), there[..., 3]
        # Outside of the square the warp darkens what it mixes with nothing; the mask is 0 there.
        return np.asarray(face + mask * (drawn - face), np.float32)


def example_landmarks(
    mean: NDArray[np.float64], shapes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(136,) landmarks of the example as the published demo makes them for any single picture.

    Args:
        mean: (136,) ``mean_shape_norm.npy``.
        shapes: (n, 136) orthonormal rows, ``S.npy``.
    """
    opened = np.zeros(2 * POINTS)
    opened[2 * 48 :] = (OPEN_VALUE * shapes[OPEN_PARAMETER])[2 * 48 :]
    return np.asarray(mean - (shapes @ opened) @ shapes)


def _edges() -> Array:
    """(128, 128): 1 inside, smoothly 0 at the rim."""
    at = (np.arange(SIZE, dtype=np.float32) + 0.5) / SIZE
    rim = (np.minimum(at, 1.0 - at) / SOFT).clip(0.0, 1.0)
    one = np.asarray(smoothstep(rim), np.float32)
    return one[:, None] * one[None, :]


def _one(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise _missing(folder, pattern)
    return found[-1]


def _missing(folder: Path, name: str) -> LipwrightError:
    return LipwrightError(
        f"{folder} has no {name}; a folder of ATVGnet's published files holds atnet*.pth, "
        "generator*.pth and, of its folder 'basics', U_lrw1.npy, mean_lrw1.npy, "
        "mean_shape_norm.npy, S.npy and base_68_close.npy."
    )


def _numbers(
    folder: Path, name: str, shape: tuple[int | None, int | None] | None
) -> NDArray[np.float64]:
    path = folder / name
    if not path.is_file():
        raise _missing(folder, name)
    try:
        found = np.asarray(np.load(path, allow_pickle=False), np.float64)
    except (OSError, ValueError) as error:
        raise LipwrightError(f"{path} is no array of numbers; give the published file.") from error
    fits = shape is None or (
        found.ndim == 2 and all(w in (None, h) for w, h in zip(shape, found.shape, strict=True))
    )
    if not fits or not np.isfinite(found).all():
        raise LipwrightError(f"{path} has the shape {found.shape}; give the published file.")
    return found
