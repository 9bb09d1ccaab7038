from __future__ import annotations

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.telemetry.logs.naive import finds
from tests.telemetry.logs.trees import TREES
from tongchou.core.problems import Invalid, NotFound
from tongchou.telemetry.logs import ingest
from tongchou.telemetry.logs.log_store import Query, line_id, parse_line_id
from tongchou.telemetry.logs.query import format_query, parse
from tongchou.telemetry.series import Matcher
from tongchou.telemetry.store.log_tables import NS, Cost
from tongchou.wire.log_stream import Entry, Stream

COST = Cost()
pytestmark = pytest.mark.both_stores
WORDS = [
    "order",
    "Order",
    "placed",
    "refused",
    "connection",
    "regused",
    "订单",
    "失败",
    "42",
    "a_b",
    "10%",
    "x-y",
    "it's",
    "a/b",
    "e",
    "\\",
    '"',
    "true",
]


def span(store, query="", **more):
    now = store.clock_ns()
    return Query(now - 3600 * NS, now + 3600 * NS, parse(query), **more)


def put(store, *streams, token=""):
    rows, done = store.take(streams, token=token)
    done.result(60)
    return rows


def bodies(store, query="", **more):
    return [line.body for line in store.search(span(store, query, **more), limit=1000, cost=COST).lines]


def random_body(rng):
    value = rng.choice(
        [
            0,
            1,
            42,
            200,
            500,
            -1,
            1.5,
            "42",
            "shop",
            "s p",
            "",
            True,
            False,
            None,
            "eu-west",
            "订单",
            "100",
            {"x": 1},
            [1],
            "1e3",
            'q"q',
            "a\nb",
        ]
    )
    deep = rng.choice([{"status": value}, {"name": value}, {}, "text"])
    kind = rng.random()
    text = " ".join(rng.choices(WORDS, k=rng.randint(0, 5)))
    if kind < 0.6:
        body = {
            rng.choice(["service", "code", "ok", "zone", "request-id", "msg", "http.status", "user.name"]): value,
            "http": deep,
            "user": deep,
            "msg": text,
            "deep": {"er": {"x": value}},
        }
        return json.dumps(body, ensure_ascii=rng.random() < 0.3)
    return text if kind < 0.9 else "{" + text


