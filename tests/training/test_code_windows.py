"""Examples for generators: how far references lie, what is shared, what has noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lipwright.data.clip_windows import ReferenceRule
from lipwright.data.codes import CodeCorpus
from lipwright.data.packed import PackedCorpus
from lipwright.media.mel import AudioSpec
from lipwright.training.code_windows import CodeExample, CodeWindows

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


def sampler(codes: CodeCorpus, **changes: Any) -> CodeWindows:
    arguments: dict[str, Any] = {"scattered": True, **changes}
    rule = ReferenceRule(
        arguments.pop("references", 6),
        arguments.pop("min_distance", 3),
        arguments.pop("other_clip", 0.0),
        "opening",
        arguments.pop("min_references", 2),
    )
    window = arguments.pop("window", 4)
    rows = codes.packed.split("train")
    return CodeWindows(codes, rows, AudioSpec(), window, rule, **arguments)


def draws(s: CodeWindows, n: int = 8, seed: int = 0) -> list[CodeExample]:
    return s.draw(np.random.default_rng(seed), n)


@pytest.mark.parametrize("speech", [False, True])
@pytest.mark.parametrize(("window", "distance"), [(1, 25), (5, 25), (15, 25), (25, 12), (8, 2)])
def test_no_target_is_near_its_reference_at_any_window(
    codes: CodeCorpus, window: int, distance: int, speech: bool
) -> None:
    """What the paper's sampler needs: clips of 40 frames, one reference, a window in a row."""
    s = sampler(
        codes,
        window=window,
        scattered=False,
        references=1,
        min_distance=distance,
        speech=speech,
    )
    for seed in range(20):
        for e in draws(s, seed=seed):
            apart = e.window.frames[:, None] - e.window.reference_frames[None]
            assert np.abs(apart).min() >= distance


def test_references_of_another_clip_are_of_the_same_person(codes: CodeCorpus) -> None:
    for e in draws(sampler(codes, other_clip=1.0)):
        assert e.window.reference_row.clip != e.window.row.clip
        assert e.window.reference_row.identity == e.window.row.identity


def test_windows_in_a_row_or_scattered(codes: CodeCorpus) -> None:
    in_a_row = [e.window.times for e in draws(sampler(codes, scattered=False))]
    assert all(np.array_equal(np.diff(t), [1, 1, 1]) for t in in_a_row)
    scattered = [e.window.times for e in draws(sampler(codes))]
    assert all((np.diff(t) > 0).all() for t in scattered)
    assert any((np.diff(t) > 1).any() for t in scattered)


def test_tensors_are_of_the_drawn_frames(codes: CodeCorpus) -> None:
    s = sampler(codes)
    examples = draws(s, 3)
    batch = s.tensors(examples, None, CPU)
    r = len(examples[0].window.references)
    assert batch.target.shape == batch.pose.shape == (12, 4, 16, 16)
    assert batch.references.shape == batch.reference_poses.shape == (3, r, 4, 16, 16)
    assert batch.reference_motions.shape == (3, r, 3)
    window = examples[1].window
    first, reference = window.frames[0], window.reference_frames[0]
    assert torch.equal(batch.target[4, :, 5, 5], codes.face_book[first])
    assert torch.equal(batch.references[1, 0, :, 0, 0], codes.face_book[reference])
    assert torch.equal(batch.condition[4], torch.from_numpy(codes.motion[first]))


def test_noise_on_motions_in_training_only(codes: CodeCorpus) -> None:
    s = sampler(codes, lip_noise=0.2)
    examples = draws(s, 8)
    plain, noisy = (s.tensors(examples, rng, CPU) for rng in (None, np.random.default_rng(1)))
    for name in ("condition", "reference_motions"):
        spread = (getattr(noisy, name) - getattr(plain, name)).std().item()
        assert 0.1 < spread < 0.3
    for name in ("target", "pose", "references"):
        assert torch.equal(getattr(noisy, name), getattr(plain, name))


def test_a_single_silent_frame_rests(codes: CodeCorpus) -> None:
    s = sampler(codes, window=1, scattered=False, silence=1.0, speech=True)
    examples = draws(s, 4)
    assert all(e.silent for e in examples)
    for e in examples:
        row = e.window.row
        opening = codes.packed.opening[row.start : row.start + row.frames]
        assert opening[e.window.first] <= np.quantile(opening, 0.1)
    assert (s.tensors(examples, None, CPU).condition == -4.0).all()
