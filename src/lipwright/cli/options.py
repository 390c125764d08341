"""Choices that several commands share."""

from __future__ import annotations

from typing import Literal

Length = Literal["auto", "video", "speech"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Backend = Literal["auto", "torch", "openvino"]
Detail = Literal["keep", "off"]
Region = Literal["face", "frame", "both"]
