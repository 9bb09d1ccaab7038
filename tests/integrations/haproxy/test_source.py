"""A load balancer as a source, against a real HAProxy."""

from __future__ import annotations

import pytest

from tests.integrations.haproxy.conftest import Balancer
from tongchou.core.access import system
from tongchou.core.problems import Invalid, Unavailable
from tongchou.integrations.haproxy.source import SOURCE, observe
from tongchou.inventory import actions, sources
from tongchou.inventory.models import Endpoint, Relation, Resource

SYSTEM = system("tests")


def test_a_real_balancer_is_related_to_the_servers_it_uses(balancer: Balancer, db: None) -> None:
    for name, behind in balancer.behind.items():
        part = actions.create_resource(actor=SYSTEM, kind="instance", name=f"web-{name}")
        Endpoint.objects.create(resource=part, url=f"http://{behind.address}/", instance=behind.address, source="t")
    at = f"127.0.0.1:{balancer.api}"
    row = sources.configure_source(
        actor=SYSTEM, name="edge", wanted=sources.Wanted(kind="haproxy", settings={"runtime_api": at})
    )
    sources.run_source(actor=SYSTEM, source=row)
    found = Resource.objects.get(kind="load_balancer")
    assert found.attributes["backends"] == ["nobody", "static", "web"]
    assert found.attributes["engine"] == "HAProxy"  # what its version is one of
    used = {each.to_resource.name: each for each in Relation.objects.filter(from_resource=found, type="calls")}
    assert set(used) == {"web-a", "web-b"}
    assert {each.origin for each in used.values()} == {"observed"}
    assert {each.source for each in used.values()} == {"edge/seen"}
    balancer.tell("set server web/a state maint")
    seen = SOURCE.fetch({"runtime_api": at}, source="edge")
    assert len(seen.uses or ()) == 2  # b of web, and the one of the backend static


def test_a_place_that_may_not_be_asked_and_words_that_are_no_answer_are_refused(db: None) -> None:
    for place in ("unix:/run/nowhere.sock", "no place", "host:0"):
        with pytest.raises(Invalid) as caught:
            SOURCE.fetch({"runtime_api": place}, source="edge")
        assert caught.value.field == "settings.runtime_api"
        assert caught.value.remedy
    with pytest.raises(Unavailable):
        observe("Permission denied", "", "127.0.0.1:1")
