"""A source that another node looks for, on the pages of this one."""

from __future__ import annotations

from typing import Any

import pytest

from tongchou.core import nodes
from tongchou.core.models import Job, Role
from tongchou.inventory import sources
from tongchou.inventory.models import SourceConfig

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(settings: Any, browser: Any) -> Any:
    settings.NODE_NAME = "a"
    for name in ("a", "b"):
        nodes.join(nodes.Identity(name=name, role="all", store=nodes.CLICKHOUSE, worker=f"{name}:1"))
    return browser(Role.ADMIN)


def test_the_form_asks_for_the_node_where_there_are_several(page: Any) -> None:
    form = {"name": "h", "kind": "host", "interval": "60"}
    refused = page.post("/resources/sources", form)
    assert refused.status_code == 422
    assert "a, b" in refused.content.decode()
    assert page.post("/resources/sources", {**form, "set-node": "b"}).status_code == 302
    assert SourceConfig.objects.get().settings["node"] == "b"


def test_to_look_now_is_handed_to_its_node_and_a_dry_run_is_refused(page: Any) -> None:
    page.post("/resources/sources", {"name": "h", "kind": "host", "interval": "60", "set-node": "b"})
    Job.objects.all().delete()
    assert page.post("/resources/sources/h", {"do": "run"}).status_code == 302
    assert Job.objects.get(name=sources.SYNC_JOB).node == "b"
    refused = page.post("/resources/sources/h/plan", {})
    assert refused.status_code == 409
    assert "This source looks at the node b" in refused.content.decode()
    assert SourceConfig.objects.get().last_run_at is None
