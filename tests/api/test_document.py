"""The OpenAPI document is made once: it takes more than a second of processor time, and anybody may ask for it."""

from __future__ import annotations

import pytest
from django.utils import translation

from tests.conftest import Api
from tongchou.api import document
from tongchou.api.app import api as tongchou_api


def test_it_is_not_made_for_every_request(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    first = api.get("/api/v1/openapi.json")
    assert first.status_code == 200
    monkeypatch.setattr(document.NinjaAPI, "get_openapi_schema", None)  # who makes it again fails
    assert api.get("/api/v1/openapi.json").content == first.content


def test_each_language_and_prefix_has_its_own() -> None:
    with translation.override("en"):
        english = tongchou_api.get_openapi_schema()
        assert tongchou_api.get_openapi_schema() is english
        elsewhere = tongchou_api.get_openapi_schema(path_prefix="/ops/api/v1/")
    with translation.override("zh-hans"):
        assert tongchou_api.get_openapi_schema() is not english
    assert "/ops/api/v1/incidents" in elsewhere["paths"]
    assert "/api/v1/incidents" in english["paths"]
