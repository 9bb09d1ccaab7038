"""The map page: layers, surroundings, paths, two times on one picture, and the list of weak points."""

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.http import QueryDict
from django.utils import timezone

from tests.conftest import make_user
from tongchou.core.access import system
from tongchou.core.models import Membership, Role, Team
from tongchou.core.problems import Invalid
from tongchou.inventory import actions, weakness
from tongchou.inventory.apply import bump
from tongchou.inventory.graph import Edge, Graph, Node
from tongchou.inventory.models import Relation, Resource
from tongchou.web import design_map
from tongchou.web.design_ask import Asked, asked_of

SYSTEM = system("tests")


def made(*names: str, kind: str = "service") -> list[Resource]:
    return [actions.create_resource(actor=SYSTEM, kind=kind, name=name) for name in names]


def relate(a: Resource, b: Resource, type_: str = "calls", **more: Any) -> Relation:
    return actions.relate(actor=SYSTEM, from_resource=a, to_resource=b, type=type_, **more)


def text_of(client: Any, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.content[:500]
    return str(answer.content.decode())


def drawn(text: str) -> set[str]:
    return set(re.findall(r'<a href="[^"]*" data-around="[^"]*" aria-label="([^",]+),', text))


def test_layers_are_told_by_line_and_legend_and_can_be_taken_away(browser: Any) -> None:
    shop, store, mail = made("shop", "store", "mail")
    relate(shop, store)
    relate(shop, mail, source="traces", origin="inferred", confidence=0.3)
    client = browser(Role.VIEWER)
    text = text_of(client, "/map")
    assert 'class="edge declared sure-4"' in text
    assert 'class="edge inferred sure-1"' in text
    assert "shop calls mail" in text
    text = text_of(client, "/map?origin=declared&origin=observed")
    assert "shop calls mail" not in text
    assert "shop calls store" in text


def test_around_one_resource_only_what_is_near_is_drawn_and_the_rest_is_counted(browser: Any) -> None:
    a, b, c, d = made("aa", "bb", "cc", "dd")
    for pair in ((a, b), (b, c), (c, d)):
        relate(*pair)
    client = browser(Role.VIEWER)
    assert drawn(text_of(client, f"/map?focus={b.pk}&depth=1")) == {"aa", "bb", "cc"}
    assert drawn(text_of(client, "/map?focus=bb&depth=2&direction=needs")) == {"bb", "cc", "dd"}
    text = text_of(client, "/map?focus=bb")
    assert drawn(text) == {"aa", "bb", "cc", "dd"}
    assert re.search(r"is-focus.*?bb", text)
    assert "1 may suffer" in text
    assert "2 resources" in text


def test_the_path_between_two_is_drawn_and_that_there_is_none_is_said(browser: Any) -> None:
    a, b, c, _alone = made("aa", "bb", "cc", "alone")
    relate(a, b)
    relate(b, c)
    client = browser(Role.VIEWER)
    text = text_of(client, "/map?focus=cc&to=aa")
    assert drawn(text) == {"aa", "bb", "cc"}
    assert text.count("on-path") == 2
    assert "needs the other" in text_of(client, "/map?focus=aa&to=alone")
    assert "Nothing of the name nobody" in text_of(client, "/map?focus=nobody")


def test_as_it_was_shows_what_went_and_what_came_under_a_banner(browser: Any) -> None:
    a, b, c = made("aa", "bb", "cc")
    then = timezone.now() - timedelta(days=3)
    Resource.objects.filter(pk__in=[a.pk, b.pk]).update(created_at=then - timedelta(days=1))
    Relation.objects.filter(pk=relate(a, b).pk).update(valid_from=then - timedelta(days=1), valid_to=timezone.now())
    relate(a, c)
    bump()
    client = browser(Role.VIEWER)
    at = timezone.localtime(then).strftime("%Y-%m-%dT%H:%M")
    text = text_of(client, f"/map?at={at}")
    assert "As it was at" in text
    assert "1 resources and 1 relations came, 0 resources and 1 relations went" in text
    assert 'class="edge declared sure-4 gone"' in text
    assert 'class="edge declared sure-4 new"' in text
    assert 'class="node unknown new"' in text
    assert "hx-trigger" not in text[text.index('id="map-live"') : text.index('id="map-live"') + 200]
    assert "Nothing was known" in text_of(client, "/map?at=2001-01-01T00:00")


@pytest.mark.parametrize(
    "query", ["at=2999-01-01T00:00", "at=13:00", "at=2026-13-45T00:00", "depth=99", "depth=x", "depth=-1"]
)
def test_a_question_that_cannot_be_is_refused_with_field_and_remedy(query: str, browser: Any) -> None:
    with pytest.raises(Invalid) as caught:
        asked_of(QueryDict(query), now=timezone.now())
    assert caught.value.field == query.partition("=")[0]
    assert caught.value.remedy
    assert "banner critical" in text_of(browser(Role.VIEWER), f"/map?{query}")


def test_a_question_and_its_address_say_the_same() -> None:
    query = "show=all&origin=declared&kind=host&kind=disk&site=a&team=-&focus=x&to=y&depth=2&direction=needs"
    asked = asked_of(QueryDict(f"{query}&at=2026-03-03T08:00"), now=timezone.now())
    again = asked_of(QueryDict(asked.address().partition("?")[2]), now=timezone.now())
    assert again == asked


def test_many_are_few_boxes_that_lead_to_what_is_in_them() -> None:
    ids = [uuid4() for _ in range(1000)]
    nodes = [Node(id_, "service" if n < 600 else "database", f"n{n}") for n, id_ in enumerate(ids)]
    graph = Graph(nodes, [Edge(ids[n], ids[600 + n % 400], "stores_in") for n in range(600)])
    chosen = design_map.choose(Asked(), graph, None, None)
    picture = design_map.draw(chosen, {}, Asked(), {})
    assert len(picture.boxes) <= design_map.MAX_BOXES
    assert picture.resources == 1000
    assert sum(line.count for line in picture.lines) == 600
    assert all("kind=" in box.url for box in picture.boxes if box.count)


def test_a_team_sees_its_own_alone_also_in_the_past_and_in_the_weak_points(browser: Any) -> None:
    shop, store = made("shop", "secretstore")
    relate(shop, store)
    client = browser(Role.VIEWER)
    assert "secretstore" in text_of(client, "/map/weak-points")
    member = make_user("member", None)
    Membership.objects.create(user=member, team=Team.objects.create(name="others"), role=Role.VIEWER)
    client = browser(member)
    for address in ("/map", "/map?at=2026-01-01T00:00", "/map/weak-points", f"/map?focus={store.pk}"):
        assert "secretstore" not in text_of(client, address)


def test_weak_points_say_why_and_lead_to_the_map(browser: Any) -> None:
    (shop,) = made("shop")
    (one,) = made("shop-1", kind="instance")
    (host,) = made("rack-7", kind="host")
    relate(one, shop, "part_of")
    relate(one, host, "runs_on")
    text = text_of(browser(Role.VIEWER), "/map/weak-points")
    assert "shop-1 is the only part of shop" in text
    assert f"focus={host.pk}" in text


def test_no_weak_point_says_what_to_look_at(browser: Any) -> None:
    made("alone")
    assert "queue=unrelated" in text_of(browser(Role.VIEWER), "/map/weak-points")


def test_a_large_inventory_says_that_it_is_looked_through_and_then_shows_the_list(
    browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    relate(*made("shop", "store"))
    begun: list[Any] = []
    threads = SimpleNamespace(
        Thread=lambda target, args, **_more: SimpleNamespace(start=lambda: begun.append(lambda: target(*args))),
    )
    monkeypatch.setattr(weakness, "_last", weakness._Last())
    monkeypatch.setattr(weakness, "LARGE", 1)
    monkeypatch.setattr(weakness, "threading", threads)
    client = browser(Role.VIEWER)
    for _twice in range(2):
        text = text_of(client, "/map/weak-points")
        assert 'hx-trigger="every 1s"' in text
        assert "queue=unrelated" not in text
    (work,) = begun  # one at a time
    work()
    text = text_of(client, "/map/weak-points")
    assert 'hx-trigger="every 1s"' not in text
    assert "store" in text
    # it changed again: what was known a moment ago is shown, as far as it is there, and worked out anew
    relate(*made("mail", "queue"))
    text = text_of(client, "/map/weak-points")
    assert ("store" in text, "queue" in text, len(begun)) == (True, False, 2)
    begun[1]()
    assert "queue" in text_of(client, "/map/weak-points")
