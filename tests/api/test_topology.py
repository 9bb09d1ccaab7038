from __future__ import annotations

from tongchou.core.access import system
from tongchou.inventory import actions

SYSTEM = system("tests")


def test_weak_points_come_ranked_with_their_reasons(api_as, viewer_actor):
    shop, web = (actions.create_resource(actor=SYSTEM, kind="service", name=name) for name in ("shop", "web"))
    store = actions.create_resource(actor=SYSTEM, kind="database", name="store")
    actions.relate(actor=SYSTEM, from_resource=shop, to_resource=store, type="stores_in")
    actions.relate(actor=SYSTEM, from_resource=web, to_resource=shop, type="calls")
    body = api_as(viewer_actor).get("/api/v1/weak-points").json()
    assert [(each["name"], each["services_lost"]) for each in body["items"]] == [("store", 2), ("shop", 1)]
    assert body["items"][0]["reasons"][0] == {
        "failed": "shop",
        "why": "needed",
        "through": "store",
        "parts": 0,
        "least": 1,
    }
    assert len(api_as(viewer_actor).get("/api/v1/weak-points?limit=1").json()["items"]) == 1
