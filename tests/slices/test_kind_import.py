"""A kind of one's own with its fields and relations: a thousand rows of a file through the API, and the same file again."""

from __future__ import annotations

import csv
import io
import json
import time
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import Api
from tongchou.core.lists import batches
from tongchou.core.models import Event
from tongchou.inventory.models import Relation, Resource

# a minute of processor time beside the scenarios, which wait for seconds
pytestmark = [pytest.mark.slice, pytest.mark.soak, pytest.mark.django_db]
ROWS = 1000
FIELDS: dict[str, dict[str, Any]] = {
    "door": {"type": "text", "required": True},
    "floor": {"type": "integer", "minimum": -3, "maximum": 60},
    "outside": {"type": "boolean"},
    "checked": {"type": "date"},
}


def posted(api: Api, path: str, body: Any, content_type: str = "application/json") -> dict[str, Any]:
    answer = api.post(path, body, content_type)
    assert answer.status_code == 201, answer.content[:2000]
    return dict(json.loads(answer.content))


def defined(api: Api) -> None:
    posted(api, "/api/v1/kinds", {"name": "badge_reader", "label": {"en": "Badge reader"}, "parent": "device"})
    opens = {"name": "opens", "label": {"en": "opens"}, "reverse_label": {"en": "is opened by"}}
    posted(api, "/api/v1/relation-types", {**opens, "from_kinds": ["badge_reader"], "to_kinds": ["room"]})
    for name, rules in FIELDS.items():
        more = {"kind": "inventory.resource", "name": name, "label": {"en": name}, "subkinds": ["badge_reader"]}
        posted(api, "/api/v1/custom-fields", {**more, **rules})
    for floor in range(10):
        posted(api, "/api/v1/resources", {"kind": "room", "name": f"R{floor}"})


def sheet() -> str:
    out = io.StringIO()
    write = csv.writer(out)
    write.writerow(["kind", "name", "label", "relations", "at.serial", *(f"cf.{name}" for name in FIELDS)])
    for n in range(ROWS):
        about = ["badge_reader", f"B{n}", f"floor={n % 10}", f"opens room/R{n % 10}", f"SN{n:06}"]
        write.writerow([*about, f"door {n}", n % 10, "yes" if n % 2 else "no", f"2026-03-{n % 28 + 1:02}"])
    return out.getvalue()


def imported(api: Api, file: str) -> tuple[dict[str, Any], float, float]:
    """What was planned and done, and the seconds for each: the second part is a worker's job."""
    began = time.monotonic()
    planned = posted(api, "/api/v1/imports?kind=inventory.resource&name=readers.csv&dry_run=false", file, "text/csv")
    between = time.monotonic()
    batches.work(UUID(planned["id"]))
    done = json.loads(api.get(f"/api/v1/batches/{planned['id']}").content)
    assert (done["state"], done["errors"]) == ("done", [])
    return done, between - began, time.monotonic() - between


def test_a_thousand_rows_come_with_fields_and_relations_and_again_change_nothing(api: Api) -> None:
    defined(api)
    first = imported(api, sheet())
    readers = Resource.objects.filter(kind="badge_reader")
    assert readers.count() == ROWS
    one = readers.get(name="B17")
    assert one.custom == {"door": "door 17", "floor": 7, "outside": True, "checked": "2026-03-18"}
    assert (one.attributes, one.labels) == ({"serial": "SN000017"}, {"floor": "7"})
    edges = Relation.objects.filter(type="opens", valid_to__isnull=True)
    assert edges.count() == ROWS
    assert edges.get(from_resource=one).to_resource.name == "R7"
    before = Event.objects.filter(verb__regex=r"^(resource|relation|custom_fields)\.").count()
    again = imported(api, sheet())
    (_batch, plan, write), (_again, plan_again, write_again) = first, again
    print(
        f"{ROWS} rows: planned in {plan:.1f} s, written in {write:.1f} s; again {plan_again:.1f}, {write_again:.1f} s"
    )
    assert Event.objects.filter(verb__regex=r"^(resource|relation|custom_fields)\.").count() == before
    assert {name: count for name, count in again[0]["counts"].items() if count} == {"unchanged": ROWS}
