"""The generator as its stage trains it: its sync gate, and one forward pass for all losses."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipwright.face_regions import CODE_CELLS, MOUTH_BOX, pixel_box
from lipwright.models.gallery_generator import GalleryGenerator
from lipwright.models.generator import CodeGenerator
from lipwright.training.code_windows import CodeBatch

CE_ROW = 6
"""Code rows from here on are compared by index; those above show what the pose code shows anyway,
and L1 is enough for them. It saves a third of the time of the loss."""


class TrainedGenerator(nn.Module):
    """A generator with the state of its sync gate, and one forward pass for all losses.

    Args:
        generator: either kind.
        book: (entries, D) the face codebook.
        entries: whether entries are to be predicted.
        lips: length of the lip motion that a linear layer, left out of the checkpoint, predicts
            from the speech vector; 0 for none.
    """

    sync_on: Tensor

    def __init__(
        self,
        generator: GalleryGenerator | CodeGenerator,
        book: Tensor,
        entries: bool,
        lips: int = 0,
    ) -> None:
        super().__init__()
        self.entries = entries
        self.generator = generator
        self.motion_head = None
        if lips and isinstance(generator, CodeGenerator):
            self.motion_head = nn.Linear(generator.dim, lips)
        self.register_buffer("book", book, persistent=False)
        self.register_buffer("sync_on", torch.zeros((), dtype=torch.bool))

    def forward(self, batch: CodeBatch | Tensor) -> tuple[Tensor, Tensor | None]:
        """Draw a batch; of speech alone, predict what lips do.

        Returns:
            Code vectors (with speech alone, lip motions), and the logits of the rows from
            :data:`CE_ROW` on where entries are to be predicted; with ``lips`` the lip motions.
        """
        if not isinstance(batch, CodeBatch):
            assert isinstance(self.generator, CodeGenerator)
            assert self.motion_head is not None
            motions: Tensor = self.motion_head(self.generator.speech(batch))
            return motions, None
        each = len(batch.pose) // len(batch.references)
        if isinstance(self.generator, CodeGenerator):
            reference = batch.references[:, 0].repeat_interleave(each, dim=0)
            speech = self.generator.speech(batch.condition)
            predicted = None if self.motion_head is None else self.motion_head(speech)
            return self.generator.draw(batch.pose, reference, speech).float(), predicted
        references = self.generator.encode_references(
            batch.references, batch.reference_poses, batch.reference_motions
        ).each(each)
        codes, _ = self.generator(batch.pose, references, batch.condition)
        if not self.entries:
            return codes, None
        assert isinstance(self.book, Tensor)
        return codes, self.generator.logits(codes[:, :, CE_ROW:], self.book)


def first_reference(batch: CodeBatch) -> Tensor:
    """The codes of the first reference of every target: what copying would give."""
    references = batch.references[:, 0]
    return references.repeat_interleave(len(batch.target) // len(references), dim=0)


def mouth_hits(logits: Tensor, index: Tensor) -> Tensor:
    """Share of mouth cells whose most likely entry is the true one; rows from :data:`CE_ROW` on."""
    left, top, right, bottom = pixel_box(MOUTH_BOX, CODE_CELLS)
    cells = slice(top - CE_ROW, bottom - CE_ROW), slice(left, right)
    return (logits[:, :, *cells].argmax(1) == index[:, *cells]).float().mean()
