"""Networks as graphs: the files that they become."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipwright.methods.export import Export, make_graph


class Small(nn.Module):
    """Constants, two outputs and an input of free length."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8)
        self.last = nn.Linear(8, 4)

    def forward(self, faces: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        means = self.norm(self.first(faces)).mean((2, 3))
        return self.last(means) + rows.sum(0), nn.functional.interpolate(faces, scale_factor=2)


def test_the_same_network_is_the_same_graph() -> None:
    torch.manual_seed(0)
    network = Small().eval()
    inputs = (torch.zeros(2, 3, 8, 8), torch.zeros(3, 4))
    one, two = (make_graph("small", Export(network, inputs, {1: 0})) for _ in range(2))
    assert one.xml == two.xml
    assert one.digest == two.digest
    with torch.no_grad():
        network.last.bias += 1
    assert make_graph("small", Export(network, inputs, {1: 0})).digest != one.digest
