"""What a decoded frame brings along beside its pixels."""

from __future__ import annotations

import av


def side_data(frame: av.VideoFrame, name: str) -> bytes | None:
    """The raw bytes of one kind of side data, by PyAV's name of the kind; None if there is none."""
    try:
        data = frame.side_data.get(name)
    except (ValueError, KeyError):  # PyAV does not know all kinds, and one unknown hides the rest
        return None
    return None if data is None else bytes(data)  # type: ignore[call-overload]
