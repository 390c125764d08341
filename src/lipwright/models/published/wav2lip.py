"""Key names of Wav2Lip's published checkpoints.

``wav2lip.pth``, ``wav2lip_gan.pth`` and ``lipsync_expert.pth`` hold ``state_dict`` beside the
state of the optimiser, some with the prefix ``module.``. Pictures are **BGR** there, in [0, 1]; the
generator's input is the masked target, then the reference; the expert's is five lower halves.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lipwright.errors import LipwrightError
from lipwright.models.pixel_expert import PixelExpert
from lipwright.models.pixel_unet import PixelUNet

_GENERATOR = {
    "face_encoder_blocks": "face_encoder",
    "audio_encoder": "speech_encoder",
    "face_decoder_blocks": "decoder",
    "output_block": "head",
}
_EXPERT = {"face_encoder": "face_encoder", "audio_encoder": "speech_encoder"}
_LAYER = {"conv_block.0.": "conv.", "conv_block.1.": "norm."}


def convert(state: Mapping[str, Tensor], names: Mapping[str, str], what: str) -> dict[str, Tensor]:
    """Published names -> ours.

    Raises:
        LipwrightError: a name that does not belong to this network.
    """
    out = {}
    for key, value in state.items():
        plain = key.removeprefix("module.")
        head, _, rest = plain.partition(".")
        if head not in names or not rest:
            raise LipwrightError(
                f"the checkpoint has a tensor '{key}', which {what} does not have; give the "
                "published file."
            )
        for old, new in _LAYER.items():
            rest = rest.replace(old, new)
        out[f"{names[head]}.{rest}"] = value
    return out


def generator_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict of the published generator for :func:`published_generator`."""
    return convert(state, _GENERATOR, "the Wav2Lip generator")


def expert_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict of the published expert for :func:`published_expert`."""
    return convert(state, _EXPERT, "the Wav2Lip expert")


def published_generator() -> PixelUNet:
    """The generator at its published size."""
    return PixelUNet(96, 2, 16)


def published_expert() -> PixelExpert:
    """The expert at its published size."""
    return PixelExpert(96, 5, 16)
