"""What no database can keep is refused with its place, whatever the path it comes by."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from tongchou.api.parser import check_storable
from tongchou.core.models import Team
from tongchou.core.problems import Invalid

pytestmark = pytest.mark.both_databases

LISTS = [
    "users",
    "tokens",
    "approvals",
    "jobs",
    "teams",
    "silences",
    "resources",
    "relations",
    "deployments",
    "rule-files",
    "rules",
    "alerts",
    "alert-groups",
    "channels",
    "notifications",
    "incidents",
    "procedures",
    "runs",
]


@pytest.mark.parametrize("name", LISTS)
def test_no_list_skips_further_than_the_bound(api: Any, name: str) -> None:
    for offset in ("9223372036854775808", "1000000001", "9" * 400):
        assert api.get(f"/api/v1/{name}", offset=offset).status_code == 422
    assert api.get(f"/api/v1/{name}", offset=1_000_000_000).json()["items"] == []


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/v1/tokens", '{"name": "a\\ud800b", "scopes": ["read"]}', "name"),
        ("/api/v1/tokens", '{"name": "ci", "username": "\\udfff"}', "username"),
        ("/api/v1/tokens", '{"name": "a\\u0000b", "scopes": ["read"]}', "name"),
        ("/api/v1/tokens", '{"name": "ci", "scopes": ["read", "\\u0000"]}', "scopes[1]"),
        ("/api/v1/teams", '{"name": "a\\u0000b"}', "name"),
        ("/api/v1/teams", '{"name": "a", "\\ud800": 1}', "'\\ud800'"),
    ],
)
def test_text_that_is_no_text_is_refused_with_its_place(api: Any, path: str, body: str, field: str) -> None:
    response = api.post(path, body)
    assert response.status_code == 422
    assert response.json()["code"] == "api.text"
    assert response.json()["field"] == field
    assert not Team.objects.exists()


def test_a_secret_with_half_a_pair_is_refused_and_not_shown(api: Any) -> None:
    response = api.put("/api/v1/secrets/x", '{"value": "hunter2\\ud800"}')
    assert response.status_code == 422
    assert "hunter2" not in response.content.decode()


def test_numbers_that_are_not_finite_are_refused(api: Any) -> None:
    for number in ("NaN", "Infinity", "1e999"):
        response = api.put("/api/v1/settings/execution.targets", f'{{"value": [{number}]}}')
        assert (response.status_code, response.json()["field"]) == (422, "value[0]")


@pytest.mark.parametrize(
    "query",
    [
        {"until": "0001-01-01T00:00:00+14:00"},
        {"since": "9999-12-31T23:59:59-14:00"},
        {"verb": "a\0b"},
        {"about": "\0"},
    ],
)
def test_times_and_ids_out_of_range_are_the_callers_mistake(api: Any, query: dict[str, str]) -> None:
    status = api.get("/api/v1/events", **query).status_code
    # PostgreSQL knows these moments, SQLite (Python's calendar) does not; neither may be a server's error.
    in_range = connection.vendor == "postgresql" and not {"verb", "about"} & set(query)
    assert status == (200 if in_range else 422)


def test_nul_in_the_address_is_refused(api: Any) -> None:
    assert api.get("/api/v1/rule-files/a%00b").status_code == 400


def test_a_body_that_is_not_json_is_still_400(api: Any) -> None:
    for body in ("{", b"\xff", "[" * 100_000):
        assert api.post("/api/v1/teams", body).status_code == 400


ANY = st.text(st.characters(categories=("L", "Cs", "Cc")), max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY,
    lambda each: st.lists(each) | st.dictionaries(ANY, each),
    max_leaves=8,
)


def storable(value: Any) -> bool:
    """The long way round: writing it as UTF-8 works, has no NUL, and is JSON by the book."""
    try:
        raw = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return b"\\u0000" not in raw.replace(b"\\\\", b"")


@given(JSON)
def test_what_passes_can_be_written_and_nothing_else_is_refused(value: Any) -> None:
    try:
        check_storable(value)
    except Invalid:
        assert not storable(value)
    else:
        assert storable(value)
