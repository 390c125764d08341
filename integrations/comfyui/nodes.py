"""ComfyUI nodes. Nothing of ComfyUI is imported, so that they can be tested without it.

ComfyUI hands pictures over as a float tensor (B, H, W, 3) in [0, 1] and sound as a dict with
``waveform`` (B, C, N) and ``sample_rate``. The dub itself works on files, so both go through a
temporary folder, without loss: FFV1 and 32-bit float WAV.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from lipwright.dubbing.option_info import choices_of, options_of
from lipwright.dubbing.options import DubOptions

CATEGORY = "video/lipwright"
METHODS = ("vq", "memory", "landmark")
SHOWN = ("face", "length", "silence_gate", "detail", "seed")
"""Options of ``DubOptions`` that the node offers; the others keep their defaults."""


def option_inputs() -> dict[str, Any]:
    """ComfyUI's description of the options, made from ``DubOptions``."""
    described = options_of(DubOptions)
    found: dict[str, Any] = {"method": (list(METHODS), {"default": DubOptions().method})}
    for name in SHOWN:
        field, info, hint = described[name]
        more: dict[str, Any] = {"default": field.default, "tooltip": info.help}
        if choices_of(hint):
            found[name] = (list(choices_of(hint)), more)
        elif hint is bool:
            found[name] = ("BOOLEAN", more)
        elif hint is int:
            found[name] = ("INT", {**more, "min": info.low or 0, "max": 2**31 - 1})
        else:
            found[name] = ("STRING", more)
    return found


class LipwrightDub:
    """Pictures and a speech in, pictures with moved mouths and the report out."""

    CATEGORY = CATEGORY
    FUNCTION = "run"
    RETURN_TYPES = ("IMAGE", "AUDIO", "STRING")
    RETURN_NAMES = ("images", "audio", "report")
    DESCRIPTION = "Move the mouth of a person in a video to a speech."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        """What the node takes."""
        return {
            "required": {
                "images": ("IMAGE",),
                "audio": ("AUDIO",),
                "fps": ("FLOAT", {"default": 25.0, "min": 1.0, "max": 240.0, "step": 0.001}),
                "consent": (
                    "STRING",
                    {"default": "", "tooltip": 'Who agreed, to what, when: "who, purpose, date".'},
                ),
                **option_inputs(),
            }
        }

    def run(
        self,
        images: torch.Tensor,
        audio: dict[str, Any],
        fps: float,
        consent: str,
        dub: Callable[..., Any] | None = None,
        **options: Any,
    ) -> tuple[torch.Tensor, dict[str, Any], str]:
        """Dub.

        Args:
            images: (B, H, W, 3) in [0, 1].
            audio: ``waveform`` (1, C, N), ``sample_rate``.
            fps: of the pictures.
            consent: record of it; needed.
            dub: another function than ``lipwright.dub``, for tests.
            options: as :func:`option_inputs` describes them.

        Raises:
            ValueError: there is no consent, or no picture.
        """
        if not consent.strip():
            raise ValueError(
                "Putting words into a person's mouth needs that person's consent; write \"who, "
                'purpose, date" into the field consent.'
            )
        if images.ndim != 4 or not len(images):
            raise ValueError("There is no picture; connect the frames of a video.")
        if dub is None:
            from lipwright.dubbing.job import dub
        with tempfile.TemporaryDirectory(prefix="lipwright-comfyui-") as name:
            folder = Path(name)
            video, speech = folder / "video.mkv", folder / "speech.wav"
            write_frames(video, images, fps)
            write_sound(speech, audio)
            # FFV1 is not signed inside: what leaves here are pictures, which have no manifest.
            chosen = DubOptions(
                lossless=True, consent=consent, plan_cache=False, manifest=False, **options
            )
            report = dub(video, speech, folder / "out.mkv", chosen)
            frames = read_frames(folder / "out.mkv")
        return frames, audio, "\n".join(report.summary_lines())


def write_frames(path: Path, images: torch.Tensor, fps: float) -> None:
    """Pictures as lossless FFV1, 8 bits a channel."""
    rate = Fraction(fps).limit_denominator(1001)
    pictures = np.rint(images[..., :3].clamp(0, 1).cpu().numpy() * 255.0).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = "bgr0"
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_sound(path: Path, audio: dict[str, Any]) -> None:
    """Sound as WAV with 32-bit floats."""
    wave = audio["waveform"][0].cpu().to(torch.float32).numpy()
    rate = int(audio["sample_rate"])
    layout = {1: "mono", 2: "stereo"}.get(len(wave))
    if layout is None:
        wave, layout = wave.mean(axis=0, keepdims=True), "mono"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=rate, layout=layout)
        packed = np.ascontiguousarray(wave.T.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def read_frames(path: Path) -> torch.Tensor:
    """All pictures of a file, (B, H, W, 3) in [0, 1]."""
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return torch.from_numpy(np.stack(pictures)).to(torch.float32) / 255.0


NODE_CLASS_MAPPINGS = {"LipwrightDub": LipwrightDub}
NODE_DISPLAY_NAME_MAPPINGS = {"LipwrightDub": "Lipwright: dub"}
