"""Names of streams that nothing here can decode."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lipwright.media.tracks import codec_name


@pytest.mark.parametrize(
    ("given", "expected"), [({}, "unknown"), ({"name": ""}, "unknown"), ({"name": "tmcd"}, "tmcd")]
)
def test_a_stream_of_an_unknown_format_has_a_name_all_the_same(
    given: dict[str, str], expected: str
) -> None:
    assert codec_name(SimpleNamespace(codec_context=None, **given)) == expected
