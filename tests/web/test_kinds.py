"""The pages on which kinds and relation types are defined, and what of them is seen at once."""

from __future__ import annotations

from typing import Any

from tongchou.core.models import Role
from tongchou.inventory import kinds
from tongchou.inventory.models import Resource

FORM = {
    "name": "badge_reader", "label_en": "Badge reader", "label_zh": "读卡器", "icon": "scan-line", "tier": "5",
    "group": "security", "parent": "",
}  # fmt: skip


def test_a_kind_is_defined_given_fields_and_used_at_once(browser: Any) -> None:
    client = browser(Role.ADMIN)
    assert "New kind" in client.get("/kinds").content.decode()
    refused = client.post("/kinds/new", FORM | {"icon": "no-icon"})
    assert refused.status_code == 422
    assert 'value="Badge reader"' in refused.content.decode()
    assert client.post("/kinds/new", FORM).headers["Location"] == "/kinds/badge_reader"
    start = client.get("/fields/new/inventory.resource?type=text&subkinds=badge_reader").content.decode()
    assert 'value="badge_reader"' in start
    client.post(
        "/fields/new/inventory.resource?type=text",
        {"name": "door", "label_en": "Door", "subkinds": "badge_reader", "weight": "10", "required": "on"},
    )
    assert "Door" in client.get("/kinds/badge_reader").content.decode()
    assert 'name="cf-door"' in client.get("/resources/new?kind=badge_reader").content.decode()
    missing = {"name": "North", "cf-there": "door", "cf-door": ""}
    assert client.post("/resources/new?kind=badge_reader", missing).status_code == 422
    client.post("/resources/new?kind=badge_reader", missing | {"cf-door": "north gate"})
    assert Resource.objects.get().custom == {"door": "north gate"}
    page = client.get("/resources?kind=badge_reader&cf.door=north")
    assert [each["row"].name for each in page.context["rows"]] == ["North"]
    assert "cf.door" in [each["column"].name for each in page.context["head"]]
    assert "Badge reader" in client.get("/resources/kinds").content.decode()


def test_a_kind_is_changed_renamed_retired_and_deleted(browser: Any) -> None:
    client = browser(Role.ADMIN)
    client.post("/kinds/new", FORM)
    client.post("/kinds/badge_reader", FORM | {"name": "reader", "label_en": "Reader"})
    assert kinds.listed("badge_reader") is None
    client.post("/kinds/reader/retire")
    assert "retired" in client.get("/kinds").content.decode()
    client.post("/kinds/reader/delete")
    assert kinds.listed("reader") is None
    assert client.post("/kinds/reader/delete").status_code == 404


def test_a_relation_type_is_defined_and_offered(browser: Any) -> None:
    client = browser(Role.ADMIN)
    form = {
        "name": "guards", "label_en": "guards", "reverse_label_en": "is guarded by", "needed": "none",
        "cardinality": "one-to-many", "from_kinds": ["rack"], "to_kinds": [],
    }  # fmt: skip
    assert client.post("/kinds/relation-types/new", form | {"label_en": ""}).status_code == 422
    client.post("/kinds/relation-types/new", form)
    found = kinds.relation("guards")
    assert found is not None
    assert (found.cardinality, found.from_kinds) == ("one-to-many", ("rack",))
    client.post("/resources/new?kind=rack", {"name": "A1"})
    page = client.get(f"/resources/{Resource.objects.get().pk}").content.decode()
    assert 'value="out:guards"' in page
    assert 'value="guards"' in client.get("/kinds/relation-types/guards").content.decode()
    client.post("/kinds/relation-types/guards/retire")
    client.post("/kinds/relation-types/guards/delete")
    assert kinds.relation("guards") is None


def test_operators_define_nothing(browser: Any) -> None:
    assert browser(Role.OPERATOR).get("/kinds").status_code == 403
