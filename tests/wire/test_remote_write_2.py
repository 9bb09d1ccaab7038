"""remote_write 2.0: bytes by hand out of the specification, an encoder that is not ours, and hostile bytes."""

from __future__ import annotations

import math
import random
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.descriptors import messages
from tongchou.wire import remote_write_2
from tongchou.wire.exposition import Meta
from tongchou.wire.protobuf import MalformedError, message, number_field, varint
from tongchou.wire.remote_write import METRIC_TYPES, TooManyError, encode_labels_as_given
from tongchou.wire.remote_write_2 import decode

SPEC = {
    "Request": "4 symbols *string, 5 timeseries *TimeSeries",
    "TimeSeries": "1 labels_refs *uint32, 2 samples *Sample, 3 histograms *Histogram, 4 exemplars *Exemplar,"
    "5 metadata Metadata",
    "Sample": "1 value double, 2 timestamp int64, 3 start_timestamp int64",
    "Histogram": "1 count_int uint64, 3 sum double, 4 schema sint32, 15 timestamp int64, 16 custom_values *double",
    "Exemplar": "1 labels_refs *uint32, 2 value double, 3 timestamp int64",
    "Metadata": "1 type uint32, 3 help_ref uint32, 4 unit_ref uint32",
}

# symbols "", "__name__", "up", "job", "a"; one series of labels 1 2 3 4 with 1.0 at 1000 ms, started at 5 ms
GOLDEN = bytes.fromhex(
    "2200"
    "22085f5f6e616d655f5f"
    "22027570"
    "22036a6f62"
    "220161"
    "2a1a"
    "0a0401020304"
    "120e" "09000000000000f03f" "10e807" "1805"
    "2a02" "0801"
)  # fmt: skip


def as_sent(symbols, *series):
    return b"".join(message(4, each.encode()) for each in symbols) + b"".join(message(5, each) for each in series)


def test_bytes_of_the_specification():
    (series,) = decode(GOLDEN).series
    assert (series.labels, series.samples) == ([("__name__", "up"), ("job", "a")], [(1000, 1.0)])
    assert series.label_bytes == encode_labels_as_given(series.labels)
    assert decode(GOLDEN).metadata == {"up": Meta("counter", "", "")}


