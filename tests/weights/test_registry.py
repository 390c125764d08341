"""The table of network files."""

import dataclasses
import re

import pytest

from lipwright.errors import LipwrightError
from lipwright.weights import registry


def test_rows_are_complete():
    entries = registry.list_entries()
    assert len({e.name for e in entries}) == len({e.file for e in entries}) == len(entries)
    for entry in entries:
        assert entry.licence
        assert entry.purpose
        assert entry.sources
        assert entry.size == entry.sources[0].size
        assert entry.sha256 in entry.checksums
        for source in entry.sources:
            assert source.size > 0
            assert re.fullmatch(r"[0-9a-f]{64}", source.sha256)
            if isinstance(source.carrier, registry.Download):
                assert re.fullmatch(r"[0-9a-f]{64}", source.carrier.sha256)


def test_find():
    assert registry.find("landmarks-478") is registry.LANDMARKS_478
    with pytest.raises(LipwrightError, match="landmarks-478"):
        registry.find("no such thing")


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="already"):
        registry.register(dataclasses.replace(registry.LANDMARKS_478))
