"""Bootstrap, tables, published numbers, pairs of files, matching in time."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipwright.errors import LipwrightError
from lipwright.evaluation.bootstrap import bootstrap_mean, bootstrap_pairs
from lipwright.evaluation.evaluate import check_table, find_groups, find_pairs, notes_of_clips
from lipwright.evaluation.metrics.catalogue import CATALOGUE, choose
from lipwright.evaluation.metrics.frechet import frechet_distance
from lipwright.evaluation.networks import load_networks, parse_weights
from lipwright.evaluation.plot import axis_range, dot_plot, level_plot
from lipwright.evaluation.published_numbers import published_tables, table_markdown
from lipwright.evaluation.sampling import at_25, match_times, sync_crop
from lipwright.evaluation.table import (
    as_data,
    cell,
    cells_of_data,
    csv_text,
    markdown,
    summarise,
    warnings_about,
)


def test_bootstrap_mean() -> None:
    x = np.random.default_rng(0).normal(3.0, 1.0, 400)
    e = bootstrap_mean(list(x))
    assert e.value == pytest.approx(x.mean())
    # The interval of a mean is about 1.96 standard errors to either side.
    assert (e.high - e.low) / 2 == pytest.approx(1.96 * x.std() / 20, rel=0.1)
    assert bootstrap_mean(list(x)) == e
    assert bootstrap_mean([1.0, math.nan, 3.0]).n == 2
    assert math.isnan(bootstrap_mean([2.0]).low)
    assert math.isnan(bootstrap_mean([math.nan]).value)


def test_bootstrap_of_a_distance_draws_clips() -> None:
    rng = np.random.default_rng(0)
    real = [rng.normal(size=(20, 3)) for _ in range(6)]
    result = [x + np.array([2.0, 0, 0]) for x in real]
    e = bootstrap_pairs(real, result, frechet_distance, 30)
    assert e.value == pytest.approx(4.0, abs=1e-6)
    assert e.low == pytest.approx(4.0, abs=1e-6)  # every drawn clip is shifted alike
    assert math.isnan(bootstrap_pairs(real[:1], result[:1], frechet_distance).low)


def test_summary_has_the_real_row_and_flags_small_sets(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clips = [{"psnr": 30.0, "envelope_r": 0.4}, {"psnr": 32.0, "envelope_r": math.nan}]
    real = [{"envelope_r": 0.5}, {"envelope_r": 0.7}]
    features = {
        f"{kind}.{side}": [rng.normal(size=(4, 5)).astype(np.float32) for _ in range(2)]
        for kind in ("fid", "fvd")
        for side in ("real", "result")
    }
    names = ["envelope_r", "psnr", "fid", "fvd", "fvd_100"]
    rows, notes = summarise(names, clips, real, features, "mine")
    assert rows["real video"]["envelope_r"].value == pytest.approx(0.6)
    assert "psnr" not in rows["real video"]
    assert rows["mine"]["psnr"].value == 31.0
    assert rows["mine"]["fvd_100"].value == pytest.approx(rows["mine"]["fvd"].value / 100)
    assert len(notes) == 2
    text = markdown(names, rows)
    assert "| PSNR, dB ↑ | - | 31.0 [30.0, 32.0] |" in text
    assert cell("psnr", None) == "-"
    methods = {"mine": rows["mine"], "a method with a very long name indeed": {}}
    assert dot_plot(names, rows["real video"], methods, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000
    assert not dot_plot([], {}, {"mine": {}}, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
    assert level_plot(names, rows["real video"], methods, tmp_path / "levels.png", "noise")
    assert cells_of_data(as_data(rows))[0] == ["metric", "real video", "mine"]
    assert csv_text(names, rows).splitlines()[:2] == [
        "metric,unit,row,value,low,high,clips",
        "envelope_r,,real video,0.6,0.5,0.7,2",
    ]


def test_an_aim_that_is_a_number_stands_in_the_place_of_the_real_video() -> None:
    rows, _ = summarise(["flicker"], [{"flicker": 0.7}], [{}], {}, "mine")
    assert "| flicker → real | 1 | 0.70 |" in markdown(["flicker"], rows)


def test_axes_show_small_differences_as_small() -> None:
    low, high = axis_range([2.9, 3.0])
    assert high - low == pytest.approx(0.25 * 3.0 * 1.16)
    assert axis_range([0.0], digits=1) == pytest.approx((-0.58, 0.58))
    assert axis_range([0.0, 10.0]) == pytest.approx((-0.8, 10.8))
    assert warnings_about(1)[0].startswith("Only 1 clip:")
    assert not warnings_about(10)


def test_notes_of_many_clips_are_said_once() -> None:
    clips = [
        {"result": f"{n}.mp4", "reference": f"{n}.mkv", "notes": [f"{n}.mkv: short"]}
        for n in range(3)
    ]
    assert notes_of_clips(clips) == ["0.mkv and 2 more: short"]


def test_every_metric_says_what_it_is() -> None:
    for name, info in CATALOGUE.items():
        assert info.name == name
        assert info.source
        assert info.deviations or info.fidelity == "exact"
        json.dumps(info.card())
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    absent = [name for name in CATALOGUE if f"`{name}`" not in page]
    assert not absent, "add them to the tables of docs/evaluation.md"
    assert choose(["psnr", "lse_c"]) == ["lse_c", "psnr"]
    with pytest.raises(LipwrightError, match="no metric 'lsec'"):
        choose(["lsec"])


def test_published_numbers_are_complete_and_marked() -> None:
    tables = published_tables()["tables"]
    assert tables["2 4KTF"]["rows"]["Ours (paper)"][:4] == [7.10, 6.32, 6.84, 6.66]
    assert tables["5 sync loss"]["rows"]["sync loss, T = 25"] == [7.10, 6.32, 91.2]
    count = 0
    for table in tables.values():
        for values in table["rows"].values():
            assert len(values) == len(table["columns"])
            count += sum(v is not None for v in values)
            for column, value in zip(table["columns"], values, strict=True):
                if column in ("LSQ", "Shrp", "OE") and not 1 <= value <= 5:
                    assert (value, column) == (6.86, "LSQ")
    assert count == 35 + 35 + 8 + 8 + 8
    text = table_markdown(("2", "3", "4", "5"))
    assert "6.86 (misprint)" in text
    rows = [r for r in text.splitlines() if r.startswith("| ") and not r.startswith("| |")]
    assert all("published, not comparable" in r for r in rows)
    assert table_markdown(("3",)).count("\nTable") == 1


def test_pairs(tmp_path: Path) -> None:
    for folder, names in (("out", ("a.mp4", "b.mkv")), ("ref", ("a.webm", "b.mp4", "c.mp4"))):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).touch()
    pairs = find_pairs([tmp_path / "out"], [tmp_path / "ref"])
    assert [(p.result.name, p.real.name) for p in pairs] == [
        ("a.mp4", "a.webm"),
        ("b.mkv", "b.mp4"),
    ]
    with pytest.raises(LipwrightError, match="no reference of the same name"):
        find_pairs([tmp_path / "ref"], [tmp_path / "out"])
    a = tmp_path / "out" / "a.mp4"
    assert len(find_pairs([a, a], [a, a])) == 2
    with pytest.raises(LipwrightError, match="1 results and 2 references"):
        find_pairs([a], [a, a])
    with pytest.raises(LipwrightError, match=r"no file or folder .*no\.mp4"):
        find_pairs([a], [tmp_path / "no.mp4"])
    with pytest.raises(LipwrightError, match=r"no file or folder .*nosuch"):
        find_pairs([tmp_path / "out"], [tmp_path / "nosuch"])
    with pytest.raises(LipwrightError, match=r"out is a folder and .*a\.mp4 is a file"):
        find_pairs([tmp_path / "out"], [a])
    (tmp_path / "empty").mkdir()
    with pytest.raises(LipwrightError, match="no videos in"):
        find_pairs([tmp_path / "empty"], [tmp_path / "ref"])


def test_several_folders_are_several_methods(tmp_path: Path) -> None:
    for folder in ("one", "two", "ref"):
        (tmp_path / folder).mkdir()
        for name in ("a.mp4", "b.mp4"):
            (tmp_path / folder / name).touch()
    folders = [tmp_path / "one", tmp_path / "two"]
    groups = find_groups(folders, [tmp_path / "ref"])
    assert list(groups) == ["one", "two"]
    assert [p.result.name for p in groups["two"]] == ["a.mp4", "b.mp4"]
    assert list(find_groups(folders[:1], [tmp_path / "ref"], "mine")) == ["mine"]
    (tmp_path / "two" / "b.mp4").unlink()
    with pytest.raises(LipwrightError, match="not the same clips"):
        find_groups(folders, [tmp_path / "ref"])


def test_tables_end_in_json_or_csv(tmp_path: Path) -> None:
    check_table(tmp_path / "t.csv")
    with pytest.raises(LipwrightError, match=r"\.json or \.csv"):
        check_table(tmp_path / "t.xlsx")


def test_frames_are_matched_by_time() -> None:
    real = np.arange(10) / 25
    assert match_times(real, real).tolist() == list(range(10))
    assert match_times(real, np.arange(20) / 50).tolist() == list(range(0, 20, 2))
    assert match_times(real, real[:4]).tolist() == [0, 1, 2, 3, *[-1] * 6]
    late = np.array([0.0, 0.04, 0.2])
    assert match_times(real, late).tolist() == [0, 1, -1, -1, -1, 2, *[-1] * 4]
    assert match_times(real, real[:0]).tolist() == [-1] * 10


@given(st.integers(1, 200), st.sampled_from([24, 25, 30, 50, 12.5]))
def test_25_fps_grid_is_near_and_rising(frames: int, fps: float) -> None:
    times = np.arange(frames) / fps
    index = at_25(times)
    assert (np.diff(index) >= 0).all()
    error = np.abs(times[index] - np.arange(len(index)) / 25)
    assert error.max() <= max(0.5 / fps, 0.02) + 1e-9
    if fps == 25:
        assert index.tolist() == list(range(frames))


def test_sync_crop_is_that_of_the_published_script() -> None:
    """Rows from -s to s (1 + 2 * 0.4), columns +- 1.4 s, padded with 110, resized to 224."""
    y, x = np.mgrid[:300, :400]
    image = np.stack([x % 256, y % 256, 0 * x], axis=2).astype(np.uint8)
    s = 40
    crop = sync_crop(image, np.array([200.0, 150.0, float(s)]))
    side = round(2.8 * s)
    patch = image[150 - s : 150 - s + side, 200 - side // 2 : 200 + side // 2]
    import cv2

    expected = cv2.resize(patch, (224, 224), interpolation=cv2.INTER_LINEAR)
    assert np.abs(crop[8:-8, 8:-8, 1].astype(int) - expected[8:-8, 8:-8, 1]).max() <= 1
    corner = sync_crop(image, np.array([0.0, 0.0, 40.0]))
    assert corner[0, 0].tolist() == [110, 110, 110]


def test_weights_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPWRIGHT_CACHE", str(tmp_path))
    monkeypatch.delenv("LIPWRIGHT_MODELS", raising=False)
    assert parse_weights(["i3d=a/b.pt"]) == {"i3d": Path("a/b.pt")}
    for bad in ("i3d", "i4d=x"):
        with pytest.raises(LipwrightError, match="names no network"):
            parse_weights([bad])
    found = load_networks({})
    assert not found.loaded
    assert "syncnet_v2.model" in found.absent["syncnet"]
    with pytest.raises(LipwrightError, match="is not there"):
        load_networks({"syncnet": tmp_path / "no.model"})
