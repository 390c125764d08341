"""``gfpgan`` and ``gpen``: published networks for faces, for those who have their files.

Nothing is shipped or downloaded. GPEN is what Gupta et al. (WACV 2023) put behind their first
stage. Both networks take the whole face, aligned as the photographs of FFHQ are, so the window is
larger than the mouth; of what they change, only the drawn mouth is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lipwright.enhance.base import Array, Context, Enhancer, EnhancerInfo, References
from lipwright.errors import LipwrightError
from lipwright.face_regions import Box
from lipwright.files.whole import file_sha256
from lipwright.models.published import gfpgan, gpen
from lipwright.weights.published import find_published, load_into, load_state

GFPGAN_WINDOW: Box = (-0.21, -0.40, 1.21, 1.02)
"""FFHQ's alignment as GFPGAN's tools have it, in parts of our crop: eyes at (193, 240) and
(319, 240) and mouth at 371 of 512 pixels there, at 0.334, 0.666, 0.26 and 0.64 here."""
GPEN_WINDOW: Box = (-0.29, -0.49, 1.29, 1.09)
"""The same for GPEN's tools: eyes at (202, 243) and (309, 242), the mouth at 367."""


class FaceRestoration(Enhancer):
    """A published network on the whole face.

    Args:
        name: of the table of published files and of the enhancer.
        path: its file; None: where published files are looked for.
        of_state: makes the network for the tensors of a file.
        window: what of the crop the network sees.

    Raises:
        LipwrightError: no file, or not that of such a network.
    """

    def __init__(
        self,
        name: str,
        path: Path | None,
        of_state: Callable[[Mapping[str, Tensor]], Any],
        window: Box,
    ) -> None:
        file = find_published(name, path, "--enhance-weights FILE")
        state = load_state(file)
        try:
            network: nn.Module = of_state(state)
        except (KeyError, ValueError, IndexError) as error:
            raise LipwrightError(
                f"{file} is no file of {name}: it lacks what such a network has ({error}); give "
                "the published file."
            ) from error
        network = network.to_empty(device="cpu")
        load_into(network, state, file, f"a network of {name}")
        self._network = network.eval().requires_grad_(False)
        self.info = EnhancerInfo(
            name,
            f"{name}-{file_sha256(file)[:12]}",
            size=int(network.size),  # type: ignore[arg-type]
            backend="torch",
            window=window,
        )

    def start(self, references: References) -> None:
        """Nothing: the network knows faces in general."""
        return

    @torch.inference_mode()
    def enhance(self, pictures: Array, contexts: Sequence[Context], state: Any) -> Array:
        """Restore; one by one, so that a frame is the same in every batch."""
        made = []
        for picture in pictures:
            face = torch.from_numpy(np.ascontiguousarray(picture[None])) * 2 - 1
            made.append(((self._network(face)[0].clamp(-1, 1) + 1) / 2).numpy())
        return np.stack(made).astype(np.float32)


def load_gfpgan(path: Path | None) -> FaceRestoration:
    """The enhancer ``gfpgan`` (GFPGANv1.3.pth, GFPGANv1.4.pth)."""
    return FaceRestoration("gfpgan", path, gfpgan.of_state, GFPGAN_WINDOW)


def load_gpen(path: Path | None) -> FaceRestoration:
    """The enhancer ``gpen`` (GPEN-BFR-256.pth, GPEN-BFR-512.pth)."""
    return FaceRestoration("gpen", path, gpen.of_state, GPEN_WINDOW)
