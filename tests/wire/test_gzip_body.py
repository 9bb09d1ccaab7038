from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.wire.gzip_body import OverLimitError, ungzip
from tongchou.wire.protobuf import MalformedError


@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=3))
def test_members_are_joined(parts):
    assert ungzip(b"".join(gzip.compress(part) for part in parts), 10_000) == b"".join(parts)


def test_a_bomb_is_refused():
    with pytest.raises(OverLimitError):
        ungzip(gzip.compress(b"\0" * 50_000_000), 1_000_000)


@given(st.binary(min_size=1, max_size=100), st.integers(1, 40))
def test_what_is_cut_or_no_gzip_is_refused(data, cut):
    whole = gzip.compress(data)
    for bad in (whole[: -min(cut, len(whole) - 1)], b"x" + whole, whole + b"tail"):
        with pytest.raises(MalformedError):
            ungzip(bad, 10_000)
