"""Where an MP4 ends, which its last packet decides."""

from __future__ import annotations


def last_packet_times(pts: int, dts: int, first_dts: int, start: int, end: int) -> tuple[int, int]:
    """Decoding time and duration of the last packet of a video in MP4 or MOV, in ticks.

    A track lasts from the first to the last *decoding* time and so much longer as the last packet
    says; the whole file lasts until the last picture ends, the packet's own presentation included.
    With B-frames and uneven times the last packet is not the last picture: a duration that makes
    the track right would show that packet beyond the end. So it is decoded as late as that needs.

    Args:
        pts: of the last packet in the order of decoding.
        dts: of the same, at most ``pts``.
        first_dts: of the first packet, at most ``start``.
        start: time of the first picture.
        end: when the last picture ends, after ``pts`` and after ``dts + start - first_dts``.

    Returns:
        ``dts``, not lower than given and not above ``pts``, and the duration, 1 at least.
    """
    delay = start - first_dts
    dts = max(dts, pts - delay)
    return dts, max(1, end - (dts + delay))
