"""The form of a source says what its settings are, and a form as it was drawn says the settings it was drawn from."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.core.models import Role
from tongchou.core.problems import Invalid
from tongchou.inventory import sources
from tongchou.inventory.models import SourceConfig
from tongchou.web.source_form import inputs, posted

SCHEMA = {
    "type": "object",
    "required": ["url"],
    "properties": {
        "url": {"type": "string", "title": "URL"},
        "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 443},
        "share": {"type": "number"},
        "deep": {"type": "boolean", "default": True},
        "mode": {"type": "string", "enum": ["fast", "whole"]},
        "names": {"type": "array", "items": {"type": "string"}},
        "ports": {"type": "array", "items": {"type": "integer"}},
        "columns": {"type": "object", "additionalProperties": {"type": "string"}},
        "certificate": {"type": "string", "maxLength": 100_000},
        "more": {"type": "array", "items": {"type": "object"}},
    },
}
word = st.text("abc-1é中.", min_size=1, max_size=8)
said = st.fixed_dictionaries(
    {"deep": st.booleans()},
    optional={
        "url": word,
        "port": st.integers(1, 65535),
        "share": st.floats(0, 1e6),
        "mode": st.sampled_from(["fast", "whole"]),
        "names": st.lists(word, min_size=1, max_size=3),
        "ports": st.lists(st.integers(1, 65535), min_size=1, max_size=3),
        "columns": st.dictionaries(word, word, min_size=1, max_size=3),
        "certificate": word,
        "more": st.just([{"a": 1}]),
    },
)


def form_of(drawn: list[Any]) -> QueryDict:
    post = QueryDict(mutable=True)
    for each in drawn:
        post[each.name] = each.text
    return post


@given(said)
@settings(max_examples=60, deadline=None)
def test_what_is_drawn_and_sent_again_is_the_same(wanted: dict[str, Any]) -> None:
    assert posted(SCHEMA, form_of(inputs(SCHEMA, wanted))) == wanted


@pytest.mark.parametrize(("name", "text"), [("port", "many"), ("columns", "no equals sign"), ("more", "{")])
def test_what_cannot_be_read_names_the_setting(name: str, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        posted(SCHEMA, _post(name, text))
    assert refused.value.field == f"settings.{name}"
    assert refused.value.remedy


def _post(name: str, text: str) -> QueryDict:
    post = QueryDict(mutable=True)
    post[f"set-{name}"] = text
    return post


def test_every_kind_of_source_has_a_form(db: None) -> None:
    for source in sources.source_kinds().values():
        drawn = inputs(source.settings_schema, {})
        assert {each.name.removeprefix("set-") for each in drawn} == set(source.settings_schema["properties"])
        assert posted(source.settings_schema, form_of(drawn)).keys() <= set(source.settings_schema["properties"])


def test_a_source_is_added_and_changed_by_its_fields(browser: Any) -> None:
    client = browser(Role.ADMIN)
    fields = client.get("/resources/sources", {"part": "fields", "kind": "host"}).content.decode()
    assert 'name="set-connections"' in fields
    assert "<html" not in fields
    post = {"name": "it", "kind": "host", "interval": "60", "set-connections": "false"}
    assert client.post("/resources/sources", post).status_code == 302
    row = SourceConfig.objects.get(name="it")
    assert row.settings["connections"] is False
    again = client.get("/resources/sources", {"name": "it"}).content.decode()
    assert 'value="it"' in again
    assert '<option value="false" selected' in again


def test_what_is_refused_is_shown_again_with_the_reason(browser: Any) -> None:
    client = browser(Role.ADMIN)
    post = {"name": "it", "kind": "http_sd", "interval": "60", "set-url": "ftp://x", "set-job": "mine"}
    response = client.post("/resources/sources", post)
    assert response.status_code == 422
    page = response.content.decode()
    assert 'value="ftp://x"' in page
    assert 'value="mine"' in page
    assert 'aria-invalid="true"' in page
    assert client.post("/resources/sources", {**post, "interval": "often"}).status_code == 422
    assert not SourceConfig.objects.exists()


def test_who_may_not_change_sources_does_not_see_their_settings(browser: Any) -> None:
    assert browser(Role.VIEWER).get("/resources/sources", {"part": "fields", "kind": "host"}).status_code == 403


@pytest.mark.parametrize("text", ["22, 80", "-1", "[22]", "http", "９"])
def test_a_list_of_numbers_is_whole_numbers_one_a_line(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        posted(SCHEMA, form_of([each for each in inputs(SCHEMA, {"ports": text}) if each.name == "set-ports"]))
    assert refused.value.field == "settings.ports"


def test_every_setting_of_every_source_is_called_something() -> None:
    for kind, source in sources.source_kinds().items():
        for each in inputs(source.settings_schema, {}):
            assert each.title != each.key or each.key in ("job", "path"), (kind, each.key)
