"""The real networks on a public-domain portrait, and on real clips where there are some."""

from functools import partial

import cv2
import numpy as np
import pytest

from lipwright.faces import alignment, measure
from lipwright.faces.detector import FULL_RANGE, SHORT_RANGE, FaceDetector, iou
from lipwright.faces.landmarks import LandmarkNetwork, region_of_detection, sample_patch
from lipwright.faces.network import Network
from lipwright.faces.tracker import FaceTracker


def test_anchors_match_the_networks(detector):
    for part, layout in ((detector._short, SHORT_RANGE), (detector._full, FULL_RANGE)):
        if part is None:
            continue
        outputs = part.network(np.zeros((layout.side, layout.side, 3), np.float32)).values()
        assert {o.shape[1] for o in outputs} == {len(layout.centres())}


def test_finds_the_portrait(detector, landmarker, portrait):
    (found,) = detector.detect(portrait)
    assert found.score > 0.7
    right, left, nose, mouth = found.keypoints[:4]
    assert right[0] < nose[0] < left[0]
    assert max(right[1], left[1]) < nose[1] < mouth[1]
    mesh = landmarker(region_of_detection(found), partial(sample_patch, portrait))
    assert mesh.presence > 0.9
    assert mesh.points.shape == (landmarker.count, 3)
    np.testing.assert_allclose(mesh.points[33, :2], right, atol=15)
    assert measure.mouth_opening(mesh.points) > 0.02  # she smiles and shows her teeth
    assert abs(measure.yaw(mesh.points)) < 25


@pytest.mark.parametrize("effort", ["quick", "normal", "thorough"])
def test_finds_no_face_where_there_is_none(detector, effort):
    rng = np.random.default_rng(0)
    for picture in (
        np.zeros((480, 640, 3), np.uint8),
        rng.integers(0, 256, (480, 640, 3), dtype=np.uint8),
        np.full((1, 1, 3), 200, np.uint8),
        np.zeros((2, 900, 3), np.uint8),
    ):
        assert detector.detect(picture, effort) == []


@pytest.mark.parametrize("angle", [-30, 20])
def test_crop_is_upright_whatever_the_roll(detector, landmarker, portrait, angle):
    turn = cv2.getRotationMatrix2D((223.0, 130.0), angle, 1.0)
    turned = cv2.warpAffine(portrait, turn, (512, 512), borderMode=cv2.BORDER_REFLECT)
    crops = []
    for picture in (portrait, turned):
        tracker = FaceTracker(detector=detector, landmarker=landmarker)
        seen = max(tracker.update(picture), key=lambda f: f.box[3] - f.box[1])
        matrix = alignment.to_pixels(alignment.estimate(seen.landmarks), 64)
        crops.append(sample_patch(picture, matrix, (64, 64)).astype(float)[8:56, 8:56])
    assert np.abs(crops[0] - crops[1]).mean() < 8


@pytest.mark.parametrize("angle", range(0, 360, 30))
def test_a_face_at_any_angle_is_found_the_right_way_up(detector, landmarker, portrait, angle):
    """The truth: the landmarks of the upright picture, turned with it."""
    height, width = portrait.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -angle, 1.0)
    turn[:, 2] += 150
    size = (width + 300, height + 300)
    turned = cv2.warpAffine(portrait, turn, size, borderMode=cv2.BORDER_REPLICATE)
    (upright,) = FaceTracker(detector=detector, landmarker=landmarker).update(portrait)
    expected = upright.landmarks[:, :2] @ turn[:, :2].T + turn[:, 2]
    seen = FaceTracker(detector=detector, landmarker=landmarker).update(turned)
    face = max(seen, key=lambda f: np.prod(f.box[2:] - f.box[:2]))
    side = np.ptp(upright.landmarks[:, 0])
    assert np.abs(face.landmarks[:, :2] - expected).mean() < 0.05 * side


def test_landmarks_do_not_depend_on_the_region(detector, landmarker, portrait):
    (found,) = detector.detect(portrait)
    region = region_of_detection(found)
    meshes = []
    for shift, grow in ((0.0, 1.0), (0.04, 1.0), (0.0, 1.1)):
        centre = (region.centre[0] + shift * region.side, region.centre[1])
        moved = type(region)(centre, region.side * grow, region.angle)
        meshes.append(landmarker(moved, partial(sample_patch, portrait)).points[:, :2])
    eyes = np.linalg.norm(meshes[0][263] - meshes[0][33])
    for other in meshes[1:]:
        assert np.linalg.norm(other - meshes[0], axis=1).mean() < 0.04 * eyes


def test_the_two_landmark_networks_agree(detector, portrait):
    from lipwright.errors import LipwrightError

    (found,) = detector.detect(portrait)
    meshes = []
    for name in ("landmarks-478", "landmarks-468"):
        try:
            network = LandmarkNetwork(name=name)
        except LipwrightError as error:
            pytest.skip(f"only one landmark network can be had: {error}")
        meshes.append(network(region_of_detection(found), partial(sample_patch, portrait)).points)
    eyes = np.linalg.norm(meshes[0][263] - meshes[0][33])
    away = np.linalg.norm(meshes[0][:468, :2] - meshes[1][:, :2], axis=1)
    assert np.median(away) < 0.06 * eyes


