from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.wire.otlp import encode_response
from tongchou.wire.otlp_logs import decode, decode_json
from tongchou.wire.protobuf import MalformedError, message, number_field, varint

VALUES = st.recursive(
    st.one_of(
        st.text(max_size=8),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)
ATTRIBUTES = st.dictionaries(st.text(min_size=1, max_size=6), VALUES, max_size=3)
RECORDS = st.fixed_dictionaries(
    {
        "time": st.integers(0, 2**63 - 1),
        "severity": st.integers(0, 24),
        "text": st.sampled_from(["", "WARN", "Error"]),
        "body": VALUES,
        "attributes": ATTRIBUTES,
        "trace": st.sampled_from(["", "0af7651916cd43dd8448eb211c80319c"]),
        "span": st.sampled_from(["", "b7ad6b7169203331"]),
    }
)
REQUESTS = st.lists(
    st.fixed_dictionaries(
        {"resource": ATTRIBUTES, "scope": st.text(max_size=4), "records": st.lists(RECORDS, max_size=3)}
    ),
    max_size=3,
)


def value(held):
    if isinstance(held, bool):
        return varint(2 << 3) + varint(int(held))
    if isinstance(held, str):
        return message(1, held.encode())
    if isinstance(held, int):
        return varint(3 << 3) + varint(held)
    if isinstance(held, float):
        return varint(4 << 3 | 1) + struct.pack("<d", held)
    if isinstance(held, list):
        return message(5, b"".join(message(1, value(each)) for each in held))
    return message(6, attributes(held, 1))


def attributes(held, number):
    return b"".join(message(number, message(1, key.encode()) + message(2, value(each))) for key, each in held.items())


def protobuf(groups):
    out = b""
    for group in groups:
        records = b""
        for each in group["records"]:
            body = (
                varint(1 << 3 | 1)
                + struct.pack("<Q", each["time"])
                + number_field(2, each["severity"])
                + message(3, each["text"].encode())
            )
            body += message(5, value(each["body"])) + attributes(each["attributes"], 6)
            body += message(9, bytes.fromhex(each["trace"])) + message(10, bytes.fromhex(each["span"]))
            records += message(2, body)
        scope = message(2, message(1, message(1, group["scope"].encode())) + records)
        out += message(1, message(1, attributes(group["resource"], 1)) + scope)
    return out


def json_value(held):
    if isinstance(held, bool):
        return {"boolValue": held}
    if isinstance(held, str):
        return {"stringValue": held}
    if isinstance(held, int):
        return {"intValue": str(held)}
    if isinstance(held, float):
        return {"doubleValue": held}
    if isinstance(held, list):
        return {"arrayValue": {"values": [json_value(each) for each in held]}}
    return {"kvlistValue": {"values": json_attributes(held)}}


def json_attributes(held):
    return [{"key": key, "value": json_value(each)} for key, each in held.items()]


def as_json(groups):
    return json.dumps(
        {
            "resourceLogs": [
                {
                    "resource": {"attributes": json_attributes(group["resource"])},
                    "scopeLogs": [
                        {
                            "scope": {"name": group["scope"]},
                            "logRecords": [
                                {
                                    "timeUnixNano": str(each["time"]),
                                    "severityNumber": each["severity"],
                                    "severityText": each["text"],
                                    "body": json_value(each["body"]),
                                    "attributes": json_attributes(each["attributes"]),
                                    "traceId": each["trace"].upper(),
                                    "spanId": each["span"],
                                    "unknownMember": 1,
                                }
                                for each in group["records"]
                            ],
                        }
                    ],
                }
                for group in groups
            ]
        }
    ).encode()


@given(REQUESTS)
@settings(deadline=None)
def test_both_encodings_say_the_same(groups):
    found = decode(protobuf(groups))
    assert found == decode_json(as_json(groups))
    assert [(group.resource, group.scope) for group in found] == [
        (group["resource"], group["scope"]) for group in groups
    ]
    sent = [each for group in groups for each in group["records"]]
    got = [each for group in found for each in group.records]
    assert [(one.time_ns, one.body, one.attributes, one.trace_id) for one in got] == [
        (each["time"], each["body"], each["attributes"], each["trace"]) for each in sent
    ]


@given(REQUESTS.filter(bool), st.data())
@settings(deadline=None)
def test_a_damaged_message_is_refused_or_read_but_never_breaks(groups, data):
    for whole, read in ((protobuf(groups), decode), (as_json(groups), decode_json)):
        at = data.draw(st.integers(0, len(whole) - 1))
        for damaged in (whole[:at], whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]):
            try:
                read(damaged)
            except MalformedError:
                pass


@pytest.mark.parametrize(
    "bad",
    [
        b"[]",
        b"{",
        b'{"resourceLogs": 1}',
        b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "x"}]}]}]}',
        b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"traceId": "zz"}]}]}]}',
        b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": "text"}]}]}]}',
        b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"severityNumber": "SEVERITY_NUMBER_INFO"}]}]}]}',
        b"[" * 100_000,
    ],
)
def test_json_that_is_no_request_is_refused(bad):
    with pytest.raises(MalformedError):
        decode_json(bad)


def test_values_nested_without_end_are_refused():
    deep = message(1, b"x")
    for _level in range(100):
        deep = message(5, message(1, deep))
    with pytest.raises(MalformedError):
        decode(message(1, message(2, message(2, message(5, deep)))))


def test_success_leaves_partial_success_unset():
    assert encode_response() == b""
    assert encode_response(3, "why") == message(1, number_field(1, 3) + message(2, b"why"))
