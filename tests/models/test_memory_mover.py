"""Moving the reference: nothing where lips agree, by hand where they do not."""

from __future__ import annotations

import torch

from lipwright.models.memory_mover import ReferenceMover


def mover_of(predicted: tuple[float, ...], points: int = 4) -> ReferenceMover:
    """Tells the same motion whatever it hears; the second number moves all points down."""
    mover = ReferenceMover(6, 32, motions=len(predicted), points=points)
    torch.nn.init.zeros_(mover.reader.weight)
    with torch.no_grad():
        mover.reader.bias.copy_(torch.tensor(predicted))
        mover.space.basis[1::2, 0] = 1.0
        mover.space.scale.fill_(0.1)
    return mover


def picture_of(row: int, column: int) -> torch.Tensor:
    picture = torch.zeros(1, 3, 32, 32)
    picture[:, :, row, column] = 1.0
    return picture


WHERE = torch.tensor([[[0.3, 0.5], [0.7, 0.5], [0.5, 0.45], [0.5, 0.55]]])


def test_agreeing_lips_move_nothing() -> None:
    mover = mover_of((0.3, 1.0))
    picture = torch.rand(2, 3, 32, 32) * 2 - 1
    motion = torch.tensor([[9.0, 1.0]]).expand(2, -1)  # the opening itself moves no points
    moved = mover(torch.randn(2, 6), picture, WHERE.expand(2, -1, -1), motion)
    assert torch.allclose(moved, picture, atol=1e-5)


def test_lips_come_to_lie_where_they_are_told() -> None:
    mover = mover_of((0.0, 1.5))
    motion = torch.tensor([[0.0, 0.25]])
    # (1.5 - 0.25) deviations of 0.1: an eighth of the side, 4 of 32 pixels down.
    moved = mover(torch.randn(1, 6), picture_of(16, 16), WHERE, motion)
    at = int(moved[0, 0].argmax())
    assert (at // 32, at % 32) == (20, 16)
    far = mover(torch.randn(1, 6), picture_of(1, 1), WHERE, motion)
    assert torch.allclose(far, picture_of(1, 1), atol=0.05)


def test_no_gradient_reaches_the_lip_feature() -> None:
    mover = mover_of((0.0, 1.0))
    lips = torch.randn(1, 6, requires_grad=True)
    reference = torch.rand(1, 3, 32, 32, requires_grad=True)
    mover(lips, reference, WHERE, torch.zeros(1, 2)).sum().backward()
    assert lips.grad is None
    assert mover.reader.weight.grad is None
    assert reference.grad is not None


def test_far_motions_are_bounded() -> None:
    picture = torch.rand(1, 3, 32, 32)
    ends = [
        mover_of((0.0, predicted))(torch.randn(1, 6), picture, WHERE, torch.zeros(1, 2))
        for predicted in (4.0, 400.0)
    ]
    assert torch.equal(*ends)


def test_articulation_exaggerates_what_is_told() -> None:
    picture, motion = torch.rand(1, 3, 32, 32), torch.zeros(1, 2)
    lips = torch.randn(1, 6)
    far = mover_of((0.0, 1.5))(lips, picture, WHERE, motion)
    assert torch.equal(mover_of((0.0, 0.5))(lips, picture, WHERE, motion, 3.0), far)
    assert not torch.equal(mover_of((0.0, 0.5))(lips, picture, WHERE, motion), far)
