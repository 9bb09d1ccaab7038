from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.wire.exposition import Meta
from tongchou.wire.protobuf import MalformedError, message, number_field
from tongchou.wire.remote_write import decode, decode_label_bytes, encode, encode_labels

names = st.text(min_size=1, max_size=8)
labels = st.dictionaries(names, names, min_size=1, max_size=4).map(lambda d: sorted(d.items()))
samples = st.lists(
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)),
    max_size=4,
)


@given(st.lists(st.tuples(labels, samples), max_size=4))
def test_what_is_encoded_is_decoded(series):
    decoded = decode(encode(series))
    assert [(each.labels, each.samples) for each in decoded.series] == series
    assert [decode_label_bytes(each.label_bytes) for each in decoded.series] == [each[0] for each in series]


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(body):
    try:
        found = decode(body)
    except MalformedError:
        return
    assert len(found.series) <= len(body) // 2


@given(st.lists(st.tuples(labels, samples), min_size=1, max_size=3), st.data())
def test_a_cut_message_is_refused_unless_it_ends_between_series(series, data):
    body = encode(series)
    cut = data.draw(st.integers(0, len(body) - 1))
    ends = {len(encode(series[:count])) for count in range(len(series))}
    if cut in ends:
        decode(body[:cut])
    else:
        with pytest.raises(MalformedError):
            decode(body[:cut])


def test_the_stale_marker_keeps_its_bits():
    stale = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
    got = decode(encode([([("__name__", "a")], [(1, stale)])])).series[0].samples[0][1]
    assert math.isnan(got)
    assert struct.pack("<d", got) == struct.pack("<Q", 0x7FF0000000000002)


def test_zero_is_left_out_on_the_wire_and_minus_zero_is_not():
    zero, minus = (encode([([("__name__", "a")], [(1, value)])]) for value in (0.0, -0.0))
    assert len(minus) - len(zero) == 9
    assert math.copysign(1, decode(minus).series[0].samples[0][1]) == -1


def test_histograms_are_counted_and_exemplars_skipped():
    one = encode_labels([("__name__", "a")])
    series = one + b"\x1a\x02\x08\x01" + b"\x22\x00" + b"\x22\x02\x08\x01"
    decoded = decode(b"\x0a" + bytes((len(series),)) + series)
    assert (decoded.series[0].histograms, decoded.series[0].samples) == (2, [])


def test_metadata_is_kept_by_family_and_the_newest_word_counts():
    def meta(family, kind, text, unit=""):
        return message(3, number_field(1, kind) + message(2, family) + message(4, text) + message(5, unit.encode()))

    sent = meta(b"a_seconds", 2, b"Old.") + meta(b"a_seconds", 3, "多久".encode(), "seconds") + meta(b"b", 99, b"")
    assert decode(sent + meta(b"", 1, b"of nothing")).metadata == {
        "a_seconds": Meta("histogram", "多久", "seconds"),
        "b": Meta("unknown", "", ""),
    }
    for broken in (message(3, b"\x0a\x00"), message(3, message(2, b"\xff")), b"\x18\x01"):
        with pytest.raises(MalformedError):
            decode(broken)


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a",
        b"\x0a\x05abc",
        b"\x0b",
        b"\x00\x00",
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x0a\x03\x0a\x01\xff",
        b"\x0a\x06\x0a\x04\x0a\x02\xff\xfe",
        b"\x08\x01\x0d\x00",
    ],
)
def test_malformed_messages_say_where(body):
    with pytest.raises(MalformedError, match="byte"):
        decode(body)
