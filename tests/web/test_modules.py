"""Pages, menu, palette, API and hooks of parts that are off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from tests.web.conftest import HTML
from tests.web.test_access import PUBLIC, address
from tongchou.api.app import api as tongchou_api
from tongchou.core import modules
from tongchou.core.access import system
from tongchou.core.models import Role
from tongchou.web.urls import urlpatterns

SYSTEM = system("tests")
pytestmark = pytest.mark.django_db
ORDER = sorted(  # what others need last
    (each.name for each in modules.known()), key=lambda name: any(name in other.needs for other in modules.known())
)


@pytest.fixture
def all_off() -> Iterator[None]:
    """Every part that can be is off."""
    for name in ORDER:
        modules.switch(actor=SYSTEM, name=name, on=False)
    yield
    modules.forget()


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    modules.forget()
    yield
    modules.forget()


def test_every_part_is_found_by_an_address() -> None:
    pages = [address(each) for each in urlpatterns]
    operations = [f"/api/v1{path}" for path in tongchou_api.get_openapi_schema()["paths"]]
    operations = [each.replace("/api/v1/api/v1", "/api/v1") for each in operations]
    for module in modules.known():
        for prefix in module.paths:
            if prefix.startswith("/api/v1/"):
                assert any(module.serves(each) for each in operations if each.startswith(prefix)), prefix
            elif not module.name.startswith("integration-"):
                assert any(module.serves(each) for each in pages if each.startswith(prefix)), prefix


def test_every_page_of_a_part_that_is_off_says_so_and_who_can_switch_it_on(browser: Any, all_off: None) -> None:
    client, nobody = browser(Role.VIEWER), Client(headers=HTML)
    shut = []
    for pattern in urlpatterns:
        path = address(pattern)
        if pattern.name == "live" or pattern.name in PUBLIC:
            continue
        text = (answer := client.get(path)).content.decode()
        if modules.of_path(path) is None:
            assert "module.off" not in text, path
        else:
            shut.append(pattern.name)
            assert answer.status_code == 404, path
            assert "module.off" in text, path
            assert "An administrator can switch it on" in text
            assert client.post(path).status_code == 404, path
        assert nobody.get(path).headers["Location"].startswith("/accounts/login/"), "nobody learns what is off"
    assert len(shut) > 20


def test_menu_palette_and_cockpit_leave_it_out(browser: Any, all_off: None) -> None:
    client = browser(Role.ADMIN)
    text = client.get("/").content.decode()
    for gone in (
        'href="/logs"',
        'href="/slos"',
        'href="/runs"',
        'href="/procedures"',
        'href="/postmortems"',
        'href="/map"',
    ):
        assert f"{gone} data-key" not in text
    assert 'href="/incidents" data-key' in text
    found = str(client.get("/search?q=").json())
    assert "/runs" not in found
    assert "/incidents" in found


def test_the_api_and_the_endpoints_of_integrations_answer_with_a_problem(api: Any, all_off: None) -> None:
    for path in ("/api/v1/runs", "/api/v1/logs", "/prometheus/api/v1/query", "/loki/api/v1/labels"):
        answer = api.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "module.off"), path
        assert answer["Content-Type"] == "application/problem+json"
    assert api.get("/api/v1/me").status_code == 200
    hook = Client().post("/hooks/deployments/any", data="{}", content_type="application/json")
    assert (hook.status_code, hook.json()["code"]) == (404, "module.off"), "a signed hook has no token"


def test_the_page_switches_and_explains_a_refusal(browser: Any) -> None:
    client = browser(Role.ADMIN)
    assert client.post("/admin/modules/map", {"on": "false"}).status_code == 302
    assert client.get("/map").status_code == 404
    page = client.get("/admin/modules").content.decode()
    assert "Who switched what" in page
    refused = client.post("/admin/modules/logs", {"on": "false"})
    assert refused.status_code == 409
    assert "Switch those off first" in refused.content.decode()
    assert client.post("/admin/modules/map", {"on": "true"}).status_code == 302
    assert client.get("/map").status_code == 200
    assert browser(Role.OPERATOR).post("/admin/modules/map", {"on": "false"}).status_code == 403
    assert browser(Role.VIEWER).get("/admin/modules").status_code == 403


def test_the_api_switches(api: Any, api_as: Any, operator_actor: Any) -> None:
    assert api.put("/api/v1/modules/map", {"on": False}).json()["on"] is False
    assert api.get("/api/v1/map").status_code == 404
    assert api.put("/api/v1/modules/logs", {"on": False}).status_code == 409
    assert api.put("/api/v1/modules/nonsense", {"on": False}).json()["code"] == "module.unknown"
    listed = {each["name"]: each for each in api.get("/api/v1/modules").json()["items"]}
    assert listed["map"]["on"] is False
    assert listed["integration-loki"]["needs"] == ["logs"]
    assert api_as(operator_actor).put("/api/v1/modules/map", {"on": True}).status_code == 403
