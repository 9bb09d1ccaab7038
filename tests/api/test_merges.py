from __future__ import annotations

from typing import Any

import pytest

from tongchou.core.access import system
from tongchou.inventory import actions
from tongchou.inventory.models import Resource

pytestmark = pytest.mark.django_db


@pytest.fixture
def two(db: None) -> list[Resource]:
    return [actions.create_resource(actor=system("tests"), kind="host", name=name) for name in ("a", "b")]


def test_a_merge_leaves_a_pointer_and_can_be_undone(api: Any, two: list[Resource]) -> None:
    a, b = two
    answer = api.post(f"/api/v1/resources/{a.pk}/merge", {"absorbed_id": str(b.pk), "reason": "one machine"})
    assert answer.status_code == 201
    old = api.get(f"/api/v1/resources/{b.pk}").json()
    assert (old["state"], old["merged_into"]["id"]) == ("merged", str(a.pk))
    assert api.get("/api/v1/resources", q="b").json()["count"] == 0
    [row] = api.get(f"/api/v1/resources/{a.pk}/merges").json()["items"]
    assert row["keys"] == ["manual:host:b"]
    refused = api.patch(f"/api/v1/resources/{b.pk}", {"name": "c"})
    assert (refused.status_code, refused.json()["code"]) == (409, "inventory.merged")
    assert api.post(f"/api/v1/merges/{row['id']}/undo").status_code == 200
    assert api.get(f"/api/v1/resources/{b.pk}").json()["state"] == "active"
    assert api.post(f"/api/v1/merges/{row['id']}/undo").status_code == 409


def test_a_split_names_the_keys_there_are(api: Any, two: list[Resource]) -> None:
    a, b = two
    api.post(f"/api/v1/resources/{a.pk}/merge", {"absorbed_id": str(b.pk)})
    wrong = api.post(f"/api/v1/resources/{a.pk}/split", {"keys": ["x"]})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "keys")
    made = api.post(f"/api/v1/resources/{a.pk}/split", {"keys": ["manual:host:b"], "name": "b2"})
    assert made.status_code == 201
    assert api.get(f"/api/v1/resources/{made.json()['id']}").json()["keys"] == ["manual:host:b"]


def test_keys_go_to_a_resource_that_is_there(api: Any, two: list[Resource]) -> None:
    a, b = two
    c = actions.create_resource(actor=system("tests"), kind="host", name="c", keys=("k:c", "k:b"))
    path = f"/api/v1/resources/{c.pk}/split"
    moved = api.post(path, {"keys": ["k:b"], "into": str(b.pk)})
    assert (moved.status_code, moved.json()["id"]) == (201, str(b.pk))
    assert api.get(f"/api/v1/resources/{b.pk}").json()["keys"] == ["k:b", "manual:host:b"]
    assert api.post(path, {"keys": ["k:c"], "into": str(a.pk)}).json()["field"] == "keys"
    nowhere = api.post(path, {"keys": ["k:c"], "into": "00000000-0000-0000-0000-000000000000"})
    assert nowhere.status_code == 404


def test_a_viewer_merges_nothing(api_as: Any, viewer_actor: Any, two: list[Resource]) -> None:
    viewer = api_as(viewer_actor)
    a, b = two
    assert viewer.post(f"/api/v1/resources/{a.pk}/merge", {"absorbed_id": str(b.pk)}).status_code == 403
    assert viewer.post(f"/api/v1/resources/{a.pk}/split", {"keys": ["manual:host:a"]}).status_code == 403
