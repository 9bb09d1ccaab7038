"""A query cannot hurt the server: every limit over HTTP, places, and the client that goes away."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from django.test import RequestFactory, override_settings

from tests.conftest import Api
from tests.served import Served
from tongchou.core.access import system
from tongchou.core.problems import Problem
from tongchou.integrations.prometheus import answer as written
from tongchou.integrations.prometheus.running import Places, running
from tongchou.telemetry.actions import append
from tongchou.telemetry.backend import Telemetry
from tongchou.telemetry.promql import windows
from tongchou.telemetry.promql.errors import QueryError
from tongchou.telemetry.series import Float64s, SeriesBlock, labels_of
from tongchou.wire.asgi import CLIENT_GONE

BASE = "/prometheus/api/v1/"


@pytest.fixture
def now(telemetry_db: Telemetry) -> float:
    now = telemetry_db.clock() // 1000 * 1000
    times = [now - 15_000 * k for k in range(40, -1, -1)]
    rows = [(labels_of({"__name__": "m", "i": str(i)}), times, [1.0] * 41) for i in range(20)]
    append(SeriesBlock.build(rows), actor=system("tests"))
    return now / 1000


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("setting", "value", "query", "limit"),
    [
        ("TELEMETRY_MAX_SAMPLES", 100, "m[10m]", "max_samples"),
        ("TELEMETRY_MAX_SAMPLES", 1000, "sum_over_time(m[5m:1s])", "max_samples"),
        ("TELEMETRY_MAX_QUERY_SERIES", 10, "m", "max_series"),
        (
            "TELEMETRY_MAX_QUERY_BYTES",
            2400,
            "sum_over_time(((vector(time()) + 1) * vector(2))[1m:1s])",
            "max_memory_bytes",
        ),
        ("TELEMETRY_MAX_QUERY_BYTES", 100, "sum(rate(m[5m]))", "max_memory_bytes"),
        ("TELEMETRY_MAX_QUERY_SECONDS", 0.000001, "sum(rate(m[5m]))", "timeout_seconds"),
        ("TELEMETRY_MAX_QUERY_STEPS", 3, "m", ""),
    ],
)
def test_every_limit_is_told_with_the_setting_that_raises_it(
    api: Api, now: float, setting: str, value: float, query: str, limit: str
) -> None:
    with override_settings(**{setting: value}):
        answers = [api.get(BASE + "query_range", query=f"sum({query})" if "[10m]" not in query else f"changes({query})",
                           start=now - 60, end=now, step=15)]  # fmt: skip
        if limit:
            answers.append(api.get(BASE + "query", query=query, time=now))
    for answer in answers:
        body = answer.json()
        kind = {"timeout_seconds": (503, "timeout"), "": (400, "bad_data")}.get(limit, (422, "execution"))
        assert (answer.status_code, body["errorType"]) == kind, body
        assert f"TONGCHOU_{setting}" in body["error"]
        assert limit in body["error"]
    assert api.get(BASE + "query", query="sum(m)", time=now).json()["data"]["result"][0]["value"][1] == "20"


@pytest.mark.django_db
def test_an_answer_is_written_within_the_limits_of_its_query(
    api: Api, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "vector(1)[1h:1s]"
    with override_settings(TELEMETRY_MAX_QUERY_BYTES=200_000):  # enough for the values, not for their text
        answer = api.get(BASE + "query", query=query, time=now)
        assert (answer.status_code, answer.json()["errorType"]) == (422, "execution")
        assert "max_memory_bytes" in answer.json()["error"]
    asked = api.get(BASE + "query", query=query, time=now, timeout="2s")
    assert len(asked.json()["data"]["result"][0]["values"]) == 3600

    def slow(values: Float64s) -> list[bytes]:
        time.sleep(0.05)
        return formatted(values)

    formatted = written.formatted
    monkeypatch.setattr(written, "formatted", slow)
    monkeypatch.setattr(windows, "CHUNK_CELLS", 10)
    answer = api.get(BASE + "query", query=query, time=now, timeout="200ms")
    assert (answer.status_code, answer.json()["errorType"]) == (503, "timeout")
    gone = threading.Event()
    request = RequestFactory().get("/", {"query": "1"})
    request.scope = {CLIENT_GONE: gone}  # type: ignore[attr-defined]
    with pytest.raises(QueryError) as caught, running(request) as place:
        gone.set()
        place.check()
    assert caught.value.code == "telemetry.canceled"


@pytest.mark.django_db
def test_a_query_waits_for_a_place_and_is_refused_when_none_comes(api: Api, now: float) -> None:
    request = RequestFactory().get("/", {"query": "1"})
    with override_settings(TELEMETRY_MAX_QUERIES=1):
        with running(request):
            answer = api.get(BASE + "query", query="1", timeout="200ms")
            assert (answer.status_code, answer.json()["errorType"]) == (503, "timeout")
            assert answer.json()["error"].startswith("query timed out in query queue")
            assert "TONGCHOU_TELEMETRY_MAX_QUERIES" in answer.json()["error"]
        assert api.get(BASE + "query", query="1").status_code == 200


def test_no_more_than_so_many_run_at_once() -> None:
    places, lock = Places(), threading.Lock()
    inside, most = 0, 0

    def work(_number: int) -> bool:
        nonlocal inside, most
        if not places.take(3, 20):
            return False
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.005)
        with lock:
            inside -= 1
        places.give_back()
        return True

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(work, range(60)))
    assert most == 3


@pytest.mark.django_db
def test_who_waits_and_goes_away_gives_up_the_wait(telemetry_db: Telemetry) -> None:
    request, gone = RequestFactory().get("/", {"query": "1"}), threading.Event()
    request.scope = {CLIENT_GONE: gone}  # type: ignore[attr-defined]
    gone.set()
    with (
        override_settings(TELEMETRY_MAX_QUERIES=1),
        running(RequestFactory().get("/")),
        pytest.raises(QueryError) as caught,
        running(request),
    ):
        pass
    assert caught.value.code == "telemetry.canceled"


@pytest.mark.django_db
def test_a_place_comes_free_however_a_query_ends(telemetry_db: Telemetry) -> None:
    request = RequestFactory().get("/", {"timeout": "100ms"})
    with override_settings(TELEMETRY_MAX_QUERIES=1):
        for _again in range(3):
            with pytest.raises(ZeroDivisionError), running(request):
                raise ZeroDivisionError
        with running(request) as query:
            assert query.limits.timeout_seconds <= 0.1
            with pytest.raises(Problem, match="query_queue"), running(request):
                pass


def counted(client: httpx.Client, name: str) -> float:
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith(name)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


# Half a second each: the query is asked whether to go on between them.
HEAVY = " + ".join(f"sum(stddev_over_time(vector({k})[1h:1s]))" for k in range(200))


@pytest.mark.slice
@pytest.mark.django_db
def test_a_query_ends_when_its_client_goes_away_and_pages_go_on(tmp_path: Path) -> None:
    served = Served(tmp_path / "data", TONGCHOU_TELEMETRY_MAX_QUERY_SECONDS="120", TONGCHOU_TELEMETRY_MAX_QUERIES="2")
    served.start()
    try:
        with served.client() as client:
            canceled, running_now = (
                'tongchou_promql_api_queries_total{ended="canceled"}',
                "tongchou_promql_api_queries_running",
            )
            threads = [threading.Thread(target=abandon, args=(served, 4.0)) for _each in range(10)]
            for thread in threads:
                thread.start()
            served.wait(lambda: counted(client, running_now) == 2, what="two queries that run")
            slowest = 0.0
            while any(thread.is_alive() for thread in threads):
                started = time.monotonic()
                assert client.get("/api/v1/resources").status_code == 200
                slowest = max(slowest, time.monotonic() - started)
                assert counted(client, running_now) <= 2
            assert slowest < 5  # ten heavy queries, and pages are answered
            for thread in threads:
                thread.join()
            left = time.monotonic()
            served.wait(lambda: counted(client, running_now) == 0, seconds=5, what="the end of the queries")
            assert time.monotonic() - left < 3
            assert counted(client, canceled) == 10
    finally:
        served.stop()


def abandon(served: Served, seconds: float) -> None:
    """Ask for something heavy and hang up."""
    with served.client() as client, pytest.raises(httpx.TimeoutException):
        asked = {"query": HEAVY, "start": "1700000000", "end": "1700000700", "step": "1"}
        client.post("/prometheus/api/v1/query_range", data=asked, timeout=seconds)
