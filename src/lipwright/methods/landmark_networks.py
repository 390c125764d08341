"""The networks of the landmark cascade in PyTorch, one frame at a time: for the export to graphs,
and where PyTorch runs them.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipwright.methods.export import Export
from lipwright.methods.speech_graphs import SpeechRows, speech_exports, speech_modules
from lipwright.models.landmark_audio import MEL_BANDS, LandmarkAudio
from lipwright.models.landmark_coordinates import POINTS
from lipwright.models.landmark_video import LANDMARKS, LandmarkVideo
from lipwright.weights.checkpoint import load_checkpoint


class AudioStep(nn.Module):
    """One frame of AT-net as a graph of plain tensors; the example's coefficients are zeros.

    The LSTM is written out: there is one step only, and graphs then hold its weights as they are.
    """

    quiet: Tensor

    def __init__(self, network: LandmarkAudio) -> None:
        super().__init__()
        self.network = network
        quiet = torch.zeros(1, 1) if network.encoded is None else network.encoded.silence()
        self.register_buffer("quiet", quiet, persistent=False)

    def forward(self, sound: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Listen.

        Args:
            sound: (1, C, steps) one window, or (1, H) of :class:`SpeechRows`.
            hidden: (layers, 1, H), state of the LSTM behind the frame before.
            cell: (layers, 1, H), likewise.

        Returns:
            (1, K) coefficients, and the state behind this frame.
        """
        network = self.network
        if network.encoded is not None:
            sound = sound + self.quiet
        x = network.lstm_input(sound.new_zeros(1, network.components), sound[:, None])[:, 0]
        states = []
        for layer in range(network.lstm.num_layers):
            kinds = ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
            w_i, b_i, w_h, b_h = (getattr(network.lstm, f"{kind}_l{layer}") for kind in kinds)
            gates = F.linear(x, w_i, b_i) + F.linear(hidden[layer], w_h, b_h)
            i, f, g, o = gates.chunk(4, 1)
            c = torch.sigmoid(f) * cell[layer] + torch.sigmoid(i) * torch.tanh(g)
            x = torch.sigmoid(o) * torch.tanh(c)
            states.append((x, c))
        h, c = (torch.stack(each) for each in zip(*states, strict=True))
        return network.head(x), h, c


class VideoStep(nn.Module):
    """One frame of VG-net as a graph of plain tensors."""

    def __init__(self, network: LandmarkVideo) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        picture: Tensor,
        landmarks: Tensor,
        example: Tensor,
        state: Tensor,
        *points: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw (1, 3, S, S) by landmarks (1, 136): what is drawn, alpha, and the next state.

        ``points`` are the picture's own (1, 68, 2) and where they are to lie, where needed.
        """
        here, there = points if points else (None, None)
        there = None if there is None else there[:, None]
        drawn = self.network(picture, landmarks[:, None], example, state, here, there)
        return drawn.colour[:, 0], drawn.alpha[:, 0], drawn.state


def modules_of(path: Path) -> dict[str, nn.Module]:
    """The networks of a joined checkpoint by the names of its graphs.

    Raises:
        LipwrightError: header or weights are damaged.
    """
    checkpoint = load_checkpoint(path)
    audio = checkpoint.build("audio", LandmarkAudio)
    found: dict[str, nn.Module] = {
        "listen": AudioStep(audio),
        "draw": VideoStep(checkpoint.build("video", LandmarkVideo)),
    }
    if audio.encoded is not None:
        found |= speech_modules(audio.encoded.encoder, SpeechRows(audio.encoded))
    return {name: module.eval().requires_grad_(False) for name, module in found.items()}


def exports_of(path: Path) -> dict[str, Export]:
    """What becomes the graphs of a joined checkpoint."""
    modules = modules_of(path)
    listen, draw = modules["listen"], modules["draw"]
    assert isinstance(listen, AudioStep)
    assert isinstance(draw, VideoStep)
    audio, video = listen.network, draw.network
    state = torch.zeros(audio.lstm.num_layers, 1, audio.lstm.hidden_size)
    bands = MEL_BANDS if audio.features == "mel" else audio.bands
    picture, shape = torch.zeros(1, 3, video.size, video.size), torch.zeros(1, LANDMARKS)
    inputs = [picture, shape, shape, torch.zeros(1, video.gru.hidden, video.side, video.side)]
    if video.moved:
        inputs += [torch.zeros(1, POINTS, 2), torch.zeros(1, POINTS, 2)]
    sound, exports = torch.zeros(1, bands, audio.steps), {}
    if audio.encoded is not None:
        sound = torch.zeros(1, audio.lstm.hidden_size)
        exports = speech_exports(modules, audio.encoded.encoder.width, audio.encoded.layers)
    return {
        "listen": Export(listen, (sound, state, state), {}),
        "draw": Export(draw, tuple(inputs), {}),
        **exports,
    }
