"""Every URL under inputs that fit nothing, as everybody: never a server error, and a viewer changes nothing.

tests/api/test_fuzz.py walks the operations of the OpenAPI document with inputs made from their schemas, as an
administrator. Here is what it leaves out: the protocols of others (Prometheus, Loki, OTLP, Alertmanager, hooks), the
API as a viewer, and what is no operation at all. `make soak` looks longer.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests import rows
from tests.access.matrix import STREAMS
from tests.access.probe import WRITE, undone
from tests.access.test_matrix import identity
from tests.access.walk import METHODS, OPENAPI, Place, operation, places
from tests.api.test_fuzz import ANSWERS, EDGES, YAMLS
from tests.conftest import make_user
from tongchou.core.models import Role
from tongchou.telemetry.backend import Telemetry

pytestmark = pytest.mark.timeout(1800)  # it walks every URL: minutes where the machine is busy

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "8"))
# What the protocols read from the address, and words of their languages beside the edges of every type.
NAMES = (
    "query", "start", "end", "step", "time", "timeout", "limit", "match[]", "filter", "direction", "since", "interval",
    "delay_for", "active", "silenced", "receiver", "metric", "state", "offset", "q", "about", "after",
)  # fmt: skip
WORDS = st.sampled_from(
    [
        "up", "rate(up[5m])", '{__name__=~".+"}', '{job="a"} |= "x"', "sum by (", "up[1s:1ms]", "1/0", "-Inf", "1700000000",
        "1e18", "2099-01-01T00:00:00Z", 'severity="critical"', 'a=~"(a+)+$"', "0.000001", "1y", "true", "forward",
    ]
)  # fmt: skip
TYPES = st.sampled_from(
    [
        "application/json", "application/x-protobuf", "application/x-www-form-urlencoded", "text/plain", "application/yaml",
        "multipart/form-data; boundary=x", "", "application/json; charset=utf-16", "image/png",
    ]
)  # fmt: skip
ENCODINGS = st.sampled_from(["", "gzip", "snappy", "zstd", "deflate", "br", "gzip, gzip", "x" * 300])
PUSHED = st.sampled_from(
    [
        b'{"streams": [{"stream": {"a": "b"}, "values": [["1", "x"]]}]}', b'{"streams": [{"stream": 1}]}', b"\x0a\x05\x0a\x03abc",
        b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "x"}]}]}]}', b"\x1f\x8b\x08", b"\xff" * 64, b"[]", b"{",
        b'{"matchers": [{"name": "a", "value": "(", "isRegex": true}], "startsAt": "x"}', b"query=up&time=\xff", b"0" * 100_000,
    ]
)  # fmt: skip
BODIES = PUSHED | st.binary(max_size=60) | st.sampled_from([each.encode() for each in YAMLS])


# what a viewer may change: their own things, at their own addresses
MINE = tuple(f"api/v1/{each}" for each in ("me", "tokens", "sessions", "views", "inbox", "watches"))
OWN = {"core_apitoken", "core_event", "core_eventabout", "core_savedview", "core_inboxitem", "core_watch"}


def hold(check: Any, examples: int = EXAMPLES) -> None:
    """Run a property so many times, the same ones each time."""

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def once(data: st.DataObject) -> None:
        check(data)

    once()


def send(data: st.DataObject, client: Client, place: Place, method: str, wrote: set[str]) -> tuple[int, str]:
    """One request at this URL whose parts fit nothing in particular; what it writes is taken back."""
    pairs = [(data.draw(st.sampled_from(NAMES)), data.draw(WORDS | EDGES)) for _ in range(data.draw(st.integers(0, 4)))]
    path = place.address
    if "<" in place.route and data.draw(st.booleans()):
        path = f"{path.rpartition('/')[0]}/{quote(data.draw(EDGES).encode('utf-8', 'replace'), safe='')}"
    query = urlencode([(name, text.encode("utf-8", "replace")) for name, text in pairs])
    headers = {"Content-Encoding": data.draw(ENCODINGS)}

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        found = WRITE.match(sql)
        wrote.update({found[1]} if found else ())
        return execute(sql, params, many, context)

    with undone(), connection.execute_wrapper(watch):
        response = client.generic(
            method, f"{path}?{query}", data.draw(BODIES), content_type=data.draw(TYPES), headers=headers
        )
    told = b"" if response.streaming else response.content[:300]
    assert response.status_code < 500 or response.status_code in ANSWERS, (method, path, query, told)
    return response.status_code, response.get("Content-Type", "")


@pytest.fixture
def world(db: None, telemetry_db: Telemetry, caplog: Any) -> list[Place]:
    caplog.set_level("CRITICAL")
    rows.grow(2)
    return [each for each in places() if each.route not in STREAMS]


@pytest.mark.parametrize("role", [Role.ADMIN, Role.VIEWER])
def test_no_protocol_fails_whatever_it_is_sent(world: list[Place], role: Role) -> None:
    who = identity(make_user("somebody", role))
    seen: set[int] = set()
    for place in world:
        if place.is_page or place.is_api:
            continue
        for method in METHODS:

            def once(data: st.DataObject, place: Place = place, method: str = method) -> None:
                seen.add(send(data, who.api, place, method, set())[0])

            hold(once, EXAMPLES if method in ("GET", "POST") else 2)
    assert {200, 400, 405} <= seen


def test_a_viewer_changes_nothing_whatever_is_sent(world: list[Place]) -> None:
    who = identity(make_user("viewer", Role.VIEWER))
    for place in world:
        if place.is_page:
            continue
        for method in METHODS[1:]:
            wrote: set[str] = set()

            def once(data: st.DataObject, place: Place = place, method: str = method, wrote: set[str] = wrote) -> None:
                send(data, who.api, place, method, wrote)

            served = not place.is_api or operation(place, method)
            hold(once, 3 if served else 1)  # what the document does not know is refused before anything is read
            allowed = OWN if place.route.startswith(MINE) else {"core_apitoken"}  # when the token was last used
            assert not wrote - allowed, (method, place.route, wrote)


def test_what_is_no_operation_is_told_as_a_problem(world: list[Place]) -> None:
    who = identity(make_user("root-of-tests", Role.ADMIN))
    refused = 0
    for path, operations in OPENAPI["paths"].items():
        for method in METHODS:
            if method.lower() not in operations:
                address = path.replace("{", "").replace("}", "")
                response = who.api.generic(method, address)
                if response.status_code == 405:
                    refused += 1
                    assert response["Content-Type"] == "application/problem+json", (method, path)
                    assert response.json()["status"] == 405
                    assert response["Allow"]
    assert refused > 50
    for path in ("/api/v1/no/such", "/api/", "/api/v2/incidents", "/api/v1/incidents/x/y/z"):
        response = who.api.get(path)
        assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json"), path


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_no_protocol_fails_in_the_long_run(world: list[Place]) -> None:
    who = identity(make_user("root-of-tests", Role.ADMIN))
    for place in world:
        for method in METHODS if not place.is_page else ():

            def once(data: st.DataObject, place: Place = place, method: str = method) -> None:
                send(data, who.api, place, method, set())

            served = not place.is_api or operation(place, method)
            hold(once, 300 if served else 10)  # what the document does not know is refused before anything is read
