"""What the lips of whoever speaks a recording do: opening, width and height of the mouth.

The speech network of the shipped default method predicts them as for a dub. Set against the lips
that a video shows, they tell whose speech it is (:mod:`lipwright.faces.speaker`).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from lipwright.faces.measure import OUTER_LIPS
from lipwright.media.mel import STEPS_PER_FRAME
from lipwright.methods.vq import VQMethod

LEFT, TOP, RIGHT, BOTTOM = (20 + len(OUTER_LIPS) // 4 * quarter for quarter in range(4))
"""Of the 40 points of a lip contour: corners and middles of the outer ring, picture-wise."""


class ExpectedLips:
    """A speech network as a listener.

    Attributes:
        model_id: of the checkpoint that it is part of.
    """

    def __init__(self, method: VQMethod) -> None:
        """``method``: one whose speech network predicts lip motion."""
        if method.motions is None:
            raise ValueError(f"{method.model_id} does not predict lip motion")
        self._method, self._motions = method, method.motions
        self.model_id = method.model_id

    def __call__(self, wave: NDArray[np.float32]) -> NDArray[np.float64]:
        """Listen to a whole recording.

        Args:
            wave: (n,) at 16 kHz, at a level that methods know (``gate.speech_gain``).

        Returns:
            (T, 3) at 25 frames a second: opening in parts of the face's height, width and height
            in parts of the crop's side, each relative to the resting mouth.
        """
        motion = self._method.speech_features(wave)[:, ::STEPS_PER_FRAME].T
        lips = self._motions.contours(motion)
        return np.column_stack(
            [
                motion[:, 0] * self._motions.scale[0],
                lips[:, RIGHT, 0] - lips[:, LEFT, 0],
                lips[:, BOTTOM, 1] - lips[:, TOP, 1],
            ]
        )


@cache
def expected_lips() -> ExpectedLips:
    """The shipped speech network, loaded once."""
    from lipwright.methods.registry import load_method

    method = load_method("vq")
    assert isinstance(method, VQMethod)
    return ExpectedLips(method)
