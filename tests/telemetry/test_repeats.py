"""What the tape reads is what the exact walk reads, whatever came before and however messages are cut."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.telemetry.test_decode import KNOWN, NOW, by_exact_walk, labels_of, series
from tongchou.telemetry.repeats import Repeats
from tongchou.wire.protobuf import MalformedError
from tongchou.wire.remote_write import MAX_SERIES, TooManyError, encode_labels, encode_series

NAMES = {row: key for key, row in KNOWN.items()}
LONG = encode_labels([("__name__", "m"), ("id", "/kubepods/" + "x" * 300)])


def read(repeats, body):
    """Per series its samples; None when the message is malformed."""
    try:
        columns = repeats.decode(body, KNOWN)
    except MalformedError:
        return None
    found: dict = {}
    for row, ts, v in zip(columns.rows.tolist(), columns.ts.tolist(), columns.v, strict=True):
        key = NAMES[row] if row >= 0 else columns.unknown[-1 - row].label_bytes
        found.setdefault(key, []).append((ts, v.tobytes()))
    return {key: sorted(samples) for key, samples in found.items()}


def means(body):
    found = by_exact_walk(body)
    return None if found is None else {key: sorted(samples) for key, samples in found.items()}


def message(some):
    return b"".join(encode_series(labels_of(number), samples) for number, samples in some)


usual = st.tuples(st.integers(NOW - 10**9, NOW + 10**6), st.sampled_from([0.0, 1.0, -0.0, 1e300, float("nan")]))
usually = st.tuples(st.integers(0, 7), st.lists(usual, min_size=1, max_size=3))


@given(st.lists(st.lists(usually | series, max_size=8), min_size=2, max_size=8), st.data())
@settings(max_examples=150, deadline=None)
def test_it_reads_what_the_exact_walk_reads_whatever_came_before(messages, data):
    repeats = Repeats(max_bytes=data.draw(st.sampled_from([200, 1_000_000])))
    for some in messages:
        body = message(some)
        assert read(repeats, body) == means(body)
        assert read(repeats, body) == means(body)  # now it may lie on the tape
        if body:
            broken = bytearray(body)
            broken[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
            assert read(repeats, bytes(broken)) == means(bytes(broken))


@given(st.integers(0, 40), st.integers(1, 40), st.lists(st.sampled_from([0.0, 2.5]), min_size=40, max_size=40))
@settings(max_examples=60, deadline=None)
def test_where_a_message_begins_and_ends_does_not_matter(first, count, values):
    repeats = Repeats()
    numbers = [each % 6 for each in range(40)]
    repeats.decode(message([(n, [(NOW, 7.0)]) for n in numbers]), KNOWN)
    part = list(zip(numbers, values, strict=True))[first : first + count]
    body = message([(n, [(NOW + 15_000, v)]) for n, v in part])
    assert read(repeats, body) == means(body)


def test_what_is_repeated_is_not_read_again(monkeypatch):
    repeats = Repeats()
    numbers = list(range(6))
    repeats.decode(message([(n, [(NOW, 7.0), (NOW + 1, 0.0)]) for n in numbers]), KNOWN)
    monkeypatch.setattr("tongchou.telemetry.repeats.decode_columns", lambda *_a, **_k: pytest.fail("read again"))
    for low, high in ((0, 6), (2, 5), (5, 6)):
        body = message([(n, [(NOW + 15_000, 8.0), (NOW + 15_001, 0.0)]) for n in numbers[low:high]])
        columns = repeats.decode(body, KNOWN)
        assert columns.rows.tolist() == [n for n in numbers[low:high] for _twice in "ab"]
        assert columns.series == high - low
        assert read(repeats, body) == means(body)


def test_long_labels_are_repeated_too(monkeypatch):
    repeats = Repeats()
    known = {LONG: 3}
    repeats.decode(encode_series(LONG, [(NOW, 1.0)]), known)
    monkeypatch.setattr("tongchou.telemetry.repeats.decode_columns", lambda *_a, **_k: pytest.fail("read again"))
    columns = repeats.decode(encode_series(LONG, [(NOW + 1, 4.0)]), known)
    assert (columns.rows.tolist(), columns.ts.tolist(), columns.v.tolist()) == ([3], [NOW + 1], [4.0])


def test_a_series_that_becomes_known_later_has_its_row():
    repeats = Repeats()
    body = message([(0, [(NOW, 1.0)]), (7, [(NOW, 2.0)])])
    assert repeats.decode(body, KNOWN).rows.tolist() == [0, -1]
    known = {**KNOWN, labels_of(7): 9}
    assert [repeats.decode(body, known).rows.tolist() for _twice in "ab"] == [[0, 9], [0, 9]]


def test_a_sender_that_never_repeats_itself_is_read_the_other_way_for_a_while():
    repeats = Repeats()
    for turn in range(200):
        zero = [(turn >> each) & 1 for each in range(6)]
        order = [(each * 5 + turn) % 6 for each in range(6)] * 4
        body = message([(n, [(NOW + turn, 0.0 if zero[n] else struct.unpack("<d", b"%08d" % turn)[0])]) for n in order])
        assert read(repeats, body) == means(body)
    assert repeats._tape.size < 200 * len(body)


def test_series_beyond_the_limit_are_refused_on_the_tape_too():
    repeats = Repeats()
    one = encode_series(labels_of(1), [(NOW, 1.0)])
    repeats.decode(one * 1000, KNOWN)
    assert repeats.decode(one * 1000, KNOWN).series == 1000
    with pytest.raises(TooManyError):
        repeats.decode(one * (MAX_SERIES + 1), KNOWN)
