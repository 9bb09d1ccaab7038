"""Accounts and teams of the platform as resources: to be related to, and gone when they are."""

from __future__ import annotations

import pytest
from django.utils import timezone

from tests.integrations import laws
from tongchou.core.models import Membership, Role, Team, User
from tongchou.core.problems import Invalid
from tongchou.inventory import actions, kind_actions, kinds, refresh, sources
from tongchou.inventory.kind_actions import RelationDraft
from tongchou.inventory.models import Resource
from tongchou.inventory.models_queues import QueueItem, QueueName

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Team:
    shop, ops = Team.objects.create(name="shop"), Team.objects.create(name="ops")
    li = User.objects.create(username="li", display_name="李雷", email="Li@example.org")
    han = User.objects.create(username="han", is_active=False)
    bot = User.objects.create(username="bot", is_service=True)
    wang = User.objects.create(username="wang")
    for user, team in ((li, shop), (li, ops), (wang, shop), (han, shop), (bot, shop)):
        Membership.objects.create(user=user, team=team, role=Role.OPERATOR)
    Membership.objects.create(user=wang, team=None, role=Role.VIEWER)
    return shop


def test_teams_people_and_who_is_on_which_team(shop: Team) -> None:
    config = laws.configured("people")
    laws.settles(config)
    people = Resource.objects.filter(kind="person")
    assert dict(people.values_list("name", "owner__name")) == {"李雷": None, "wang": "shop"}
    assert laws.recorded_edges() == {
        ("李雷", "member_of", "shop"), ("李雷", "member_of", "ops"), ("wang", "member_of", "shop"),
    }  # fmt: skip
    assert people.get(name="李雷").attributes == {"login": "li"}
    assert "example.org" not in laws.everything_recorded()
    assert Resource.objects.get(kind="team", name="shop").owner == shop
    refresh.refresh(timezone.now())
    assert not QueueItem.objects.filter(queue__in=(QueueName.UNOWNED, QueueName.UNRECORDED)).exists()


def test_who_leaves_is_gone_and_who_is_called_otherwise_is_the_same(shop: Team) -> None:
    config = laws.configured("people", {"emails": True})
    sources.run_source(actor=laws.ACTOR, source=config)
    row = Resource.objects.get(name="李雷")
    assert row.attributes == {"login": "li", "email": "li@example.org"}
    User.objects.filter(username="li").update(display_name="Li Lei")
    User.objects.filter(username="wang").update(is_active=False)
    Membership.objects.filter(user__username="li", team__name="ops").delete()
    sources.run_source(actor=laws.ACTOR, source=config)
    row.refresh_from_db()
    assert (row.name, row.state) == ("Li Lei", "active")
    assert Resource.objects.get(name="wang").state == "tombstone"
    assert ("Li Lei", "member_of", "ops") not in laws.recorded_edges()


def test_relations_of_ones_own_and_of_the_catalogue_lead_to_them(shop: Team) -> None:
    sources.run_source(actor=laws.ACTOR, source=laws.configured("people"))
    draft = RelationDraft({"en": "is called at night"}, {"en": "is on call for"}, needed="none", to_kinds=("person",))
    kind_actions.create_relation_type(actor=laws.ACTOR, name="night_call", draft=draft)
    service = actions.create_resource(actor=laws.ACTOR, kind="service", name="orders")
    li, team = Resource.objects.get(name="李雷"), Resource.objects.get(kind="team", name="shop")
    for type_, other in (("night_call", li), ("supported_by", li), ("supported_by", team), ("owned_by", team)):
        actions.relate(actor=laws.ACTOR, from_resource=service, to_resource=other, type=type_)
    assert {edge for edge in laws.recorded_edges() if edge[0] == "orders"} == {
        ("orders", "night_call", "李雷"), ("orders", "supported_by", "李雷"), ("orders", "supported_by", "shop"),
        ("orders", "owned_by", "shop"),
    }  # fmt: skip
    with pytest.raises(Invalid):
        actions.relate(actor=laws.ACTOR, from_resource=service, to_resource=team, type="night_call")
    assert kinds.lineage("person") == ("person", "contact")
    assert kinds.lineage("team") == ("team", "department")
