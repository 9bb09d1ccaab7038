"""Custom fields over the API: definitions, choice sets, values in every noun, filters."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from tests.conftest import Api
from tongchou.changes.models import Deployment
from tongchou.core.access import Actor
from tongchou.inventory.models import Resource

BASE = "/api/v1"
KIND = "inventory.resource"


def define(api: Api, name: str, type_: str, kind: str = KIND, **more: Any) -> Any:
    body = {"kind": kind, "name": name, "type": type_, "label": {"en": name}, **more}
    answer = api.post(f"{BASE}/custom-fields", body)
    assert answer.status_code == 201, answer.content
    return answer.json()


def test_a_field_is_defined_changed_ordered_deleted_and_put_back(api: Api) -> None:
    define(api, "rack", "text")
    define(api, "tier", "integer", minimum=1)
    at = f"{BASE}/custom-fields/{KIND}"
    assert api.put(f"{at}/rack", {"label": {"zh": "机柜"}, "required": True}).json()["required"] is True
    assert [each["name"] for each in api.put(at, {"names": ["tier", "rack"]}).json()["items"]] == ["tier", "rack"]
    row = Resource.objects.create(kind="host", name="a", source="t", custom={"rack": "A3"})
    narrower = api.put(f"{at}/rack", {"label": {"zh": "机柜"}, "pattern": "[0-9]+"})
    assert (narrower.status_code, narrower.json()["rows"]) == (409, 1)
    kept = api.put(f"{at}/rack", {"label": {"zh": "机柜"}, "pattern": "[0-9]+", "keep_invalid": True})
    assert kept.status_code == 200
    troubles = api.get(f"{BASE}/custom/{KIND}:{row.pk}").json()["troubles"]
    assert list(troubles) == ["rack"]
    assert api.delete(f"{at}/rack").json()["rows"] == 1
    assert api.get(f"{BASE}/resources/{row.pk}").json()["custom"] == {}
    assert [each["name"] for each in api.get(f"{BASE}/custom-fields", deleted=True).json()["items"]] == ["rack"]
    assert api.post(f"{at}/rack/restore").status_code == 200
    assert api.get(f"{BASE}/resources/{row.pk}").json()["custom"] == {"rack": "A3"}
    api.delete(f"{at}/rack")
    assert api.delete(f"{at}/rack?purge=true").json()["rows"] == 1
    assert api.get(f"{at}/rack").status_code == 404
    row.refresh_from_db()
    assert row.custom == {}


def test_a_choice_set_is_made_and_used_and_kept_while_used(api: Api) -> None:
    choices = [{"value": "gold", "en": "Gold", "zh": "金", "colour": "yellow"}, {"value": "tin"}]
    assert api.put(f"{BASE}/choice-sets/tiers", {"choices": choices}).status_code == 200
    define(api, "tier", "select", choice_set="tiers")
    Resource.objects.create(kind="host", name="a", source="t", custom={"tier": "tin"})
    refused = api.put(f"{BASE}/choice-sets/tiers", {"choices": choices[:1]})
    assert (refused.status_code, refused.json()["in_use"]) == (409, {"tin": 1})
    swapped = api.put(f"{BASE}/choice-sets/tiers", {"choices": choices[:1], "replace": {"tin": "gold"}})
    assert swapped.status_code == 200
    assert Resource.objects.get().custom == {"tier": "gold"}
    assert api.delete(f"{BASE}/choice-sets/tiers").status_code == 409


def test_a_resource_takes_values_whole_or_not(api: Api) -> None:
    define(api, "rack", "text", required=True)
    define(api, "tier", "integer", default=3)
    assert api.post(f"{BASE}/resources", {"kind": "host", "name": "a"}).json()["field"] == "custom.rack"
    assert not Resource.objects.exists()
    made = api.post(f"{BASE}/resources", {"kind": "host", "name": "a", "custom": {"rack": "A3"}}).json()
    assert made["custom"] == {"rack": "A3", "tier": 3}
    at = f"{BASE}/resources/{made['id']}"
    refused = api.patch(at, {"name": "b", "custom": {"tier": "x", "nope": 1}}).json()
    assert (refused["code"], refused["unknown"]) == ("custom_field.unknown", ["nope"])
    assert api.get(at).json()["name"] == "a"
    changed = api.patch(at, {"name": "b", "custom": {"tier": None}}).json()
    assert (changed["name"], changed["custom"]) == ("b", {"rack": "A3"})


def test_lists_are_filtered_by_fields(api: Api) -> None:
    define(api, "rack", "text")
    define(api, "tier", "integer")
    define(api, "hidden", "text", filter_logic="disabled")
    for name, custom in (("a", {"rack": "A3", "tier": 1}), ("b", {"rack": "B1", "tier": 5}), ("c", {})):
        Resource.objects.create(kind="host", name=name, source="t", custom=custom)

    def found(**query: str) -> list[str]:
        answer = api.get(f"{BASE}/resources", **query)
        assert answer.status_code == 200, answer.content
        return [each["name"] for each in answer.json()["items"]]

    assert found(**{"cf.rack": "A3"}) == ["a"]
    assert found(**{"cf.rack__contains": "b"}) == ["b"]
    assert found(**{"cf.tier__gte": "2"}) == ["b"]
    assert found(**{"cf.tier__range": "1;4", "cf.rack__not_empty": ""}) == ["a"]
    assert found(**{"cf.tier__empty": ""}) == ["c"]
    assert found(**{"cf.tier__any_of": "1;5"}) == ["a", "b"]
    for query in ("cf.nope=1", "cf.tier=x", "cf.tier__like=1", "cf.hidden=a"):
        refused = api.get(f"{BASE}/resources?{query}")
        assert refused.status_code == 422
        assert refused.json()["field"]
        assert refused.json()["remedy"]


def test_values_of_any_noun_go_through_one_place(api: Api, api_as: Any, viewer_actor: Actor) -> None:
    row = Deployment.objects.create(
        source="ci", delivery_id="1", service_name="orders", version="1", started_at=timezone.now(), status="succeeded"
    )
    ref = f"changes.deployment:{row.pk}"
    define(api, "ticket", "url", kind="changes.deployment")
    put = api.put(f"{BASE}/custom/{ref}", {"values": {"ticket": "https://t.example/1"}})
    assert put.json()["custom"] == {"ticket": "https://t.example/1"}
    assert api.get(f"{BASE}/deployments/{row.pk}").json()["custom"] == {"ticket": "https://t.example/1"}
    assert api.get(f"{BASE}/deployments", **{"cf.ticket__contains": "t.example"}).json()["count"] == 1
    other = api_as(viewer_actor)
    assert other.put(f"{BASE}/custom/{ref}", {"values": {"ticket": None}}).status_code == 403
    assert other.get(f"{BASE}/custom/{ref}").status_code == 200
    assert api.put(f"{BASE}/custom/changes.deployment:{uuid4()}", {"values": {}}).status_code == 404
    assert api.get(f"{BASE}/custom/alerting.silence:{uuid4()}").status_code == 404


@pytest.mark.parametrize(
    "path",
    ["resources", "incidents", "postmortems", "improvements", "slos", "procedures", "runs", "deployments"],
)
def test_every_list_knows_its_fields(api: Api, path: str) -> None:
    answer = api.get(f"{BASE}/{path}?cf.nope=1")
    assert (answer.status_code, answer.json()["code"]) == (422, "custom_field.unknown")


def test_only_an_administrator_defines(api_as: Any, operator_actor: Actor) -> None:
    other = api_as(operator_actor)
    body = {"kind": KIND, "name": "a", "type": "text", "label": {"en": "A"}}
    assert other.post(f"{BASE}/custom-fields", body).status_code == 403
    assert other.put(f"{BASE}/choice-sets/a", {"choices": [{"value": "a"}]}).status_code == 403
    assert other.delete(f"{BASE}/choice-sets/a").status_code == 403
    assert other.get(f"{BASE}/custom-fields").json()["items"] == []
