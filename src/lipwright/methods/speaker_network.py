"""Networks that say of a face whether it speaks: what ``--speaker-network`` chooses from.

``lips`` is none: the shipped speech network tells what the lips of a speaker do, and the plan holds
those of every face (:mod:`lipwright.faces.speaker`). A network here sees the pictures of the face
beside the sound. Its scores are brought to log-likelihood ratios, which are decided upon as those
of the lips are, or added to them.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from lipwright.errors import LipwrightError
from lipwright.methods.speaker_names import CHOICES

GAIN, ZERO = 0.15, 0.0
"""Log-likelihood ratio per frame: so many times the score of LR-ASD, less this score."""


class LrAsdNetwork:
    """LR-ASD with its published weights (:mod:`lipwright.models.published.lr_asd`).

    Attributes:
        name: as it is chosen.
        model_id: the network and its checksum.
        side: of the grey pictures.
        face_share: side of the square that a picture shows, in parts of the height of the face ...
        lower: ... and how far its middle lies below that of the face.
    """

    name = "lr-asd"
    side = 112
    face_share = 0.77
    lower = 0.22

    def __init__(self) -> None:
        """Read the file.

        Raises:
            LipwrightError: it is not here, or PyTorch is not.
        """
        from lipwright.weights.published import TABLE, find_published, load_into, load_state

        path = find_published(self.name, flag="LIPWRIGHT_MODELS, the folder that holds it")
        state = load_state(path)
        from lipwright.models.published.lr_asd import LrAsd, convert

        self._network = LrAsd().eval().requires_grad_(False)
        load_into(self._network, convert(state), path, "LR-ASD")
        self.model_id = f"{self.name} {(TABLE[self.name].sha256 or '')[:8]}"

    def __call__(self, faces: NDArray[np.uint8], wave: NDArray[np.float32]) -> NDArray[np.float64]:
        """Scores of a face.

        Args:
            faces: (T, side, side) grey, 25 a second.
            wave: (n,) in [-1, 1] at 16 kHz, from the time of the first picture on.

        Returns:
            (T,) above 0 where it speaks.
        """
        import torch

        from lipwright.media.mfcc13 import mfcc13, to_int16
        from lipwright.models.published.lr_asd import COLUMNS

        count = len(faces)
        if not count:
            return np.zeros(0)
        columns = mfcc13(to_int16(wave))[: COLUMNS * count]
        columns = np.pad(columns, ((0, COLUMNS * count - len(columns)), (0, 0)), mode="edge")
        with torch.inference_mode():
            found = self._network(
                torch.from_numpy(faces.astype(np.float32))[None],
                torch.from_numpy(columns.astype(np.float32))[None],
            )
        return np.asarray(found[0].numpy(), np.float64)

    def evidence(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """(T,) log-likelihood ratios of speaking and not speaking."""
        return GAIN * (scores - ZERO)


@cache
def speaker_network(name: str) -> LrAsdNetwork | None:
    """The network of a choice, loaded once; None for ``lips``.

    Raises:
        LipwrightError: unknown name, or its weights or PyTorch are missing.
    """
    if name not in CHOICES:
        raise LipwrightError(
            f"There is no speaker network {name!r}; choose one of {', '.join(CHOICES)}."
        )
    return None if name == "lips" else LrAsdNetwork()
