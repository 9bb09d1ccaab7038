"""Every address of the API beside a real Prometheus: status, kind of error, fields and their types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from tests.conftest import Api
from tests.integrations.prometheus.generated_series import BEGIN, generated
from tests.integrations.prometheus.peer import WRITE_HEADERS, messages, prometheus, write

AT = BEGIN + 600
SPAN = f"start={BEGIN}&end={BEGIN + 1800}"
GOOD = [
    f"query?query=g&time={AT}", f"query?query=1&time={AT}", f"query?query='x'&time={AT}", f"query?query=g[1m]&time={AT}",
    "query?query=1", f"query?query=nothing&time={AT}", f"query?query=sum(g)&time={AT}&stats=all",
    f"query?query=sum(rate(c_total[5m]))&time={AT}&stats=true", f"query?query=g&time={AT}&stats=",
    f"query?query=g&time={AT}&timeout=10s", "query?query=g&time=2023-11-14T22:23:20Z",
    f"query_range?query=g&start={AT}&end={AT + 60}&step=15", f"query_range?query=1&start={AT}&end={AT + 60}&step=1m",
    f"query_range?query=sum(rate(c_total[5m]))&start={AT}&end={AT + 60}&step=15&stats=all",
    f"query_range?query=nothing&start={AT}&end={AT}&step=15", f"query_range?query=1&start={BEGIN}&end={BEGIN + 11000}&step=1",
    "labels", f"labels?match[]=g&{SPAN}", f"labels?match[]=g&match[]=odd&{SPAN}", f"label/job/values?{SPAN}",
    f"label/job/values?match[]=g&{SPAN}", f"label/nothing/values?{SPAN}", f"series?match[]=g&{SPAN}",
    f'series?match[]=g{{job="a"}}&match[]=odd&{SPAN}', f"series?match[]=nothing&{SPAN}", "metadata", "metadata?limit=1",
    "metadata?metric=g", "format_query?query=sum(g)by(job)", "rules", "alerts", "rules?type=alert", "targets",
    "targets?state=active", "targets?state=dropped", f"query_exemplars?query=g&{SPAN}", "status/buildinfo",
    "status/runtimeinfo", "status/config", "status/flags",
]  # fmt: skip
BAD = [
    "query", "query?query=", "query?query=sum(", "query?query=g&time=x", "query?query=g&timeout=x",
    f"query?query=label_replace(g,'a','b','c','(')&time={AT}", f"query?query=g*on(job)g&time={AT}",
    "query_range?query=g", f"query_range?query=g&start=x&end={AT}&step=1", "query_range?query=g&start=1&end=x&step=1",
    "query_range?query=g&start=2&end=1&step=1", "query_range?query=g&start=1&end=2&step=0",
    "query_range?query=g&start=1&end=2&step=-1", "query_range?query=g&start=1&end=2",
    "query_range?query=g&start=1&end=2&step=x", "query_range?query=g[5m]&start=1&end=2&step=1",
    "query_range?query='x'&start=1&end=2&step=1", "query_range?query=sum(&start=1&end=2&step=1",
    "query_range?query=1&start=0&end=11001&step=1", "labels?match[]=foo(", "labels?start=x", "labels?end=x",
    "label/job/values?match[]={}", "label/job/values?match[]=sum(g)", "series", "series?match[]=rate(g[5m])",
    "series?match[]=g offset 5m", 'series?match[]={job=""}', "series?match[]=g&start=x", "format_query?query=sum(",
    "format_query", "metadata?limit=x", "query_exemplars?query=g(&start=1&end=2", "query_exemplars?query=g&start=2&end=1",
    "rules?type=x",
]  # fmt: skip
# Fields of a release after 2.42.
LATER = {
    ".data.droppedTargetCounts", ".data.stats.samples.totalQueryableSamplesPerStep", ".data.hostname", ".data.serverTime",
    ".data.GOMEMLIMIT", ".code",
}  # fmt: skip


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with prometheus(tmp_path_factory.mktemp("shapes")) as client:
        write(client, messages(generated(1)))
        yield client


@pytest.fixture
def ours(api: Api, telemetry_db: Any) -> Api:
    for body in messages(generated(1)):
        sent = api._client.post(
            "/prometheus/api/v1/write", data=body, content_type=WRITE_HEADERS["Content-Type"], headers=WRITE_HEADERS
        )
        assert sent.status_code == 204
    return api


def shape(found: Any, where: str = "") -> dict[str, str]:
    """Paths of all fields with their JSON types; members of lists are alike."""
    if isinstance(found, dict):
        if where.endswith((".metric", "flags")) or (where == ".data" and "web.enable-remote-write-receiver" in found):
            return {where: "object of " + ",".join(sorted({type(each).__name__ for each in found.values()}))}
        out = {where: "object"}
        for key, each in found.items():
            out |= shape(each, f"{where}.{key}")
        return out
    if isinstance(found, list):
        out = {where: "list"}
        for each in found:
            out |= shape(each, f"{where}[]")
        return out
    return {where: "number" if isinstance(found, int | float) and not isinstance(found, bool) else type(found).__name__}


def ask(client: Api, peer: httpx.Client, address: str) -> tuple[Any, httpx.Response]:
    path, _question, text = address.partition("?")
    parameters: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        parameters.setdefault(name, []).append(value)
    return client.get(f"/prometheus/api/v1/{path}", **parameters), peer.get(f"/api/v1/{path}", params=parameters)


@pytest.mark.django_db
def test_answers_have_the_fields_and_types_of_prometheus(ours: Api, peer: httpx.Client) -> None:
    wrong = []
    for address in GOOD:
        mine, theirs = ask(ours, peer, address)
        fields, expected = shape(mine.json()), shape(theirs.json())
        for where in sorted(fields.keys() | expected.keys()):
            if fields.get(where) != expected.get(where) and not (
                where.replace("[]", "") in LATER and where not in expected
            ):
                wrong.append(f"{address} {where}: {fields.get(where)} is not {expected.get(where)}")
        if (mine.status_code, mine["Content-Type"]) != (theirs.status_code, theirs.headers["content-type"]):
            wrong.append(f"{address}: {mine.status_code} {mine['Content-Type']} {theirs.status_code}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.django_db
def test_refusals_are_those_of_prometheus(ours: Api, peer: httpx.Client) -> None:
    wrong = []
    for address in BAD:
        mine, theirs = ask(ours, peer, address)
        body, expected = mine.json(), theirs.json()
        kinds = (mine.status_code, body["status"], body.get("errorType"))
        if kinds != (theirs.status_code, expected["status"], expected.get("errorType")):
            wrong.append(f"{address}: {kinds} {body.get('error')} is not {theirs.status_code} {expected}")
        assert body["error"]
    assert not wrong, "\n".join(wrong)


WORDED = [
    address
    for address in BAD
    if not re.search(r"match\[\]|^labels|^series|on\(job\)|exemplars|rules|label_rep", address)
]


@pytest.mark.django_db
@pytest.mark.parametrize("address", WORDED)
def test_refusals_of_queries_are_worded_as_prometheus_words_them(api: Api, telemetry_db: Any, peer: httpx.Client,
                                                                 address: str) -> None:  # fmt: skip
    mine, theirs = ask(api, peer, address)

    def plain(text: str) -> str:
        """Without what 2.42 says in one place and not in the other, and our hint of the setting."""
        text = re.sub(r'invalid parameter "query": |Invalid time value for \'\w+\': ', "", text)
        return re.sub(r",? or raise TONGCHOU_\w+\.?", "", text)

    assert plain(mine.json()["error"]) == plain(theirs.json()["error"])


@pytest.mark.django_db
def test_samples_are_counted_as_prometheus_counts_them(ours: Api, peer: httpx.Client) -> None:
    for query in ("sum(g)", "rate(c_total[5m])", "g + on (job, instance) c_total", "max_over_time(g[3m] @ 1700000600)",
                  "g[1m]", "absent(g)", "1", "quantile_over_time(0.5, g[90s] offset 1m)", "timestamp(h_sum)",
                  "max_over_time((g + 1)[5m1ms:30s])"):  # fmt: skip
        for address in (f"query?time={AT}&stats=all", f"query_range?start={AT}&end={AT + 300}&step=60&stats=all"):
            mine, theirs = ask(ours, peer, f"{address}&query={query.replace('+', '%2B')}")
            if theirs.status_code == 400:
                continue
            found, expected = mine.json()["data"]["stats"], theirs.json()["data"]["stats"]
            counted = found["samples"]["totalQueryableSamples"]
            assert counted == expected["samples"]["totalQueryableSamples"], (query, address)
            per_step = found["samples"]["totalQueryableSamplesPerStep"]
            assert sum(count for _at, count in per_step) == counted
            assert [at for at, _count in per_step] in ([], [AT], list(range(AT, AT + 301, 60)))
            assert 0 <= found["timings"]["innerEvalTime"] <= found["timings"]["execTotalTime"]


@pytest.mark.django_db
def test_limit_cuts_and_says_so(ours: Api) -> None:
    for address, cut in ((f"query?query=g&time={AT}&limit=2", True), (f"query?query=g&time={AT}&limit=0", False),
                         (f"query_range?query=g&start={AT}&end={AT}&step=1&limit=2", True),
                         (f"query?query=1&time={AT}&limit=1", False), (f"labels?match[]=g&{SPAN}&limit=1", True),
                         (f"series?match[]=g&{SPAN}&limit=2", True), (f"label/job/values?{SPAN}&limit=2", True)):  # fmt: skip
        path, _question, text = address.partition("?")
        body = ours.get(f"/prometheus/api/v1/{path}", **dict(parse_qsl(text))).json()
        rows = body["data"]["result"] if isinstance(body["data"], dict) else body["data"]
        assert ("warnings" in body) == cut, address
        assert not cut or len(rows) == (1 if "limit=1" in address else 2)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["query", "query_range", "labels", "series", "query_exemplars", "format_query"])
def test_forms_are_taken_where_prometheus_takes_them(ours: Api, peer: httpx.Client, path: str) -> None:
    form = f"query=g&match[]=g&time={AT}&start={AT}&end={AT + 60}&step=15"
    kind = "application/x-www-form-urlencoded"
    mine = ours.post(f"/prometheus/api/v1/{path}", form, kind)
    theirs = peer.post(f"/api/v1/{path}", content=form, headers={"Content-Type": kind})
    assert (mine.status_code, mine.json()["status"]) == (theirs.status_code, theirs.json()["status"])
    assert shape(mine.json()) == shape(theirs.json())


@pytest.mark.django_db
def test_the_checks_of_a_load_balancer_need_no_sign_in(client: Any, telemetry_db: Any, peer: httpx.Client) -> None:
    for path in ("/-/healthy", "/-/ready"):
        mine, theirs = client.get(f"/prometheus{path}"), peer.get(path)
        assert (mine.status_code, mine.content.strip()) == (theirs.status_code, theirs.content.strip())