def random_streams(rng, now, count):
    streams = []
    for number in range(4):
        labels = [
            ("service", rng.choice(["shop", "orders", "42"])),
            ("n", str(number)),
            *([("code", "200")] if number % 2 else []),
        ]
        entries = []
        for _line in range(count // 4):
            fields = rng.choice(
                [(), (), [("zone", "eu-west")], [("request-id", "42"), ("code", "")], [("http.status", "500")]]
            )
            entries.append(Entry(now - rng.randrange(1800 * NS), random_body(rng).encode(), fields))
        streams.append(Stream(labels, entries))
    return streams


@pytest.fixture(scope="module")
def corpus(telemetry_engine):
    from tongchou.telemetry.logs.log_store import LogStore

    store = LogStore(telemetry_engine, "logs_corpus", retention_days=3650, linger_seconds=0.0)
    put(store, *random_streams(random.Random(7), store.clock_ns(), 400))
    everything = store.search(span(store), limit=1000, cost=COST).lines
    assert len(everything) == 400
    yield store, everything
    store.close()
    telemetry_engine.execute("DROP DATABASE logs_corpus SYNC")


@given(tree=TREES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_search_finds_what_a_plain_filter_finds(corpus, tree):
    store, everything = corpus
    now = store.clock_ns()
    found = store.search(Query(now - 3600 * NS, now + 3600 * NS, tree), limit=1000, cost=COST).lines
    wanted = [line for line in everything if finds(tree, line)]
    assert [line.body for line in found] == [line.body for line in wanted], format_query(tree)
    histogram = store.histogram(Query(now - 3600 * NS, now + 3600 * NS, tree), step_ns=60 * NS, cost=COST)
    assert histogram.total == len(wanted)


@pytest.mark.parametrize("ascii_only", [False, True])
def test_chinese_is_found_however_json_wrote_it(telemetry_db, ascii_only):
    store = telemetry_db.logs
    said = {"msg": "支付网关 Timeout 连接被拒绝 😀", "level": "error"}
    body = json.dumps(said, ensure_ascii=ascii_only)
    put(store, Stream([("service", "shop")], [Entry(store.clock_ns(), body.encode())]))
    for query in ("拒绝", "支付网关", '"timeout 连接被拒绝"', "支付*拒绝", "连接被拒绝 level:error", "😀"):
        assert bodies(store, query) == [body], query
    for query in ("退款", "-拒绝", "拒绝*支付"):
        assert bodies(store, query) == [], query


@given(limit=st.integers(1, 120), forward=st.booleans())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pages_together_are_the_whole_in_order(corpus, limit, forward):
    store, everything = corpus
    pages, cursor = [], None
    while True:
        page = store.search(span(store), limit=limit, cost=COST, cursor=cursor, forward=forward)
        pages += page.lines
        if not page.more:
            break
        cursor = (page.lines[-1].ts_ns, page.lines[-1].seq)
    assert pages == (everything[::-1] if forward else everything)


def test_a_line_comes_back_as_it_was_sent(telemetry_db):
    store = telemetry_db.logs
    now = store.clock_ns()
    line = 'level=warn path="/cart" 订单\t\x00 \x1b[31m' + "x" * 20_000
    put(
        store,
        Stream(
            [("service", "shop"), ("instance", "shop-1")],
            [Entry(now + 7, line.encode(), [("user", "7")], "", "AB" * 16)],
        ),
    )
    page = store.search(span(store), limit=10, cost=COST)
    short = page.lines[0]
    assert (short.size, len(short.body)) == (len(line.encode()), 16 * 1024)
    whole = store.line(*parse_line_id(line_id(short)), cost=COST)
    assert whole.body == line
    assert (whole.ts_ns, whole.level, whole.trace_id) == (now + 7, "warning", "ab" * 16)
    assert (whole.labels, whole.fields, whole.resource) == (
        {"service": "shop", "instance": "shop-1"},
        {"user": "7"},
        "shop-1",
    )


def test_an_unknown_line_is_not_found(telemetry_db):
    with pytest.raises(NotFound):
        telemetry_db.logs.line(5, 6, cost=COST)
    for bad in ("", "5", "-", "x-1", "1" * 30 + "-1"):
        with pytest.raises(Invalid):
            parse_line_id(bad)


def test_context_is_of_the_same_stream_only_and_counts_equal_times(telemetry_db):
    store = telemetry_db.logs
    now = store.clock_ns()
    put(
        store,
        Stream([("service", "a")], [Entry(now - (i // 3) * NS, f"a{i}".encode()) for i in range(30)]),
        Stream([("service", "b")], [Entry(now - i, b"b") for i in range(30)]),
    )
    lines = store.search(span(store), limit=100, cost=COST).lines
    own = [line for line in lines if line.labels == {"service": "a"}][::-1]
    middle = own[13]
    before, after = store.context(middle, before=5, after=40, cost=COST)
    assert [line.seq for line in before.lines] == [line.seq for line in own[8:13]]
    assert [line.seq for line in after.lines] == [line.seq for line in own[14:]]
    assert (before.more, after.more) == (True, False)


def test_what_arrives_is_told_once_whatever_its_time(telemetry_db, monkeypatch):
    monkeypatch.setattr(ingest, "SETTLE_NS", 0)  # nobody else writes here, so there is nothing to wait for
    store = telemetry_db.logs
    now, after, seen = store.clock_ns(), store.ingest.written, []
    for batch in range(5):
        put(
            store,
            Stream(
                [("n", "1")],
                [Entry(now - batch * 86_400 * NS * (batch % 2) - i, f"{batch}-{i}".encode()) for i in range(7)],
            ),
        )
        while True:
            lines, after = store.arrived(Query(0, now + NS), after=after, limit=3, cost=COST)
            seen += [line.body for line in lines]
            if not lines:
                break
    assert sorted(seen) == sorted(f"{batch}-{i}" for batch in range(5) for i in range(7))
    assert store.arrived(Query(0, now + NS), after=after, limit=3, cost=COST)[0] == []


def test_levels_and_times_are_counted_in_steps(telemetry_db):
    store = telemetry_db.logs
    now = store.clock_ns()
    entries = [Entry(now - i * NS, f"level={'error' if i % 5 == 0 else 'info'}".encode()) for i in range(60)]
    put(store, Stream([("service", "a")], entries))
    start = now - 60 * NS
    histogram = store.histogram(Query(start + 1, now + 1), step_ns=10 * NS, cost=COST)
    assert histogram.counts == {"error": [2] * 6, "info": [8] * 6}
    with pytest.raises(Invalid):
        store.histogram(Query(0, now), step_ns=NS, cost=COST)


def test_a_token_is_written_once(telemetry_db):
    store = telemetry_db.logs
    now = store.clock_ns()
    for _again in range(3):
        put(store, Stream([("n", "1")], [Entry(now, b"a"), Entry(now - 86_400 * NS, b"b")]), token="tail:1:0-2")
    put(store, Stream([("n", "1")], [Entry(now, b"c")]), token="tail:1:2-4")
    store.ingest._tables.engine.fetch("SELECT 1 AS one")
    found = store.search(Query(0, now + NS), limit=10, cost=COST).lines
    assert sorted(line.body for line in found) == ["a", "b", "c"]


def test_label_matchers_mean_what_loki_means(telemetry_db):
    store = telemetry_db.logs
    now = store.clock_ns()
    put(
        store,
        *[
            Stream([("service", name), *([("env", "prod")] if i else [])], [Entry(now, name.encode())])
            for i, name in enumerate(["shop", "shop2", "a'b\\"])
        ],
    )
    for matcher, wanted in [
        (Matcher("service", "=", "shop"), ["shop"]),
        (Matcher("service", "!=", "shop"), ["a'b\\", "shop2"]),
        (Matcher("service", "=~", "sh.p"), ["shop"]),
        (Matcher("service", "=~", "shop|nothing|shop."), ["shop", "shop2"]),
        (Matcher("service", "!~", "shop.*"), ["a'b\\"]),
        (Matcher("env", "=", ""), ["shop"]),
        (Matcher("service", "=", "a'b\\"), ["a'b\\"]),
    ]:
        assert sorted(bodies(store, matchers=[matcher])) == wanted, matcher
    assert store.label_names(span(store), cost=COST) == ["env", "service"]
    assert store.label_values("service", span(store), cost=COST) == ["a'b\\", "shop", "shop2"]
    assert store.label_values("env", span(store, "shop2"), cost=COST) == ["prod"]
    assert {"service": "shop"} in store.streams(span(store), cost=COST)


def test_what_may_not_be_kept_is_refused_by_reason(telemetry_db):
    store = telemetry_db.logs
    now = store.clock_ns()
    rows = put(
        store,
        Stream(
            [("service", "a")],
            [
                Entry(now, b"good"),
                Entry(now + 3600 * NS, b"x"),
                Entry(0, b"old"),
                Entry(now, b"x" * 300_000),
                Entry(now, b"x", [("", "v")]),
            ],
        ),
        Stream([("bad name", "a")], [Entry(now, b"x")]),
        Stream([], [Entry(now, b"x")]),
        Stream([("a", "1"), ("a", "2")], [Entry(now, b"x")]),
        Stream([("a", "\ud800")], [Entry(now, b"x")]),
    )
    assert len(rows) == 1
    assert rows.refused.total == 8
    assert bodies(store) == ["good"]


def test_bytes_that_are_not_utf8_are_kept_readable(telemetry_db):
    put(telemetry_db.logs, Stream([("n", "1")], [Entry(telemetry_db.logs.clock_ns(), b"caf\xe9 ok")]))
    assert bodies(telemetry_db.logs, "ok") == ["caf\ufffd ok"]


def test_limits_are_said(telemetry_db):
    store = telemetry_db.logs
    for limit in (0, 5001):
        with pytest.raises(Invalid):
            store.search(span(store), limit=limit, cost=COST)
    put(store, Stream([("n", "1")], [Entry(store.clock_ns() - i, b"word " * 50) for i in range(2000)]))
    with pytest.raises(Invalid) as raised:
        store.search(span(store), limit=5000, cost=Cost(max_memory_bytes=1000))
    assert raised.value.code == "logs.limit_exceeded"
    assert raised.value.remedy