@pytest.mark.parametrize("series", [1, 4])
def test_labels_are_bounded_before_they_are_made(monkeypatch, series):
    monkeypatch.setattr(remote_write_2, "MAX_LABEL_PAIRS", 1000)
    refs = message(1, b"\0" * (2 * 1000 // series + 2))
    with pytest.raises(TooManyError, match="1000 labels"):
        decode(as_sent([""], *[refs] * series))


def test_labels_of_exemplars_are_bounded_too(monkeypatch):
    monkeypatch.setattr(remote_write_2, "MAX_LABEL_PAIRS", 1000)
    with pytest.raises(TooManyError, match="1000 labels"):
        decode(as_sent([""], message(4, message(1, b"\0" * 2002))))


texts = st.text(max_size=6)
times = st.integers(-(2**63), 2**63 - 1)
samples = st.lists(st.tuples(times, st.floats(allow_nan=False)), max_size=3)
pairs = st.lists(st.tuples(st.just("__name__") | texts, texts), max_size=4)
metas = st.tuples(st.integers(0, 7), texts, texts)
series_sent = st.tuples(pairs, samples, st.integers(0, 2), st.lists(pairs, max_size=2), st.none() | metas, times)


@given(st.lists(series_sent, max_size=4), st.booleans())
def test_what_another_encoder_sends_is_read(sent, shuffled):
    kinds = messages("io.prometheus.write.v2", SPEC)
    symbols = [""]

    def ref(text):
        if text not in symbols or shuffled:  # a text may stand in the table twice
            symbols.append(text)
        return len(symbols) - 1 - symbols[::-1].index(text)

    request = kinds["Request"]()
    for labels, points, histograms, exemplars, meta, start in sent:
        series = request.timeseries.add(labels_refs=[ref(text) for pair in labels for text in pair])
        for ts, value in points:
            series.samples.add(value=value, timestamp=ts, start_timestamp=start)
        for _each in range(histograms):
            series.histograms.add(count_int=3, sum=1.5, schema=-4, timestamp=1, custom_values=[1.0])
        for each in exemplars:
            series.exemplars.add(labels_refs=[ref(text) for pair in each for text in pair], value=1.0)
        if meta is not None:
            series.metadata.type = meta[0]
            series.metadata.help_ref, series.metadata.unit_ref = ref(meta[1]), ref(meta[2])
    request.symbols.extend(symbols)
    found = decode(request.SerializeToString())
    assert [(each.labels, each.samples, each.histograms) for each in found.series] == [each[:3] for each in sent]
    assert [each.label_bytes for each in found.series] == [encode_labels_as_given(each[0]) for each in sent]
    assert found.exemplars == sum(len(each[3]) for each in sent)
    told = [Meta(METRIC_TYPES[each[4][0]], *each[4][1:]) for each in sent if each[4] is not None]
    assert all(meta in told for meta in found.metadata.values())


def test_metadata_is_that_of_the_family():
    symbols = ["", "__name__", "h_bucket", "h_count", "c_total", "Help.", "seconds"]
    meta = message(5, number_field(1, 3) + number_field(3, 5) + number_field(4, 6))
    counter = message(5, number_field(1, 1) + number_field(3, 5))
    body = as_sent(
        symbols,
        message(1, bytes((1, 2))) + meta,
        message(1, bytes((1, 3))) + meta,
        message(1, bytes((1, 4))) + counter,
        message(1, bytes((1, 4))) + message(5, b""),  # says nothing, and changes nothing
        meta,  # of a series without a name
    )
    assert decode(body).metadata == {
        "h": Meta("histogram", "Help.", "seconds"),
        "c_total": Meta("counter", "Help.", ""),
    }


def test_references_may_be_unpacked_and_long():
    symbols = ["", *(f"s{number}" for number in range(300))]
    unpacked = number_field(1, 1) + number_field(1, 300) + message(1, varint(299) + varint(2))
    (series,) = decode(as_sent(symbols, unpacked)).series
    assert series.labels == [("s0", "s299"), ("s298", "s1")]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "symbols"),
        (as_sent(["a"]), "symbols"),
        (as_sent([], message(1, bytes((0, 0)))), "symbols"),
        (as_sent([""], message(1, bytes((0,)))), "pairs"),
        (as_sent(["", "a"], message(1, bytes((1, 2)))), "reference 2"),
        (as_sent(["", "a"], message(1, varint(2**63) + b"\x00")), "reference 9223372036854775808"),
        (as_sent([""], message(4, message(1, bytes((0, 3))))), "reference 3"),
        (as_sent([""], message(4, message(1, b"\x00"))), "pairs"),
        (as_sent([""], message(5, number_field(3, 1))), "reference 1"),
        (as_sent([""], message(2, b"\x0d\x00\x00\x00\x00")), "wire type"),
        (as_sent([""], b"\x30\x01"), None),
        (b"\x20\x01", "wire type"),
        (message(4, b"") + message(4, b"\xff"), "UTF-8"),
        (GOLDEN[:-1], "byte"),
    ],
)
def test_what_is_wrong_is_named(body, said):
    if said is None:
        decode(body)  # a field the message does not have is read past
        return
    with pytest.raises(MalformedError, match=said):
        decode(body)


def test_a_message_cannot_grow_without_bound(monkeypatch):
    monkeypatch.setattr(remote_write_2, "MAX_SYMBOLS", 3)
    monkeypatch.setattr(remote_write_2, "MAX_SERIES", 3)
    monkeypatch.setattr(remote_write_2, "MAX_SAMPLES", 3)
    monkeypatch.setattr(remote_write_2, "MAX_LABEL_BYTES", 100)
    for body in (
        as_sent([""] * 4),
        as_sent([""], *[b""] * 4),
        as_sent([""], message(2, b"") * 2, message(2, b"") * 2),
        as_sent(["", "x" * 30], message(1, bytes((1, 1))), message(1, bytes((1, 1)))),
    ):
        with pytest.raises(MalformedError, match="more than"):
            decode(body)
    decode(as_sent([""] * 3, *[message(2, b"")] * 3))


def _is_clean(body):
    try:
        found = decode(body)
    except MalformedError:
        return
    for series in found.series:
        assert series.label_bytes == encode_labels_as_given(series.labels)


@given(st.binary(max_size=300))
@example(b"\x22\x00\x2a\x02\x0a\x00")
def test_any_bytes_are_decoded_or_refused(body):
    _is_clean(body)
    _is_clean(b"\x22\x00" + body)


def test_a_broken_message_is_decoded_or_refused():
    symbols = ["", "__name__", "h_bucket", "le", "+Inf", "help", "seconds"]
    whole = as_sent(
        symbols,
        message(1, bytes((1, 2, 3, 4)))
        + message(2, b"\x09" + struct.pack("<d", math.pi) + number_field(2, 1_790_000_000_000) + number_field(3, 9))
        + message(3, number_field(1, 3))
        + message(4, message(1, bytes((3, 4))))
        + message(5, number_field(1, 3) + number_field(3, 5) + number_field(4, 6)),
    )
    assert len(decode(whole).series) == 1
    rng = random.Random(20)
    for _try in range(5000):
        broken = bytearray(whole)
        for _flip in range(rng.randrange(1, 4)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        if rng.random() < 0.3:
            del broken[rng.randrange(len(broken)) :]
        _is_clean(bytes(broken))
