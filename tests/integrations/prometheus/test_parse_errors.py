"""Refusals of queries word for word as a real Prometheus gives them, with the place."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.integrations.prometheus.peer import prometheus
from tongchou.telemetry.promql.errors import QueryError
from tongchou.telemetry.promql.parse import parse

QUERIES = [
    "", "sum(foo", "foo{", "foo)", "foo bar", "foo\n  bar", "1 +", "a and b or", "rate(foo)", "rate(sum(foo))", "foo[5m",
    "foo offset x", "foo[5m] offset", "foo @", "foo @ x", "foo{a=b}", "foo{le=0.5}", "foo{a='b", "'abc", "sum by (a foo",
    "unknown(x)", "{}", "g[5m] offset 5m offset 5m", "foo and on(a) group_left bar", "1 == 2", "foo or 1", "bool",
    "rate(foo[5m],2)", "abs()", "vector(foo)", "label_replace(a, 'b')", "quantile(0.5, a, b)", "1 bool + 2", "a + on(b",
    "foo{__name__='b'}", "sum(a) by (b) by (c)", "foo & bar", "foo $", "♥", "foo[0s]", "foo[5m:0s]", "(foo[5m])[5m]",
    "foo offset 5m[5m]", "foo[1m]+1",
]  # fmt: skip


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with prometheus(tmp_path_factory.mktemp("parser")) as client:
        yield client


@pytest.mark.parametrize("query", QUERIES)
def test_a_refusal_is_that_of_prometheus(peer: httpx.Client, query: str) -> None:
    theirs = peer.get("/api/v1/query", params={"query": query, "time": "1700000000"}).json()["error"]
    with pytest.raises(QueryError) as caught:
        parse(query)
    assert f'invalid parameter "query": {caught.value.detail}' == theirs