def wide_shot(portrait, scale, place):
    """A 4K frame with the portrait in it."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(60, 160, (27, 48, 3), dtype=np.uint8)
    frame = cv2.resize(coarse, (3840, 2160), interpolation=cv2.INTER_CUBIC)
    side = round(512 * scale)
    x, y = place
    frame[y : y + side, x : x + side] = cv2.resize(portrait, (side, side))
    return frame


@pytest.mark.parametrize(
    ("scale", "place"), [(3.5, (1700, 200)), (2.0, (100, 900)), (1.0, (3000, 1400))]
)
def test_4k_frame_at_quarter_size(detector, landmarker, portrait, scale, place):
    """Boxes found at a quarter of the size equal those of the picture itself, scaled."""
    if scale <= 1.0 and detector._full is None:
        pytest.skip("the network for small faces cannot be had")
    (alone,) = FaceTracker(detector=detector, landmarker=landmarker).update(portrait)
    expected = (alone.box + 0.5) * scale - 0.5 + np.array([*place, *place])
    frame = wide_shot(portrait, scale, place)
    small = cv2.resize(frame, (960, 540), interpolation=cv2.INTER_AREA)
    for patch in (None, partial(sample_patch, frame)):
        tracker = FaceTracker(detector=detector, landmarker=landmarker)
        seen = tracker.update(small, 4.0, patch)
        assert len(seen) == 1
        assert iou(seen[0].box[None], expected[None])[0, 0] > 0.9
    # With the sharp pixels of the frame the lips are as good as in the picture itself.
    lips = measure.lip_shape(seen[0].landmarks) - measure.lip_shape(alone.landmarks)
    assert np.linalg.norm(lips, axis=1).mean() < 0.02


def test_two_faces_and_a_small_one(detector, landmarker, portrait):
    frame = np.full((540, 960, 3), 120, np.uint8)
    frame[0:512, 0:512] = portrait
    frame[100:356, 600:856] = cv2.resize(portrait[:, ::-1], (256, 256))
    seen = FaceTracker(detector=detector, landmarker=landmarker).update(frame)
    assert len(seen) == 2
    heights = [f.box[3] - f.box[1] for f in seen]
    assert max(heights) == pytest.approx(2 * min(heights), rel=0.1)


def test_tracking_follows_a_moving_face(detector, landmarker, portrait):
    tracker = FaceTracker(detector=detector, landmarker=landmarker)
    first = None
    for i in range(24):
        x, y = 6 * i, 3 * i
        frame = np.full((640, 720, 3), 90, np.uint8)
        frame[y : y + 512, x : x + 512] = portrait
        (seen,) = tracker.update(frame)
        assert seen.track == 0
        points = seen.landmarks[:, :2] - [x, y]
        first = points if first is None else first
        assert np.linalg.norm(points - first, axis=1).mean() < 2.0


def test_same_picture_same_result(detector, landmarker, portrait):
    results = [
        FaceTracker(detector=detector, landmarker=landmarker).update(portrait)[0].landmarks
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*results)


def test_a_file_that_is_no_network_is_a_clear_error(tmp_path):
    from lipwright.errors import LipwrightError

    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"TFL3 no, this is not one")
    with pytest.raises(LipwrightError, match="cannot be loaded"):
        Network(broken)


def test_detector_without_the_full_range_network(portrait, detector):
    alone = FaceDetector(full_range=False).detect(portrait)[0].box
    both = detector.detect(portrait)[0].box
    assert iou(alone[None], both[None])[0, 0] > 0.6


def test_real_clips(corpus, detector, landmarker):
    """Every frame of real clips has one face, the mouth moves, and the crop stands still."""
    import av

    clips = sorted((corpus / "demo").iterdir())[::6]
    assert clips
    talking = 0
    for clip in clips:
        tracker = FaceTracker(detector=detector, landmarker=landmarker)
        points = []
        with av.open(str(clip)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if index == 40:
                    break
                seen = tracker.update(frame.to_ndarray(format="rgb24"))
                assert len(seen) == 1, f"{clip.name}, frame {index}"
                assert seen[0].track == 0
                points.append(seen[0].landmarks)
        talking += np.std(measure.mouth_opening(np.stack(points))) > 0.004
        crops = alignment.smooth([alignment.estimate(p) for p in points])
        stable = [
            alignment.apply(alignment.invert(c), p)[list(alignment.STABLE_POINTS)]
            for c, p in zip(crops, points, strict=True)
        ]
        assert np.abs(np.diff(stable, axis=0)).mean() < 0.01
    assert talking > len(clips) / 2  # some begin with silence
