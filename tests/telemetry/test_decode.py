"""The vectorised decoder against the exact walk, on friendly, strange and hostile messages."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.telemetry.decode import decode_columns
from tongchou.wire.protobuf import MalformedError
from tongchou.wire.remote_write import decode, encode, encode_labels, encode_series

NOW = 1_790_000_000_000


def bits(value):
    return struct.pack("<d", value)


def by_exact_walk(body):
    """What a message means: per series (label bytes) its samples in order; None when it is malformed."""
    try:
        request = decode(body)
    except MalformedError:
        return None
    found: dict = {}
    for series in request.series:
        found.setdefault(series.label_bytes, []).extend((ts, bits(v)) for ts, v in series.samples)
    return {key: samples for key, samples in found.items() if samples}


def by_columns(body, known):
    names = {row: key for key, row in known.items()}
    try:
        columns = decode_columns(body, known)
    except MalformedError:
        return None
    found: dict = {}
    for row, ts, v in zip(columns.rows.tolist(), columns.ts.tolist(), columns.v, strict=True):
        key = names[row] if row >= 0 else columns.unknown[-1 - row].label_bytes
        found.setdefault(key, []).append((ts, v.tobytes()))
    return found


def same(body, known):
    exact, fast = by_exact_walk(body), by_columns(body, known)
    if exact is None or fast is None:
        assert exact is fast
        return
    # Several series with the same labels may interleave differently; the order within one is what matters to nobody.
    assert {key: sorted(samples) for key, samples in fast.items()} == {
        key: sorted(samples) for key, samples in exact.items()
    }


def labels_of(number):
    return encode_labels([("__name__", f"metric_{number % 3}"), ("instance", f"host-{number}")])


KNOWN = {labels_of(number): number for number in range(6)}
times = st.one_of(
    st.integers(NOW - 10**9, NOW + 10**6), st.integers(-(2**63), 2**63 - 1), st.sampled_from([0, 1, 2**35, 2**42])
)
values = st.one_of(
    st.floats(), st.sampled_from([0.0, -0.0, struct.unpack("<d", b"\x10\x00\x00\x00\x00\x00\x12\x07")[0]])
)
series = st.tuples(st.integers(0, 8), st.lists(st.tuples(times, values), max_size=40))


@given(st.lists(series, max_size=8), st.sets(st.integers(0, 5)))
@settings(max_examples=300, deadline=None)
def test_it_reads_what_the_exact_walk_reads(some, known_numbers):
    body = b"".join(encode_series(labels_of(number), samples) for number, samples in some)
    same(body, {labels_of(number): number for number in known_numbers})


@given(st.lists(series, min_size=1, max_size=4), st.data())
@settings(max_examples=300, deadline=None)
def test_mutilated_messages_are_read_or_refused_alike(some, data):
    body = bytearray(b"".join(encode_series(labels_of(number), samples) for number, samples in some))
    for _cut in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, len(body) - 1)))
        what = data.draw(st.sampled_from(["flip", "cut", "insert", "delete"]))
        if what == "flip" and body:
            body[at] = data.draw(st.integers(0, 255))
        elif what == "cut":
            del body[at:]
        elif what == "insert":
            body[at:at] = data.draw(
                st.sampled_from([b"\x12\x10\x09", b"\x12\x07\x10", b"\x0a", b"\x80", b"\x1a\x02\x08\x01"])
            )
        elif body:
            del body[at]
    same(bytes(body), KNOWN)


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_noise_is_read_or_refused_alike(body):
    same(body, KNOWN)


def test_labels_that_look_like_samples_are_labels():
    sample = encode_series(b"", [(NOW, 1.5)])[2:]
    value = sample.decode("latin-1")
    trap = encode_labels([("__name__", "m"), ("z", value)])
    for known in ({}, {trap: 7}, {trap[: -len(sample)]: 8}):
        same(encode_series(trap, [(NOW, 2.0), (NOW + 1, 0.0)]), {**KNOWN, **known})


def test_a_known_series_that_is_written_as_usual_makes_no_object_per_sample(monkeypatch):
    body = encode([([("__name__", "metric_0"), ("instance", "host-0")], [(NOW + i, float(i % 2)) for i in range(100)])])
    monkeypatch.setattr("tongchou.telemetry.decode.decode_series", lambda *args: pytest.fail("exact walk"))
    columns = decode_columns(body, KNOWN)
    assert columns.rows.tolist() == [0] * 100
    assert columns.ts.tolist() == [NOW + i for i in range(100)]
    assert columns.v.tolist() == [float(i % 2) for i in range(100)]


def test_histograms_are_counted():
    inside = labels_of(0) + b"\x22\x02\x08\x01" + b"\x22\x00"
    columns = decode_columns(b"\x0a" + bytes((len(inside),)) + inside, KNOWN)
    assert (columns.histograms, columns.series, len(columns.rows)) == (2, 1, 0)


@pytest.mark.soak
def test_three_thousand_hostile_requests():
    rng = random.Random(7)
    for _round in range(3000):
        body = bytearray(
            b"".join(
                encode_series(
                    labels_of(rng.randrange(8)),
                    [
                        (NOW + rng.randrange(10**6), rng.choice([0.0, 1.0, rng.random()]))
                        for _s in range(rng.randrange(6))
                    ],
                )
                for _n in range(rng.randrange(1, 20))
            )
        )
        for _flip in range(rng.randrange(4)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        same(bytes(body), KNOWN)


def test_large_series_and_long_labels_take_the_same_way():
    long = encode_labels([("__name__", "m"), ("v", "x" * 3000)])
    many = [(NOW + i, float(i)) for i in range(3000)]
    for known in ({}, {long: 9}):
        same(encode_series(long, many) + encode_series(labels_of(1), [(NOW, 1.0)]), {**KNOWN, **known})
