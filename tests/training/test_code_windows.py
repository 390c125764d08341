"""Examples for generators: what is barred, what is shared, what has noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lipwright.data.codes import CodeCorpus
from lipwright.data.packed import PackedCorpus
from lipwright.media.mel import AudioSpec
from lipwright.training.code_windows import WindowSampler

from .tiny import make_corpus

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def codes(tmp_path_factory: pytest.TempPathFactory) -> CodeCorpus:
    """Code grids whose entry is the frame number, so that a drawn one tells where it is from."""
    packed = PackedCorpus(make_corpus(tmp_path_factory.mktemp("corpus")))
    folder = tmp_path_factory.mktemp("codes")
    n = len(packed.frames)
    grid = np.broadcast_to(np.arange(n, dtype=np.uint16)[None, :, None, None], (1, n, 16, 16))
    for name in ("face", "pose"):
        np.save(folder / f"{name}.npy", grid)
    book = np.random.default_rng(0).standard_normal((n, 4)).astype(np.float32)
    one = np.array(1.0, np.float32)
    np.savez(folder / "books.npz", face=book, pose=book, face_sigma=one, pose_sigma=one)
    (folder / "header.json").write_text(f'{{"frames": {n}, "variants": 1}}')
    return CodeCorpus(packed, folder, 3)


def sampler(codes: CodeCorpus, **changes: Any) -> WindowSampler:
    arguments: dict[str, Any] = {
        "window": 4,
        "scattered": True,
        "fewest": 2,
        "most": 6,
        "min_distance": 3,
        "other_clip": 0.0,
        "silence": 0.0,
        "lip_noise": 0.0,
        "gain": 0.0,
        "floor": 0.0,
        "speech": False,
        **changes,
    }
    return WindowSampler(codes, AudioSpec(), **arguments)


def draws(s: WindowSampler, n: int = 8, seed: int = 0) -> list[Any]:
    rows = s.codes.packed.split("train")
    p = np.full(len(rows), 1 / len(rows))
    return s.draw(rows, p, np.random.default_rng(seed), n)


def test_looks_near_a_target_are_barred_for_it_alone(codes: CodeCorpus) -> None:
    excluded = 0
    for seed in range(10):
        for d in draws(sampler(codes), seed=seed):
            apart = np.abs(d.times[:, None] - (d.references - d.row.start)[None])
            near = apart < 3
            near[near.all(axis=1)] = False
            assert np.array_equal(d.excluded, near)
            excluded += int(near.sum())
    assert excluded > 0


def test_looks_of_another_clip_are_of_the_same_person(codes: CodeCorpus) -> None:
    rows = codes.packed.rows
    for d in draws(sampler(codes, other_clip=1.0)):
        (clip,) = (r for r in rows if r.start <= d.references[0] < r.start + r.frames)
        assert clip.clip != d.row.clip
        assert clip.identity == d.row.identity
        assert not d.excluded.any()


def test_windows_in_a_row_or_scattered(codes: CodeCorpus) -> None:
    in_a_row = draws(sampler(codes, scattered=False))
    assert all(np.array_equal(np.diff(d.times), [1, 1, 1]) for d in in_a_row)
    scattered = draws(sampler(codes))
    assert all((np.diff(d.times) > 0).all() for d in scattered)
    assert any((np.diff(d.times) > 1).any() for d in scattered)


def test_tensors_are_of_the_drawn_frames(codes: CodeCorpus) -> None:
    s = sampler(codes)
    picks = draws(s, 3)
    batch = s.tensors(picks, None, CPU)
    r = len(picks[0].references)
    assert batch["target"].shape == batch["pose"].shape == (12, 4, 16, 16)
    assert batch["references"].shape == batch["reference_poses"].shape == (3, r, 4, 16, 16)
    assert batch["reference_motions"].shape == (3, r, 3)
    assert batch["excluded"].shape == (12, r)
    first = picks[1].row.start + picks[1].times[0]
    assert torch.equal(batch["target"][4, :, 5, 5], codes.face_book[first])
    assert torch.equal(batch["references"][1, 0, :, 0, 0], codes.face_book[picks[1].references[0]])
    assert torch.equal(batch["predicted"][4], torch.from_numpy(codes.motion[first]))


def test_noise_on_motions_in_training_only(codes: CodeCorpus) -> None:
    s = sampler(codes, lip_noise=0.2)
    picks = draws(s, 8)
    plain, noisy = s.tensors(picks, None, CPU), s.tensors(picks, np.random.default_rng(1), CPU)
    for name in ("predicted", "reference_motions"):
        spread = (noisy[name] - plain[name]).std().item()
        assert 0.1 < spread < 0.3
    for name in ("target", "pose", "references", "excluded"):
        assert torch.equal(noisy[name], plain[name])


def test_a_single_silent_frame_rests(codes: CodeCorpus) -> None:
    s = sampler(codes, window=1, scattered=False, silence=1.0, speech=True)
    picks = draws(s, 4)
    assert all(d.silent for d in picks)
    for d in picks:
        opening = codes.packed.opening[d.row.start : d.row.start + d.row.frames]
        assert opening[d.times[0]] <= np.quantile(opening, 0.1)
    assert (s.tensors(picks, None, CPU)["predicted"] == -4.0).all()
