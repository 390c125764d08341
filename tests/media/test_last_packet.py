"""The last packet of an MP4: the track and the file end where the last picture does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lipwright.media.last_packet import last_packet_times


@given(st.data())
def test_track_and_pictures_end_together(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, 1000))
    first_dts = start - data.draw(st.integers(0, 500))
    pts = start + data.draw(st.integers(0, 5000))
    dts = data.draw(st.integers(first_dts, pts))
    end = max(pts, dts + start - first_dts) + data.draw(st.integers(1, 3000))
    late, duration = last_packet_times(pts, dts, first_dts, start, end)
    assert dts <= late <= pts
    # What libav writes as the end of the file, and what as the length of the track.
    assert pts + duration <= end
    assert late - first_dts + duration == end - start


def test_a_steady_rate_stays_as_it_is() -> None:
    # I0 P2 B1 of 40 ticks each: B1 is decoded last, one frame before the time of P2.
    assert last_packet_times(pts=40, dts=40, first_dts=-40, start=0, end=120) == (40, 40)
