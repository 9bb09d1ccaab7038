from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tongchou.core.access import actor_for_user, system
from tongchou.core.models import Event, Membership, Role, Team
from tongchou.inventory import actions, expiries, refresh
from tongchou.inventory.completeness import score, scores
from tongchou.inventory.models_queues import QueueItem

ACTOR = system("tests")


@given(st.integers(1, 1000), st.lists(st.integers(0, 1000), min_size=1, max_size=6))
def test_a_score_is_between_none_and_all_and_falls_with_what_lacks(total: int, lacking: list[int]) -> None:
    found = score(total, lacking)
    assert found is not None
    assert 0 <= found <= 1
    worse = score(total, [each + 1 for each in lacking])
    assert worse is not None
    assert worse <= found


def test_nothing_has_no_score() -> None:
    assert score(0, [0, 0]) is None


@pytest.mark.django_db
@pytest.mark.both_databases
def test_each_group_has_its_score_and_its_lists(django_user_model: Any) -> None:
    red = Team.objects.create(name="red")
    good = actions.create_resource(actor=ACTOR, kind="host", name="a", owner=red, labels={"site": "north"})
    for n in range(3):
        actions.create_resource(actor=ACTOR, kind="service", name=f"s{n}", labels={"site": "south"})
    actions.create_resource(actor=ACTOR, kind="disk", name="sda")
    refresh.refresh(timezone.now())
    found = scores(ACTOR)
    [whole] = found["all"]
    assert (whole.total, whole.lacking) == (4, {"unowned": 3, "unseen": 0, "unrelated": 3, "unfilled": 0})
    assert whole.score == pytest.approx((1 / 4 + 1 + 1 / 4 + 1) / 4)
    assert [(each.name, each.total, each.score) for each in found["kind"]] == [("service", 3, 0.5), ("host", 1, 1.0)]
    assert [(each.name, each.score) for each in found["team"]] == [("", 0.5), ("red", 1.0)]
    assert [(each.name, each.score) for each in found["site"]] == [("south", 0.5), ("north", 1.0)]
    for each in QueueItem.objects.filter(queue="unowned"):
        assert each.resource_id != good.pk
    user = django_user_model.objects.create_user(username="r", password="correct horse battery")
    Membership.objects.create(user=user, team=red, role=Role.VIEWER)
    [mine] = scores(actor_for_user(user))["all"]
    assert (mine.total, mine.score) == (1, 1.0)


@pytest.mark.django_db
@pytest.mark.both_databases
def test_an_end_is_told_once_when_it_is_near_and_once_when_it_is_over() -> None:
    today = timezone.localdate()
    days = {"near": 10, "far": 200, "over": -2, "long-over": -90}
    for name, plus in days.items():
        attributes = {"warranty_ends_on": str(today + timedelta(days=plus))}
        actions.create_resource(actor=ACTOR, kind="host", name=name, attributes=attributes)
    refresh.refresh(timezone.now())
    assert expiries.tell_near(ACTOR) == 2
    assert expiries.tell_near(ACTOR) == 0
    told = {event.payload["name"] for event in Event.objects.filter(verb="resource.expiring")}
    assert told == {"near", "over"}
