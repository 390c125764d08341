"""The audio encoder of an Audio-Lip Memory that begins as a speech network which has been trained.

What speech says of the lips takes a network hundreds of steps to learn, and the memory has to hear
it before it can align anything. A joined checkpoint of VQ lip-sync holds such a network on the same
frozen encoder. Its layers become those of the audio encoder; the motions that it predicts become
the first numbers of the audio feature.
"""

from __future__ import annotations

import torch

from lipwright.errors import LipwrightError
from lipwright.models.encoder_lips import EncoderToLips, FeaturesToLips
from lipwright.models.speech_networks import build_speech_network
from lipwright.training.stages.taken_vqgan import joined_path
from lipwright.weights.checkpoint import load_checkpoint


@torch.no_grad()
def begin_as_speech_network(audio: EncoderToLips, source: str) -> None:
    """Copy the layers of a trained speech network into an audio encoder.

    Args:
        audio: the audio encoder, ``audio.kind: encoder``; its features have ``dim`` numbers.
        source: a joined checkpoint of VQ lip-sync, or a method that ships one (``vq``).

    Raises:
        LipwrightError: no such file, a checkpoint without a speech network on an encoder, or one of
            another width or another number of layers or members.
    """
    checkpoint = load_checkpoint(joined_path(source, "audio_from"))
    arguments = checkpoint.header.get("networks", {}).get("speech", {})
    if checkpoint.header["method"] != "vq" or arguments.get("kind") != "encoder":
        raise LipwrightError(
            f"audio_from={source}: {checkpoint.path} has no speech network on a speech encoder; "
            "give a joined checkpoint of VQ lip-sync that has one."
        )
    trained = checkpoint.build("speech", build_speech_network)
    assert isinstance(trained, EncoderToLips)
    mine, its = _sizes(audio), _sizes(trained)
    if mine != its or audio.dim < trained.dim:
        raise LipwrightError(
            f"audio_from={source}: its speech network has {its[0]} members of {its[1]} layers and "
            f"{its[2]} channels; set audio.members={its[0]}, audio.layers={its[1]}, "
            f"audio.width={its[2]}, and audio_dim to {trained.dim} or more."
        )
    for new, old in zip(audio.members, trained.members, strict=True):
        values = old.state_dict()
        last = ("head.2.weight", "head.2.bias")
        new.load_state_dict({k: v for k, v in values.items() if k not in last}, strict=False)
        own = new.state_dict()
        for name in last:
            own[name][: trained.dim] = values[name]


def _sizes(network: EncoderToLips) -> tuple[int, int, int]:
    """Members, layers and channels."""
    first = network.members[0]
    assert isinstance(first, FeaturesToLips)
    return len(network.members), network.layers, first.join.out_channels
