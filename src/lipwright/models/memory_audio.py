"""Audio encoders of the Audio-Lip Memory: a window of log-mel to one feature.

* ``window``: the paper's. 200 ms, strided convolutions after Wav2Lip
  (:class:`~lipwright.models.audio_encoder.SpeechEncoder`).
* ``context``: ours, for little data. 12 + 8 n columns (56 + 8 n with the embedding), n frames of
  context on either side (:class:`~lipwright.models.speech_lips.SpeechToLips`), which runs over
  whole stretches at the cost of a few windows, so that a training step hears hundreds of frames.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from lipwright.models.audio_encoder import SpeechEncoder
from lipwright.models.running_mean import RunningMean
from lipwright.models.speech_embedding import COLUMNS_PER_FRAME
from lipwright.models.speech_lips import SpeechToLips


class AudioEncoder(nn.Module):
    """(B, 80, steps) -> (B, dim), and row by row over longer input.

    Args:
        dim: length of the feature.
        kind: ``window`` or ``context``.
        steps: mel columns of ``window``.
        before: how many of them lie before the frame's time.
        centred: subtract the running mean of features, see :mod:`~lipwright.models.running_mean`.
        options: further arguments of the network chosen by ``kind``.
    """

    def __init__(
        self,
        dim: int = 512,
        kind: Literal["window", "context"] = "window",
        steps: int = 20,
        before: int = 8,
        centred: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        self.network: SpeechEncoder | SpeechToLips
        if kind == "context":
            self.network = SpeechToLips(dim=dim, **options)
            self.steps, self.before = self.network.steps, self.network.before
        else:
            self.network = SpeechEncoder(steps, dim, final_relu=False, **options)
            self.steps, self.before = steps, before
        self.running_mean = RunningMean(dim) if centred else nn.Identity()

    def forward(self, mel: Tensor) -> Tensor:
        """Encode (B, 80, steps) log-mel in [-4, 4]."""
        out: Tensor = self.running_mean(self.network(mel))
        return out

    def sequence(self, mel: Tensor) -> Tensor:
        """(B, 80, steps + 4 (n - 1)) -> (B, n, dim), a row for every frame."""
        if isinstance(self.network, SpeechToLips):
            rows: Tensor = self.running_mean(self.network.sequence(mel))
            return rows
        windows = mel.unfold(2, self.steps, COLUMNS_PER_FRAME).transpose(1, 2)  # (B, n, 80, steps)
        out: Tensor = self.running_mean(self.network(windows.flatten(0, 1)))
        return out.reshape(*windows.shape[:2], -1)
