"""Sessions, service accounts and the access review through the API."""

from __future__ import annotations

from typing import Any

from allauth.usersessions.models import UserSession

from tests.core.test_sessions import session_of
from tongchou.core.access import Actor
from tongchou.core.models import Membership, User


def test_sessions_are_listed_and_ended(api: Any, api_as: Any, viewer_actor: Actor) -> None:
    viewer = User.objects.get(pk=viewer_actor.user_id)
    row = session_of(viewer)
    # a session without a signed-in person inside is dropped from the list
    assert api.get("/api/v1/sessions", username="viewer").json() == {"items": [], "count": 0}
    assert api_as(viewer_actor).get("/api/v1/sessions", username="admin").status_code == 403
    row = session_of(User.objects.get(username="admin"))
    assert api_as(viewer_actor).delete(f"/api/v1/sessions/{row.pk}").status_code == 403
    assert api.delete(f"/api/v1/sessions/{row.pk}").status_code == 204
    assert not UserSession.objects.exists()
    assert api.delete(f"/api/v1/sessions/{row.pk}").status_code == 404


def test_a_service_account_from_making_to_disabling(api: Any, api_as: Any, viewer_actor: Actor) -> None:
    body = {"username": "robot", "role": "viewer", "owner": "admin", "purpose": "reads"}
    made = api.post("/api/v1/service-accounts", body)
    assert (made.status_code, made.json()["owner"]) == (201, "admin")
    path = f"/api/v1/service-accounts/{made.json()['id']}"
    for wrong, field in (({"owner": "ghost"}, "owner"), ({"owner": None}, "owner"), ({"team": "ghost"}, "team")):
        refused = api.post("/api/v1/service-accounts", {**body, "username": "two", **wrong})
        assert (refused.status_code, refused.json()["field"]) == (422, field)
    token = api.post(f"{path}/tokens", {"name": "ci"}).json()
    successor = api.post(f"/api/v1/tokens/{token['id']}/rotate", {"overlap_hours": 2})
    assert successor.status_code == 201
    assert successor.json()["token"] != token["token"]
    assert api.post(f"/api/v1/tokens/{token['id']}/rotate", {"overlap_hours": 721}).status_code == 422
    assert api.patch(path, {"purpose": "reads twice"}).json()["purpose"] == "reads twice"
    assert api.patch(path, {"active": False}).json()["is_active"] is False
    assert api.get("/api/v1/service-accounts").json()["count"] == 1
    stranger = api_as(viewer_actor)
    for response in (stranger.get("/api/v1/service-accounts"), stranger.patch(path, {"active": True})):
        assert response.status_code == 403


def test_the_access_review(api: Any, api_as: Any, viewer_actor: Actor) -> None:
    items = {each["username"]: each for each in api.get("/api/v1/access-review").json()["items"]}
    line = items["viewer"]
    assert (line["role"], line["source"], line["reviewed_at"]) == ("viewer", "local", None)
    assert api.post(f"/api/v1/access-review/{items['admin']['id']}/confirm").status_code == 409
    assert api.post(f"/api/v1/access-review/{line['id']}/confirm").status_code == 204
    assert [each["username"] for each in api.get("/api/v1/access-review", reviewed=True).json()["items"]] == ["viewer"]
    assert api_as(viewer_actor).get("/api/v1/access-review").status_code == 403
    assert api.post(f"/api/v1/access-review/{line['id']}/withdraw").status_code == 204
    assert not Membership.objects.filter(user_id=viewer_actor.user_id).exists()
    assert api.post(f"/api/v1/access-review/{line['id']}/withdraw").status_code == 404
