from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.wire.log_stream import Entry
from tongchou.wire.loki import decode, encode, format_labels, parse_labels
from tongchou.wire.protobuf import MalformedError

NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True)
LABELS = st.dictionaries(NAMES, st.text(max_size=12), max_size=4).map(lambda found: sorted(found.items()))
ENTRIES = st.builds(
    lambda at, line, fields: Entry(at, line, fields),  # noqa: PLW0108  # builds(Entry) would draw the optional fields too
    st.integers(0, 2**62),
    st.binary(max_size=30),
    st.lists(st.tuples(NAMES, st.text(max_size=8)), max_size=3),
)
PUSHES = st.lists(st.tuples(LABELS, st.lists(ENTRIES, max_size=4)), max_size=4)


@given(PUSHES)
@settings(deadline=None)
def test_what_is_encoded_is_decoded(streams):
    found = decode(encode(streams))
    assert [(stream.labels, [tuple(entry) for entry in stream.entries]) for stream in found] == [
        (labels, [tuple(entry) for entry in entries]) for labels, entries in streams
    ]


@given(PUSHES.filter(bool), st.data())
@settings(deadline=None)
def test_a_cut_or_changed_message_is_refused_or_read_but_never_breaks(streams, data):
    whole = encode(streams)
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = (
        whole[:at]
        if data.draw(st.booleans())
        else whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    )
    try:
        decode(changed)
    except MalformedError:
        pass


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data):
    try:
        decode(data)
    except MalformedError:
        pass


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("{}", []),
        ('{a="b"}', [("a", "b")]),
        ('{ a = "b" , c=`d"\\`, }', [("a", "b"), ("c", 'd"\\')]),
        (r'{a="x\n\t\"\\\x41\u8ba2"}', [("a", 'x\n\t"\\A订')]),
    ],
)
def test_labels_in_the_text_form(text, labels):
    assert parse_labels(text) == labels
    assert parse_labels(format_labels(labels)) == labels


@pytest.mark.parametrize(
    "text", ["", "a", "{", '{a="b"', "{a=b}", '{a="b" c="d"}', '{a="\\q"}', '{a="\\ud800"}', '{="b"}', '{a="b}']
)
def test_labels_that_cannot_be_read(text):
    with pytest.raises(MalformedError):
        parse_labels(text)
