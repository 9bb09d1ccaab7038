"""Pages of custom fields: an administrator defines, people fill in on the page of the thing, in both languages."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.web.foreign import plant
from tongchou.alerting.models import Objective
from tongchou.changes.models import Deployment
from tongchou.core import field_choices, field_definitions
from tongchou.core.access import system
from tongchou.core.field_definitions import Draft
from tongchou.core.models import Role
from tongchou.core.models_fields import ChoiceSet, FieldDefinition
from tongchou.core.refs import ref
from tongchou.inventory.models import Resource

pytestmark = pytest.mark.django_db

KIND = "inventory.resource"
TESTS = system("tests")


def define(name: str, type_: str, kind: str = KIND, **more: Any) -> FieldDefinition:
    draft = Draft(**{"label": {"en": name.title(), "zh": f"字段{name}"}, **more})
    return field_definitions.create(actor=TESTS, kind=kind, name=name, type_=type_, draft=draft)


def resource(name: str = "web-1", **more: Any) -> Resource:
    return Resource.objects.create(kind="host", name=name, source="t", **more)


def text(response: Any) -> str:
    return str(response.content.decode())


def test_an_administrator_defines_a_field_with_a_form(browser: Any) -> None:
    client: Client = browser(Role.ADMIN)
    assert "Several choices" in text(client.get(f"/fields/new/{KIND}"))
    at = f"/fields/new/{KIND}?type=integer"
    assert "At least" in text(client.get(at))
    form = {"name": "tier", "label_en": "Tier", "label_zh": "等级", "minimum": "1", "maximum": "x", "weight": "5"}
    refused = client.post(at, form)
    assert refused.status_code == 422
    assert 'value="tier"' in text(refused)  # what was typed is not lost
    assert client.post(at, {**form, "maximum": "5", "default": "3"}).status_code == 302
    row = FieldDefinition.objects.get()
    assert (row.name, row.minimum, row.maximum, row.default, row.label) == (
        "tier", 1, 5, 3, {"en": "Tier", "zh": "等级"},
    )  # fmt: skip
    assert "Tier" in text(client.get(f"/fields?kind={KIND}"))
    preview = client.post(f"/fields/preview/{KIND}?type=integer", {**form, "maximum": "5"})
    assert "Tier" in text(preview)
    assert "number" in text(client.post(f"/fields/preview/{KIND}?type=integer", form))


def test_narrowing_asks_before_it_keeps_what_breaks(browser: Any) -> None:
    client: Client = browser(Role.ADMIN)
    define("rack", "text")
    resource(custom={"rack": "abc"})
    form = {"label_en": "Rack", "pattern": "[0-9]+", "weight": "100"}
    refused = client.post(f"/fields/{KIND}/rack", form)
    assert refused.status_code == 409
    assert "keep_invalid" in text(refused)
    assert client.post(f"/fields/{KIND}/rack", {**form, "keep_invalid": "on"}).status_code == 302
    assert FieldDefinition.objects.get().pattern == "[0-9]+"


def test_a_field_is_moved_deleted_put_back_and_deleted_for_good(browser: Any) -> None:
    client: Client = browser(Role.ADMIN)
    define("aa", "text", weight=1)
    define("bb", "text", weight=2)
    one = resource(custom={"bb": "x"})
    client.post(f"/fields/{KIND}/bb/up")
    assert [each.name for each in field_definitions.definitions()] == ["bb", "aa"]
    assert "1 row has a value" in text(client.get(f"/fields?kind={KIND}"))
    client.post(f"/fields/{KIND}/bb/delete")
    assert "Put back" in text(client.get(f"/fields?kind={KIND}"))
    client.post(f"/fields/{KIND}/bb/restore")
    client.post(f"/fields/{KIND}/bb/delete")
    client.post(f"/fields/{KIND}/bb/purge")
    one.refresh_from_db()
    assert one.custom == {}


def test_a_choice_set_is_edited_with_its_order_and_its_replacements(browser: Any) -> None:
    client: Client = browser(Role.ADMIN)
    form = {
        "name": "tiers", "label_en": "Tiers", "label_zh": "等级", "order": ["2", "1", "3"], "old": ["", "", ""],
        "value": ["tin", "gold", ""], "en": ["Tin", "Gold", ""], "zh": ["锡", "金", ""], "colour": ["", "yellow", ""],
    }  # fmt: skip
    assert client.post("/fields/sets", form).status_code == 302
    assert [each["value"] for each in ChoiceSet.objects.get().choices] == ["gold", "tin"]
    define("tier", "select", choice_set="tiers")
    one = resource(custom={"tier": "tin"})
    form = {**form, "old": ["tin", "gold", ""], "value": ["", "golden", ""]}
    refused = client.post("/fields/sets/tiers", form)
    assert refused.status_code == 409
    assert 'name="replace-tin"' in text(refused)
    assert client.post("/fields/sets/tiers", {**form, "replace-tin": "golden"}).status_code == 302
    one.refresh_from_db()
    assert one.custom == {"tier": "golden"}
    assert "Golden" not in text(client.get("/fields/sets/tiers"))  # its label stayed Gold


@pytest.mark.parametrize(
    "language, words", [("en", ("Rack", "Gold", "Twin")), ("zh-hans", ("字段rack", "金", "字段twin"))]
)
def test_people_fill_fields_in_on_the_page_of_the_thing(browser: Any, language: str, words: tuple[str, ...]) -> None:
    field_choices.create(
        actor=TESTS, name="tiers", label={}, choices=[{"value": "gold", "en": "Gold", "zh": "金", "colour": "yellow"}]
    )
    define("rack", "text", pattern="[A-Z][0-9]")
    define("tier", "multi_select", choice_set="tiers")
    define("twin", "object", object_kind=KIND)
    one, other = resource(), resource("web-2")
    client: Client = browser(Role.OPERATOR, language)
    at = f"/fields/of/{ref(one)}"
    form = text(client.get(f"{at}?edit=1", headers={"HX-Request": "true"}))
    assert 'name="cf-rack"' in form
    there = {"cf-there": ["rack", "tier", "twin"]}
    htmx = {"HX-Request": "true"}
    refused = client.post(at, {**there, "cf-rack": "nope", "cf-tier": "gold"}, headers=htmx)
    assert 'value="nope"' in text(refused)
    assert 'aria-invalid="true"' in text(refused)
    assert Resource.objects.get(pk=one.pk).custom == {}
    saved = client.post(at, {**there, "cf-rack": "A3", "cf-tier": "gold", "cf-twin": ref(other)}, headers=htmx)
    for word in (*words, "web-2", "A3"):
        assert word in text(saved)
    assert Resource.objects.get(pk=one.pk).custom == {"rack": "A3", "tier": ["gold"], "twin": ref(other)}
    page = text(client.get(f"/resources/{one.pk}"))
    for word in (*words, "web-2", "A3"):
        assert word in page
    again = text(client.get(f"{at}?edit=1", headers=htmx))
    assert f'type="radio" name="cf-twin" value="{ref(other)}" checked' in again
    assert 'name="cf-tier" value="gold" checked' in again
    assert client.post(at, {**there, "cf-rack": "A4"}).status_code == 302
    assert Resource.objects.get(pk=one.pk).custom == {"rack": "A4"}


def test_a_viewer_reads_and_does_not_change(browser: Any) -> None:
    define("rack", "text")
    one = resource(custom={"rack": "A3"})
    client: Client = browser(Role.VIEWER)
    page = text(client.get(f"/resources/{one.pk}"))
    assert "A3" in page
    assert "?edit=1" not in page
    assert client.get(f"/fields/of/{ref(one)}?edit=1").status_code == 403
    assert client.post(f"/fields/of/{ref(one)}", {"cf-there": "rack", "cf-rack": "B1"}).status_code == 403


def test_the_picker_offers_what_the_person_may_see(browser: Any) -> None:
    define("near", "multi_object", object_kind=KIND)
    one, other = resource("alpha"), resource("beta")
    client: Client = browser(Role.OPERATOR)
    found = text(client.get(f"/fields/pick/{KIND}/near", {"q": "alp", "cf-near": ref(other)}))
    assert "alpha" in found
    assert f'value="{ref(other)}" checked' in found
    assert f'value="{ref(one)}" checked' not in found
    assert client.get(f"/fields/pick/{KIND}/nope").status_code == 404


def test_every_page_of_a_noun_shows_its_fields(browser: Any) -> None:
    planted = plant()
    pages = {
        "incidents.incident": (planted.incident, f"/incidents/{planted.incident.number}"),
        "runbooks.run": (planted.run, f"/runs/{planted.run.pk}"),
        "runbooks.procedure": (planted.run.procedure, f"/procedures/{planted.run.procedure.name}"),
        "inventory.resource": (planted.resource, f"/resources/{planted.resource.pk}"),
    }
    client: Client = browser(Role.ADMIN)
    for kind, (row, address) in pages.items():
        define("ticket", "text", kind=kind)
        type(row).objects.filter(pk=row.pk).update(custom={"ticket": f"T-{kind}"})
        assert f"T-{kind}" in text(client.get(address)), kind


def test_the_form_of_an_objective_takes_fields_and_loses_nothing_when_refused(browser: Any) -> None:
    define("contract", "text", kind="alerting.objective", required=True)
    client: Client = browser(Role.ADMIN)
    assert 'name="cf-contract"' in text(client.get("/slo-form"))
    form = {
        "name": "orders", "title_en": "Orders", "title_zh": "", "service": "orders", "error_query": "sum(increase(a[$window]))",
        "total_query": "sum(increase(b[$window]))", "target": "99", "window": "30d", "min_events": "1", "min_errors": "1",
        "cf-there": "contract",
    }  # fmt: skip
    refused = client.post("/slo-form", {**form, "cf-contract": ""})
    assert refused.status_code == 422
    assert not Objective.objects.exists()
    assert client.post("/slo-form", {**form, "cf-contract": "C-7"}).status_code == 302
    assert Objective.objects.get().custom == {"contract": "C-7"}
    assert 'value="C-7"' in text(client.get("/slo-form/orders"))
    assert client.post("/slo-form/orders", {**form, "cf-contract": "C-8"}).status_code == 302
    assert Objective.objects.get().custom == {"contract": "C-8"}


def test_a_deployment_is_filled_in_from_its_list(browser: Any) -> None:
    row = Deployment.objects.create(
        source="ci", delivery_id="1", service_name="orders", version="1", started_at=timezone.now(), status="succeeded"
    )
    client: Client = browser(Role.ADMIN)
    assert "/fields/of/" not in text(client.get("/deployments"))
    define("ticket", "text", kind="changes.deployment")
    assert f"/fields/of/{ref(row)}" in text(client.get("/deployments"))
    assert client.post(f"/fields/of/{ref(row)}", {"cf-there": "ticket", "cf-ticket": "T-1"}).status_code == 302
    assert "T-1" in text(client.get(f"/fields/of/{ref(row)}"))


def test_lists_filter_and_show_fields(browser: Any) -> None:
    field_choices.create(actor=TESTS, name="tiers", label={}, choices=[{"value": "gold"}, {"value": "tin"}])
    define("tiers", "multi_select", choice_set="tiers")
    define("since", "date")
    resource("one", custom={"tiers": ["gold", "tin"], "since": "2026-03-01"})
    resource("two", custom={"tiers": ["tin"]})
    client: Client = browser(Role.VIEWER)
    page = text(client.get("/resources?columns=name,cf.tiers,cf.since"))
    assert "gold; tin" in page
    assert "2026-03-01" in page
    for asked in ("cf.tiers=gold", "cf.tiers.is=gold", "cf.since=2026-03-01"):
        found = text(client.get(f"/resources?{asked}"))
        assert ">one<" in found, asked
        assert ">two<" not in found, asked
