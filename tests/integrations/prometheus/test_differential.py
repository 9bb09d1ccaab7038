"""The same samples and the same questions to this engine and to a real Prometheus: the answers must be the same.

Debian's Prometheus is 2.42. Where later releases answer otherwise, this engine goes with the later ones: CHANGED says where,
and a test holds that it is so. The grammar in expressions.py leaves exactly these out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings

from tests.conftest import Api
from tests.integrations.prometheus.compared import Ask, difference, in_process, of_client, over_http
from tests.integrations.prometheus.expressions import expressions, moments
from tests.integrations.prometheus.generated_series import BEGIN, SPAN, Samples, generated, metric
from tests.integrations.prometheus.peer import WRITE_HEADERS, messages, prometheus, write
from tongchou.core.access import system
from tongchou.telemetry import backend
from tongchou.telemetry.actions import append
from tongchou.telemetry.backend import Options, Telemetry
from tongchou.telemetry.memory import MemoryBackend
from tongchou.telemetry.series import Labels, SeriesBlock
from tongchou.telemetry.store.embedded import Engine

SEEDS = (1, 2)
SOAK_SEEDS = tuple(range(100, 112))
EDGE = BEGIN + 300

# (query, time, what changed and where it is written); in each the answers differ, and ours is the one of later releases
CHANGED = [
    ("count_over_time(edge[1m])", EDGE + 60, "3.0.0: the left edge of a range is open (#13904)"),
    ("edge", EDGE + 300, "3.0.0: the lookback leaves its left edge out (#13904)"),
    ('lines{text=~"a.b"}', EDGE, "3.0.0: regexp . matches all characters (#14505)"),
    ("holt_winters(g[5m], 0.5, 0.5)", EDGE, "3.0.0: holt_winters is double_exponential_smoothing (#14930)"),
    ("g offset 5", EDGE, "3.0.0: float literals and durations are the same (#15111)"),
    ("increase(near_zero[20m])", EDGE + 30, "2.52.0: the zero point of a counter bounds only what is extrapolated (#13725)"),
    ("lines atan2 1", EDGE, "3.x: atan2 drops the metric name as other operators do"),
    ("stddev(endless)", EDGE, "3.x: the deviation of one infinite value is NaN"),
    ("topk(-Inf, g)", EDGE, "3.x: k below one is an empty answer before it is looked at"),
    ("two > on () one", EDGE, "3.x: a filter refuses several matches, whether or not it keeps them (#17668)"),
    ("timestamp(g @ 1700000600 offset -30s)", EDGE, "an offset beside @ counts in timestamp() as everywhere"),
]  # fmt: skip


def examples() -> dict[Labels, Samples]:
    """Series for CHANGED."""
    return {
        metric("edge"): {EDGE * 1000: 1.0},
        metric("lines", text="a\nb"): {EDGE * 1000 - 1: 1.0},
        metric("near_zero"): {(EDGE + 5) * 1000: 2.0, (EDGE + 20) * 1000: 4.0},
        metric("two", n="1"): {EDGE * 1000 - 1: 1.0},
        metric("two", n="2"): {EDGE * 1000 - 1: 5.0},
        metric("one"): {EDGE * 1000 - 1: 3.0},
        metric("endless"): {EDGE * 1000 - 1: float("inf")},
    }


@dataclass
class Peers:
    """Both engines with the same samples, and how often an answer had something in it."""

    ours: Ask
    theirs: Ask
    asked: int = 0
    told: int = 0
    refused: int = 0

    def compare(self, query: str, start: int, end: int, step: int) -> str:
        """Why the answers differ, "" when they are the same."""
        mine = self.ours(query.replace("holt_winters", "double_exponential_smoothing"), start, end, step)
        other = self.theirs(query, start, end, step)
        self.asked += 1
        self.refused += other[0] != 200
        self.told += other[0] == 200 and bool(other[1]["data"]["result"])
        return difference(mine, other, ordered=query.startswith("sort"))


@pytest.fixture(scope="module")
def peers_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Peers]]:
    """Peers by seed; one Prometheus a seed, ended with the module."""
    with ExitStack() as stack:
        known: dict[int, Peers] = {}

        def make(number: int) -> Peers:
            if number not in known:
                series = generated(number) | examples()
                client = stack.enter_context(prometheus(tmp_path_factory.mktemp("peer")))
                write(client, messages(series))
                memory = MemoryBackend()
                for labels, samples in series.items():
                    memory.add(labels, samples)
                known[number] = Peers(in_process(memory), of_client(client))
            return known[number]

        yield make


def run(peers: Peers, number: int, count: int) -> None:
    """Ask `count` generated questions, each at a moment and over a range."""

    @seed(number)
    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(expressions(), moments())
    def ask(query: str, moment: tuple[int, int, int]) -> None:
        at, steps, step = moment
        for asked in ((query, at, at, 0), (query, at - steps * step, at, step)):
            found = peers.compare(*asked)
            assert not found, f"{asked}: {found}"

    ask()
    # A grammar of questions that nothing answers would agree about everything.
    assert peers.told > peers.asked / 4
    assert peers.asked / 50 < peers.refused < peers.asked / 3


@pytest.mark.parametrize("number", SEEDS)
def test_answers_are_those_of_prometheus(peers_of: Callable[[int], Peers], number: int) -> None:
    run(peers_of(number), number, 500)


@pytest.mark.soak
@pytest.mark.parametrize("number", SOAK_SEEDS)
def test_many_answers_are_those_of_prometheus(peers_of: Callable[[int], Peers], number: int) -> None:
    run(peers_of(number), number, 10_000)


@pytest.mark.parametrize(("query", "at", "why"), CHANGED, ids=[query for query, _at, _why in CHANGED])
def test_what_changed_since_2_42_is_left_out_for_a_reason(
    peers_of: Callable[[int], Peers], query: str, at: int, why: str
) -> None:
    peers = peers_of(SEEDS[0])
    assert difference(peers.ours(query, at, at, 0), peers.theirs(query, at, at, 0), ordered=False), why


@pytest.fixture
def stored(telemetry_engine: Engine) -> Iterator[Callable[[int, int], Telemetry]]:
    """Telemetry at the end of the samples, by seed and seconds of the window in memory."""
    with ExitStack() as stack:

        def make(number: int, window_seconds: int) -> Telemetry:
            options = Options(database=f"diff_{number}_{window_seconds}", retention_days=3650, linger_seconds=0.0,
                              flush_seconds=0.2, window_seconds=window_seconds)  # fmt: skip
            telemetry = Telemetry(telemetry_engine, options, clock=lambda: (BEGIN + SPAN) * 1000)
            stack.callback(telemetry.tables.drop)
            stack.callback(telemetry.close)
            stack.callback(backend.use, backend.use(telemetry))
            rows = [(labels, list(found), list(found.values())) for labels, found in generated(number).items() if found]
            append(SeriesBlock.build(rows), actor=system("tests"))
            telemetry.flush()
            return telemetry

        yield make


@pytest.mark.django_db
@pytest.mark.parametrize("count", [120, pytest.param(5000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("window_seconds", [7200, 1200])
def test_answers_from_memory_and_store_are_those_of_prometheus(
    stored: Callable[[int, int], Telemetry], peers_of: Callable[[int], Peers], window_seconds: int, count: int
) -> None:
    """All in the newest window, and half of it: what the window has not is read from the tables and joined."""
    number = SEEDS[1]
    peers = Peers(in_process(stored(number, window_seconds)), peers_of(number).theirs)
    run(peers, number + window_seconds, count)


@pytest.mark.django_db
def test_over_http_the_answers_are_those_of_prometheus(
    api: Api, telemetry_db: Telemetry, peers_of: Callable[[int], Peers]
) -> None:
    number = SEEDS[0]
    for body in messages(generated(number)):
        answer: Any = api._client.post(
            "/prometheus/api/v1/write", data=body, content_type=WRITE_HEADERS["Content-Type"], headers=WRITE_HEADERS
        )
        assert answer.status_code == 204, answer.content

    def get(path: str, parameters: dict[str, str]) -> tuple[int, bytes]:
        found = api.get(f"/prometheus/api/v1/{path}", **parameters)
        return found.status_code, found.content

    run(Peers(over_http(get), peers_of(number).theirs), number + 1003, 150)
    assert telemetry_db.clock() / 1000 > BEGIN + SPAN  # the samples are out of the newest window: this reads the store
