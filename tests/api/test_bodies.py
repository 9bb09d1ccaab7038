"""A key that a body's schema does not know is refused by name: what it said must not be lost in silence."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from typing import Any

import pytest
from ninja import Schema
from pydantic import Field, ValidationError

import tongchou.api as package
from tests.conftest import Api
from tongchou.api.bodies import Body


class Sample(Body):
    """A body of the kinds that pydantic guesses, and of those it does not."""

    count: int
    most: int | float | None = None
    on: bool | None = None
    names: list[int] = Field(default_factory=list)
    texts: dict[str, bool] | None = None


def test_an_unknown_key_is_refused_by_name_and_nothing_is_made(api: Api) -> None:
    answer = api.post("/api/v1/teams", {"name": "web", "colour": "red"})
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["field"]) == (422, "api.invalid", "colour")
    assert all(team["name"] != "web" for team in api.get("/api/v1/teams").json()["items"])


@pytest.mark.parametrize("told", ["2", True, 2.5])
def test_a_number_is_not_guessed(told: Any) -> None:
    for number in (Sample(count=2, most=3.5), Sample(count=2.0, most=None), Sample(count=2, most=3)):
        assert number.count == 2
    with pytest.raises(ValidationError, match="count"):
        Sample(count=told)


@pytest.mark.parametrize("told", [0, 1, "true", "off", []])
def test_yes_and_no_are_not_guessed(told: Any) -> None:
    assert Sample(count=1, on=True).on is True
    assert Sample(count=1, on=None, names=[1], texts={"a": True}).on is None
    with pytest.raises(ValidationError, match="on"):
        Sample(count=1, on=told)


def test_a_body_that_says_0_for_no_is_refused_by_name(api: Api) -> None:
    answer = api.put("/api/v1/logs/searches/mine", {"query": "", "enabled": 0})
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["field"]) == (422, "api.invalid", "enabled")


def test_every_body_of_the_api_refuses_unknown_keys(api: Api) -> None:
    document = api.get("/api/v1/openapi.json").json()
    schemas = document["components"]["schemas"]
    taken = {
        content["schema"]["$ref"].rsplit("/", 1)[1]
        for path in document["paths"].values()
        for operation in path.values()
        for media, content in operation.get("requestBody", {}).get("content", {}).items()
        if media == "application/json" and "$ref" in content["schema"]
    }
    assert taken
    of_agents = ["ReportIn"]  # a newer agent may say more than this platform knows
    assert sorted(name for name in taken if schemas[name].get("additionalProperties") is not False) == of_agents


def test_no_two_schemas_share_a_name_and_so_hide_each_other_in_the_document() -> None:
    modules = [
        importlib.import_module(f"{package.__name__}.{each.name}") for each in pkgutil.iter_modules(package.__path__)
    ]
    defined = Counter(
        name
        for module in modules
        for name, each in vars(module).items()
        if isinstance(each, type) and issubclass(each, Schema) and each.__module__ == module.__name__
    )
    assert len(defined) > 100
    assert [name for name, times in defined.items() if times > 1] == []


@pytest.mark.parametrize("value", ["0", "86400", "2026-03-02T00:00:00", "02.03.2026"])
def test_a_day_is_a_date_and_no_number(api: Api, value: str) -> None:
    assert api.get(f"/api/v1/ends?since={value}").status_code == 422
    assert api.get("/api/v1/ends?since=2026-03-02").status_code == 200


class _Inner(Body):
    names: list[str] = Field(default_factory=list)


class _Outer(Body):
    inner: _Inner | None = None
    many: list[_Inner] = Field(default_factory=list)


@pytest.mark.parametrize("value", [5, -5.6e16, "x", True, [], ["names"]])
def test_what_is_no_object_is_refused_also_where_every_field_has_a_default(value: Any) -> None:
    for body in ({"inner": value}, {"many": [value]}, value):
        with pytest.raises(ValidationError):
            _Outer.model_validate(body)
    assert _Outer.model_validate({"inner": {"names": ["a"]}, "many": [{}]}).inner == _Inner(names=["a"])
