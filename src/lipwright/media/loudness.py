"""Integrated loudness (ITU-R BS.1770-4, EBU R 128), as ffmpeg's ``ebur128`` measures it."""

from __future__ import annotations

import av
import av.error
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

_BLOCK = 1600
_SILENCE = -69.0
"""The filter answers -70 LUFS where nothing passes its gate."""


def integrated_loudness(wave: NDArray[np.float32], rate: int) -> float | None:
    """LUFS of a mono recording, None where it is silent or shorter than 0.4 s.

    Args:
        wave: (n,) in [-1, 1].
        rate: samples per second.
    """
    graph = Graph()
    source = graph.add(
        "abuffer", f"sample_rate={rate}:sample_fmt=flt:channel_layout=mono:time_base=1/{rate}"
    )
    meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    found = None
    for start in range(0, wave.size, _BLOCK):
        part = np.ascontiguousarray(wave[None, start : start + _BLOCK], np.float32)
        frame = av.AudioFrame.from_ndarray(part, format="flt", layout="mono")
        frame.sample_rate, frame.pts = rate, start
        source.push(frame)
        while True:
            try:
                out = sink.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                break
            value = out.metadata.get("lavfi.r128.I")
            found = float(value) if value is not None else found
    return found if found is not None and found > _SILENCE else None
