from __future__ import annotations

import json
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.telemetry.logs.test_log_store import COST, bodies, put, span
from tongchou.telemetry.logs.facets import MAX_VALUE, facets, members
from tongchou.telemetry.logs.query import quoted
from tongchou.wire.log_stream import Entry, Stream

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


def test_members_are_what_the_search_can_name():
    body = '{"a":{"b":{"c":500},"d":true},"e":null,"f":[1],"g":"x","h":1.5}'
    assert members(body) == {"a.b.c": "500", "a.d": "true", "g": "x", "h": "1.5"}
    assert members("no json") == members("[1]") == members('{"a":') == members('{"a":' * 5000) == {}


@given(st.text(max_size=60) | json_values.map(lambda value: json.dumps({"k": value})))
def test_any_body_has_members_or_none(body):
    assert all(isinstance(value, str) for value in members(body).values())


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from(["1", "2", ""])), st.sampled_from("abcdef")
        ),
        max_size=40,
    )
)
def test_counts_are_those_of_a_plain_count(rows):
    lines = [(beside, json.dumps({"z": value})) for beside, value in rows]
    found = {each.name: dict(each.values) for each in facets(lines, top=100)}
    for name in ("x", "y", "z"):
        plain = Counter(beside.get(name, "") if name != "z" else value for beside, value in rows)
        plain.pop("", None)
        assert found.get(name, {}) == dict(plain)


def test_what_has_a_value_of_its_own_on_nearly_every_line_is_no_choice():
    lines = [({"id": f"{at}", "kind": f"{at % 3}", "long": "x" * (MAX_VALUE + 1)}, "plain") for at in range(100)]
    assert [each.name for each in facets(lines)] == ["kind"]


@pytest.mark.django_db
def test_every_value_the_store_offers_finds_as_many_lines_as_it_says(telemetry_db):
    """The panel's promise: a click on a value gives the lines that were counted, whatever is in the value."""
    store, rng = telemetry_db.logs, random.Random(5)
    now = store.clock_ns()
    odd = ['say "no"', "a\\b", "订单 失败", "=1+1", "x y", "<b>"]
    for service in ("orders", "payments", 'o"dd'):
        entries = [
            Entry(
                now - at * 1000,
                json.dumps({"level": rng.choice(["info", "error"]), "msg": rng.choice(odd), "http": {"status": 200 + at % 3}}).encode(),
                [("user", rng.choice(odd))],
            )
            for at in range(60)
        ]  # fmt: skip
        put(store, Stream([("service", service), ("level", "label")], entries))
    found = store.facets(span(store), cost=COST)
    assert [each.name for each in found.labels] == ["level", "service"]
    assert {each.name for each in found.fields} == {"msg", "http.status", "user"}
    for facet in (*found.labels, *found.fields):
        assert sum(lines for _value, lines in facet.values) == 180
        for value, lines in facet.values:
            assert len(bodies(store, f"{facet.name}:{quoted(value)}")) == lines, (facet.name, value)
