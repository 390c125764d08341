"""Who is where: detection now and then, landmarks in every frame, tracks by overlap and motion.

A face that was seen in the last frame is looked for where it should be now (its landmarks moved on
by a constant velocity); the detector runs every few frames for new faces and at once when a face
was lost. A lost face coasts along its velocity for a while and is taken up again by a detection
near its predicted place, so that people who cross each other keep their numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lipwright.faces.detector import Detection, Effort, FaceDetector, iou
from lipwright.faces.landmarks import (
    LandmarkNetwork,
    Mesh,
    PatchSampler,
    Region,
    region_of_detection,
    region_of_points,
    sample_patch,
)

Box = NDArray[np.float64]


class Detector(Protocol):
    """What the tracker needs of a detector."""

    def detect(self, image: NDArray[np.uint8], effort: Effort = "normal") -> list[Detection]:
        """Faces of a picture, in its pixels."""
        ...

    def upright(self, detection: Detection, image: NDArray[np.uint8]) -> Detection:
        """The detection of a face that may be turned, with eyes and mouth where they are."""
        ...


class Landmarker(Protocol):
    """What the tracker needs of a landmark network."""

    @property
    def side(self) -> int:
        """Side of the patch that it looks at."""
        ...

    @property
    def name(self) -> str:
        """Which network it is."""
        ...

    def __call__(self, region: Region, sample: PatchSampler) -> Mesh:
        """Landmarks inside a region."""
        ...


@dataclass(frozen=True)
class FaceObservation:
    """One face in one frame.

    Attributes:
        track: number of the person, unique for the life of the tracker.
        box: (4,) float x0, y0, x1, y1, display px: the extent of the landmarks.
        landmarks: (478 or 468, 3) float32, display px.
        score: probability in [0, 1] that there is a face.
    """

    track: int
    box: Box
    landmarks: NDArray[np.float32]
    score: float


@dataclass(frozen=True)
class TrackerOptions:
    """How tracking is done.

    Attributes:
        detect_every: frames between two searches for new faces.
        idle_every: the same while a face is missing or there is none. Right after a loss, and for
            the first ``detect_every`` frames without any face, every frame is searched.
        thorough_every: every n-th of these searches covers small faces too.
        min_presence: a known face below is lost.
        min_presence_new: a detected face below is not believed.
        max_gap: frames that a lost face may be away and keep its number.
        same_face: two tracks that overlap more follow the same face.
        min_side: faces smaller than this many display pixels are ignored.
        sharp_below: with a patch sampler: when the region in the thumbnail is smaller than this
            part of the network's input, its pixels are taken from the full frame.
    """

    detect_every: int = 10
    idle_every: int = 3
    thorough_every: int = 3
    min_presence: float = 0.5
    min_presence_new: float = 0.6
    max_gap: int = 25
    same_face: float = 0.5
    min_side: float = 16.0
    sharp_below: float = 1.0


class _Track:
    def __init__(self, number: int, mesh: Mesh, box: Box) -> None:
        self.number = number
        self.points = mesh.points
        self.box = box
        self.velocity = np.zeros(2)
        self.missed = 0
        self.age = 1

    @property
    def centre(self) -> NDArray[np.float64]:
        return (self.box[:2] + self.box[2:]) / 2

    @property
    def size(self) -> float:
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))

    def predicted(self) -> Box:
        """Box expected in the coming frame."""
        return self.box + np.tile(self.velocity * (self.missed + 1), 2)

    def deviation(self, box: Box) -> float:
        """How badly a box fits the prediction, in face sizes; grows with a change of size."""
        expected = self.predicted()
        shift = np.linalg.norm((box[:2] + box[2:] - expected[:2] - expected[2:]) / 2)
        size = max(box[2] - box[0], box[3] - box[1])
        return float(shift / self.size + abs(np.log(max(size, 1e-6) / self.size)))

    def follow(self, mesh: Mesh, box: Box) -> None:
        step = ((box[:2] + box[2:]) / 2 - self.centre) / (self.missed + 1)
        weight = 0.5 if self.age > 1 else 1.0
        self.velocity = (1 - weight) * self.velocity + weight * step
        self.points, self.box = mesh.points, box
        self.missed = 0
        self.age += 1


class FaceTracker:
    """Follows all faces of a video, frame by frame."""

    def __init__(
        self,
        options: TrackerOptions | None = None,
        *,
        detector: Detector | None = None,
        landmarker: Landmarker | None = None,
        threads: int = 1,
    ) -> None:
        """Set up.

        Args:
            options: see :class:`TrackerOptions`.
            detector: another detector than the default, which loads network files.
            landmarker: another landmark network than the default.
            threads: CPU threads per network call of the defaults.

        Raises:
            LipwrightError: a network file cannot be had.
        """
        self.options = options or TrackerOptions()
        self._detector = detector or FaceDetector(threads=threads)
        self._landmarker = landmarker or LandmarkNetwork(threads=threads)
        self._next_number = 0
        self.reset()

    @property
    def name(self) -> str:
        """The landmark network and the settings; equal for trackers that find the same."""
        return f"{self._landmarker.name} {self.options}"

    def reset(self) -> None:
        """Forget all faces: the next frame belongs to another shot. Numbers are not used again."""
        self._tracks: list[_Track] = []
        self._since_detection = 0
        self._idle = 0
        self._searches = 0

    def update(
        self, image: NDArray[np.uint8], scale: float = 1.0, patch: PatchSampler | None = None
    ) -> list[FaceObservation]:
        """Take the next frame.

        Args:
            image: (H, W, 3) uint8 RGB, upright, square pixels: the frame or a thumbnail of it.
            scale: display pixels per pixel of ``image``.
            patch: samples a region of the full frame, for faces that are small in ``image``.

        Returns:
            Faces seen in this frame, by track number.
        """
        seen = self._follow(image, scale, patch)
        if self._should_detect(seen):
            seen.update(self._look_for_more(image, scale, patch, seen))
        for track in self._tracks:
            if track.number not in seen:
                track.missed += 1
        self._tracks = [t for t in self._tracks if t.missed <= self.options.max_gap]
        return [
            FaceObservation(t.number, t.box, t.points, seen[t.number].presence)
            for t in sorted(self._tracks, key=lambda t: t.number)
            if t.number in seen
        ]

    def _follow(
        self, image: NDArray[np.uint8], scale: float, patch: PatchSampler | None
    ) -> dict[int, Mesh]:
        """Landmarks of the faces that were there in the last frame."""
        candidates: list[tuple[_Track, Mesh, Box]] = []
        for track in self._tracks:
            if track.missed:
                continue
            region = region_of_points(track.points)
            moved = (region.centre[0] + track.velocity[0], region.centre[1] + track.velocity[1])
            region = Region(moved, region.side, region.angle)
            mesh = self._mesh(region, image, scale, patch)
            box = _extent(mesh)
            grown = max(box[2] - box[0], box[3] - box[1]) / track.size
            inside = self._is_inside(box, image, scale)
            present = mesh.presence >= self.options.min_presence
            if present and 0.6 < grown < 1.6 and inside:
                candidates.append((track, mesh, box))
        # Where two tracks ended on one face, it belongs to the one that was expected there.
        candidates.sort(key=lambda c: c[0].deviation(c[2]))
        taken: list[Box] = []
        seen: dict[int, Mesh] = {}
        for track, mesh, box in candidates:
            if taken and iou(box[None], np.array(taken)).max() > self.options.same_face:
                continue
            track.follow(mesh, box)
            taken.append(box)
            seen[track.number] = mesh
        return seen

    def _should_detect(self, seen: dict[int, Mesh]) -> bool:
        self._since_detection += 1
        self._idle = 0 if seen else self._idle + 1
        if self._since_detection >= self.options.detect_every:
            return True
        lost = [t.missed for t in self._tracks if t.number not in seen]
        if (not seen and self._idle <= self.options.detect_every) or any(m < 5 for m in lost):
            return True
        return (not seen or bool(lost)) and self._since_detection >= self.options.idle_every

    def _look_for_more(
        self,
        image: NDArray[np.uint8],
        scale: float,
        patch: PatchSampler | None,
        seen: dict[int, Mesh],
    ) -> dict[int, Mesh]:
        thorough = self._searches % self.options.thorough_every == 0
        self._searches += 1
        self._since_detection = 0
        found: dict[int, Mesh] = {}
        boxes = [t.box for t in self._tracks if t.number in seen]
        for detection in self._detector.detect(image, "thorough" if thorough else "normal"):
            located = _to_display(detection, scale)
            if max(located.box[2:] - located.box[:2]) < self.options.min_side:
                continue
            if _is_taken(located.box, boxes):
                continue
            located = _to_display(self._detector.upright(detection, image), scale)
            mesh = self._mesh(region_of_detection(located), image, scale, patch)
            if mesh.presence < self.options.min_presence_new:
                continue
            # Once more from the first result's region, as every later frame will do it.
            mesh = self._mesh(region_of_points(mesh.points), image, scale, patch)
            box = _extent(mesh)
            if mesh.presence < self.options.min_presence_new or _is_taken(box, boxes):
                continue
            if not self._is_inside(box, image, scale):
                continue
            boxes.append(box)
            track = self._take_up(box, {*seen, *found})
            if track is None:
                track = _Track(self._next_number, mesh, box)
                self._next_number += 1
                self._tracks.append(track)
            else:
                track.follow(mesh, box)
            found[track.number] = mesh
        return found

    def _take_up(self, box: Box, busy: set[int]) -> _Track | None:
        """The lost track that this face continues, if any."""
        lost = [t for t in self._tracks if t.number not in busy]
        best = min(lost, key=lambda t: t.deviation(box), default=None)
        # The longer it was away, the less is known of where it went.
        if best is None or best.deviation(box) > 0.6 + 0.03 * best.missed:
            return None
        return best

    def _mesh(
        self, region: Region, image: NDArray[np.uint8], scale: float, patch: PatchSampler | None
    ) -> Mesh:
        in_thumbnail = region.side / scale
        if (
            patch is not None
            and scale > 1.0
            and in_thumbnail < self.options.sharp_below * self._landmarker.side
        ):
            return self._landmarker(region, patch)
        return self._landmarker(region, partial(from_thumbnail, image, scale))

    def _is_inside(self, box: Box, image: NDArray[np.uint8], scale: float) -> bool:
        """Whether the middle of the face is in the picture."""
        x, y = (box[:2] + box[2:]) / 2 / scale
        return bool(0 <= x < image.shape[1] and 0 <= y < image.shape[0])


def from_thumbnail(
    image: NDArray[np.uint8], scale: float, to_display: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Sample a region of the frame, given in display pixels, from a picture ``scale`` smaller."""
    to_image = to_display / scale
    to_image[:, 2] = (to_display[:, 2] + 0.5) / scale - 0.5
    return sample_patch(image, to_image, size)


def _to_display(detection: Detection, scale: float) -> Detection:
    return Detection(
        box=(detection.box + 0.5) * scale - 0.5,
        keypoints=(detection.keypoints + 0.5) * scale - 0.5,
        score=detection.score,
    )


def _extent(mesh: Mesh) -> Box:
    xy = mesh.points[:, :2].astype(np.float64)
    return np.concatenate([xy.min(axis=0), xy.max(axis=0)])


def _is_taken(box: Box, boxes: list[Box]) -> bool:
    """Whether a box shows a face that is known already."""
    if not boxes:
        return False
    known = np.array(boxes)
    x, y = (box[:2] + box[2:]) / 2
    within = (known[:, 0] < x) & (x < known[:, 2]) & (known[:, 1] < y) & (y < known[:, 3])
    return bool((iou(box[None], known)[0] > 0.25).any() or within.any())
