"""``restorer``: the trained second stage (``lipwright train restorer``), run by PyTorch.

The references whose lips and pose are nearest to the frame's are brought onto the drawn lips and
given to the network beside the window in which the lip region is what the first stage drew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from lipwright.enhance.base import Array, Context, Enhancer, EnhancerInfo, References
from lipwright.enhance.choice import distances
from lipwright.errors import LipwrightError
from lipwright.faces.lip_align import align_window
from lipwright.models.restorer import Restorer
from lipwright.weights.checkpoint import load_checkpoint


@dataclass(frozen=True)
class RestorerState:
    """References at the size of the result.

    Attributes:
        pictures: R windows (kS, kS, 3) uint8.
        lips: (R, 40, 2) contours in parts of the aligned crop.
        outlines: (R, K, 2).
    """

    pictures: list[NDArray[np.uint8]] = field(default_factory=list)
    lips: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 40, 2)))
    outlines: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0, 2)))


class TrainedRestorer(Enhancer):
    """The enhancer ``restorer``.

    Args:
        path: checkpoint of the training stage ``restorer``.

    Raises:
        LipwrightError: missing, damaged, or a checkpoint of something else.
    """

    def __init__(self, path: Path | None) -> None:
        if path is None:
            raise LipwrightError(
                "The enhancer 'restorer' ships no weights: train them with 'lipwright train "
                "restorer' and give the file with --enhance-weights, or use --enhance self."
            )
        checkpoint = load_checkpoint(path)
        fields = checkpoint.fields
        fields.check_method(
            "restorer", ", not of the restorer; give one that 'lipwright train restorer' wrote"
        )
        self._network = checkpoint.build("restorer", Restorer)
        self._count = fields.whole("references", 0, 8)
        self._side = fields.whole("size", 8, 1024) * self._network.scale
        self.info = EnhancerInfo(
            "restorer",
            checkpoint.model_id,
            scale=self._network.scale,
            size=fields.whole("size", 8, 1024),
            needs=frozenset({"references", "lips"}),
            backend="torch",
        )

    def start(self, references: References) -> RestorerState:
        """Bring the references to the size of the result; empty ones are left out."""
        kept = [i for i, picture in enumerate(references.pictures) if picture.size]
        pictures = []
        for i in kept:
            picture = references.pictures[i]
            how = cv2.INTER_AREA if len(picture) > self._side else cv2.INTER_CUBIC
            size = (self._side, self._side)
            pictures.append(np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8))
        return RestorerState(
            pictures,
            np.asarray(references.lips, np.float64)[kept],
            np.asarray(references.outlines, np.float64)[kept],
        )

    @torch.inference_mode()
    def enhance(self, pictures: Array, contexts: Sequence[Context], state: RestorerState) -> Array:
        """Restore; one by one, so that a frame is the same in every batch."""
        made = []
        for picture, context in zip(pictures, contexts, strict=True):
            drawn = torch.from_numpy(np.ascontiguousarray(picture[None])) * 2 - 1
            out = self._network(drawn, self._near(context, state))[0]
            made.append(((out.clamp(-1, 1) + 1) / 2).numpy())
        return np.stack(made).astype(np.float32)

    def _near(self, context: Context, state: RestorerState) -> torch.Tensor:
        """(1, R, 3, kS, kS) in [-1, 1]: the nearest references, their lips where the frame's are.

        None where it is not known what the lips do.
        """
        if context.lips is None or context.outline is None or not state.pictures:
            return torch.zeros(1, 0, 3, self._side, self._side)
        apart = distances(context.lips, context.outline, state.lips, state.outlines)
        nearest = np.argsort(apart, kind="stable")[: self._count]
        if not len(nearest):
            return torch.zeros(1, 0, 3, self._side, self._side)
        aligned = [align_window(state.pictures[i], state.lips[i], context.lips) for i in nearest]
        stacked = torch.from_numpy(np.stack(aligned)).permute(0, 3, 1, 2)
        return (stacked.float() / 127.5 - 1).unsqueeze(0)
