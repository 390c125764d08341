"""Tracking in made-up worlds: numbers are kept through crossings and gaps, and not over cuts."""

import numpy as np
import pytest

from lipwright.faces.detector import Detection
from lipwright.faces.landmarks import Mesh
from lipwright.faces.tracker import FaceTracker, TrackerOptions

from .shapes import Person, World, face

BLANK = np.zeros((480, 640, 3), np.uint8)


def run(world, frames=None, options=None, resets=()):
    tracker = FaceTracker(options, detector=world, landmarker=world)
    count = frames or len(world.people[0].path)
    table = []
    for world.frame in range(count):
        if world.frame in resets:
            tracker.reset()
        table.append(tracker.update(BLANK))
    return table


def numbers(table):
    return [[f.track for f in faces] for faces in table]


def test_one_face_has_one_number():
    world = World([Person([(200 + 2 * i, 200) for i in range(40)])])
    table = run(world)
    assert numbers(table) == [[0]] * 40
    expected = face((200 + 2 * 39, 200), 60)
    np.testing.assert_array_equal(table[39][0].landmarks, expected)
    used = expected[:, :2]
    np.testing.assert_allclose(table[39][0].box[:2], used.min(axis=0))
    np.testing.assert_allclose(table[39][0].box[2:], used.max(axis=0))
    assert table[39][0].score == 0.99


def test_detector_runs_now_and_then():
    world = World([Person([(200, 200)] * 41)])
    run(world, options=TrackerOptions(detect_every=10, thorough_every=2))
    assert world.detections == 5  # frames 0, 10, 20, 30, 40
    assert world.efforts == ["thorough", "normal"] * 2 + ["thorough"]


def test_an_empty_picture_is_searched_less_often_after_a_while():
    world = World([Person([None] * 40 + [(200, 200)] * 10)])
    table = numbers(run(world, options=TrackerOptions(detect_every=10, idle_every=3)))
    assert world.detections == 10 + 10 + 1  # 10 frames, every third of 30, one while there is one
    assert table[42] == [0]
    world = World([Person([None] * 50)])
    run(world, options=TrackerOptions(detect_every=10, idle_every=3), resets=[20])
    assert world.detections == (10 + 3) + (10 + 6)  # after a cut every frame again


def test_a_newcomer_is_found():
    world = World(
        [
            Person([(200, 200)] * 30),
            Person([None] * 12 + [(450, 200)] * 18),
        ]
    )
    table = numbers(run(world))
    assert table[11] == [0]
    assert table[20] == [0, 1]  # at the next look at the latest
    assert table[29] == [0, 1]


def test_two_people_cross():
    left_to_right = [(100 + 8 * i, 200) for i in range(50)]
    right_to_left = [(500 - 8 * i, 210) for i in range(50)]
    world = World([Person(left_to_right), Person(right_to_left)])
    table = run(world)
    hidden = [i for i, faces in enumerate(table) if len(faces) < 2]
    assert hidden  # the one in front does hide the other
    who = {f.track: f.box for f in table[0]}
    start = {track: box[0] for track, box in who.items()}
    behind = min(start, key=lambda t: start[t])
    front = max(start, key=lambda t: start[t])
    assert {f.track for f in table[-1]} == {behind, front}
    for i, faces in enumerate(table):
        for f in faces:
            middle = (f.box[0] + f.box[2]) / 2
            path = left_to_right if f.track == behind else right_to_left
            assert abs(middle - path[i][0]) < 30, f"frame {i}: number {f.track} changed sides"


def test_a_short_gap_keeps_the_number():
    path = [(200 + 3 * i, 200) for i in range(60)]
    path[20:35] = [None] * 15
    table = numbers(run(World([Person(path)])))
    assert table[:20] == [[0]] * 20
    assert table[20:35] == [[]] * 15
    assert table[37] == [0]  # back within three frames


def test_a_long_gap_gives_a_new_number():
    path = [(200, 200)] * 10 + [None] * 30 + [(200, 200)] * 10
    table = numbers(run(World([Person(path)]), options=TrackerOptions(max_gap=25)))
    assert table[9] == [0]
    assert table[-1] == [1]


def test_somebody_else_far_away_is_not_the_lost_one():
    world = World(
        [
            Person([(150, 200)] * 10 + [None] * 30),
            Person([None] * 12 + [(480, 300)] * 28),
        ]
    )
    table = numbers(run(world))
    assert table[-1] == [1]


def test_a_cut_ends_all_tracks():
    world = World([Person([(200, 200)] * 10 + [(215, 205)] * 10)])
    table = numbers(run(world, resets=[10]))
    assert table[9] == [0]
    assert table[10] == [1]  # at once, and with a new number


def test_coordinates_are_display_pixels():
    world = World([Person([(100, 80)] * 3, size=30)])

    class Half:
        """Sees the thumbnail; the world's landmarks are in its pixels too."""

        side = 256

        def detect(self, image, effort="normal"):
            return world.detect(image, effort)

        def upright(self, detection, image):
            return detection

        def __call__(self, region, sample):
            # The region comes in display pixels: 4 per thumbnail pixel.
            assert abs(region.centre[0] - ((100 + 0.5) * 4 - 0.5)) < 20
            return Mesh(face((100.5 * 4 - 0.5, 80.5 * 4 - 0.5), 120), 0.9)

    tracker = FaceTracker(detector=world, landmarker=Half())
    world.frame = 0
    (seen,) = tracker.update(BLANK, scale=4.0)
    assert seen.landmarks[33, 0] == pytest.approx(401.5 - 60)


def test_patch_is_used_for_small_faces_only():
    asked = []

    def patch(matrix, size):
        asked.append(np.hypot(*matrix[:, 0]) * size[0])
        return np.zeros((size[1], size[0], 3), np.float32)

    class Looking(World):
        def __call__(self, region, sample):
            assert sample(region.to_display(self.side), (self.side, self.side)).shape[2] == 3
            return super().__call__(region, sample)

    for size, scale, expected in ((30, 2.0, True), (300, 2.0, False), (30, 1.0, False)):
        asked.clear()
        world = Looking([Person([(300, 200)], size=size)])
        tracker = FaceTracker(detector=_Shrunk(world, scale), landmarker=world)
        assert len(tracker.update(BLANK, scale, patch)) == 1
        assert bool(asked) == expected


class _Shrunk:
    """The detector's view of a world in display pixels, in thumbnail pixels."""

    def __init__(self, world, scale):
        self.world, self.scale = world, scale

    def upright(self, detection, image):
        return detection

    def detect(self, image, effort="normal"):
        return [
            Detection((d.box + 0.5) / self.scale - 0.5, (d.keypoints + 0.5) / self.scale - 0.5, 0.9)
            for d in self.world.detect(image, effort)
        ]


def test_what_the_landmark_network_rejects_is_no_face():
    class Liar(World):
        def __call__(self, region, sample):
            return Mesh(super().__call__(region, sample).points, 0.3)

    assert numbers(run(Liar([Person([(200, 200)] * 5)]))) == [[]] * 5


def test_tiny_faces_are_ignored():
    world = World([Person([(200, 200)] * 3, size=5)])
    assert numbers(run(world)) == [[]] * 3


def test_a_face_that_leaves_the_picture_is_lost():
    world = World([Person([(500 + 10 * i, 200) for i in range(30)])])
    table = numbers(run(world))
    assert table[5] == [0]
    assert table[-1] == []
