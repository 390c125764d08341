"""``animate`` with a scripted face: pictures of all kinds, frame rates, idle motion, debris."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from lipwright import LipwrightError, animate
from lipwright.animation import job
from lipwright.animation.idle import EYES, idle_frames
from lipwright.cli.options import frame_rate
from lipwright.dubbing.options import DubOptions
from lipwright.dubbing.report import Report
from lipwright.media.mel import AudioSpec
from lipwright.methods.base import Method, MethodInfo, Rendered
from lipwright.provenance.verify import verify
from tests.dubbing import clips

SIZE = (192, 160)
PLAIN = DubOptions(watermark=False, manifest=False, lossless=True)


class Talker(Method):
    """Makes the whole crop brighter while there is sound; counts the frames that it has seen."""

    info = MethodInfo("talker", "talker-0", 32, AudioSpec(), "none", stateless=False)

    def start(self, reference: np.ndarray, lips: object = None) -> dict[str, int]:
        return {"seen": 0}

    def render(self, faces: np.ndarray, audio: np.ndarray, state: dict[str, int]) -> Rendered:
        made = []
        for face, sound in zip(faces, audio, strict=True):
            state["seen"] += 1
            made.append(face + 0.3 * float(sound.mean() > -3.5) + 0.001 * state["seen"])
        return Rendered(np.stack(made).clip(-1, 1), faces)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(tmp_path / "cache"))
    return


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    cv2.imwrite(str(folder / "p.png"), clips.scene(0, SIZE)[..., ::-1])
    clips.write_speech(folder / "s.wav", 1.0)
    return folder


def actor(index: int) -> list[clips.Actor]:
    return [clips.Actor(0, 50.0, 30.0, 96.0)]


def run(folder: Path, out: str = "o.mkv", image: str = "p.png", **given: Any) -> Report:
    options = given.pop("options", PLAIN)
    return animate(
        folder / image,
        folder / "s.wav",
        folder / out,
        options,
        method=given.pop("method", Talker()),
        tracker=clips.ScriptedTracker(given.pop("faces", actor)),
        **given,
    )


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]


@pytest.mark.parametrize("fps", [25, 30, Fraction(30000, 1001), 12])
def test_frames_and_times_follow_the_rate(place: Path, fps: Fraction | int) -> None:
    report = run(place, fps=fps)
    times = [time for time, _ in clips.decoded(place / "o.mkv")]
    assert len(times) == -(-Fraction(fps) * 1 // 1)  # one second, rounded up
    assert report.frames == len(times)
    for n, time in enumerate(times):
        assert abs(time - n / Fraction(fps)) < Fraction(1, 900)  # Matroska counts milliseconds


def test_the_whole_picture_is_kept_and_only_the_face_moves(place: Path) -> None:
    run(place)
    made = pictures(place / "o.mkv")
    assert made[0].shape == (SIZE[1], SIZE[0], 3)
    source = clips.scene(0, SIZE).astype(int)
    change = np.max([np.abs(m.astype(int) - source).max(axis=2) for m in made], axis=0)
    assert change[70:110, 80:115].max() > 8
    outside = np.ones(change.shape, bool)
    outside[30:130, 50:150] = False
    assert change[outside].max() <= 3  # the way to YUV and back


def test_batches_of_any_size_give_the_same_frames(place: Path) -> None:
    """The method remembers: frame 7 must see six before it, in whatever batches."""
    from dataclasses import replace

    found = []
    for batch in (1, 4, 11):
        run(place, f"o{batch}.mkv", options=replace(PLAIN, batch_size=batch))
        found.append(pictures(place / f"o{batch}.mkv"))
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("kind", ["grey", "alpha", "odd", "jpg"])
def test_pictures_of_all_kinds(place: Path, kind: str) -> None:
    picture = clips.scene(0, SIZE)[..., ::-1]
    name = "q.jpg" if kind == "jpg" else "q.png"
    if kind == "grey":
        picture = picture[..., 0]
    elif kind == "alpha":
        picture = np.dstack([picture, np.full(picture.shape[:2], 200, np.uint8)])
    elif kind == "odd":
        picture = picture[:-1, :-1]
    cv2.imwrite(str(place / name), picture)
    report = run(place, "o.mp4", name, options=DubOptions(watermark=False, manifest=False))
    assert report.frames == 25
    assert len(pictures(place / "o.mp4")) == 25


def test_idle_motion(place: Path) -> None:
    before = sorted(p.name for p in place.iterdir())
    report = run(place, idle=True)
    made = pictures(place / "o.mkv")
    assert report.frames == len(made) == 25
    corner = [m[:6, -6:].astype(int) for m in made]
    assert max(np.abs(c - corner[0]).max() for c in corner) <= 2  # the background stands still
    assert not np.array_equal(made[0], made[20])
    assert sorted(p.name for p in place.iterdir()) == sorted([*before, "o.mkv"])


def test_idle_motion_is_stored_and_signed_like_the_picture(place: Path) -> None:
    options = DubOptions(watermark=False)
    still = run(place, "still.mp4", options=options)
    moving = run(place, "moving.mp4", options=options, idle=True)
    for name in ("still.mp4", "moving.mp4"):
        with av.open(str(place / name)) as container:
            video = container.streams.video[0]
            assert (video.pix_fmt, video.profile) == ("yuv420p", "High")
        manifest = verify(place / name, faces=False, mode="quick").manifest
        assert manifest is not None
        picture = hashlib.sha256((place / "p.png").read_bytes()).hexdigest()
        made_from = manifest.inputs[0]
        assert made_from["role"] == "picture"
        assert made_from["name"] == "p.png"
        assert made_from["sha256"] == picture
    assert moving.video == still.video == str(place / "p.png")
    assert moving.warnings == still.warnings == []


def test_idle_motion_says_that_transparency_is_lost(place: Path) -> None:
    picture = clips.scene(0, SIZE)[..., ::-1]
    cv2.imwrite(str(place / "q.png"), np.dstack([picture, np.full(picture.shape[:2], 200, "u1")]))
    report = run(place, image="q.png", idle=True)
    assert [line for line in report.warnings if "transparency" in line and "q.png" in line]


def test_a_picture_too_large_for_idle_motion_is_reduced_and_that_is_said(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "LARGEST", max(SIZE) // 2)

    def faces(index: int) -> list[clips.Actor]:
        return actor(index) if index == 0 else [clips.Actor(0, 25.0, 15.0, 48.0)]

    report = run(place, idle=True, faces=faces)
    height, width = pictures(place / "o.mkv")[0].shape[:2]
    assert max(height, width) == max(SIZE) // 2
    assert [line for line in report.warnings if "is reduced to" in line and "p.png" in line]


def test_a_disk_that_is_full_of_idle_motion_is_one_sentence(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(job, "_write_idle", full)
    before = sorted(p.name for p in place.iterdir())
    with pytest.raises(LipwrightError, match="The disk is full"):
        run(place, idle=True)
    assert sorted(p.name for p in place.iterdir()) == before


def test_a_face_that_cannot_be_used_is_said_of_the_picture(place: Path) -> None:
    with pytest.raises(LipwrightError, match=r"No usable face was found in .*p\.png"):
        run(place, idle=True, faces=lambda index: [] if index else actor(index))


def test_a_video_is_sent_to_dub(place: Path) -> None:
    clips.write_video(place / "v.mp4", 5, SIZE)
    with pytest.raises(LipwrightError, match="lipwright dub"):
        run(place, image="v.mp4")


def test_idle_motion_needs_a_face_and_leaves_nothing(place: Path) -> None:
    before = sorted(p.name for p in place.iterdir())
    with pytest.raises(LipwrightError, match="No face"):
        animate(
            place / "p.png",
            place / "s.wav",
            place / "o.mkv",
            PLAIN,
            idle=True,
            method=Talker(),
            tracker=clips.ScriptedTracker(lambda index: []),
        )
    assert sorted(p.name for p in place.iterdir()) == before


@pytest.mark.parametrize("fps", [0, -25, Fraction(1, 7), 5000])
def test_absurd_rates_are_refused(place: Path, fps: Fraction | int) -> None:
    with pytest.raises(LipwrightError, match="fps"):
        run(place, fps=fps)


def test_frame_rates_as_words() -> None:
    assert frame_rate("25") == 25
    assert frame_rate("29.97") == Fraction(2997, 100)
    assert frame_rate("30000/1001") == Fraction(30000, 1001)
    for wrong in ("fast", "1/0", "", "nan", "inf"):
        with pytest.raises(LipwrightError, match="no frame rate"):
            frame_rate(wrong)


def eyes_mesh() -> np.ndarray:
    """A mesh with two open eyes, 40 px wide and 12 high, in a picture of 200 x 200."""
    points = np.full((478, 2), 100.0)
    points[10], points[152] = (100.0, 20.0), (100.0, 180.0)
    for (upper, lower), left in zip(EYES, (40.0, 120.0), strict=True):
        x = np.linspace(left, left + 40.0, len(upper))
        bend = 6.0 * np.sin(np.linspace(0, np.pi, len(upper)))
        points[list(upper)] = np.stack([x, 80.0 - bend], 1)
        points[list(lower)] = np.stack([x, 80.0 + bend], 1)
    return points


def test_blinks_close_the_eyes_and_open_them_again() -> None:
    picture = np.full((200, 200, 3), 200, np.uint8)
    for left in (40, 120):
        cv2.ellipse(picture, (left + 20, 80), (20, 6), 0, 0, 360, (20, 20, 20), -1)
    dark = [
        int((f[70:92, 30:170, 0] < 110).sum())
        for f in idle_frames(picture, eyes_mesh(), 4.0, Fraction(25), seed=1)
    ]
    assert min(dark) < 0.4 * dark[0]  # the ellipse is a little rounder than the lids
    assert dark.count(min(dark)) < 10
    assert max(dark) < 1.3 * dark[0]
    assert sum(d > 0.8 * dark[0] for d in dark) > 70  # open nearly all the time


def test_idle_motion_is_repeatable_smooth_and_begins_at_rest() -> None:
    picture = clips.scene(0, (200, 200))
    a = list(idle_frames(picture, eyes_mesh(), 0.4, Fraction(25), seed=3))
    b = list(idle_frames(picture, eyes_mesh(), 0.4, Fraction(25), seed=3))
    c = list(idle_frames(picture, eyes_mesh(), 0.4, Fraction(25), seed=4))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert not np.array_equal(a[-1], c[-1])
    assert np.array_equal(a[0], picture)


def test_the_command_passes_its_options_on(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lipwright.animation import job
    from lipwright.cli.app import main
    from lipwright.dubbing import checks

    given: list[Any] = []

    def fake(
        image: Path, speech: Path, out: Path, options: DubOptions, *_: Any, **rest: Any
    ) -> Report:
        given.append((image, speech, out, options, rest))
        return Report(str(image), str(speech), str(out))

    monkeypatch.setattr(job, "animate", fake)
    monkeypatch.setattr(checks, "check_job", lambda *arguments: None)
    words = "animate a.png b.wav -o c.mp4 --idle --fps 30000/1001 --seed 3 --no-watermark -q"
    with pytest.raises(SystemExit) as left:
        main([*words.split(), "--method", "copy"])
    assert left.value.code == 0
    image, speech, out, options, rest = given[0]
    assert (image, speech, out) == (Path("a.png"), Path("b.wav"), Path("c.mp4"))
    assert rest == {"fps": Fraction(30000, 1001), "idle": True}
    assert (options.method, options.seed, options.watermark) == ("copy", 3, False)
    with pytest.raises(SystemExit) as left:
        main(["animate", "a.png", "b.wav", "-o", "c.mp4", "--fps", "quick"])
    assert left.value.code == 1
    assert "no frame rate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (DubOptions(), "landmark"),
        (DubOptions(method="memory"), "memory"),
        (DubOptions(weights="x.safetensors"), None),
    ],
)
def test_the_default_method_is_the_cascade(
    place: Path, monkeypatch: pytest.MonkeyPatch, options: DubOptions, expected: str | None
) -> None:
    """A checkpoint says itself which method it is of."""
    given: list[DubOptions] = []
    monkeypatch.setattr("lipwright.animation.job.dub", lambda *a, **_: given.append(a[3]))
    animate(place / "p.png", place / "s.wav", place / "o.mkv", options)
    assert given[0].method == expected
