"""Every operation of the API under inputs made from its own schema, fitting and not: the server never fails.

The walk is bounded (EXAMPLES an operation, more of them in `make soak`). What it sends comes from the OpenAPI document, mixed with names and ids
that exist, with edges of every type, and with bodies damaged at one place.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import pytest
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import Api
from tongchou.api.app import api as tongchou_api
from tongchou.telemetry.backend import Telemetry

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "12"))
ANSWERS = {503, 507}  # "not now" and "no room" are answers, not failures
NAME = "shop"  # the name of everything the walk begins with

DOCUMENT = tongchou_api.get_openapi_schema()
ORDER = ("get", "put", "post", "patch", "delete")  # what is taken away is taken away last
OPERATIONS: dict[str, list[tuple[str, str]]] = {}
for _path, _methods in DOCUMENT["paths"].items():
    for _method, _operation in _methods.items():
        OPERATIONS.setdefault(_operation["tags"][0], []).append((_path, _method))
EDGES = st.sampled_from(
    [
        "", "0", "-1", "²", "٣", "1e400", "NaN", "null", "true", "\0", "\ud800", "a\nb", "..", "%", "[", "{}", "'", '"',
        "9223372036854775807", "9223372036854775808", "-9223372036854775809", "9" * 400,
        "2026-13-40T00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00Z",
        "P9999999999D", "1s", "99999999999999h", "a" * 5000, "統" * 300, "up", '{job="shop"}', "Asia", "pending",
    ]
)  # fmt: skip
TIMES = st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01T00:00:00Z"])
NUMBERS = st.sampled_from([0, 1, -1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308])
LEAVES = st.none() | st.booleans() | NUMBERS | EDGES | st.just(NAME)
ANY = st.recursive(
    LEAVES, lambda each: st.lists(each, max_size=3) | st.dictionaries(EDGES, each, max_size=3), max_leaves=5
)


def fitting(schema: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that fit the schema, roughly: the server must answer what does not fit as well."""
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return st.one_of([fitting(each, depth) for each in schema[several]])
    kind = schema.get("type")
    if kind == "object":
        known = schema.get("properties", {})
        if not known or depth > 4:
            return st.dictionaries(st.just(NAME) | EDGES, EDGES | ANY, max_size=3)
        wanted = {name: fitting(each, depth + 1) for name, each in known.items()}
        needed = {name: wanted.pop(name) for name in schema.get("required", []) if name in wanted}
        return st.fixed_dictionaries(needed, optional=wanted)
    if kind == "array":
        return st.lists(fitting(schema.get("items", {}), depth + 1), max_size=3)
    if kind == "integer":
        return st.integers(schema.get("minimum", -5), schema.get("maximum", 2**63)) | NUMBERS
    if kind == "number":
        return st.floats(0, 1e6) | NUMBERS
    if kind == "boolean":
        return st.booleans()
    if kind == "null":
        return st.none()
    if kind == "string":
        return _text(schema)
    return ANY


def _text(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    if schema.get("format") == "uuid":
        return st.sampled_from(IDS)
    if schema.get("format") == "date-time":
        return st.datetimes().map(lambda each: each.isoformat() + "Z") | TIMES | EDGES
    return st.just(NAME) | st.text(max_size=20) | EDGES


IDS: list[str] = [str(uuid4())]  # the fixture adds what exists


@st.composite
def bodies(draw: st.DrawFn, content: dict[str, Any]) -> tuple[str, bytes]:
    """A content type and a body: fitting, damaged at one field, any JSON, or no JSON."""
    kind, about = next(iter(content.items()))
    if kind != "application/json":
        text = draw(EDGES | st.text(max_size=30) | ANY.map(json.dumps) | st.sampled_from(YAMLS))
        return kind, text.encode("utf-8", "replace")
    value = draw(fitting(about["schema"]) if draw(st.integers(0, 9)) else ANY)
    if isinstance(value, dict) and value and draw(st.booleans()):
        value = {**value, draw(st.sampled_from(sorted(value, key=repr))): draw(ANY)}
    raw = json.dumps(value).encode()
    return kind, raw if draw(st.integers(0, 19)) else raw[: len(raw) // 2] + b"\xff"


YAMLS = [
    "groups: []",
    'groups: [{name: "\\0", rules: [{alert: "a\\ud800", expr: up, labels: {a: "\\0"}}]}]',
    "groups: [{name: a, interval: 99999999999999h, rules: [{alert: A, expr: '1e400', for: 292y}]}]",
    'name: shop\ntitle: {en: "a\\0b", zh: b}\ngrade: read\nsteps: [{name: a, read: {query: up}}]\n',
    "name: shop\ntitle: {en: a, zh: b}\ngrade: read\nmax_targets: 99999999999999999999\nsteps: [{name: a, read: {query: up}}]\n",
    "name: shop\ntitle: {en: a, zh: b}\ngrade: read\nsteps: [{name: a, wait_until: {query: up, is: '> 0', for_seconds: .inf, timeout_seconds: .nan}}]\n",
    "&a [*a, *a]",
]


@pytest.fixture
def shop(api: Api, telemetry_db: Telemetry) -> Api:
    """An installation where one of most things exists, under one name."""
    base = "/api/v1"
    IDS[:] = [str(uuid4())]
    made = [
        api.post(f"{base}/teams", {"name": NAME}),
        api.post(f"{base}/resources", {"kind": "service", "name": NAME}),
        api.post(f"{base}/tokens", {"name": NAME, "scopes": ["read"]}),
        api.put(f"{base}/procedures/{NAME}", YAMLS[3].replace("\\0", ""), "application/yaml"),
        api.put(f"{base}/rule-files/{NAME}", "groups: [{name: a, rules: [{alert: A, expr: up}]}]", "application/yaml"),
    ]
    for each in made:
        assert each.status_code in {200, 201}, each.content
        IDS.extend([each.json()["id"]] if "id" in each.json() else [])
    return api


@pytest.mark.parametrize("room", sorted(OPERATIONS))
def test_no_input_makes_the_server_fail(shop: Api, room: str) -> None:
    statuses: set[int] = set()
    for path, method in sorted(OPERATIONS[room], key=lambda each: ORDER.index(each[1])):
        statuses |= walk(shop._client, path, method)
    # the walk goes through the door and runs into walls; usage knows only incidents, and there is none
    assert {200, 422} <= statuses or room == "usage"


def walk(client: Client, path: str, method: str) -> set[int]:
    """Send EXAMPLES requests to one operation; returns the statuses seen, fails at a server error."""
    operation = DOCUMENT["paths"][path][method]
    seen: set[int] = set()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def send(data: st.DataObject) -> None:
        full, query = path, []
        for each in operation.get("parameters", []):
            value = data.draw(fitting(each["schema"]) if data.draw(st.integers(0, 3)) else EDGES)
            text = (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "replace")
            if each["in"] == "path":
                full = full.replace(f"{{{each['name']}}}", quote(text, safe=""))
            elif each.get("required") or data.draw(st.booleans()):
                query.append((each["name"], text))
        content = operation.get("requestBody", {}).get("content", {})
        kind, body = data.draw(bodies(content)) if content else ("application/json", b"")
        response = client.generic(method.upper(), f"{full}?{urlencode(query)}", body, content_type=kind)
        seen.add(response.status_code)
        told = response.content[:500] if not response.streaming else b""
        assert response.status_code < 500 or response.status_code in ANSWERS, (method, full, query, body, told)

    send()
    return seen
