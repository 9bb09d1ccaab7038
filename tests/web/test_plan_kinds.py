"""Kinds by group, the list of one kind, and the form of a resource drawn from its kind."""

from __future__ import annotations

from typing import Any

from tests.inventory.made import make
from tongchou.core.access import system
from tongchou.core.models import Role
from tongchou.inventory import actions
from tongchou.inventory.models import AttributeValue, Relation, Resource

SYSTEM = system("tests")


def heads(client: Any, address: str) -> list[str]:
    return [each["column"].name for each in client.get(address).context["head"]]


def test_the_home_counts_kinds_by_group_and_leads_to_their_lists(browser: Any) -> None:
    make("rack", "A1")
    make("switch", "S1")
    make("balloon", "B1")
    page = browser(Role.VIEWER, "zh-hans").get("/resources/kinds")
    groups = {each["group"].name: each["kinds"] for each in page.context["groups"]}
    assert [line["kind"].name for line in groups["other"]] == ["balloon"]
    assert [(line["kind"].name, line["count"]) for line in groups["places"]] == [("rack", 1)]
    assert "机柜" in page.content.decode()
    everything = browser(Role.VIEWER).get("/resources/kinds?all=1").context["groups"]
    device = next(line for each in everything for line in each["kinds"] if line["kind"].name == "device")
    assert "switch" in device["url"]


def test_the_list_of_a_kind_has_its_columns_and_filters(browser: Any) -> None:
    make("site", "Berlin-1", city="Berlin", status="active")
    make("site", "Bonn-1", city="Bonn")
    client = browser(Role.VIEWER)
    assert "at.city" in heads(client, "/resources?kind=site")
    assert "at.city" not in heads(client, "/resources")
    found = client.get("/resources?kind=site&at.city=berl").context["rows"]
    assert [each["row"].name for each in found] == ["Berlin-1"]
    assert [each["row"].name for each in client.get("/resources?at.city.is=Bonn").context["rows"]] == ["Bonn-1"]
    exported = client.get("/resources?kind=site&format=csv&all_columns=1")
    assert "Berlin" in b"".join(exported).decode()
    body = {"column": ["name", "at.city"], "query": "kind=site"}
    client.post("/lists/inventory.resource/columns", body)
    assert heads(client, "/resources?kind=site") == ["name", "at.city"]
    assert "at.city" not in heads(client, "/resources")


def test_the_list_of_a_kind_with_heirs_shows_theirs(browser: Any) -> None:
    make("switch", "S1", serial="X1")
    make("device", "D1")
    client = browser(Role.VIEWER)
    page = client.get("/resources?kind=device,switch")
    assert [each["row"].name for each in page.context["rows"]] == ["D1", "S1"]
    assert {"kind", "at.serial"} <= {each["column"].name for each in page.context["head"]} | {
        each["column"].name for each in page.context["fields"]
    }


def test_a_resource_is_made_by_its_form_and_only_what_is_altered_is_a_persons_word(browser: Any) -> None:
    client = browser(Role.OPERATOR)
    assert "Rack" in client.get("/resources/new").content.decode()
    form = client.get("/resources/new?kind=rack").content.decode()
    assert 'name="at-rack_units"' in form
    wrong = {"name": "A1", "at-there": ["rack_units"], "at-rack_units": "200"}
    refused = client.post("/resources/new?kind=rack", wrong)
    assert refused.status_code == 422
    assert 'value="200"' in refused.content.decode()
    done = client.post("/resources/new?kind=rack", wrong | {"at-rack_units": "42", "labels": "env=prod"})
    row = Resource.objects.get(name="A1")
    assert done.headers["Location"] == f"/resources/{row.pk}"
    assert (row.attributes, row.labels) == ({"rack_units": 42}, {"env": "prod"})
    actions.set_attributes(
        actor=SYSTEM, resource=row, source="scan", values={"serial": "S1", "purchase_price": "unknown"}
    )
    page = client.get(f"/resources/{row.pk}").content.decode()
    assert "42 U" in page
    assert "Serial number" in page
    assert "unknown" in page
    there = ["rack_units", "serial", "purchase_price", "rack_row"]
    altered = {
        "name": "A1", "labels": "env=prod", "at-there": there, "at-rack_units": "42", "at-serial": "S1",
        "at-purchase_price": "unknown", "at-rack_row": "7",
    }  # fmt: skip
    assert client.post(f"/resources/{row.pk}/edit", altered).status_code == 302
    stated = set(AttributeValue.objects.filter(source="manual").values_list("name", flat=True))
    assert stated == {"rack_units", "rack_row"}


def test_relations_are_stated_and_ended_on_the_page(browser: Any) -> None:
    device, rack = make("device", "D1"), make("rack", "A 1/left")
    client = browser(Role.OPERATOR)
    page = client.get(f"/resources/{device.pk}").content.decode()
    assert 'value="out:mounted_in"' in page
    offered = client.get("/resources/pick", {"type": "out:mounted_in", "other": "rack/A 1"}).content.decode()
    assert "rack/A 1/left" in offered or "rack/A 1" in offered
    assert "device/" not in offered
    client.post(f"/resources/{device.pk}/relate", {"type": "out:mounted_in", "other": "rack/A 1/left"})
    relation = Relation.objects.get()
    assert (relation.from_resource_id, relation.to_resource_id) == (device.pk, rack.pk)
    assert client.post(f"/resources/{device.pk}/relate", {"type": "out:eats", "other": "rack/x"}).status_code == 422
    client.post(f"/resources/{rack.pk}/relate", {"end": str(relation.pk)})
    relation.refresh_from_db()
    assert relation.valid_to is not None


def test_who_only_looks_gets_no_forms(browser: Any) -> None:
    row = make("rack", "A1")
    client = browser(Role.VIEWER)
    assert client.get("/resources/new?kind=rack").status_code == 403
    assert client.get(f"/resources/{row.pk}/edit").status_code == 403
    assert "resource-edit" not in client.get(f"/resources/{row.pk}").content.decode()


def test_many_get_one_value_and_have_the_old_one_back(browser: Any) -> None:
    rows = [make("rack", f"A{n}", rack_units=42) for n in range(2)]
    client = browser(Role.OPERATOR)
    form = {
        "change": "attribute", "set-field": "rack_units", "set-value": "47", "row": [str(each.pk) for each in rows],
        "query": "kind=rack&at.rack_units.min=40",
    }  # fmt: skip
    shown = client.post("/lists/inventory.resource/change", form).headers["Location"]
    client.post(f"{shown}/run")
    assert {each.attributes["rack_units"] for each in Resource.objects.all()} == {47}
    client.post(f"{shown}/undo")
    assert {each.attributes["rack_units"] for each in Resource.objects.all()} == {42}


def test_the_page_of_an_import_says_the_columns_of_a_kind(browser: Any) -> None:
    client = browser(Role.OPERATOR)
    assert "at.rack_units" not in client.get("/lists/inventory.resource/import").content.decode()
    assert "at.rack_units" in client.get("/lists/inventory.resource/import?about=rack").content.decode()
    template = client.get("/lists/inventory.resource/import?about=rack&template=csv").content.decode()
    assert "at.rack_units" in template
