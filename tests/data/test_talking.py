"""Batches for the Audio-Lip Memory: speech, frames and lip windows belong together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lipwright.data.packed import ClipRow, PackedCorpus, write_rows
from lipwright.data.talking import TalkingClips
from lipwright.errors import LipwrightError
from lipwright.media.mel import SILENCE, AudioSpec

CPU = torch.device("cpu")
FRAMES = 30


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> PackedCorpus:
    """Two clips whose every picture, mel column and motion says which frame it belongs to."""
    root = tmp_path_factory.mktemp("corpus")
    folder = root / "packed"
    folder.mkdir()
    number = np.arange(2 * FRAMES, dtype=np.uint8)
    np.save(folder / "frames.npy", np.broadcast_to(number[:, None, None, None], (60, 20, 20, 3)))
    mel = np.repeat(number / 60, 4)[:, None] * np.ones(80)
    np.save(folder / "mel.npy", mel.astype(np.float16))
    np.savez(folder / "features.npz", opening=number / 1.0, lips=np.zeros((60, 80)))
    rows = [
        ClipRow(f"c{i}", f"id{i}", "train", "", i * FRAMES, FRAMES, i * 4 * FRAMES, 4 * FRAMES)
        for i in range(2)
    ]
    write_rows(folder, rows, 16, 2)
    return PackedCorpus(root)


def number_of(pictures: torch.Tensor) -> torch.Tensor:
    """The frame number that pictures (..., 3, S, S) in [-1, 1] show."""
    return ((pictures.mean((-1, -2, -3)) + 1) * 127.5).round().long()


@pytest.mark.parametrize("times", [1, 5])
def test_everything_belongs_to_the_same_frames(corpus: PackedCorpus, times: int) -> None:
    motion = np.arange(60, dtype=np.float32)[:, None]
    clips = TalkingClips(corpus, "train", motion, AudioSpec(12, 4), stretch=10, more=3)
    batch = clips.draw(np.random.default_rng(0), 6, 4, times, CPU)
    assert batch.valid.all()
    frame = batch.motion[..., 0].long()  # (B, n) number of every frame of the stretch
    drawn = frame[:4].gather(1, batch.drawn_frames)
    assert torch.equal(number_of(batch.target), drawn)
    assert batch.target.shape[:2] == (4, times)
    centre = number_of(batch.windows)
    first = frame[:4, :1] // FRAMES * FRAMES
    expected = (drawn[..., None] + torch.arange(-2, 3)).clamp(first[..., None], None)
    expected = expected.clamp(None, first[..., None] + FRAMES - 1)
    assert torch.equal(centre, expected)
    distance = (number_of(batch.reference)[:, None] - drawn).abs()
    assert (distance >= 6).all()  # from every target frame
    assert (number_of(batch.reference) // FRAMES == drawn[:, 0] // FRAMES).all()
    # Column 4 of the window of the stretch's first frame is that frame's own first column.
    for b in range(6):
        heard = (batch.speech[b, 0, 4::4][:10] * 60).round().long()
        assert torch.equal(heard[:9], frame[b, :9])
    assert torch.equal((batch.long_mel[:, 0, ::4] * 60).round().long(), drawn)
    looked = frame.gather(1, batch.lip_frames)
    assert batch.lips.shape == (6, 3, 5, 3, 8, 16)
    assert torch.equal(batch.lips[:, :, 2, 0, 0, 0].long(), looked)


def test_short_clips_and_edges(corpus: PackedCorpus) -> None:
    motion = np.zeros((60, 2), np.float32)
    clips = TalkingClips(corpus, "train", motion, AudioSpec(12, 4), stretch=40)
    batch = clips.draw(np.random.default_rng(0), 2, 2, 1, CPU)
    assert batch.valid.sum(1).tolist() == [FRAMES, FRAMES]
    assert (batch.speech[:, :, :4] == SILENCE).all()
    assert (batch.speech[:, :, 4 + 4 * FRAMES :] == SILENCE).all()
    assert batch.lips.shape[1] == 0
    assert int(batch.drawn_frames.max()) < FRAMES
    with pytest.raises(LipwrightError, match="no clips of split 'val'"):
        TalkingClips(corpus, "val", motion, AudioSpec(), stretch=5)
