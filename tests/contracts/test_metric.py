"""What every metric keeps to; a new one is tested here by being registered."""

from __future__ import annotations

import inspect
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipwright.errors import LipwrightError
from lipwright.evaluation import measure
from lipwright.evaluation.faces import FaceSeries
from lipwright.evaluation.metrics import catalogue
from lipwright.evaluation.metrics.base import (
    ClipResult,
    MeanMetric,
    Metric,
    MetricInfo,
    Moment,
)
from lipwright.evaluation.networks import NAMES, Networks
from lipwright.media.mel import mel_spectrogram
from tests.conftest import write_video
from tests.faces.shapes import face

FRAMES = 40


def series() -> FaceSeries:
    """A face that stands still and opens its mouth, and is lost for two frames."""
    gaps = 8.0 * (1 + np.sin(np.arange(FRAMES) / 3))
    points = np.stack([face((160.0, 100.0), 70.0, opening=gap / 70.0) for gap in gaps])
    points[20:22] = np.nan
    return FaceSeries(np.arange(FRAMES) / 25, points, np.zeros(FRAMES, np.int64))


class Toy:
    """Every network at once: means of what it is given."""

    size, window, columns = 32, 5, 4

    def features(self, x: Tensor) -> Tensor:
        return x.flatten(2).mean(dim=2)

    def embed_faces(self, frames: Tensor) -> Tensor:
        return frames.mean(dim=(2, 3, 4))

    def embed_speech(self, mfcc: Tensor) -> Tensor:
        return mfcc.mean(dim=(1, 3))[:, :3]

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        return (x - y).abs().mean().reshape(1)

    def __call__(self, crop: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.asarray(crop.reshape(-1, 3).mean(axis=0), np.float64)

    def frames(self, crops: Tensor) -> Tensor:
        return crops.mean(dim=(2, 3))

    def faces(self, windows: Tensor) -> Tensor:
        return windows.mean(dim=1)

    def speech_input(self, wave: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(mel_spectrogram(wave))

    def speech(self, mel: Tensor) -> Tensor:
        return mel.mean(dim=2)[:, :3]


NETWORKS = Networks({name: Toy() for name in NAMES})


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A real video with sound, and another with other pixels and the same sound."""
    folder = tmp_path_factory.mktemp("videos")
    rng = np.random.default_rng(0)
    sound = rng.normal(size=16000 * FRAMES // 25) * np.repeat([0.3, 0.0], 16000 * FRAMES // 50)
    options: dict[str, Any] = {"size": (320, 240), "frames": FRAMES, "audio": sound.astype("f4")}

    def paint(index: int, planes: list[NDArray[Any]]) -> None:
        noise = np.random.default_rng(index).integers(40, 200, planes[0].shape)
        planes[0][:] = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 2)
        planes[1][:], planes[2][:] = 110, 150

    other = write_video(folder / "other.mkv", paint=paint, **options)
    return write_video(folder / "real.mkv", **options), other


def measured(metric: type[Metric], result: Path, real: Path) -> ClipResult:
    names = [info.name for info in metric.infos]
    return measure.measure_clip(result, real, names, NETWORKS, tracker=object())  # type: ignore[arg-type]


@pytest.fixture(scope="module", autouse=True)
def known_faces() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "watch", lambda path, tracker: series())
        yield


@pytest.fixture(scope="module")
def of_other(videos: tuple[Path, Path]) -> Callable[[type[Metric]], ClipResult]:
    """What a metric says of the other video, measured once."""
    real, other = videos
    return cache(lambda metric: measured(metric, other, real))


@pytest.mark.parametrize("metric", catalogue.METRICS, ids=lambda m: m.__name__)
class TestMetric:
    def test_gives_what_it_declares_and_the_same_again(
        self,
        metric: type[Metric],
        videos: tuple[Path, Path],
        of_other: Callable[[type[Metric]], ClipResult],
    ) -> None:
        real, other = videos
        found, again = of_other(metric), measured(metric, other, real)
        pooled, _ = metric.over_clips(
            [info.name for info in metric.infos],
            {k: [x, x + 1] for k, x in found.features.items()},
        )
        for info in metric.infos:
            assert info.name in {**found.result, **pooled}, "declared, not given"
            assert (info.name in found.real) <= (not info.paired or info.name == "cpbd")
        assert set(found.result) <= {info.name for info in metric.infos} | set(metric.also)
        for name, value in {**found.result, **found.real}.items():
            assert isinstance(value, float), name
        assert np.array_equal(
            list(found.result.values()), list(again.result.values()), equal_nan=True
        )
        for name, x in found.features.items():
            assert x.ndim == 2
            assert np.isfinite(x).all()
            side = name.replace(".real", ".result")
            assert x.shape == found.features[side].shape
            assert np.array_equal(x, again.features[name])

    def test_a_copy_is_as_good_as_can_be(
        self,
        metric: type[Metric],
        videos: tuple[Path, Path],
        of_other: Callable[[type[Metric]], ClipResult],
        tmp_path: Path,
    ) -> None:
        real, _ = videos
        copy = tmp_path / "copy.mkv"
        shutil.copy(real, copy)
        best, worse = measured(metric, copy, real), of_other(metric)
        for info in metric.infos:
            value = best.result.get(info.name, math.nan)
            if info.name in best.real:
                assert np.array_equal(value, best.real[info.name], equal_nan=True)
            elif info.aim is not None:
                assert value == pytest.approx(info.aim)
            elif math.isfinite(value) and math.isfinite(worse.result[info.name]):
                if info.better == "low":
                    assert value <= worse.result[info.name]
                    assert value == pytest.approx(0.0, abs=1e-6)
                else:
                    assert value >= worse.result[info.name]

    def test_is_left_out_without_its_networks(
        self, metric: type[Metric], videos: tuple[Path, Path]
    ) -> None:
        real, other = videos
        names = [info.name for info in metric.infos if info.needs]
        if not names:
            return  # it needs none
        found = measure.measure_clip(other, real, names, Networks(), tracker=object())  # type: ignore[arg-type]
        assert not found.result
        assert not found.features
        assert found.frames == FRAMES - 2

    def test_says_what_it_is(self, metric: type[Metric]) -> None:
        assert inspect.getdoc(metric)
        assert metric.every >= 1
        for info in metric.infos:
            assert info.title
            assert info.source
            assert info.deviations or info.fidelity == "exact"
            assert info.protocols
            assert set(info.needs) <= set(NAMES)
            assert (info.better == "real" and info.paired) <= (
                info.aim is not None or info.name == "cpbd"
            )
        assert torch.is_grad_enabled()

    def test_a_damaged_video_is_one_sentence(
        self, metric: type[Metric], videos: tuple[Path, Path], tmp_path: Path
    ) -> None:
        broken = tmp_path / "broken.mkv"
        broken.write_bytes(b"no video")
        with pytest.raises(LipwrightError):
            measured(metric, broken, videos[0])


class Brightness(MeanMetric):
    """A toy: difference of mean brightness."""

    infos = (MetricInfo("toy", "toy", "this test", "own", "low", "toy", protocols=("silent",)),)

    def value(self, moment: Moment) -> float:
        """One number a moment."""
        return abs(float(moment.crops.real.mean()) - float(moment.crops.result.mean()))


def test_a_new_metric_needs_a_class_and_a_registration(
    videos: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "METRICS", list(catalogue.METRICS))
    before = dict(catalogue.CATALOGUE)
    try:
        catalogue.register(Brightness)
        assert catalogue.choose(["toy"]) == ["toy"]
        assert catalogue.names_of_protocol("silent")[-1] == "toy"
        assert measured(Brightness, videos[1], videos[0]).result["toy"] > 0
        with pytest.raises(LipwrightError, match="names of their own"):
            catalogue.register(Brightness)
        unnamed = type("Unnamed", (Metric,), {"infos": ()})
        with pytest.raises(LipwrightError, match="Unnamed"):
            catalogue.register(unnamed)
        twice = type("Twice", (Metric,), {"infos": (replace(Brightness.infos[0], name="a"),) * 2})
        with pytest.raises(LipwrightError, match="Twice"):
            catalogue.register(twice)
    finally:
        catalogue.CATALOGUE.clear()
        catalogue.CATALOGUE.update(before)
