"""What ``--speaker-network`` chooses from; no NumPy, for the command line."""

from __future__ import annotations

from typing import Literal, get_args

SpeakerNetworkName = Literal["lips", "lr-asd", "lips+lr-asd"]
CHOICES: tuple[SpeakerNetworkName, ...] = get_args(SpeakerNetworkName)
