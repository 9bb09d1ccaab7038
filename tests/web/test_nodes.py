"""The page and the endpoint of nodes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.foreign import SYSTEM, member_of
from tongchou.core import nodes, people
from tongchou.core.models import Role
from tongchou.core.models_nodes import Node

pytestmark = pytest.mark.django_db


def test_an_empty_page_says_when_a_node_appears(browser: Any) -> None:
    assert "tongchou serve" in browser(Role.OPERATOR).get("/admin/nodes").content.decode()


def test_the_page_shows_who_is_alive_and_what_is_wrong(browser: Any) -> None:
    nodes.join(nodes.Identity(name="front-1", role="web", store=nodes.CLICKHOUSE, address="10.0.0.1:8420"))
    text = browser(Role.OPERATOR).get("/admin/nodes").content.decode()
    assert "front-1" in text
    assert "10.0.0.1:8420" in text
    assert "Only web nodes are running" in text
    nodes.join(nodes.Identity(name="work-1", role="worker", store=nodes.CLICKHOUSE, worker="w:1"))
    Node.objects.filter(name="work-1").update(version="9.9", clock_skew_seconds=12.0, figures={"lag_seconds": 0.5})
    text = browser(Role.OPERATOR).get("/admin/nodes?part=live").content.decode()
    assert "Only web nodes are running" not in text
    for word in ("9.9", "Other version", "+12.0", "0.5"):
        assert word in text


def test_the_endpoint_gives_the_same(api: Any) -> None:
    nodes.join(nodes.Identity(name="front-1", role="web", store=nodes.CLICKHOUSE, keys={"K": "f" * 32}))
    told = api.get("/api/v1/nodes").json()
    assert [(each["name"], each["role"], each["state"]) for each in told["items"]] == [("front-1", "web", "alive")]
    assert "f" * 32 not in str(told), "fingerprints of keys stay inside"


def test_it_is_for_operators_of_everything_only(browser: Any, api_as: Any, viewer_actor: Any) -> None:
    assert browser(Role.VIEWER).get("/admin/nodes").status_code == 403
    ours = people.create_team(actor=SYSTEM, name="ours")
    assert browser(member_of(ours, Role.OPERATOR)).get("/admin/nodes").status_code == 403
    assert api_as(viewer_actor).get("/api/v1/nodes").status_code == 403
