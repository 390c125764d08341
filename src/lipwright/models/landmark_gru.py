"""A gated recurrent unit whose states are feature maps (ConvGRU).

Ballas et al., "Delving Deeper into Convolutional Networks for Learning Video Representations"
(ICLR 2016), in the form in which Chen et al. (CVPR 2019) use it: all gates are convolutions with
dilation, and the reset gate acts on the convolved state,

    r = sigmoid(W_r x + U_r h)      z = sigmoid(W_z x + U_z h)
    n = tanh(W_n x + r * (U_n h))   h' = n + z * (h - n).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvGRU(nn.Module):
    """One layer.

    Args:
        c_in: channels of the input.
        hidden: channels of the state.
        kernel: side of the convolutions, odd.
        dilation: of the convolutions; the padding keeps height and width.
    """

    def __init__(self, c_in: int, hidden: int, kernel: int = 3, dilation: int = 2) -> None:
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        self.hidden = hidden
        self.from_input = nn.Conv2d(c_in, 3 * hidden, kernel, 1, padding, dilation)
        self.from_state = nn.Conv2d(hidden, 3 * hidden, kernel, 1, padding, dilation)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Follow a sequence.

        Args:
            x: (B, T, C, H, W), T free.
            state: (B, hidden, H, W) of the frames before; zeros by default.

        Returns:
            The states of all frames (B, T, hidden, H, W), and the last one.
        """
        b, t = x.shape[:2]
        if state is None:
            state = x.new_zeros(b, self.hidden, *x.shape[3:])
        inputs = self.from_input(x.flatten(0, 1)).unflatten(0, (b, t))
        states = []
        for step in range(t):
            state = self.cell(inputs[:, step], state)
            states.append(state)
        return torch.stack(states, dim=1), state

    def cell(self, gates: Tensor, state: Tensor) -> Tensor:
        """The next state from the convolved input (B, 3 hidden, H, W) and the state."""
        i_r, i_z, i_n = gates.chunk(3, 1)
        h_r, h_z, h_n = self.from_state(state).chunk(3, 1)
        r = torch.sigmoid(i_r + h_r)
        z = torch.sigmoid(i_z + h_z)
        n = torch.tanh(i_n + r * h_n)
        new: Tensor = n + z * (state - n)
        return new
